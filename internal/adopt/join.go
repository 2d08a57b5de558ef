package adopt

import (
	"context"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/foreign"
)

// A record is what a program wrote down of one archive.
type record struct {
	// archive is as the record has it: a Size below 0 and what is zero else it
	// doesn't say.
	archive firn.Archive
	// names are those of the files that are the archive, by the record's words;
	// none: it doesn't say what the archive holds.
	names []describe.Archive
	tar   *foreign.SyncedTar // in place of names
	other bool               // it may be of another vault
}

// A joiner joins the records of one file to what the inventory lists.
type joiner struct {
	*adopter
	file    recordFile
	records []record
	size    int   // names in records
	failed  error // of what isn't the file's fault
}

// add takes one record in, sooner or later.
func (j *joiner) add(ctx context.Context, r record) error {
	j.records = append(j.records, r)
	j.size += len(r.names)
	if r.tar != nil {
		j.size += len(r.tar.Members)
	}
	if max(j.size, len(j.records)) < j.Batch {
		return nil
	}
	return j.flush(ctx)
}

// flush takes in the records that were gathered.
func (j *joiner) flush(ctx context.Context) error {
	ids := make([]firn.ArchiveID, len(j.records))
	for i := range j.records {
		ids[i] = j.records[i].archive.ID
	}
	seen, err := j.Catalog.Sight(ctx, j.Row.ID, j.inventory.ID, ids)
	for i := range j.records {
		if err == nil {
			err = j.join(ctx, &j.records[i], seen[i])
		}
	}
	j.records, j.size = j.records[:0], 0
	j.failed = err
	return err
}

// join takes one record in, if it is of an archive that is there and of which it
// isn't known yet what file it is.
func (j *joiner) join(ctx context.Context, r *record, s catalog.Sighting) error {
	switch {
	case s.Loose && len(r.names) > 0:
		return j.takeLoose(ctx, r, s)
	case s.State != catalog.NoArchive && s.State != catalog.Foreign:
		if j.inventory.ID == 0 {
			j.res.Known++
		}
		return j.remind(ctx, r, s.Archive)
	case j.inventory.ID != 0 && !s.Listed:
		j.missing(r)
		return nil
	case !s.Listed && (r.archive.Size < 0 || r.tar != nil):
		j.res.Unsized++
		return nil
	}
	found := r.archive
	if s.Listed {
		found = s.Archive
	}
	d := guess(found.Description)
	if s.Listed && (d.Format == describe.Firn || len(r.names) == 0 && r.tar == nil) {
		return nil // the description says more
	}
	if r.tar != nil {
		return j.takeTar(ctx, found, d, r.tar)
	}
	f, err := j.find(ctx, found, d, r.names)
	if err != nil {
		return err
	}
	return j.put(f, string(j.file.kind))
}

// takeLoose takes in an archive that firn stored by itself, as it does where it is
// called mtglacier or glacier. What is recorded of it is what the store confirmed:
// an inventory says no more.
func (j *joiner) takeLoose(ctx context.Context, r *record, s catalog.Sighting) error {
	if err := r.check(s.Recorded); err != nil {
		return j.bad(&firn.Error{Op: "read", Subject: j.file.path, Kind: firn.Corrupt, Err: err})
	}
	found := s.Recorded
	for _, when := range []time.Time{s.Archive.Created, r.archive.Created} {
		if found.Created.IsZero() { // a vault doesn't say when it stores something
			found.Created = when
		}
	}
	f, err := j.find(ctx, found, guess(found.Description), r.names)
	if err != nil {
		return err
	}
	switch {
	case len(f.Members) == 0 && j.inventory.ID == 0:
		j.res.Known++
		return nil
	case len(f.Members) == 0:
		return nil
	case j.inventory.ID != 0 && !s.Listed:
		j.unlisted++
	}
	return j.put(f, string(j.file.kind))
}

