package syncer

import (
	"context"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/transfer"
)

// upload sees one file into the store. It gives an error only where the run
// can't go on.
func (s *syncer) upload(ctx context.Context, u upload) error {
	leave, err := s.twins.enter(ctx, u.file.Stamp.Size)
	if err != nil {
		return err
	}
	defer leave()
	task, err := s.task(ctx, u)
	if err != nil {
		return s.uploadFailed(ctx, u, err)
	}
	read := s.now()
	res, err := s.Uploader.Upload(ctx, task.Task)
	task.unclaim()
	if err != nil {
		u.intent = task.journal.intent.ID
		return s.uploadFailed(ctx, u, err)
	}
	if !res.Duplicate {
		s.fileEvent(firn.Sent, u.file, firn.FileEvent{Archive: res.Archive, Reason: u.why})
		return nil
	}
	file := u.file
	file.Stamp = stampOf(file.Stamp, res.Stamp)
	change := catalog.Change{File: file, Content: res.Content, Read: read, LinkGroup: linkGroup(&file)}
	// Also after an interrupt: it may have taken hours to read.
	if _, err := s.Catalog.Record(context.WithoutCancel(ctx), s.this, []catalog.Change{change}); err != nil {
		return err
	}
	s.duplicateEvent(u, res.Content)
	return nil
}

// duplicateEvent tells why a file was not sent: it is as it was, or the store
// has its content from another file.
func (s *syncer) duplicateEvent(u upload, content firn.Content) {
	if u.known != nil && u.known.Content == content {
		s.tally.add(firn.Unchanged, content.Size)
	} else {
		s.fileEvent(firn.Recorded, u.file, firn.FileEvent{Reason: "its content is stored already"})
	}
	s.Events(firn.PlanEvent{Files: -1, Bytes: -u.file.Stamp.Size})
}

// stampOf keeps the device, which the engine doesn't compare.
func stampOf(scanned, read firn.Stamp) firn.Stamp {
	read.Device = scanned.Device
	return read
}

// uploadFailed tells errors of the file from errors of the run.
func (s *syncer) uploadFailed(ctx context.Context, u upload, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.ofLimit(u, err) {
		return nil
	}
	switch firn.KindOf(err) {
	case firn.InDoubt:
		s.Events(firn.PlanEvent{Files: -1, Bytes: -u.file.Stamp.Size}) // until it is taken up again
		s.Budget.remember(u.file.Path)
		s.again.add(u)
		return nil
	case firn.Local, firn.Changed, firn.Corrupt, firn.Invalid:
		s.fileEvent(firn.Failed, u.file, firn.FileEvent{Err: err})
		return nil
	}
	return err
}

// An uploadTask is the engine's task, and what it holds meanwhile.
type uploadTask struct {
	transfer.Task
	syncer  *syncer
	journal *journal
	claimed *firn.Content // nobody else sends this content; nil: none
}

// task prepares an upload: anew, or as an earlier run left it.
func (s *syncer) task(ctx context.Context, u upload) (*uploadTask, error) {
	j := &journal{syncer: s, file: u.file}
	j.Sending = s.Catalog.Sending(&j.intent.ID)
	t := &uploadTask{syncer: s, journal: j}
	t.Source = transfer.Source{Path: u.file.Path, Open: j.open}
	t.Journal, t.Known = j, func(ctx context.Context, c firn.Content) (bool, error) {
		if u.isStoredAs(c) || s.scribe != nil { // each line stands for an archive of its own
			return u.isStoredAs(c), nil
		}
		return t.known(ctx, c)
	}
	if in, ok := s.resumable[u.file.Path]; ok {
		s.used.add(u.file.Path)
		t.Resume, j.intent = reconcile.ResumeOpened(in), in
	}
	if s.always {
		t.Known = nil
	}
	if t.Resume != nil {
		if err := j.count(u.file.Stamp.Size, s.requestsOf(j.intent)); err != nil {
			return t, err
		}
	}
	t.HashFirst = t.Resume == nil && u.hash
	if t.HashFirst || s.scribe != nil {
		return t, nil
	}
	stored, err := s.Catalog.SizeStored(ctx, s.Row.ID, u.file.Stamp.Size)
	t.HashFirst = t.Resume == nil && stored
	return t, err
}

// known reports whether the store has this content, once nobody else is
// sending it.
func (t *uploadTask) known(ctx context.Context, c firn.Content) (bool, error) {
	t.unclaim() // of a file that changed, and was hashed again
	if err := t.syncer.twins.claim(ctx, c); err != nil {
		return false, err
	}
	t.claimed = &c
	return t.syncer.isContentStored(ctx, c)
}

// isContentStored reports whether the store has content, for the recipients of
// this run.
func (s *syncer) isContentStored(ctx context.Context, c firn.Content) (bool, error) {
	found, err := s.Catalog.FindContents(ctx, s.Row.ID, s.this.Recipients, []firn.Content{c})
	return err == nil && found[0].Archive != 0, err
}

func (t *uploadTask) unclaim() {
	if t.claimed != nil {
		t.syncer.twins.leave(*t.claimed)
		t.claimed = nil
	}
}

// A journal keeps one upload's record in the catalog. It is a
// transfer.Journal.
type journal struct {
	*syncer
	catalog.Sending
	file   firn.File // as scanned, then as opened
	opened *scan.File
	intent catalog.Intent // ID 0 until recorded
	read   time.Time
	size   int64 // of the file, as it is counted in the budget; 0: it is not
}

