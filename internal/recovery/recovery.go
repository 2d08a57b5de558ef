// Package recovery puts together what is known of a store when the machine that
// knew it is gone: from the snapshots of every catalog that lie in the store,
// and, for what is newer than those or where there are none, from the
// descriptions of single files and the indexes at the end of bundles.
//
// It asks for jobs that take hours. What it has learned is in the catalog, what
// it has asked for in the store: it can be killed at any time, and goes on.
package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/seal"
)

// Options say what to recover, and with what.
type Options struct {
	Catalog *catalog.Catalog
	Row     catalog.Store // the store's row in the catalog
	Store   firn.Store
	// Asker gets archives out of the store; its run is Run.
	Asker  *retrieval.Asker
	Run    catalog.Run // of catalog.BeginRecovery
	Clock  clock.Clock
	Events firn.Sink

	// Identities gives what opens archives that are encrypted; it is called at
	// the first one. Nil: there are none.
	Identities func(context.Context) (seal.Identities, error)
	// Agree is asked before archives are retrieved, with what that is; an error
	// ends the recovery. It is told of everything once in a run, in so many
	// steps as it takes to find out.
	Agree func(context.Context, Need) error
	// Spool is a folder for snapshots while they are read. It need not exist.
	Spool string
	// Wait stays until everything is there. Without it what can't be had yet is
	// asked for, and the result is pending.
	Wait bool
}

// A Need is what is to be retrieved.
type Need struct {
	What     string // for people: "the indexes of 12 bundles"
	Requests int64
	Bytes    int64 // that are to be read, as far as Known
	Known    bool  // of all of them the size is known
	// Classes say of which storage classes of S3 they are, each with its requests and the
	// bytes that these retrieve: one, as a rule, which is empty for that of the store.
	Classes map[string]Part
}

// A Part is what of a Need is of one storage class.
type Part struct{ Requests, Bytes int64 }

// A Result says what was found.
type Result struct {
	Catalogs []Catalog // whose snapshots were read in this run
	Renamed  map[string]string
	Archives int64 // that this catalog didn't know
	Versions int64 // of files, that it didn't know
	Files    int64 // archives that hold one file each, newer than any snapshot
	Bundles  int64 // that were asked for their index
	Loose    int64 // archives that belong to no tree
	Foreign  int64 // archives of other programs: left alone
	Lost     int64 // archives that snapshots name, and the store doesn't have
	Failed   int64 // what couldn't be read; each was told
	Pending  int64 // jobs that are waited for; when they are done there may be more
	// Inventory is the date of the store's list that was gone by, by its clock:
	// what was stored shortly before or after it may not be in it. Zero: none was
	// read yet.
	Inventory time.Time
	// Ready is when what is pending may be there, as far as that is known.
	Ready time.Time
}

// A Catalog is one whose snapshot was read.
type Catalog struct {
	Token    firn.Token
	Host     string
	Seq      int64
	Made     time.Time
	Trees    int
	Archives int64
	Versions int64
	Profiles []Profile
}

// A Profile is one of the user's, as a snapshot has it.
type Profile struct{ Name, Text string }

// Run recovers. Errors of single archives are counted and told; an error of Run
// means that it ended early. Doing it again goes on.
func Run(ctx context.Context, o Options) (Result, error) {
	r := &recoverer{Options: o, out: Result{Renamed: map[string]string{}}}
	err := r.run(ctx)
	if errors.Is(err, errPending) {
		err = nil
	}
	outcome := catalog.Outcome{Complete: err == nil && r.out.Pending == 0 && r.out.Failed == 0, Counts: map[firn.Action]firn.Count{
		firn.Recorded: {Files: r.out.Versions},
	}}
	return r.out, errors.Join(err, o.Catalog.EndRun(context.WithoutCancel(ctx), o.Run, outcome))
}

// A recoverer is one Run.
type recoverer struct {
	Options
	out Result
	ids *seal.Identities // nil: not asked for yet
}

// errPending says that the run ends here, since the store takes its time.
var errPending = errors.New("jobs are pending")

func (r *recoverer) run(ctx context.Context) error {
	_, staged, err := r.staged(ctx)
	if err != nil {
		return err
	}
	if !staged { // it ripens while the snapshots do
		if _, _, err := r.Asker.Inventory(ctx, time.Time{}); err != nil && firn.KindOf(err) != firn.NotReady {
			return err
		}
	}
	if err := r.taggedSnapshots(ctx); err != nil {
		return err
	}
	inv, err := r.inventory(ctx)
	if err != nil {
		return err
	}
	r.out.Inventory = inv.Dated
	if err := r.listedSnapshots(ctx, inv); err != nil {
		return err
	}
	if err := r.strangers(ctx, inv); err != nil {
		return err
	}
	if err := r.missing(ctx, inv); err != nil {
		return err
	}
	return r.Catalog.EndInventory(ctx, inv.ID)
}

// identities asks for what opens encrypted archives, once.
func (r *recoverer) identities(ctx context.Context) (seal.Identities, error) {
	if r.ids == nil {
		if r.Identities == nil {
			return seal.Identities{}, &firn.Error{Op: "recover", Subject: r.Row.URL, Kind: firn.Denied, Err: errors.New("what the store holds is encrypted, and no identity is given"),
				Hint: "give the file with the identity: --identity FILE"}
		}
		ids, err := r.Identities(ctx)
		if err != nil {
			return ids, err
		}
		r.ids = &ids
	}
	return *r.ids, nil
}

