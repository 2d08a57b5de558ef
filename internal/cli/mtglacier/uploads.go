package mtglacier

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/mtjournal"
)

// uploads sends files to the vault. Of each the journal has its line first, and
// the catalog its outcome then: what is open in the catalog and stands in the
// journal is done.
type uploads struct {
	*session
	journal *journal
	engine  *transfer.Uploader
	left    map[string]catalog.Intent // uploads to go on with, by name
	locks   []*wire.RunLock           // of the dead runs that began what is taken up

	mu       sync.Mutex
	doubtful map[string]catalog.Intent // sent in one request, perhaps, by name
	outcomes []func() error            // that the catalog is to record
}

// outcomesAtOnce is how many outcomes are recorded together: they share a commit.
// What the journal has is safe already.
const outcomesAtOnce = 512

// uploads begins to upload: it takes up what a run with this journal left that
// was killed.
func (s *session) uploads(ctx context.Context, j *journal) (*uploads, error) {
	traits := s.store.Traits()
	part := int64(s.PartSize) << 20
	traits.MaxSingle = min(traits.MaxSingle, part) // parts are of the size that was asked for
	engine, err := transfer.NewUploader(s.store, traits, transfer.UploadOptions{
		PartSize: part, Concurrency: s.Concurrency, Clock: s.env.Clock, Events: s.events, TokenOf: describe.TokenOf,
	})
	if err != nil {
		return nil, err
	}
	u := &uploads{session: s, journal: j, engine: engine, left: map[string]catalog.Intent{}, doubtful: map[string]catalog.Intent{}}
	if s.catalog == nil {
		return u, nil
	}
	return u, u.takeUp(ctx)
}

// takeUp settles what dead runs with this journal left open.
func (u *uploads) takeUp(ctx context.Context) error {
	open, err := u.catalog.OpenIntents(ctx, u.row.ID)
	if err != nil || len(open) == 0 {
		return err
	}
	dead, err := u.deadRuns(ctx, open)
	if err != nil {
		return err
	}
	mine := slices.DeleteFunc(open, func(in catalog.Intent) bool { return !dead[in.Run] })
	if len(mine) == 0 {
		return nil
	}
	was, err := u.journal.pastOf(mine)
	if err != nil {
		return err
	}
	if err := u.settleWritten(ctx, mine, was); err != nil {
		return err
	}
	res, err := reconcile.Loose(ctx, reconcile.Options{
		Catalog: u.catalog, Row: u.row.ID, Store: u.store, Run: *u.work, Clock: u.env.Clock, Events: u.events,
		Single: transfer.MaxSingle, Alive: func(run int64) bool { return !dead[run] },
	})
	if err != nil {
		return err
	}
	for _, in := range res.Resumable {
		u.left[in.File.Path] = in
	}
	for _, in := range res.Pending {
		u.doubtful[in.File.Path] = in
	}
	return u.writeSettled(ctx, mine, was)
}

// deadRuns gives the runs with this journal that began what is open, and are
// dead. Until finish nobody else takes that for left behind.
func (u *uploads) deadRuns(ctx context.Context, open []catalog.Intent) (map[int64]bool, error) {
	dead := map[int64]bool{}
	for _, in := range open {
		if _, known := dead[in.Run]; known || in.Kind != catalog.LooseArchive || in.Tree != 0 {
			continue
		}
		dead[in.Run] = false
		run, err := u.catalog.Run(ctx, in.Run)
		if err != nil {
			return nil, err
		}
		if run.Command != u.work.Command {
			continue
		}
		l, err := wire.AwaitRun(ctx, u.wire, in.Run, "settle", deadWait)
		switch {
		case err == nil:
			dead[in.Run], u.locks = true, append(u.locks, l)
		case firn.KindOf(err) != firn.Conflict: // else somebody goes on with it by hand
			return nil, err
		}
	}
	return dead, nil
}

// deadWait is how long the lock of a run with this journal is waited for, which nobody else
// writes: who has it looks whether the run is dead, or settles what it left.
const deadWait = 10 * time.Second