// check tells whether what a record says of its archive is so.
func (r *record) check(is firn.Archive) error {
	if r.archive.Size >= 0 && r.archive.Size != is.Size {
		return fmt.Errorf("%s has %d bytes there, and the archive that was stored, %s, has %d: it is left out", r.title(), r.archive.Size, is.ID, is.Size)
	}
	if !r.archive.Tree.IsZero() && !is.Tree.IsZero() && r.archive.Tree != is.Tree {
		return fmt.Errorf("%s has the tree hash %s there, and the archive that was stored, %s, has %s: it is left out", r.title(), r.archive.Tree, is.ID, is.Tree)
	}
	return nil
}

// remind claims the paths of an archive that is taken in already, as was done
// then: a later version must come to the same ones.
func (j *joiner) remind(ctx context.Context, r *record, found firn.Archive) error {
	d := guess(found.Description)
	for _, title := range r.names {
		if s, ok := j.spotOf(title, packedBy(title, d), found.Size); ok {
			if _, err := j.names.claim(ctx, s, title.Path, r.archive.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// missing tells of an archive that the inventory lacks.
func (j *joiner) missing(r *record) {
	if r.other {
		return
	}
	j.res.Missing++
	lag := ""
	if dated := j.res.Dated; !dated.IsZero() && r.archive.Created.After(dated.Add(-inventoryLag)) {
		lag = ": it may be too new for the inventory; adopt again in two days"
	}
	j.teller.tell("missing", "in records, but not in the vault", "%s is in %s, but not in the vault%s", r.title(), j.file.path, lag)
}

// title names what a record is about.
func (r *record) title() string {
	switch {
	case r.tar != nil:
		return fmt.Sprintf("tar %d with %d files, archive %s", r.tar.Number, len(r.tar.Members), r.archive.ID)
	case len(r.names) == 0:
		return "archive " + string(r.archive.ID)
	}
	return r.names[0].Path
}

// find makes a find of a record that names whole files. Only the description says
// whether their maker compressed or encrypted them, and what firn alone wrote down.
func (j *joiner) find(ctx context.Context, found firn.Archive, d describe.Archive, names []describe.Archive) (catalog.Find, error) {
	f := catalog.Find{Archive: found, Kind: catalog.ForeignArchive, Format: string(d.Format), Packed: d.Packed()}
	if d.Format == describe.Firn {
		f.Kind, f.Token = catalog.FileArchive, d.Token
	}
	for _, title := range names {
		if f.Packed == "" {
			f.Packed = title.Packed()
		}
		m, ok, err := j.member(ctx, found, title, packedBy(title, d))
		if err != nil {
			return f, err
		}
		if !ok {
			continue
		}
		if d.Format == describe.Firn && d.Path == title.Path {
			refine(&m, d)
		}
		f.Members = append(f.Members, m)
	}
	return f, nil
}

// refine adds what firn's description says of a file and records don't: its mode, and
// its time to the nanosecond.
func refine(m *catalog.FoundMember, d describe.Archive) {
	if d.HasMode {
		m.Mode = d.Mode
	}
	if m.Stamp.ModTime.IsZero() || d.ModTime.Truncate(time.Second).Equal(m.Stamp.ModTime) {
		m.Stamp.ModTime = d.ModTime
	}
}

// put counts a find and takes it in.
func (a *adopter) put(f catalog.Find, source string) error {
	if a.DryRun {
		a.named[a.hash(f.Archive.ID)] = struct{}{}
	}
	if len(f.Members) == 0 && f.Kind == catalog.ForeignArchive {
		a.res.Bare.Files++
		a.res.Bare.Bytes += f.Archive.Size
		return a.taker.add(f)
	}
	s := a.source(source)
	s.Archives.Files++
	s.Archives.Bytes += f.Archive.Size
	s.Names += int64(len(f.Members))
	if f.Packed != "" {
		s.Packed++
	}
	return a.taker.add(f)
}
