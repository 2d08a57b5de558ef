package catalog_test

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/rows"
	"github.com/firn-archive/firn/treehash"
)

// goodRows are those of a small store: a file in an archive of its own, with an
// old version, two in a bundle, and others that need none.
func goodRows() []rows.Row {
	token := firn.Token{5}
	file := func(name string, since, until, size, archive, member int64) *rows.Entry {
		return &rows.Entry{Name: name, Since: since, Until: until, Mode: 0o100644, Size: size, ModTime: epoch, Archive: archive, Member: member}
	}
	run := func(id int64) *rows.Run {
		return &rows.Run{ID: id, Catalog: 1, Tree: 1, Command: "sync", Started: epoch.Add(time.Duration(id) * time.Hour), Ended: epoch.Add(time.Duration(id) * time.Hour), Complete: true}
	}
	one := func(id int64, remote string, size int64) *rows.Archive {
		return &rows.Archive{ID: id, Kind: "file", State: 10, Run: 1, Settled: 1, Remote: firn.ArchiveID(remote), Size: size, Created: epoch, Contents: []rows.Content{{Size: size, Tree: treehash.Hash{byte(id)}}}}
	}
	return []rows.Row{
		&rows.Header{Catalog: token, Seq: 1, Store: rows.Store{Identity: "one", Kind: "local", URL: "local:/v", Name: "v"}, Made: epoch},
		&rows.Catalog{ID: 1, Token: token}, &rows.Tree{ID: 1, Name: "photos", Host: "nas", Root: "/p"}, &rows.Tree{ID: 2, Name: "found"},
		&rows.Run{ID: -7, Catalog: 1, Tree: 2, Command: "found", Started: epoch, Ended: epoch, Complete: true}, run(1), run(2),
		&rows.Snapshot{Catalog: 1, Seq: 1, Archive: 4, Made: epoch},
		one(1, "first", 9), one(2, "second", 10),
		&rows.Archive{ID: 3, Kind: "bundle", State: 10, Run: 2, Settled: 2, Remote: "bundle", Size: 4096, Contents: []rows.Content{{Offset: 512, Size: 5, Tree: treehash.Hash{31}}, {Member: 1, Offset: 1536, Size: 6, Tree: treehash.Hash{32}}}},
		&rows.Archive{ID: 4, Kind: "catalog", State: 10, Run: 2, Settled: 2, Remote: "snapshot", Size: 300},
		&rows.Archive{ID: 5, Kind: "foreign", State: 10, Remote: "theirs", Size: 100, Packed: "gzip", Description: "theirs", Contents: []rows.Content{{Size: 700}}},
		&rows.Archive{ID: 6, Kind: "bundle", State: 10, Run: 1, Remote: "sealed", Size: 900, Header: []byte("head"), Recipients: bytes.Repeat([]byte{1}, 32), Contents: []rows.Content{{Offset: 512, Size: 7, Tree: treehash.Hash{61}}}},
		&rows.Archive{ID: 7, Kind: "foreign", State: 11, Remote: "unknown", Size: 8},
		&rows.Dir{Tree: 1}, &rows.Entry{Since: 1, Mode: 0o040755, Size: 4096, ModTime: epoch},
		file("a", 1, 2, 9, 1, 0), file("a", 2, 0, 10, 2, 0), file("b", 2, 0, 5, 3, 0), file("c", 2, 0, 6, 3, 1), file("empty", 1, 0, 0, 0, 0),
		&rows.Entry{Name: "link", Since: 1, Mode: 0o120777, Size: 1, ModTime: epoch, Target: "a"}, file("secret", 1, 0, 7, 6, 0),
		&rows.Dir{Tree: 2, Path: "d"}, file("theirs", -7, 0, 700, 5, 0),
	}
}

// written gives the stream of rows; false where a Writer refuses them.
func written(all []rows.Row) ([]byte, bool) {
	var text bytes.Buffer
	w := rows.NewWriter(&text)
	for _, row := range all {
		if w.Write(row) != nil {
			return nil, false
		}
	}
	ok := w.Close() == nil
	return text.Bytes(), ok
}

// rowOf finds a row.
func rowOf[R rows.Row](all []rows.Row, is func(R) bool) R {
	i := slices.IndexFunc(all, func(row rows.Row) bool { r, ok := row.(R); return ok && is(r) })
	return all[i].(R)
}

