package mtglacier

import (
	"context"
	"io"
	"os"
	"runtime"

	"github.com/firn-archive/firn/mtjournal"
	"github.com/firn-archive/firn/treehash"
)

// A checked is what check-local-hash found out about one file.
type checked int

// What can be found, in the order in which it is counted.
const (
	checkedOK checked = iota
	otherTime         // and perhaps all else is as it was
	otherHash
	otherSize
	noBytes
	missed
	unread
	checkedKinds // how many there are
)

// counters are what the totals are called.
var counters = [checkedKinds]string{"OK", "MODIFICATION TIME MISSMATCHES", "TREEHASH MISSMATCH", "SIZE MISSMATCH", "ZERO SIZE", "MISSED", "ERRORS"}

// maxHashers is how many files are read at once, at the most: more would make a
// disk seek without end.
const maxHashers = 4

// checkLocalHash compares the files on the disk with the latest of each name in
// the journal. Files are read side by side; what is found is told in the order
// of the journal.
func (r *runner) checkLocalHash(ctx context.Context) error {
	j, err := r.readJournal(true)
	if err != nil {
		return err
	}
	if r.DryRun {
		for versions := range j.state.Files() {
			r.say("Will check file %s", latest(versions).Path)
		}
		return nil
	}
	found := make(chan chan []finding, min(maxHashers, runtime.GOMAXPROCS(0))-1)
	go func() {
		defer close(found)
		for versions := range j.state.Files() {
			if ctx.Err() != nil {
				return
			}
			rec, one := latest(versions), make(chan []finding, 1)
			found <- one
			go func() { one <- r.checkFile(ctx, &rec) }()
		}
	}()
	return r.tellChecked(found)
}

func latest(versions []mtjournal.Record) mtjournal.Record { return versions[len(versions)-1] }

// tellChecked shows what is found, and the totals.
func (r *runner) tellChecked(found <-chan chan []finding) error {
	var totals [checkedKinds]int
	for one := range found {
		for _, f := range <-one {
			totals[f.what]++
			r.say("%s", f.line)
		}
	}
	r.say("TOTALS:")
	wrong := 0
	for what, n := range totals {
		r.say("%d %s", n, counters[what])
		if checked(what) != checkedOK && checked(what) != otherTime {
			wrong += n
		}
	}
	if wrong > 0 {
		return problemf("check-local-hash: %d files are not what the journal says", wrong)
	}
	return nil
}

// A finding is a line about a file, and what it counts as.
type finding struct {
	what checked
	line string
}

// checkFile compares one file. A time that differs is a finding of its own.
func (r *runner) checkFile(ctx context.Context, rec *mtjournal.Record) (all []finding) {
	add := func(what checked, format string, args ...any) {
		all = append(all, finding{what, clean(format, args)})
	}
	path, err := r.path(r.env, r.below(rec.Path))
	var info os.FileInfo
	if err == nil {
		info, err = os.Stat(path)
	}
	if err != nil || !info.Mode().IsRegular() {
		add(missed, "MISSED %s", rec.Path)
		return all
	}
	f, err := os.Open(path)
	if err != nil {
		add(unread, "CANNOT OPEN file %s: %v", rec.Path, reason(err))
		return all
	}
	defer f.Close()
	if at := info.ModTime().Unix(); rec.HasMTime && at != rec.MTime {
		add(otherTime, "MTIME missmatch %s %d != %d", rec.Path, rec.MTime, at)
	}
	switch {
	case info.Size() == 0:
		add(noBytes, "ZERO SIZE %s", rec.Path)
		return all
	case info.Size() != rec.Size:
		add(otherSize, "SIZE MISSMATCH %s", rec.Path)
		return all
	}
	hash := treehash.New()
	_, err = io.Copy(hash, contextReader{ctx, f})
	switch {
	case err != nil:
		add(unread, "CANNOT READ file %s: %v", rec.Path, reason(err))
	case hash.Written() != rec.Size: // it changed meanwhile
		add(otherSize, "SIZE MISSMATCH %s", rec.Path)
	case hash.Sum().String() != rec.Tree:
		add(otherHash, "TREEHASH MISSMATCH %s", rec.Path)
	default:
		add(checkedOK, "OK %s %d %s", rec.Path, rec.Size, rec.Tree)
	}
	return all
}

// A contextReader reads until its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

// Read reads on.
func (c contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