// settleWritten records in the catalog what the journal says already: the run was
// killed between the two.
func (u *uploads) settleWritten(ctx context.Context, mine []catalog.Intent, was *past) error {
	for _, in := range slices.Backward(mine) { // of several for one file the last has the line
		if in.State == catalog.Doubt {
			continue // the journal was asked before
		}
		for _, rec := range was.created[in.File.Path] {
			if !isLineOf(&in, &rec) {
				continue
			}
			known, err := u.settleAs(ctx, &in, &rec, was.deleted[rec.Archive])
			if err != nil {
				return err
			}
			if !known {
				break
			}
		}
	}
	return nil
}

// isLineOf reports whether a line may be that of an intent's archive.
func isLineOf(in *catalog.Intent, rec *mtjournal.Record) bool {
	tree, ok := rec.TreeHash()
	if !ok || in.TreeHash.IsZero() || tree != in.TreeHash || !rec.HasMTime {
		return false
	}
	mtime := in.File.Stamp.ModTime
	return mtime.IsZero() || rec.MTime == mtime.Unix()
}

// settleAs records that an intent's archive is the one of a line, and perhaps that it
// was deleted since; unless the catalog knows that as another's.
func (u *uploads) settleAs(ctx context.Context, in *catalog.Intent, rec *mtjournal.Record, deleted bool) (known bool, err error) {
	id := firn.ArchiveID(rec.Archive)
	if _, known, err := u.catalog.ArchiveByRemote(ctx, u.row.ID, id); err != nil || known {
		return known, err
	}
	archive := firn.Archive{ID: id, Description: in.Description, Size: rec.Size, Tree: in.TreeHash}
	if err := u.catalog.Stored(ctx, in.ID, archive, *u.work, nil); err != nil || !deleted {
		return false, err
	}
	return false, u.catalog.MarkDeleted(ctx, *u.work, in.ID)
}

// writeSettled writes the lines of archives that turned out to be stored, and
// that the journal doesn't have.
func (u *uploads) writeSettled(ctx context.Context, mine []catalog.Intent, was *past) error {
	for _, in := range mine {
		id, state, err := u.catalog.ArchiveState(ctx, in.ID)
		if err != nil {
			return err
		}
		if state != catalog.Stored || was.has(in.File.Path, string(id)) {
			continue
		}
		loc, _, err := u.catalog.ArchiveByRemote(ctx, u.row.ID, id)
		if err != nil {
			return err
		}
		if err := u.journal.created(in.File.Path, firn.Content{Size: loc.Size, Tree: loc.Tree}, in.File.Stamp.ModTime, id); err != nil {
			return err
		}
		u.did("Finished %s hash [%s] archive_id [%s]", in.File.Path, loc.Tree, id)
		if u.leaves(in.File.Path) {
			continue
		}
		mtime := in.File.Stamp.ModTime
		if err := u.journal.state.Add(mtjournal.Record{
			Op: mtjournal.Created, Time: u.journal.now(), Archive: string(id), Size: loc.Size, MTime: mtime.Unix(), HasMTime: !mtime.IsZero(),
			Tree: loc.Tree.String(), Path: in.File.Path,
		}); err != nil {
			return err
		}
	}
	return nil
}

// settle records an outcome in the catalog, sooner or later.
func (u *uploads) settle(outcome func() error) error {
	u.mu.Lock()
	u.outcomes = append(u.outcomes, outcome)
	if len(u.outcomes) < outcomesAtOnce {
		u.mu.Unlock()
		return nil
	}
	some := u.outcomes
	u.outcomes = nil
	u.mu.Unlock()
	return record(some)
}

// finish records all outcomes.
func (u *uploads) finish() error {
	defer func() {
		for _, l := range u.locks {
			l.Unlock()
		}
		u.locks = nil
	}()
	u.mu.Lock()
	defer u.mu.Unlock()
	some := u.outcomes
	u.outcomes = nil
	return record(some)
}

// record records outcomes side by side, so that they share a commit.
func record(outcomes []func() error) error {
	var group errgroup.Group
	for _, outcome := range outcomes {
		group.Go(outcome)
	}
	return group.Wait()
}

