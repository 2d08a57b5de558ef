package mtglacier

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/filter"
	"github.com/firn-archive/firn/mtjournal"
)

// A journal is the file that says what is in the vault: the whole truth, whatever
// firn's catalog has.
type journal struct {
	*runner
	// state is what the journal said when it was read, of the names that the
	// filter keeps. Names in it are text.
	state *mtjournal.State
	out   *mtjournal.Appender // nil: it is only read
}

// readJournal reads the journal, and changes nothing. Where there is none it is
// empty, unless it has to be there.
func (r *runner) readJournal(mustExist bool) (*journal, error) {
	j := &journal{runner: r, state: mtjournal.NewState()}
	f, err := os.Open(r.at(r.Journal))
	if errors.Is(err, fs.ErrNotExist) && !mustExist {
		return j, nil
	}
	if err != nil {
		return nil, problemf("Cannot open journal %s: %v", r.Journal, reason(err))
	}
	defer f.Close()
	return j, j.load(f)
}

// openJournal opens the journal for writing, so that no other firn does, and
// reads it. One that isn't there is made.
func (r *runner) openJournal(mustExist bool) (*journal, error) {
	name := r.at(r.Journal)
	if _, err := os.Stat(name); mustExist && err != nil {
		return nil, problemf("Cannot open journal %s: %v", r.Journal, reason(err))
	}
	out, err := mtjournal.OpenAppend(name)
	if err != nil {
		return nil, err
	}
	out.AnyEncoding = !r.Encodings.Journal.IsUTF8()
	if out.Torn != nil {
		r.note("the last line of journal %s, line %d, was not fully written: it is in %[1]s.torn now", r.Journal, out.Torn.Line)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, errors.Join(problemf("Cannot open journal %s: %v", r.Journal, reason(err)), out.Close())
	}
	defer f.Close()
	j := &journal{runner: r, state: mtjournal.NewState(), out: out}
	if err := j.load(f); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return j, nil
}

func (j *journal) close() {
	if j.out != nil {
		j.out.Close()
	}
}

// load reads the lines. As in mt-aws-glacier one that can't be read is the end:
// what a journal lacks would be sent again, or stay in the vault unseen.
func (j *journal) load(f *os.File) error {
	for rec, err := range mtjournal.Records(f) {
		var line *mtjournal.LineError
		switch {
		case err == nil:
			if err := j.add(rec); err != nil {
				return err
			}
		case !errors.As(err, &line):
			return problemf("Cannot read journal %s: %v", j.Journal, reason(err))
		case line.Reason != mtjournal.Torn:
			return lineError(line)
		default:
			j.note("line %d, the last of journal %s, is not fully written: it is passed over", line.Line, j.Journal)
		}
	}
	return nil
}

// add takes one record.
func (j *journal) add(rec mtjournal.Record) error {
	var err error
	if rec.Op != mtjournal.RetrieveJob {
		if rec.Path, err = j.Encodings.Journal.Decode(rec.Path); err != nil {
			return problemf("Invalid format of journal, line %d: %v", rec.Line, err)
		}
		if rec.Unsafe() {
			return problemf("Invalid format of journal, line %d: invalid filename %q", rec.Line, rec.Path)
		}
		if j.leaves(rec.Path) {
			return nil
		}
	}
	err = j.state.Add(rec)
	var line *mtjournal.LineError
	if errors.As(err, &line) {
		return lineError(line)
	}
	return err
}

// A past is what the journal ever said of some files, whatever the filter keeps.
type past struct {
	created map[string][]mtjournal.Record // by name, in the order of the lines
	deleted map[string]bool               // archives of theirs
}

// pastOf gives the past of the files of intents.
func (j *journal) pastOf(intents []catalog.Intent) (*past, error) {
	p := &past{created: map[string][]mtjournal.Record{}, deleted: map[string]bool{}}
	wanted := map[string]bool{}
	for i := range intents {
		wanted[intents[i].File.Path] = true
	}
	f, err := os.Open(j.at(j.Journal))
	if err != nil {
		return nil, problemf("Cannot open journal %s: %v", j.Journal, reason(err))
	}
	defer f.Close()
	for rec, err := range mtjournal.Records(f) {
		var line *mtjournal.LineError
		switch {
		case errors.As(err, &line):
			continue // what the filter keeps was read without one
		case err != nil:
			return nil, problemf("Cannot read journal %s: %v", j.Journal, reason(err))
		}
		name, err := j.Encodings.Journal.Decode(rec.Path)
		switch {
		case err != nil || !wanted[name]:
		case rec.Op == mtjournal.Created:
			rec.Path = name
			p.created[name] = append(p.created[name], rec)
		case rec.Op == mtjournal.Deleted:
			p.deleted[rec.Archive] = true
		}
	}
	return p, nil
}

