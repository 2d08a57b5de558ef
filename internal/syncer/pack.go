package syncer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/bundle"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/transfer"
)

// A pack is a bundle from its first member until it is stored.
type pack struct {
	*syncer
	spool *spoolFile // nil once it is sealed
	path  string
	w     *bundle.Writer

	made    time.Time
	members []catalog.Member
	why     []string // of each member, why it is sent
	next    int64    // number of the next content
	first   string   // path of the first member

	size    int64 // once it is sealed
	planned int64 // bytes of its members, as the display knows them
	index   int64 // bytes of index and footer

	// followers have the content of a member, and are recorded once it is
	// stored; under syncer.flying.
	followers []follower
	landed    chan struct{} // closed when nobody follows it any more
	down      bool          // it is closed; under syncer.flying

	// reserved are the requests that the budget has for it, until it is sealed.
	reserved int64

	// key seals the archive; nil where it isn't sealed. It stands for one
	// plaintext.
	key *seal.Key
	// open gives the archive's bytes, sealed where it is, for the engine.
	open func(context.Context) (transfer.File, error)
	// lone is the one file that the bundle is made of while it is sent, without
	// a spool; else its path is "".
	lone firn.File

	intent catalog.Intent // ID 0 until recorded
	resume *transfer.Resume
	// resumed: an earlier run sealed it, and its members are those of its index.
	resumed bool
}

// A follower waits for another's content.
type follower struct {
	upload
	change catalog.Change
}

// newPack begins a bundle in a file of its own, if the budget has requests for
// it. Errors: errOverLimit.
func (s *syncer) newPack() (p *pack, err error) {
	reserved := s.Uploader.Requests(s.Bundling.Size)
	if err := s.Budget.pay(reserved); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Budget.settle(reserved, 0)
		}
	}()
	if err := os.MkdirAll(s.Bundling.Spool, 0o700); err != nil {
		return nil, bundle.SpoolError(s.Bundling.Spool, err)
	}
	path := filepath.Join(s.Bundling.Spool, s.spoolPrefix()+firn.NewToken().String())
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, bundle.SpoolError(path, err)
	}
	p = &pack{syncer: s, spool: &spoolFile{File: f}, path: path, made: s.now(), reserved: reserved, landed: make(chan struct{})}
	p.w = bundle.NewWriter(p.spool, s.bundleInfo(p.made))
	p.open = p.spooled
	return p, nil
}

// bundleInfo is what the index says of the bundle.
func (s *syncer) bundleInfo(made time.Time) bundle.Info {
	return bundle.Info{Tree: s.tree.Name, Host: s.Host, Made: made, Catalog: s.Catalog.ID()}
}

// A spoolFile remembers that it could not be written, which is told apart from
// a file that can't be read.
type spoolFile struct {
	*os.File
	err error
}

// WriteAt writes to the file.
func (f *spoolFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	if err != nil {
		f.err = err
	}
	return n, err
}

// spoolPrefix begins the names of a tree's spool files: its lock guards them.
func (s *syncer) spoolPrefix() string { return fmt.Sprintf("%d-", s.tree.ID) }

// count is how many files wait for the bundle.
func (p *pack) count() int { return len(p.members) + len(p.followers) }

// add takes in a member that the writer has taken.
func (p *pack) add(f *reading, m bundle.Member) {
	number := int64(-1)
	if m.Content.Size > 0 {
		number = p.next
		p.next++
		p.flying.add(m.Content, seat{p, len(p.members)})
	}
	p.addSame(f, m, number)
}

// addSame takes in a member with a content that has its number.
func (p *pack) addSame(f *reading, m bundle.Member, number int64) {
	if len(p.members) == 0 {
		p.first = f.file.Path
	}
	f.content = m.Content
	p.members = append(p.members, catalog.Member{Change: f.change(), Number: number, Offset: m.Offset})
	p.why = append(p.why, f.why)
	if f.file.Kind == firn.Regular && f.file.Stamp.Size > 0 {
		p.planned += f.file.Stamp.Size
	}
}