// TestReadRowsRefused spoils one row: it is left out with what is of it, and all
// else is read.
func TestReadRowsRefused(t *testing.T) {
	archive := func(all []rows.Row, id int64) *rows.Archive {
		return rowOf(all, func(a *rows.Archive) bool { return a.ID == id })
	}
	entry := func(all []rows.Row, name string, since int64) *rows.Entry {
		return rowOf(all, func(e *rows.Entry) bool { return e.Name == name && e.Since == since })
	}
	for name, tt := range map[string]struct {
		spoil   func(all []rows.Row)
		refused int64 // rows
		missing int64 // versions
		told    string
	}{
		"nothing":           {func([]rows.Row) {}, 0, 0, ""},
		"no such content":   {func(all []rows.Row) { entry(all, "c", 2).Member = 2 }, 1, 1, "c: archive 3 has no content 2"},
		"another size":      {func(all []rows.Row) { entry(all, "c", 2).Size = 7 }, 1, 1, "c: it has 7 bytes, and its content in archive 3 has 6"},
		"in no archive":     {func(all []rows.Row) { entry(all, "b", 2).Archive = 0 }, 1, 1, "b: it has 5 bytes, and is in no archive"},
		"in a snapshot":     {func(all []rows.Row) { entry(all, "b", 2).Archive = 4 }, 1, 1, "b: archive 4 has no content 0"},
		"beyond the end":    {func(all []rows.Row) { archive(all, 3).Contents[1].Offset = 4091 }, 3, 2, "archive bundle: its content 1, of 6 bytes at 4091, reaches beyond its end at 4096"},
		"too large to be":   {func(all []rows.Row) { archive(all, 1).Size = 1<<50 + 1 }, 2, 1, "archive first: no archive can have 1125899906842625 bytes"},
		"the largest":       {func(all []rows.Row) { archive(all, 1).Size = math.MaxInt64 }, 2, 1, "no archive can have"},
		"no id":             {func(all []rows.Row) { archive(all, 2).Remote = "" }, 2, 1, `archive 2, "", is no archive of its own`},
		"the same id":       {func(all []rows.Row) { archive(all, 2).Remote = "first" }, 2, 1, "is no archive of its own"},
		"a snapshot's":      {func(all []rows.Row) { archive(all, 2).Kind = "catalog" }, 2, 1, "archive second: a snapshot holds no files"},
		"deleted":           {func(all []rows.Row) { archive(all, 2).State = 22 }, 0, 1, ""},
		"a large theirs":    {func(all []rows.Row) { entry(all, "theirs", -7).Size = 1 << 51 }, 1, 1, "d/theirs: no file can have"},
		"a number too high": {func(all []rows.Row) { archive(all, 7).ID = math.MaxInt64 }, 1, 0, "no archive can have this number"},
	} {
		t.Run(name, func(t *testing.T) {
			all := goodRows()
			tt.spoil(all)
			text, ok := written(all)
			if !ok {
				t.Fatal("a writer refuses it")
			}
			c, store := another(t)
			res := take(t, c, store, text)
			if res.Refused != tt.refused || res.Versions != 9-tt.missing || !strings.Contains(strings.Join(res.Wrong, "\n"), tt.told) || (tt.refused == 0) != (len(res.Wrong) == 0) {
				t.Errorf("%d refused, %d versions: %q", res.Refused, res.Versions, res.Wrong)
			}
			if again := take(t, c, store, text); again.Refused != tt.refused || again.Archives != 0 || again.Versions != 0 {
				t.Errorf("again: %+v", again)
			}
		})
	}
}

// TestReadRowsTooMuch refuses what would make sums overflow, and keeps the rest.
func TestReadRowsTooMuch(t *testing.T) {
	all := goodRows()
	dirs := slices.IndexFunc(all, func(row rows.Row) bool { _, ok := row.(*rows.Dir); return ok })
	var archives, entries []rows.Row
	const many, size = 1100, 1 << 50
	for i := range int64(many) {
		name := firn.ArchiveID([]byte{'x', byte('a' + i/26/26), byte('a' + i/26%26), byte('a' + i%26)})
		archives = append(archives, &rows.Archive{ID: 10 + i, Kind: "file", State: 10, Run: 1, Settled: 1, Remote: name, Size: size, Contents: []rows.Content{{Size: size, Tree: treehash.Hash{1}}}})
		entries = append(entries, &rows.Entry{Name: string(name), Since: 1, Mode: 0o100644, Size: size, ModTime: epoch, Archive: 10 + i})
	}
	text, ok := written(slices.Concat(all[:dirs], archives, all[dirs:], []rows.Row{&rows.Dir{Tree: 1, Path: "huge"}}, entries))
	if !ok {
		t.Fatal("a writer refuses it")
	}
	c, store := another(t)
	if res := take(t, c, store, text); res.Refused < 2*(many-1024) || len(res.Wrong) == 0 || len(res.Wrong) > 30 {
		t.Errorf("%d refused: %q", res.Refused, res.Wrong)
	}
}

// TestReadRowsOfHostileTrees gives trees names that none can have: they get others.
func TestReadRowsOfHostileTrees(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../x", "a\x00b", "\xff", "a\nb", strings.Repeat("x", 300)} {
		all := goodRows()
		rowOf(all, func(r *rows.Tree) bool { return r.ID == 1 }).Name = name
		text, ok := written(all)
		if !ok {
			t.Fatalf("a writer refuses %q", name)
		}
		c, store := another(t)
		if res := take(t, c, store, text); res.Versions != 9 || res.Renamed[name] == "" {
			t.Errorf("%q: %+v", name, res)
		}
		if again := take(t, c, store, text); again.Trees != 0 || again.Versions != 0 {
			t.Errorf("%q again: %+v", name, again)
		}
	}
}