// A shipment is one file, or stream, on its way: a transfer.Journal.
type shipment struct {
	*uploads
	name   string
	mtime  time.Time // of a stream; zero: that of the file
	file   interface{ Stat() (fs.FileInfo, error) }
	opened bool // as a multipart upload

	intent      int64
	description string
}

// doubts is how often a file is sent whose answers are lost: each may be an
// archive, which the catalog remembers until an inventory tells.
const doubts = 3

// send uploads a file. open opens it; known, unless nil, is told what it holds
// before anything is sent, and says whether that is stored already.
func (u *uploads) send(ctx context.Context, name string, open func() (transfer.File, error), known func(context.Context, firn.Content) (bool, error)) (res transfer.Result, err error) {
	if err := u.journal.check(name); err != nil {
		return res, err
	}
	for range doubts {
		s := &shipment{uploads: u, name: name}
		task := transfer.Task{Source: transfer.Source{Path: name, Open: s.opener(open)}, Journal: s, Known: known, HashFirst: known != nil}
		if in, ok := u.left[name]; ok {
			task.Resume, s.intent, s.description, s.opened = reconcile.Resume(in), in.ID, in.Description, true
		}
		res, err = u.engine.Upload(ctx, task)
		if firn.KindOf(err) != firn.InDoubt {
			break
		}
	}
	return res, err
}

func (s *shipment) opener(open func() (transfer.File, error)) func() (transfer.File, error) {
	return func() (transfer.File, error) {
		f, err := open()
		if err == nil {
			s.file, _ = f.(interface{ Stat() (fs.FileInfo, error) })
		}
		return f, err
	}
}

// again gives the intent of a file as it is, of which nobody knows whether it was
// sent: it is sent again under the same name, so that it is counted once.
func (u *uploads) again(name string, b transfer.Begun) (in catalog.Intent, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	in, ok = u.doubtful[name]
	delete(u.doubtful, name)
	return in, ok && !b.Multipart && in.File.Stamp.Equal(b.Stamp) && in.TreeHash == b.Content.Tree
}

// Begin records the intent of an attempt.
func (s *shipment) Begin(ctx context.Context, b transfer.Begun) (transfer.Name, error) {
	if in, ok := s.again(s.name, b); ok {
		s.intent, s.description, s.opened = in.ID, in.Description, false
		return transfer.Name{Token: in.Token, Description: in.Description}, s.catalog.Retry(ctx, in.ID)
	}
	token := firn.NewToken()
	description, err := s.describe(token, b)
	if err != nil {
		return transfer.Name{}, err
	}
	s.description, s.opened = description, false
	name := transfer.Name{Token: token, Description: description}
	if s.catalog == nil {
		return name, nil
	}
	size, stamp := b.Content.Size, b.Stamp
	if b.Multipart {
		// What is larger than one request holds surely came to nothing while no
		// upload is recorded.
		size = max(size, transfer.MaxSingle+1)
	}
	if !s.mtime.IsZero() {
		stamp = firn.Stamp{} // it can't be read again
	}
	intents := []catalog.Intent{{
		Store: s.row.ID, Run: s.work.ID, Token: token, Kind: catalog.LooseArchive, Description: description,
		File: firn.File{Path: s.name, Kind: firn.Regular, Stamp: stamp}, Size: size, TreeHash: b.Content.Tree,
	}}
	err = s.catalog.Intend(ctx, intents)
	s.intent = intents[0].ID
	return name, err
}

// describe gives the description: firn's, or, where that has no room for a name
// which mt-aws-glacier's has, the latter alone.
func (s *shipment) describe(token firn.Token, b transfer.Begun) (string, error) {
	a := describe.Archive{Token: token, Kind: describe.File, Path: s.name, ModTime: b.Stamp.ModTime, Made: s.env.Clock.Now()}
	if !s.mtime.IsZero() {
		a.ModTime = s.mtime
	}
	// With a mode it is known for a file of a folder, and not for an archive by itself:
	// see describe.
	a.Mode, a.HasMode = streamMode, true
	if s.file != nil {
		if info, err := s.file.Stat(); err == nil {
			a.Mode = info.Mode()
		}
	}
	if describe.Fits("", s.name, a.ModTime) {
		return describe.Encode(a)
	}
	plain := plainMT2(s.name, a.ModTime)
	if len(plain) > describe.MaxLen {
		return "", &firn.Error{Op: "upload", Subject: s.name, Kind: firn.Invalid, Err: errors.New("the name is too long, or has a time that no description holds"), Hint: "a name has 723 bytes at most, and some 180 to 360 characters where they aren't ASCII"}
	}
	return plain, nil
}

