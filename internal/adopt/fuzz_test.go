package adopt_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/adopt"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// checkPaths looks at all that a rig's catalog has: paths stay below their
// folder, and but for firn's own can be shown.
func (r *rig) checkPaths() {
	r.Helper()
	trees, err := r.catalog.Trees(r.Context(), r.row.ID)
	r.check(err)
	for _, t := range trees {
		if err := describe.CheckTree(t.Name); err != nil {
			r.Errorf("the tree %q: %v", t.Name, err)
		}
		for e, err := range r.catalog.Files(r.Context(), catalog.ListQuery{Tree: t.ID, All: true}) {
			r.check(err)
			p := e.Path
			if p == "" && e.Kind == firn.Directory {
				continue
			}
			if own := e.Location.Kind == catalog.FileArchive; own {
				p = strings.ToValidUTF8(p, "?")
			} else if strings.ContainsFunc(p, unicode.IsControl) {
				r.Errorf("%q has control characters", p)
			}
			if !fs.ValidPath(p) || p == "." {
				r.Errorf("%q is no path below a folder", e.Path)
			}
		}
	}
}

// FuzzAdoptDescriptions: whatever is written on archives, all are taken in, and
// no path leads out of its tree. A second run finds nothing new.
func FuzzAdoptDescriptions(f *testing.F) {
	for _, d := range []string{mt2File, mt1File, fastPacked, fastFolder, cloudPacked, syncedFile, syncedDB, "../../x", "a\x00b", "%41%0A", `\\server\share\..\f`, "/", "~", strings.Repeat("n", 300)} {
		f.Add(d, "x/"+d, `c:\data`)
		f.Add(d, d, "")
	}
	forged, err := describe.Encode(describe.Archive{Kind: describe.File, Token: firn.NewToken(), Tree: "t", Path: "../x", ModTime: time.Unix(1e9, 0), Made: time.Unix(1e9, 0)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(forged, "x", "")
	f.Fuzz(func(t *testing.T, one, two, strip string) {
		r := newRig(t, storetest.MemoryOptions{})
		var list []firn.Archive
		for i, d := range []string{one, two, fastGlacier(one), fastGlacier(two), fastGlacier(describe.FromWindows(one) + "\n")} {
			list = append(list, firn.Archive{ID: firn.ArchiveID(rune('a' + i)), Description: strings.ToValidUTF8(d, "?"), Created: r.clock.Now(), Size: int64(i) + 1, Tree: treehash.Sum(nil)})
		}
		o := r.options()
		o.Strip, o.Inventory = strip, r.file("inventory.json", inventoryJSON(vaultARN, r.clock.Now(), list...))
		res, err := adopt.Run(t.Context(), o)
		if firn.KindOf(err) == firn.Usage {
			return // nothing can be taken off
		}
		r.check(err)
		taken := res.Bare.Files + res.Own.Files
		for _, s := range res.Sources {
			taken += s.Archives.Files
		}
		if taken != int64(len(list)) || res.Bad != 0 {
			t.Errorf("%d of %d archives: %+v", taken, len(list), res)
		}
		r.checkPaths()
		o.Run = r.options().Run
		if again, err := adopt.Run(t.Context(), o); err != nil || len(again.Sources) > 0 || again.Bare.Files > 0 {
			t.Errorf("again: %+v, %v", again, err)
		}
	})
}

// FuzzAdoptRecords: whatever a record says, it stops nothing but itself.
func FuzzAdoptRecords(f *testing.F) {
	f.Add([]byte(journalLine("a", 3, "../x") + journalLine("a", 4, "y") + "B\t1\tDELETED\tb\tz\n"))
	f.Add([]byte("A\t1355666755\tCREATED\ta\t7684356\tNONE\tx\tdef/abc\r\n1355666755 CREATED b 7684356 x a\x01b"))
	f.Add([]byte("B\t9223372036854775807\tCREATED\tc\t9223372036854775807\t-9223372036854775807\tx\tn\n"))
	dir := f.TempDir()
	r := &rig{TB: f, dir: dir}
	for i, statements := range [][]string{{glacierCLI, cached("a", "'../x'", "memory", "NULL")}, append(glacierSync, synced("../../x", "5", "a"), synced("y", "5", ""),
		"INSERT INTO glaciersync_tars VALUES ('b', 1)", "INSERT INTO glaciersync_tar_files VALUES (1, 2)")} {
		data, err := os.ReadFile(r.database("seed"+string(rune('0'+i)), statements...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newRig(t, storetest.MemoryOptions{})
		for _, name := range []string{"one", "two"} {
			r.upload(name, name)
		}
		path := filepath.Join(r.dir, "record")
		r.check(os.WriteFile(path, data, 0o644))
		for _, change := range []func(*adopt.Options){
			func(o *adopt.Options) { o.Journals = []string{path} },
			func(o *adopt.Options) { o.Databases = []string{path} },
			func(o *adopt.Options) { o.Databases, o.WithoutInventory = []string{path}, true },
			func(o *adopt.Options) { o.Journals, o.WithoutInventory = []string{path}, true },
		} {
			o := r.options()
			change(&o)
			_, err := adopt.Run(t.Context(), o)
			switch firn.KindOf(err) {
			case firn.Usage, firn.Corrupt, firn.Conflict, firn.Local:
				if before, err := r.catalog.Trees(t.Context(), r.row.ID); err != nil {
					t.Errorf("%v, %v", before, err)
				}
			default:
				r.check(err)
			}
		}
		r.checkPaths()
		r.adopt(nil)
		r.checkPaths()
	})
}