// count takes the file out of the budget, once. Errors: errOverLimit.
func (j *journal) count(size, requests int64) error {
	if j.size > 0 {
		return nil
	}
	err := j.Budget.take(j.file.Path, size, requests)
	if err == nil {
		j.size = size
	}
	return err
}

// open opens the file for the engine, and remembers it: what the store is told
// of the file must be true of the bytes that it gets.
func (j *journal) open() (transfer.File, error) {
	f, err := j.root.Open(j.file.Path)
	if err != nil {
		return nil, err
	}
	j.opened = f
	return f, nil
}

// Begin records the intent, or begins anew the one of an earlier run, if the
// file is still what it was then. Each other state of a file is an archive of
// its own, with a token of its own.
func (j *journal) Begin(ctx context.Context, b transfer.Begun) (transfer.Name, error) {
	j.read = j.now()
	if err := j.scribe.check(&j.file); err != nil {
		return transfer.Name{}, err
	}
	if err := j.count(b.Stamp.Size, j.Uploader.Requests(b.Stamp.Size)); err != nil {
		return transfer.Name{}, err
	}
	if j.intent.ID != 0 && j.intent.File.Stamp.Equal(b.Stamp) {
		return nameOf(j.intent), j.Catalog.Retry(ctx, j.intent.ID)
	}
	if j.intent.ID != 0 && j.intent.State != catalog.Doubt {
		if err := j.Catalog.Drop(ctx, j.intent.ID, "the file has changed since"); err != nil {
			return transfer.Name{}, err
		}
	}
	if err := j.look(b.Stamp); err != nil {
		return transfer.Name{}, err
	}
	token := firn.NewToken()
	description, err := describe.Encode(describe.Archive{
		Token: token, Kind: describe.File, Tree: j.tree.Name, Path: j.file.Path,
		ModTime: b.Stamp.ModTime, Mode: j.file.Mode, HasMode: true, Made: j.read, Catalog: j.Catalog.ID(),
	})
	if err != nil {
		return transfer.Name{}, err
	}
	intents := []catalog.Intent{{
		Store: j.Row.ID, Run: j.this.ID, Token: token, Kind: catalog.FileArchive,
		Description: description, Tree: j.tree.ID, File: j.file, Size: b.Stamp.Size,
	}}
	if err := j.Catalog.Intend(ctx, intents); err != nil {
		return transfer.Name{}, err
	}
	j.intent = intents[0]
	return nameOf(j.intent), nil
}

func nameOf(in catalog.Intent) transfer.Name {
	return transfer.Name{Token: in.Token, Description: in.Description}
}

// look takes mode and owner from the open file, since it may not be the one
// that was scanned.
func (j *journal) look(stamp firn.Stamp) error {
	info, err := j.opened.Info()
	if err != nil {
		return err
	}
	j.file.Mode, j.file.UID, j.file.GID, j.file.Links = info.Mode, info.UID, info.GID, info.Links
	j.file.Stamp = stampOf(j.file.Stamp, stamp)
	return nil
}

// Stored records the archive, and the file's version with it. After a resumed
// upload the file is what the intent says.
func (j *journal) Stored(ctx context.Context, r transfer.Result) error {
	file := j.intent.File
	file.Stamp = stampOf(file.Stamp, r.Stamp)
	read := j.read
	if read.IsZero() {
		read = j.now() // nothing was begun in this run
	}
	archive := r.As(j.intent.Description)
	change := &catalog.Change{File: file, Content: r.Content, Read: read, LinkGroup: linkGroup(&file)}
	if err := j.Catalog.Stored(ctx, j.intent.ID, archive, j.this, change); err != nil {
		return err
	}
	return j.scribe.stored(j.now(), file.Path, file.Stamp.ModTime, archive)
}

// Dropped records that nothing is left of the attempt.
func (j *journal) Dropped(ctx context.Context) error {
	j.Budget.giveBack(j.size)
	j.size = 0
	err := j.Catalog.Drop(ctx, j.intent.ID, "the upload was given up")
	j.intent = catalog.Intent{}
	return err
}

// A retryList gathers the files and bundles whose upload ended in doubt.
type retryList struct {
	mu    sync.Mutex
	files []upload
	packs []*pack
}

func (l *retryList) addPack(p *pack) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.packs = append(l.packs, p)
}

func (l *retryList) add(u upload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files = append(l.files, u)
}

func (l *retryList) take() ([]upload, []*pack) {
	l.mu.Lock()
	defer l.mu.Unlock()
	files, packs := l.files, l.packs
	l.files, l.packs = nil, nil
	return files, packs
}

// isStored reports whether the catalog has the file as it is, stored.
func (s *syncer) isStored(ctx context.Context, f firn.File) (bool, error) {
	for e, err := range s.Catalog.Files(ctx, catalog.ListQuery{Tree: s.tree.ID, Path: f.Path}) {
		if err != nil {
			return false, err
		}
		if e.Path == f.Path && e.Kind == firn.Regular {
			return e.Location.State == catalog.Stored && e.Stamp.Size == f.Stamp.Size && e.Stamp.ModTime.Equal(f.Stamp.ModTime), nil
		}
	}
	return false, nil
}