// seal ends the bundle. It is durable then: an intent may say what is in it.
func (p *pack) seal() error {
	sealed, err := p.w.Seal()
	if err == nil {
		err = p.spool.Sync()
	}
	err = errors.Join(err, p.spool.Close())
	p.spool, p.w = nil, nil
	if err != nil {
		return bundle.SpoolError(p.path, err)
	}
	p.size, p.index = sealed.Size, sealed.Size-sealed.Footer.Offset
	if err := p.draw(); err != nil {
		return err
	}
	p.Budget.settle(p.reserved, p.Uploader.Requests(p.archiveSize(p.size)))
	p.reserved = 0
	return nil
}

// archiveSize is the size of the archive of a bundle of size bytes.
func (p *pack) archiveSize(size int64) int64 {
	if p.key == nil {
		return size
	}
	return p.key.Size(size)
}

// draw draws a key for the bundle, where the run seals.
func (p *pack) draw() error {
	if p.Recipients == nil {
		return nil
	}
	key, err := p.Recipients.NewKey()
	p.key = &key
	return err
}

// discard gives up a bundle that no intent tells of, or that is stored.
func (p *pack) discard() {
	p.land()
	p.Budget.settle(p.reserved, 0)
	if p.spool != nil {
		p.spool.Close()
	}
	p.sweep()
}

// land takes the bundle's contents out of the flight, and gives its followers.
func (p *pack) land() []follower {
	p.unseat()
	p.flying.mu.Lock()
	defer p.flying.mu.Unlock()
	followers := p.followers
	p.followers = nil
	return followers
}

// unseat lets nobody follow the bundle any more.
func (p *pack) unseat() {
	p.flying.mu.Lock()
	defer p.flying.mu.Unlock()
	for i := range p.members {
		if c := p.members[i].Content; p.flying.contents[c].pack == p {
			delete(p.flying.contents, c)
		}
	}
	if !p.down {
		p.down = true
		p.flying.landed++
		close(p.landed)
	}
}

// label is what people see of it.
func (p *pack) label() string {
	switch n := len(p.members); {
	case n > 1:
		return fmt.Sprintf("%s and %d more files", p.first, n-1)
	case n == 1:
		return p.first
	}
	return "a bundle of an earlier run"
}