// streamMode is that of what comes from standard input.
const streamMode fs.FileMode = 0o644

// plainMT2 is the description that mt-aws-glacier writes.
func plainMT2(name string, mtime time.Time) string {
	if y := mtime.UTC().Year(); y < 1000 || y > 9999 {
		return strings.Repeat(" ", describe.MaxLen+1)
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(struct { // which can't fail
		Name  string `json:"filename"`
		MTime string `json:"mtime"`
	}{name, mtime.UTC().Format("20060102T150405Z")})
	return "mt2 " + base64.RawURLEncoding.EncodeToString([]byte(strings.TrimSuffix(b.String(), "\n")))
}

// Opened records the multipart upload.
func (s *shipment) Opened(ctx context.Context, id firn.UploadID, partSize int64) error {
	s.opened = true
	s.did("Created an upload_id %s", id)
	if s.catalog == nil {
		return nil
	}
	return s.catalog.UploadOpened(ctx, s.intent, id, partSize)
}

// Part records a part that the vault has.
func (s *shipment) Part(ctx context.Context, p firn.Part) error {
	if s.catalog != nil {
		if err := s.catalog.PartDone(ctx, s.intent, p); err != nil {
			return err
		}
	}
	s.did("Uploaded part for %s at offset [%d]", s.name, p.Offset)
	return nil
}

// Completing records that the upload may be an archive from now on.
func (s *shipment) Completing(ctx context.Context, c firn.Content) error {
	if s.catalog == nil {
		return nil
	}
	return s.catalog.UploadCompleting(ctx, s.intent, c.Size, c.Tree)
}

// Stored writes the archive into the journal.
func (s *shipment) Stored(ctx context.Context, r transfer.Result) error {
	mtime := s.mtime
	if mtime.IsZero() {
		mtime = r.Stamp.ModTime
	}
	if err := s.journal.created(s.name, r.Content, mtime, r.Archive); err != nil {
		s.error("archive %s is stored as %s, but the journal can't be written: it is sent again", s.name, r.Archive)
		return err
	}
	if !s.opened {
		s.did("Uploaded part for %s at offset [0]", s.name)
	}
	s.did("Finished %s hash [%s] archive_id [%s]", s.name, r.Content.Tree, r.Archive)
	if s.catalog == nil {
		return nil
	}
	archive := r.As(s.description)
	intent := s.intent
	record := catalog.Patiently(context.WithoutCancel(ctx))
	return s.settle(func() error { return s.catalog.Stored(record, intent, archive, *s.work, nil) })
}

// InDoubt leaves the intent as it is: the next run asks the vault for its time
// before it records the doubt.
func (s *shipment) InDoubt(context.Context) error { return nil }

// Dropped records that nothing is left of the attempt.
func (s *shipment) Dropped(ctx context.Context) error {
	if s.catalog == nil {
		return nil
	}
	return s.catalog.Drop(ctx, s.intent, "the upload was given up")
}

// stream uploads what r gives, up to its end.
func (u *uploads) stream(ctx context.Context, name string, expect int64) error {
	if err := u.journal.check(name); err != nil {
		return err
	}
	spool, err := wire.SpoolDir(u.wire)
	if err == nil {
		err = os.MkdirAll(spool, 0o700)
	}
	if err != nil {
		return err
	}
	s := &shipment{uploads: u, name: name, mtime: u.env.Clock.Now().Truncate(time.Second)}
	_, err = u.engine.UploadStream(ctx, transfer.Stream{Path: name, Body: u.env.Stdin, Journal: s, Expect: expect, Spool: spool})
	return err
}
