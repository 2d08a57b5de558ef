package adopt

import (
	"context"
	"path"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/foreign"
)

// synced reads a database of glaciersync. An archive may be several files there,
// of one content, which may stand far apart: so the files are read twice, and
// those few are gathered.
func (j *joiner) synced(ctx context.Context) error {
	db, err := foreign.OpenGlacierSync(ctx, j.file.path)
	if err != nil {
		return err
	}
	defer db.Close()
	once, shared := map[uint64]struct{}{}, map[uint64]struct{}{}
	err = db.Files(ctx, func(f foreign.SyncedFile) error {
		if f.Member == "" {
			id := j.hash(f.Archive)
			if _, seen := once[id]; seen {
				shared[id] = struct{}{}
			}
			once[id] = struct{}{}
		}
		return nil
	}, func(error) error { return nil })
	if err != nil {
		return err
	}
	gathered := map[firn.ArchiveID]*record{}
	err = db.Files(ctx, func(f foreign.SyncedFile) error {
		if f.Member != "" {
			return nil
		}
		r := record{archive: firn.Archive{ID: f.Archive, Created: f.ModTime, Size: f.Size}, names: []describe.Archive{titleOfSynced(&f)}}
		if _, is := shared[j.hash(f.Archive)]; !is {
			return j.add(ctx, r)
		}
		if g := gathered[f.Archive]; g != nil {
			g.names = append(g.names, r.names...)
		} else {
			gathered[f.Archive] = &r
		}
		return nil
	}, j.bad)
	for _, r := range gathered {
		if err == nil {
			err = j.add(ctx, *r)
		}
	}
	if err != nil {
		return err
	}
	return db.Tars(ctx, func(t foreign.SyncedTar) error {
		return j.add(ctx, record{archive: firn.Archive{ID: t.Archive, Created: t.Made, Size: -1}, tar: &t})
	}, j.bad)
}

// titleOfSynced gives a file's whole path: two directories may have files of one
// name.
func titleOfSynced(f *foreign.SyncedFile) describe.Archive {
	full := f.Base + "/" + f.Path
	if strings.HasPrefix(f.Base, `\\`) || len(f.Base) > 1 && f.Base[1] == ':' {
		full = strings.ReplaceAll(full, "/", `\`) // by which paths of Windows are known
	}
	return describe.Archive{Format: describe.Plain, Kind: describe.File, Path: strings.ReplaceAll(full, "//", "/"), ModTime: f.ModTime}
}

// takeTar takes in a tar: its files, where the archive is exactly as long as a tar
// of them, else the tar as it is.
func (j *joiner) takeTar(ctx context.Context, found firn.Archive, d describe.Archive, t *foreign.SyncedTar) error {
	f := catalog.Find{Archive: found, Kind: catalog.ForeignArchive, Format: string(d.Format)}
	layout := make([]foreign.TarMember, len(t.Members))
	for i := range t.Members {
		layout[i] = t.Members[i].TarMember
	}
	offsets, total, ok := foreign.TarLayout(layout)
	if !ok || total != found.Size || len(t.Members) == 0 {
		f.Packed = "tar"
		f.Members = []catalog.FoundMember{j.wholeTar(found, t)}
		return j.put(f, string(j.file.kind))
	}
	for i := range t.Members {
		m, ok, err := j.member(ctx, found, titleOfSynced(t.Members[i].File), "")
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		m.Stamp.Size, m.Content = layout[i].Size, firn.Content{Size: layout[i].Size}
		m.Number, m.Offset = int64(i), offsets[i]
		if layout[i].Size == 0 {
			m.Number, m.Offset = -1, 0
		}
		f.Members = append(f.Members, m)
	}
	return j.put(f, string(j.file.kind))
}

// wholeTar is a tar as a file, among what is packed.
func (j *joiner) wholeTar(found firn.Archive, t *foreign.SyncedTar) catalog.FoundMember {
	name := path.Join("glaciersync", strings.ReplaceAll(string(found.ID), "/", "_")+".tar")
	name, _ = describe.SafePath(name)
	m := file(j.Tree+packedSuffix, name, found)
	m.Stamp.ModTime = t.Made
	j.teller.tell("tar", "tars, taken in as they are",
		"a tar of glaciersync with %d files doesn't have the size that its database says: it is kept as %s in the tree %s", len(t.Members), name, m.Tree)
	return m
}
