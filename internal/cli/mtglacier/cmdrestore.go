package mtglacier

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/mtjournal"
)

// askedFor is how long an archive isn't asked for again: a job's output lasts a
// day.
const askedFor = 24 * time.Hour

// lacking gives the latest version of each file that is not on the disk. Whatever
// is there, of any size, counts as it.
func (j *journal) lacking() (all []mtjournal.Record) {
	for versions := range j.state.Files() {
		rec := versions[len(versions)-1]
		path, err := j.Encodings.Filenames.Encode(rec.Path)
		if err != nil {
			j.error("%v", err)
			continue
		}
		if !isPlain(filepath.Join(j.at(j.Dir), filepath.FromSlash(path))) {
			all = append(all, rec)
		}
	}
	slices.SortFunc(all, byName)
	return all
}

func byName(a, b mtjournal.Record) int { return strings.Compare(a.Path, b.Path) }

// isPlain reports whether there is a plain file, or a link to one.
func isPlain(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// wanted gives what is to be asked for.
func (j *journal) wanted() []mtjournal.Record {
	all := j.lacking()
	wanted := all[:0]
	now := j.env.Clock.Now().Unix()
	for _, rec := range all {
		job, asked := j.state.Job(rec.Archive)
		if asked && now-job.Time < int64(askedFor/time.Second) {
			continue
		}
		wanted = append(wanted, rec)
	}
	if n := j.MaxNumberOfFiles; n >= 0 && n < len(wanted) {
		wanted = wanted[:n]
	}
	return wanted
}

// restore asks for the archives of files that are not on the disk. It waits for
// none.
func (r *runner) restore(ctx context.Context) error {
	if r.DryRun {
		j, err := r.readJournal(true)
		if err != nil {
			return err
		}
		wanted := j.wanted()
		for _, rec := range wanted {
			r.say("Will RETRIEVE archive %s (filename %s)", rec.Archive, rec.Path)
		}
		if len(wanted) == 0 {
			r.say("Nothing to restore")
		}
		return nil
	}
	j, err := r.openJournal(true)
	if err != nil {
		return err
	}
	defer j.close()
	r.started(r.Concurrency)
	wanted := j.wanted()
	if len(wanted) == 0 {
		r.say("Nothing to restore")
		return nil
	}
	return r.asRun(ctx, r.openSource, func(s *session) error { return s.ask(ctx, j, wanted) })
}

// ask asks for archives, as many at a time as there are workers.
func (s *session) ask(ctx context.Context, j *journal, wanted []mtjournal.Record) error {
	o, err := s.origins(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	if o.vault != nil && o.vault.asker != nil {
		if err := o.vault.asker.Look(ctx); err != nil {
			return err
		}
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(s.Concurrency)
	for _, rec := range wanted {
		src, err := o.of(inner, rec)
		if err != nil {
			if err := s.ofOne(inner, err); err != nil {
				return errors.Join(err, group.Wait())
			}
			continue
		}
		group.Go(func() error { return s.ofOne(inner, s.askOne(inner, j, rec, src)) })
	}
	return group.Wait()
}

// askOne asks for one archive, and writes that down.
func (s *session) askOne(ctx context.Context, j *journal, rec mtjournal.Record, src source) error {
	job, err := src.ask(ctx)
	if err != nil {
		return err
	}
	if job == "" {
		return &firn.Error{Op: "restore", Subject: rec.Path, Kind: firn.Lost, Err: errors.New("no answer came"), Hint: "run restore again in some minutes: if the job was started, it is found then"}
	}
	if err := j.asked(rec.Archive, job); err != nil {
		return err
	}
	s.did("Retrieved Archive %s", rec.Archive)
	return nil
}

// ask gives the job that brings an archive. One that runs already is used: to ask
// again would cost again.
func (src *source) ask(ctx context.Context) (firn.JobID, error) {
	if src.asker != nil {
		job, err := src.asker.Ask(ctx, src.want, firn.Standard)
		return job.ID, err
	}
	return src.store.StartRetrieval(ctx, firn.RetrievalSpec{Archive: src.want.Remote, Tier: firn.Standard})
}

// ofOne tells of an error that is of one archive alone; any other it gives back.
func (s *session) ofOne(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	switch firn.KindOf(err) {
	case firn.NotFound, firn.Corrupt, firn.Invalid, firn.Local, firn.Lost, firn.Changed, firn.NotReady, firn.Policy, firn.Capacity:
		s.error("%v", err)
		return nil
	}
	return err
}