// spooled is the bundle in its spool file.
func (p *pack) spooled(context.Context) (transfer.File, error) {
	root, err := scan.OpenRoot(filepath.Dir(p.path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(filepath.Base(p.path))
	if err != nil {
		return nil, err
	}
	return p.seals(f, f, p.size)
}

// seals gives the bundle, which has size bytes, sealed if need be. It is read
// from file, whose stamp it has but for the size.
func (p *pack) seals(file *scan.File, plain io.ReaderAt, size int64) (transfer.File, error) {
	stamp, err := file.Stamp()
	if err != nil {
		file.Close()
		return nil, err
	}
	f := &made{File: file, bytes: plain, size: size, from: stamp.Size}
	if p.key != nil {
		f.bytes, f.size = p.key.Seal(plain, size), p.key.Size(size)
	}
	return f, nil
}

// A made file is computed from another one.
type made struct {
	*scan.File
	bytes io.ReaderAt
	size  int64 // of it
	from  int64 // of the other one
}

// ReadAt reads what is computed.
func (f *made) ReadAt(p []byte, off int64) (int, error) { return f.bytes.ReadAt(p, off) }

// Stamp is that of the other file, with the size of this one while that stays
// what it was.
func (f *made) Stamp() (firn.Stamp, error) {
	stamp, err := f.File.Stamp()
	if stamp.Size == f.from {
		stamp.Size = f.size
	}
	return stamp, err
}

// sendPack sees one bundle into the store. It gives an error only where the run
// can't go on.
func (s *syncer) sendPack(ctx context.Context, p *pack) error {
	resume := p.resume
	p.resume = nil
	res, err := s.Uploader.Upload(ctx, transfer.Task{
		Source: transfer.Source{Path: p.label(), Open: func() (transfer.File, error) { return p.open(ctx) }}, Journal: &packJournal{p, p.Catalog.Sending(&p.intent.ID)}, Resume: resume,
	})
	s.Events(firn.TransferEvent{Path: p.label(), Ended: true})
	if err == nil {
		return p.stored(ctx, res.Archive)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch firn.KindOf(err) {
	case firn.InDoubt:
		p.unseat() // nobody waits for what may take a day
		s.again.addPack(p)
		return nil
	case firn.Local, firn.Changed, firn.Corrupt, firn.Invalid:
		return p.failed(err)
	}
	return err
}

// stored tells what has arrived, and records what the catalog doesn't know of
// yet: what has no content, and who waited for a content.
func (p *pack) stored(ctx context.Context, id firn.ArchiveID) error {
	var changes []catalog.Change
	for i := range p.members {
		m := &p.members[i]
		e := firn.FileEvent{Archive: id, Reason: p.reason(i)}
		switch {
		case m.Number >= 0:
			p.fileEvent(firn.Sent, m.File, e)
			continue
		case p.resumed:
			continue // the scan is still to come, and sees whether it is there
		case m.Kind != firn.Directory:
			p.fileEvent(firn.Recorded, m.File, e)
		}
		changes = append(changes, m.Change)
	}
	followers := p.land()
	p.sweep()
	for _, f := range followers {
		changes = append(changes, f.change)
		p.duplicateEvent(f.upload, f.change.Content)
	}
	for batch := range slices.Chunk(changes, recordBatch) {
		if _, err := p.Catalog.Record(ctx, p.this, batch); err != nil {
			return err
		}
	}
	return nil
}

// reason is why a member is sent.
func (p *pack) reason(i int) string {
	if i < len(p.why) {
		return p.why[i]
	}
	return "an earlier run had begun it"
}

// failed gives the bundle up, with all that is in it.
func (p *pack) failed(err error) error {
	p.each(firn.Failed, firn.FileEvent{Err: err})
	p.sweep()
	return nil
}

// each tells the same of all files that are in the bundle, or wait for it.
func (p *pack) each(a firn.Action, e firn.FileEvent) {
	for i := range p.members {
		if m := &p.members[i]; m.Kind != firn.Directory {
			p.fileEvent(a, m.File, e)
		}
	}
	for _, f := range p.land() {
		p.fileEvent(a, f.file, e)
	}
}

// sweep removes the spool file.
func (p *pack) sweep() {
	if p.path != "" {
		os.Remove(p.path) // what stays, the next run sweeps
	}
}

// A packJournal keeps a bundle's record in the catalog. It is a
// transfer.Journal.
type packJournal struct {
	*pack
	catalog.Sending
}

// Begin records the intent with all that the bundle holds, or begins anew the
// one that was recorded.
func (j *packJournal) Begin(ctx context.Context, b transfer.Begun) (transfer.Name, error) {
	if j.intent.ID != 0 && j.intent.File.Stamp.Equal(b.Stamp) {
		return nameOf(j.intent), j.Catalog.Retry(ctx, j.intent.ID)
	}
	if j.intent.ID != 0 && j.intent.State != catalog.Doubt {
		if err := j.Catalog.Drop(ctx, j.intent.ID, "what it was made of has changed since"); err != nil {
			return transfer.Name{}, err
		}
	}
	if j.resumed {
		return transfer.Name{}, &firn.Error{Op: "read bundle", Subject: j.path, Kind: firn.Changed, Err: errors.New("it is another file than the one that was sealed")}
	}
	token := firn.NewToken()
	description, err := j.describe(token)
	if err != nil {
		return transfer.Name{}, err
	}
	in := catalog.Intent{
		Store: j.Row.ID, Run: j.this.ID, Token: token, Kind: catalog.BundleArchive,
		Description: description, Tree: j.tree.ID, File: j.lone, Size: b.Stamp.Size, Spool: j.path,
	}
	in.File.Stamp = b.Stamp
	if j.key != nil {
		in.Seal = &catalog.Sealing{Header: j.key.Prefix(), Recipients: j.this.Recipients, FileKey: j.key.FileKey, Nonce: j.key.Nonce}
	}
	if err := j.intend(ctx, &in); err != nil {
		if firn.KindOf(err) == firn.Conflict && j.path == "" {
			err = &firn.Error{Op: "send", Subject: j.first, Kind: firn.Changed, Err: errors.New("it changed after an upload whose answer got lost"), Hint: "the next run sends it"}
		}
		return transfer.Name{}, err
	}
	j.intent = in
	return nameOf(in), nil
}

// intend records the intent with the versions that it is to hold, or without any
// where those are stored already.
func (j *packJournal) intend(ctx context.Context, in *catalog.Intent) error {
	if j.repacks {
		return j.Catalog.IntendCopies(ctx, in, j.this, j.copies(), j.contents())
	}
	return j.Catalog.IntendBundle(ctx, in, j.this, j.contents())
}

// contents are the members that have content. The others are recorded when the
// bundle is stored: the catalog would not know else whether a bundle has them.
func (p *pack) contents() []catalog.Member {
	have := make([]catalog.Member, 0, len(p.members))
	for i := range p.members {
		if p.members[i].Number >= 0 {
			have = append(have, p.members[i])
		}
	}
	return have
}

// day is how exactly a sealed archive says when it was made: the store knows
// when it came, and nothing more is for others to know.
const day = 24 * time.Hour

// describe gives the archive's description.
func (p *pack) describe(token firn.Token) (string, error) {
	if p.key != nil {
		return describe.Encode(describe.Archive{Token: token, Kind: describe.Sealed, Made: p.made.UTC().Truncate(day)})
	}
	return describe.Encode(describe.Archive{
		Token: token, Kind: describe.Bundle, Tree: p.tree.Name, Made: p.made,
		Members: int64(len(p.members)), Index: p.index, Catalog: p.Catalog.ID(),
	})
}

// Stored records the archive: all that it holds counts from now on.
func (j *packJournal) Stored(ctx context.Context, r transfer.Result) error {
	archive := r.As(j.intent.Description)
	return j.Catalog.Stored(ctx, j.intent.ID, archive, j.this, nil)
}

// Dropped records that nothing is left of the attempt.
func (j *packJournal) Dropped(ctx context.Context) error {
	err := j.Catalog.Drop(ctx, j.intent.ID, "the upload was given up")
	j.intent = catalog.Intent{}
	return err
}

// resumePacks sends the bundles that an earlier run sealed and didn't get into
// the store, before it is decided what else to send. A bundle whose file is
// gone is given up: its members are sent again.
func (s *syncer) resumePacks(ctx context.Context, intents []catalog.Intent) error {
	for _, in := range intents {
		p := &pack{syncer: s, path: in.Spool, intent: in, resume: reconcile.ResumeOpened(in), resumed: true, landed: make(chan struct{})}
		p.open = p.spooled
		if !p.intact(ctx) {
			if err := s.dropIntent(ctx, in, "its spool file is gone"); err != nil {
				return err
			}
			continue
		}
		s.Budget.charge(s.requestsOf(in)) // that run decided on it
		if err := p.readIndex(); err != nil {
			s.Events(firn.NoticeEvent{Text: "what is in a bundle of an earlier run can't be told: " + err.Error(), Warn: true})
		}
		if err := s.sendPack(ctx, p); err != nil {
			return err
		}
	}
	return s.sweepSpool(ctx)
}

// settlePacks goes on with bundles whose upload ended in doubt, after a
// reconciliation: they had arrived, or are sent again.
func (s *syncer) settlePacks(ctx context.Context, packs []*pack) error {
	for _, p := range packs {
		id, state, err := s.Catalog.ArchiveState(ctx, p.intent.ID)
		if err != nil {
			return err
		}
		p.intent.State = state
		switch {
		case state == catalog.Stored:
			err = p.stored(ctx, id)
		case state == catalog.Doubt && (s.Store.Traits().FreshInventory || p.path == "" && p.intent.Size > transfer.MaxSingle):
			s.again.addPack(p) // the inventory could not be had, or it is too large to be sent twice
		case state < catalog.Stored:
			i := slices.IndexFunc(s.packs, func(in catalog.Intent) bool { return in.ID == p.intent.ID })
			if i >= 0 {
				p.resume = reconcile.ResumeOpened(s.packs[i])
			}
			s.Budget.charge(s.requestsOf(p.intent))
			err = s.sendPack(ctx, p)
		default: // it never arrived: another attempt, under another name
			s.Budget.charge(s.requestsOf(p.intent))
			p.intent = catalog.Intent{}
			err = s.sendPack(ctx, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pending tells that nobody knows whether the bundle is stored. Its spool file
// stays: the next run goes on with it.
func (p *pack) pending() { p.each(firn.Pending, firn.FileEvent{Reason: unanswered}) }

// intact reports whether the spool file is what it was when it was sealed, and
// can be sealed as it was.
func (p *pack) intact(ctx context.Context) bool {
	info, err := os.Stat(p.path)
	if err != nil || p.restoreKey() != nil {
		return false
	}
	p.size = info.Size()
	f, err := p.open(ctx)
	if err != nil {
		return false
	}
	defer f.Close()
	stamp, err := f.Stamp()
	return err == nil && stamp.Equal(p.intent.File.Stamp)
}

// readIndex takes the members out of the bundle itself, to tell of them.
func (p *pack) readIndex() error {
	f, err := os.Open(p.path)
	if err != nil {
		return err
	}
	defer f.Close()
	last := make([]byte, bundle.FooterSize)
	if _, err := f.ReadAt(last, p.size-bundle.FooterSize); err != nil {
		return err
	}
	footer, err := bundle.ParseFooter(last, p.size)
	if err != nil {
		return err
	}
	_, members, err := bundle.ReadIndex(io.NewSectionReader(f, footer.Offset, footer.Size), footer)
	if err != nil {
		return err
	}
	for m, err := range members {
		if err != nil {
			return err
		}
		number := int64(-1)
		if m.Content.Size > 0 {
			number = 0
		}
		change := catalog.Change{File: m.File, Content: m.Content, Read: m.File.Stamp.ModTime, LinkGroup: m.LinkGroup}
		p.members = append(p.members, catalog.Member{Change: change, Number: number, Offset: m.Offset})
		if number == 0 {
			p.Events(firn.PlanEvent{Files: 1, Bytes: m.Content.Size})
		}
	}
	if len(p.members) > 0 {
		p.first = p.members[0].Path
	}
	return nil
}

// restoreKey takes the key from what an earlier run recorded.
func (p *pack) restoreKey() error {
	in := p.intent.Seal
	if in == nil {
		return nil
	}
	key, err := seal.RestoreKey(in.Header, in.FileKey[:])
	p.key = &key
	return err
}

// dropIntent gives up what an earlier run began, unless it may have arrived:
// that shows in an inventory.
func (s *syncer) dropIntent(ctx context.Context, in catalog.Intent, why string) error {
	if in.State == catalog.Doubt {
		return nil
	}
	if in.Upload != "" {
		if err := s.Store.AbortUpload(ctx, in.Upload); err != nil {
			return err
		}
	}
	return s.Catalog.Drop(ctx, in.ID, why)
}

// sweepSpool removes the tree's spool files that nothing refers to: a kill
// leaves them.
func (s *syncer) sweepSpool(ctx context.Context) error {
	names, err := os.ReadDir(s.Bundling.Spool)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return bundle.SpoolError(s.Bundling.Spool, err)
	}
	open, err := s.Catalog.OpenIntents(ctx, s.Row.ID)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, in := range open {
		wanted[filepath.Base(in.Spool)] = true
	}
	for _, name := range names {
		if name.Type().IsRegular() && strings.HasPrefix(name.Name(), s.spoolPrefix()) && !wanted[name.Name()] {
			if err := os.Remove(filepath.Join(s.Bundling.Spool, name.Name())); err != nil {
				return bundle.SpoolError(name.Name(), err)
			}
		}
	}
	return nil
}
