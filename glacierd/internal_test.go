package glacierd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/firn-archive/firn/treehash"
)

func testIdentity(t testing.TB, seed byte) identity {
	n, err := newIdentity(bytes.Repeat([]byte{seed}, 16), bytes.Repeat([]byte{seed + 1}, 32), 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestIDs(t *testing.T) {
	here, there := testIdentity(t, 1), testIdentity(t, 2)
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]idKind{archiveID, uploadID, jobID}).Draw(t, "kind")
		r := ref{rapid.Int64Range(0, 1<<56-1).Draw(t, "number"), rapid.Int64Min(0).Draw(t, "salt")}
		id := here.seal(kind, r)
		if want := map[idKind]int{archiveID: 138, uploadID: 92, jobID: 92}[kind]; len(id) != want {
			t.Fatalf("%d characters, want %d", len(id), want)
		}
		if got, from := here.open(kind, id); from != fromHere || got != r {
			t.Fatalf("opened as %v, %v", got, from)
		}
		if _, from := there.open(kind, id); from != fromElsewhere {
			t.Fatalf("another vault takes it for %v", from)
		}
		if _, from := here.open(kind%3+1, id); from == fromHere {
			t.Fatal("taken for another kind")
		}
		if again := here.seal(kind, r); again != id {
			t.Fatal("sealed differently")
		}
	})
}

// The form of ids is written out: clients keep them for decades.
func TestIDForm(t *testing.T) {
	n := testIdentity(t, 7)
	for kind, want := range map[idKind]string{
		archiveID: "BwcHBwcHBwcHBwcHBwcHB5GP7nkWEf_ZKcDAMNBT9Tgd0dPOeUbJCuUu54roGkNRe-Khv8ortOJkeOOKaeoQDOmWipRwNO8RUayncU1VO3dnVtO44tqqEsU8I-tjPJcpEF9cGEUBNg",
		uploadID:  "BwcHBwcHBwcHBwcHBwcHB4RESYJjnJ5TuZwpnQfbcdBsFDyDmhi55dPgQ-Sd5szYwNgmv3LY8WBSs_KNji9N79BHEYB9",
		jobID:     "BwcHBwcHBwcHBwcHBwcHB6m5og1_PlQTzRrDXBlXJcu6i15gJFPeP44el3W9jvBmxvtYDpq__-r4nTb8ZPGASiNacm7W",
	} {
		if id := n.seal(kind, ref{12345, 67890}); id != want {
			t.Errorf("id %s, want %s", id, want)
		}
	}
}

func FuzzOpenID(f *testing.F) {
	n := testIdentity(f, 1)
	f.Add(n.seal(archiveID, ref{1, 2}))
	f.Add(testIdentity(f, 2).seal(archiveID, ref{1, 2}))
	f.Add("x")
	f.Fuzz(func(t *testing.T, text string) {
		if r, from := n.open(archiveID, text); from == fromHere && n.seal(archiveID, r) != text {
			t.Errorf("%q is taken for %v, whose id is another", text, r)
		}
	})
}

func TestDigest(t *testing.T) {
	for _, size := range []int{0, 1, treehash.LeafSize - 1, treehash.LeafSize, treehash.LeafSize + 1, 5*treehash.LeafSize + 3} {
		data := make([]byte, size)
		rand.NewChaCha8([32]byte{}).Read(data)
		d, double := newDigest(), treehash.NewDouble()
		// Reads of odd sizes cut the leaves anywhere.
		if _, err := io.Copy(d, iotest.HalfReader(bytes.NewReader(data))); err != nil {
			t.Fatal(err)
		}
		double.Write(data)
		got, want := d.sum(), double.Sums()
		if got.tree != want.Tree || got.linear != fmt.Sprintf("%x", want.Linear) || got.size != int64(size) {
			t.Errorf("size %d: %+v, want %+v", size, got, want)
		}
		if leaves := len(got.leaves) / treehash.Size; size > treehash.LeafSize && leaves != int(treehash.Leaves(int64(size))) || size <= treehash.LeafSize && leaves != 0 {
			t.Errorf("size %d: %d leaves", size, leaves)
		}
	}
}

func TestEntrySizes(t *testing.T) {
	n := testIdentity(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		a := archive{
			ref: ref{rapid.Int64Range(1, 1<<40).Draw(t, "number"), 1}, size: rapid.Int64Range(1, 40<<40).Draw(t, "size"),
			created:     rapid.Int64Range(0, 1<<42).Draw(t, "created"),
			description: rapid.StringMatching(`[ -~]{0,100}`).Draw(t, "description"),
		}
		id := n.seal(archiveID, a.ref)
		line := appendJSON(nil, id, a)
		if int64(len(line)) != a.jsonSize() || !json.Valid(line) {
			t.Errorf("%s has %d bytes, told %d", line, len(line), a.jsonSize())
		}
		line = appendCSV(nil, id, a)
		if int64(len(line)) != a.csvSize() {
			t.Errorf("%s has %d bytes, told %d", line, len(line), a.csvSize())
		}
		if got := decodeCSV(t, string(line)); got != a.description {
			t.Errorf("%s is read as %q, want %q", line, got, a.description)
		}
	})
}