// failed tells of something that can't be read, which stops nothing else. Errors
// of the run are given back.
func (r *recoverer) failed(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch firn.KindOf(err) {
	case firn.Corrupt, firn.Invalid, firn.Denied, firn.NotFound, firn.Conflict:
	default:
		return err
	}
	r.out.Failed++
	r.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("%s: %v", what, err)})
	return nil
}

// ask gets archives, or pieces of them, and hands out what is there. It gives
// what can't be had, and errPending where something is on its way.
func (r *recoverer) ask(ctx context.Context, what string, wants []retrieval.Want, classOf func(firn.ArchiveID) string, each func(context.Context, retrieval.Want, *retrieval.Ready) error) ([]retrieval.Failure, error) {
	if len(wants) == 0 {
		return nil, nil
	}
	need, err := r.need(ctx, what, wants, classOf)
	if err != nil {
		return nil, err
	}
	if need.Requests > 0 {
		if err := r.Agree(ctx, need); err != nil {
			return nil, err
		}
	}
	res, err := r.Asker.Run(ctx, wants, each, r.Wait)
	if err != nil {
		return nil, err
	}
	return res.Failed, r.waitFor(int64(len(res.Pending)), res.Ready)
}

// need is what it takes to get archives, but for what is paid for already: what an
// earlier run has asked for, or has fetched and can be read still.
func (r *recoverer) need(ctx context.Context, what string, wants []retrieval.Want, classOf func(firn.ArchiveID) string) (Need, error) {
	asked, err := r.asked(ctx)
	if err != nil {
		return Need{}, err
	}
	if err := r.Asker.Look(ctx); err != nil {
		return Need{}, err
	}
	traits := r.Store.Traits()
	need := Need{What: what, Known: true, Classes: map[string]Part{}}
	thawed := map[firn.ArchiveID]bool{}
	for _, w := range wants {
		class := classOf(w.Remote)
		slow := traits.Pace.Of(class) != firn.InstantPace
		thaws := slow && traits.ThawsWhole
		job, found := r.Asker.Find(w)
		if asked[keyOf(w.Remote, w.Range)] || found && slow {
			continue
		}
		size, err := r.sizeOf(ctx, w, job)
		if err != nil {
			return Need{}, err
		}
		need.Known = need.Known && size > 0
		part := need.Classes[class]
		read, retrieved := size, size
		if w.Range != nil {
			read = w.Range.Len()
		}
		if w.Range != nil && !thaws {
			retrieved = read
		}
		need.Bytes += read
		if !thaws || !thawed[w.Remote] { // one that thaws does so once, and as a whole
			part = Part{part.Requests + 1, part.Bytes + retrieved}
			need.Requests++
		}
		thawed[w.Remote], need.Classes[class] = true, part
	}
	return need, nil
}

// sizeOf is how many bytes an archive has, of which there may be a job already; 0 where
// the store doesn't tell that before it is asked for one that costs. In S3 it does: what
// can be read at any time is listed beside what thaws, and else a look costs nothing.
func (r *recoverer) sizeOf(ctx context.Context, w retrieval.Want, job firn.Job) (int64, error) {
	if size := cmp.Or(w.Size, job.ArchiveSize); size > 0 {
		return size, nil
	}
	if t := r.Store.Traits(); !t.InstantJobs || !t.ThawsWhole {
		return 0, nil
	}
	id, err := r.Store.StartRetrieval(ctx, firn.RetrievalSpec{Archive: w.Remote, Tier: firn.Standard})
	if err == nil {
		job, err = r.Store.Job(ctx, id)
	}
	if firn.KindOf(err) == firn.NotFound {
		return 0, nil // which is told when it is asked for
	}
	return job.ArchiveSize, err
}

// A jobKey is what a job brings.
type jobKey struct {
	archive firn.ArchiveID
	at      firn.Range // zero: all
}

func keyOf(archive firn.ArchiveID, at *firn.Range) jobKey {
	if at == nil {
		return jobKey{archive: archive}
	}
	return jobKey{archive, *at}
}

// asked gives what was asked for already, and not fetched.
func (r *recoverer) asked(ctx context.Context) (map[jobKey]bool, error) {
	jobs, err := r.Catalog.OpenJobs(ctx, r.Row.ID)
	asked := map[jobKey]bool{}
	for _, j := range jobs {
		if j.Remote.Kind != firn.RetrievalJob {
			continue
		}
		at := j.Remote.Range
		if at == (firn.Range{End: j.Remote.ArchiveSize}) {
			at = firn.Range{}
		}
		asked[jobKey{j.Remote.Archive, at}] = true
	}
	return asked, err
}

// waitFor ends the run where something is waited for.
func (r *recoverer) waitFor(n int64, ready time.Time) error {
	if n == 0 {
		return nil
	}
	r.out.Pending += n
	if ready.After(r.out.Ready) {
		r.out.Ready = ready
	}
	return errPending
}