// has reports whether the journal ever had an archive of a file.
func (p *past) has(name, archive string) bool {
	return slices.ContainsFunc(p.created[name], func(rec mtjournal.Record) bool { return rec.Archive == archive })
}

// leaves reports whether the filter leaves a file out, by its name.
func (r *runner) leaves(name string) bool {
	if filter.IsUnfinished([]byte(path.Base(name))) {
		return false // what is in the vault is there
	}
	return r.Filter.Judge(&firn.File{Path: name, Kind: firn.Regular}).Leave
}

// lineError says in mt-aws-glacier's words what is wrong with a line.
func lineError(e *mtjournal.LineError) error {
	switch e.Reason {
	case mtjournal.Future:
		return problemf("Invalid format of journal, line %d is from future version of mtglacier", e.Line)
	case mtjournal.Unknown:
		return problemf("Invalid format of journal, line %d is in unknown format", e.Line)
	case mtjournal.Duplicate:
		return problemf("Invalid format of journal, line %d: duplicate entry of archive %s", e.Line, e.Text)
	case mtjournal.Gone:
		return problemf("Invalid format of journal, line %d: archive %s not found in archive_h", e.Line, e.Text)
	}
	return problemf("Invalid format of journal, line %d is broken: %q", e.Line, e.Text)
}

// check reports whether the journal can hold a file's name.
func (j *journal) check(name string) error {
	const any = "x"
	_, err := j.encoded(mtjournal.Record{Op: mtjournal.Created, Archive: any, Tree: any, Path: name})
	return err
}

// encoded gives a record as its line has it. Errors: Invalid, where it can't be one.
func (j *journal) encoded(rec mtjournal.Record) (mtjournal.Record, error) {
	raw, err := rec, error(nil)
	if rec.Op != mtjournal.RetrieveJob {
		raw.Path, err = j.Encodings.Journal.Encode(rec.Path)
	}
	if err == nil {
		err = rec.Check() // whose name is text, whatever it is encoded in
	}
	if err != nil {
		err = &firn.Error{Op: "record", Subject: cmp.Or(rec.Path, rec.Archive), Kind: firn.Invalid, Err: err}
	}
	return raw, err
}

// created writes that an archive was stored.
func (j *journal) created(name string, c firn.Content, mtime time.Time, id firn.ArchiveID) error {
	return j.write(mtjournal.Record{
		Op: mtjournal.Created, Time: j.now(), Archive: string(id), Size: c.Size,
		MTime: mtime.Unix(), HasMTime: !mtime.IsZero(), Tree: c.Tree.String(), Path: name,
	})
}

// deleted writes that an archive was deleted.
func (j *journal) deleted(name, id string) error {
	return j.write(mtjournal.Record{Op: mtjournal.Deleted, Time: j.now(), Archive: id, Path: name})
}

// asked writes that an archive was asked for.
func (j *journal) asked(id string, job firn.JobID) error {
	return j.write(mtjournal.Record{Op: mtjournal.RetrieveJob, Time: j.now(), Archive: id, Job: string(job)})
}

func (j *journal) now() int64 { return max(j.env.Clock.Now().Unix(), 0) }

// write returns when a line is on the disk, with those of other workers.
func (j *journal) write(rec mtjournal.Record) error {
	rec, err := j.encoded(rec) // a record that can't be a line would fail those beside it
	if err != nil {
		return err
	}
	return j.ends(j.out.AppendTogether(rec))
}

// ends gives an error of the journal the kind that ends a run: no file is at fault,
// and so would the next one end.
func (j *journal) ends(err error) error {
	if firn.KindOf(err) != firn.Local {
		return err
	}
	return &firn.Error{Op: "keep the journal", Subject: j.Journal, Kind: firn.Other, Err: err}
}

// has reports whether an archive is in the journal.
func (j *journal) has(id string) bool {
	_, ok := j.state.Archive(id)
	return ok
}