// decodeCSV reads the description out of a line, by the rule that is exact for
// the service's quoting: fields are counted from both ends, then one pair of
// quotes goes, then one backslash before each quote.
func decodeCSV(t *rapid.T, line string) string {
	_, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ",")
	if !ok {
		t.Fatal(line)
	}
	for range 3 {
		rest = rest[:strings.LastIndexByte(rest, ',')]
	}
	if len(rest) > 1 && rest[0] == '"' && rest[len(rest)-1] == '"' {
		rest = rest[1 : len(rest)-1]
	}
	return strings.ReplaceAll(rest, `\"`, `"`)
}

func TestWalkPages(t *testing.T) {
	// Limits around the size of a page of rows are where paging goes wrong.
	for _, have := range []int64{0, 1, rowsAPage - 1, rowsAPage, rowsAPage + 1, 2 * rowsAPage} {
		s, c, v := smallVault(t, have)
		for _, most := range []int64{1, rowsAPage - 1, rowsAPage, rowsAPage + 1, 3 * rowsAPage} {
			l := listing{v: v, format: formatJSON, seq: 1 << 40, most: &most}
			var n int64
			next, err := l.walk(c, func(archive) error { n++; return nil })
			if err != nil || n != min(have, most) || (next != 0) != (have > most) {
				t.Errorf("%d archives, at most %d: %d came, next %d, %v", have, most, n, next, err)
			}
		}
		s.release(v)
	}
}

// smallVault makes a vault with rows for archives that have no bodies.
func smallVault(t *testing.T, archives int64) (*Server, *call, *vault) {
	t.Helper()
	s, err := New(Config{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.makeVault("v", 0); err != nil {
		t.Fatal(err)
	}
	v, err := s.vault("v")
	if err != nil {
		t.Fatal(err)
	}
	c := &call{s: s, ctx: t.Context(), route: route{vault: "v"}, region: defaultRegion}
	err = c.write(v, func(x tx) error {
		for n := range archives {
			if err := v.insertArchive(x, archive{ref: ref{n + 1, 1}, size: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, c, v
}

func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-4194303/*", "bytes 1-0/*", "bytes=0-1/*", "bytes 0-1", "bytes 99999999999999999999-1/*", "bytes  5-6 /*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseContentRange(text)
		if err != nil {
			return
		}
		if s.first < 0 || s.last < s.first || s.length() < 1 {
			t.Errorf("%q gave %v", text, s)
		}
		if again, err := parseContentRange("bytes " + s.String() + "/*"); err != nil || again != s {
			t.Errorf("%q gave %v, which is read as %v, %v", text, s, again, err)
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, seed := range []string{"", "bytes=0-1048575", "bytes=5-", "bytes=-5", "bytes=-", "bytes=0-1,2-3", "bytes=9999999999999999999-"} {
		f.Add(seed, int64(1000))
	}
	f.Fuzz(func(t *testing.T, text string, size int64) {
		if size < 1 || size > 40<<40 {
			return
		}
		s, given, err := parseRange(text, size)
		if err == nil && (s.first < 0 || s.last < s.first || s.last >= size || given == (text == "")) {
			t.Errorf("%q of %d gave %v, %v", text, size, s, given)
		}
	})
}

func FuzzJob(f *testing.F) {
	for _, seed := range []string{
		`{"Type":"archive-retrieval","ArchiveId":"x","Tier":"Bulk","RetrievalByteRange":"0-1048575"}`,
		`{"Type":"inventory-retrieval","Format":"CSV","InventoryRetrievalParameters":{"StartDate":"2020-01-01T00:00:00Z","Limit":"10"}}`,
		`{"Type":null}`, `[1]`, `{"Type":"inventory-retrieval","InventoryRetrievalParameters":"x"}`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &call{json: body}
		q, err := c.parseJob()
		if err != nil {
			var e *apiError
			if !errors.As(err, &e) || e.Status != 400 {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if q.kind == typeArchive && q.archiveID == nil || q.kind == typeInventory && q.format == nil {
			t.Errorf("%q gave %+v", body, q)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	f.Add(`{"Statement":[{"Effect":"Deny","Principal":"*","Action":["a"],"Condition":{"NumericLessThan":{"k":"5"}}}]}`)
	f.Add(`{"Statement":{"Effect":"Allow"}}`)
	f.Add(`{"Statement":5}`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parsePolicy(text)
		for _, s := range list {
			if err == nil && s.Effect != "Allow" && s.Effect != "Deny" {
				t.Errorf("%q has an effect %q", text, s.Effect)
			}
			textOrList(s.Action)
			textOrList(s.Principal)
		}
	})
}

// path.Match agrees with wildcard where neither slashes nor brackets occur.
func TestWildcard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?]{0,12}`).Draw(t, "pattern")
		text := rapid.StringMatching(`[abc]{0,12}`).Draw(t, "text")
		want, err := path.Match(pattern, text)
		if got := wildcard(pattern, text); err != nil || got != want {
			t.Fatalf("wildcard(%q, %q) = %v, want %v, %v", pattern, text, got, want, err)
		}
	})
	if wildcard(strings.Repeat("*a", 1000)+"b", strings.Repeat("a", 100000)) {
		t.Error("matches without its last letter")
	}
}

func TestNextMonth(t *testing.T) {
	for from, want := range map[string]string{"2026-01-15": "2026-02-15", "2026-01-31": "2026-02-28", "2028-01-30": "2028-02-29", "2026-12-31": "2027-01-31", "2026-03-31": "2026-04-30"} {
		at, err := time.Parse(time.DateOnly, from)
		if got := nextMonth(at).Format(time.DateOnly); err != nil || got != want {
			t.Errorf("a month after %s is %s, want %s", from, got, want)
		}
	}
}