// TestReadRowsNamesForeign learns from a second stream what an archive is of which
// the first one knew nothing: also how it is packed.
func TestReadRowsNamesForeign(t *testing.T) {
	bare := goodRows()
	theirs := rowOf(bare, func(a *rows.Archive) bool { return a.ID == 5 })
	theirs.State, theirs.Contents, theirs.Packed = 11, nil, ""
	bare = slices.DeleteFunc(bare, func(row rows.Row) bool { e, ok := row.(*rows.Entry); return ok && e.Name == "theirs" })
	text, _ := written(bare)
	c, store := another(t)
	take(t, c, store, text)
	text, _ = written(goodRows())
	if res := take(t, c, store, text); res.Versions != 1 || res.Refused != 0 {
		t.Errorf("%+v", res)
	}
	for k, err := range c.Kept(t.Context(), store) {
		if check(t, err); k.Packed != (k.Remote == "theirs" || k.Remote == "sealed") {
			t.Errorf("%+v", k)
		}
	}
}

// TestReadRowsUnderway leaves the version of a file to its upload, which is still
// open here though the stream has it as stored.
func TestReadRowsUnderway(t *testing.T) {
	f := newFixture(t)
	in := f.intend(t, f.run, regular("x", "content"))
	all := goodRows()
	first := rowOf(all, func(a *rows.Archive) bool { return a.ID == 1 })
	first.Token = in.Token
	text, _ := written(all)
	if res := take(t, f.Catalog, f.store.ID, text); res.Versions != 8 || res.Refused != 0 {
		t.Errorf("%+v", res)
	}
}

// hostileNumbers are what FuzzReadRows puts into fields.
var hostileNumbers = []int64{math.MinInt64, -1 << 40, -7, -1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 21, 22, 100, 512, 4096, 1 << 32, 1 << 50, 1<<50 + 1, 1 << 60, 1 << 62, math.MaxInt64}

// hostileTexts are what it puts into texts.
var hostileTexts = []string{"", ".", "..", "a", "b/c", "first", "second", "\xff", "file", "bundle", "catalog", "loose", "foreign", "photos", "found", "gzip", "nas"}

// edit changes a field of a row.
func edit(v reflect.Value, field, value byte) {
	if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() {
		edit(v.Field(int(field)%v.NumField()), field/16, value)
		return
	}
	n := hostileNumbers[int(value)%len(hostileNumbers)]
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		v.SetInt(n)
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(uint64(uint8(n)))
	case reflect.String:
		v.SetString(hostileTexts[int(value)%len(hostileTexts)])
	case reflect.Bool:
		v.SetBool(value%2 == 0)
	case reflect.Slice:
		if v.Len() > 0 && v.Type().Elem().Kind() == reflect.Struct {
			edit(v.Index(int(field)%v.Len()), field, value)
		}
	case reflect.Struct:
		v.Set(reflect.ValueOf(time.Unix(n, 0)))
	}
}

// FuzzReadRows changes fields of good rows, and leaves rows out: of whatever a
// reader takes in, a catalog stays whole. Three bytes are an edit: the row, the
// field, the value; the first byte says what the catalog knows before.
func FuzzReadRows(f *testing.F) {
	f.Add([]byte{0})
	for row := range byte(len(goodRows())) {
		f.Add([]byte{row % 2, row, row % 5, 25, row, row%5 + 1, 24})
		f.Add([]byte{1, row, 255, 0})
	}
	f.Fuzz(runHostile)
}

// runHostile is FuzzReadRows of one program.
func runHostile(t *testing.T, program []byte) {
	if len(program) == 0 {
		return
	}
	all := goodRows()
	for p := program[1:]; len(p) >= 3 && len(all) > 0; p = p[3:] {
		row := int(p[0]) % len(all)
		if p[1] == 255 {
			all = slices.Delete(all, row, row+1)
			continue
		}
		edit(reflect.ValueOf(all[row]).Elem(), p[1], p[2])
	}
	text, ok := written(all)
	if !ok {
		return
	}
	c, store := another(t)
	c.SetSizes(10, 3, 3)
	if program[0]%2 == 1 {
		good, _ := written(goodRows())
		take(t, c, store, good)
	}
	for range 2 {
		_, err := c.ReadRows(t.Context(), store, read(text))
		if kind := firn.KindOf(err); err != nil && kind != firn.Corrupt {
			t.Errorf("error %v", err)
		}
		wantWhole(t, c)
	}
	if _, err := c.BeginRecovery(t.Context(), store); err != nil {
		t.Errorf("a recovery afterwards: %v", err)
	}
	var out bytes.Buffer
	if _, err := c.WriteRows(t.Context(), store, "here", catalog.RowsOptions{Seq: 1}, rows.NewWriter(&out)); err != nil {
		t.Errorf("written again: %v", err)
	}
}
