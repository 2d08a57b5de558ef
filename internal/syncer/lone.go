package syncer

import (
	"context"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/bundle"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/transfer"
)

// isLone reports whether a file that shares no archive has to be in a bundle
// all the same: to be sealed, or since no description holds its name.
func (s *syncer) isLone(f *firn.File) bool {
	if in, ok := s.resumable[f.Path]; ok {
		return in.Kind == catalog.BundleArchive
	}
	return s.Recipients != nil || s.Bundling.Below > 0 && !describe.Fits(s.tree.Name, f.Path, f.Stamp.ModTime)
}

// A lone file is a bundle of one member, made while it is sent. It is hashed
// before, since the index behind its content has the hash.
type lone struct {
	*pack
	file firn.File // as scanned, then as opened
	why  string

	layout  *bundle.Layout // nil: not read yet
	stamp   firn.Stamp     // of the file that the layout is for
	content *steady
	was     firn.Content // that the intent of an earlier run is for
}

// sendLone sees a file into the store, in a bundle of its own.
func (s *syncer) sendLone(ctx context.Context, u upload) error {
	var err error
	l := &lone{file: u.file, why: u.why}
	l.pack = &pack{syncer: s, lone: u.file, first: u.file.Path, made: s.now().UTC().Truncate(time.Second), landed: make(chan struct{})}
	l.pack.open = l.opened
	in, resumes := s.resumable[u.file.Path]
	if resumes {
		if resumes, err = l.resumes(ctx, in); err != nil {
			return s.uploadFailed(ctx, u, err)
		}
	}
	if resumes {
		if err := s.Budget.take(u.file.Path, u.file.Stamp.Size, s.requestsOf(in)); err != nil {
			return s.uploadFailed(ctx, u, err)
		}
		return s.sendPack(ctx, l.pack)
	}
	if err := l.read(ctx); err != nil {
		return s.uploadFailed(ctx, u, err)
	}
	if content := l.content.content; !s.always {
		if err := s.twins.claim(ctx, content); err != nil {
			return err
		}
		defer s.twins.leave(content)
		stored, err := s.isContentStored(ctx, content)
		if err != nil {
			return err
		}
		if stored || u.isStoredAs(content) {
			return l.record(ctx, u)
		}
	}
	requests := s.Uploader.Requests(l.archiveSize(l.layout.Size()))
	if err := s.Budget.take(u.file.Path, u.file.Stamp.Size, requests); err != nil {
		return s.uploadFailed(ctx, u, err)
	}
	return s.sendPack(ctx, l.pack)
}

// resumes reports whether the upload that an earlier run began goes on: if the
// file is what it was. Else it is given up.
func (l *lone) resumes(ctx context.Context, in catalog.Intent) (bool, error) {
	l.used.add(l.file.Path)
	was, err := l.Catalog.MemberContent(ctx, in.ID, 0)
	if err != nil {
		return false, err
	}
	made := l.made
	l.intent, l.was, l.made = in, was, describe.Decode(in.Description).Made
	if l.restoreKey() == nil {
		if err := l.read(ctx); err != nil {
			return false, err
		}
		if l.isAsIntended() {
			l.resume = reconcile.ResumeOpened(in)
			return true, nil
		}
	}
	l.intent, l.made, l.layout = catalog.Intent{}, made, nil
	return false, l.dropIntent(ctx, in, "the file is another now")
}

// read reads the file once, to know what it holds.
func (l *lone) read(ctx context.Context) error {
	f, err := l.opened(ctx)
	if err != nil {
		return err
	}
	return f.Close()
}

// record records a file whose content is stored.
func (l *lone) record(ctx context.Context, u upload) error {
	change := l.members[0].Change
	if _, err := l.Catalog.Record(ctx, l.this, []catalog.Change{change}); err != nil {
		return err
	}
	l.duplicateEvent(u, change.Content)
	return nil
}

// opened gives the bundle. Where the file is another than it was it is hashed,
// and the bundle is another one, with a key of its own.
func (l *lone) opened(ctx context.Context) (_ transfer.File, err error) {
	f, err := l.root.Open(l.file.Path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Info()
	if err != nil {
		return nil, err
	}
	if l.layout == nil || !info.Stamp.Equal(l.stamp) {
		if err := l.compose(ctx, f, info); err != nil {
			return nil, err
		}
	}
	return l.seals(f, l.layout.Over(l.content.over(f)), l.layout.Size())
}

// compose makes the bundle of an open file.
func (l *lone) compose(ctx context.Context, f *scan.File, info firn.File) error {
	l.file = refreshed(l.file, info)
	read := l.now()
	content, err := newSteady(ctx, l.file.Path, f, info.Stamp.Size)
	if err != nil {
		return err
	}
	now, err := f.Stamp()
	if err != nil {
		return err
	}
	if !now.Equal(info.Stamp) {
		return changing(l.file.Path)
	}
	group := linkGroup(&l.file)
	// Without the host, which may have got another name when the upload goes on.
	layout, err := bundle.NewLayout(l.file, content.content, group, bundle.Info{Tree: l.tree.Name, Made: l.made, Catalog: l.Catalog.ID()})
	if err != nil {
		return err
	}
	m := layout.Member()
	number := int64(0)
	if info.Stamp.Size == 0 {
		number = -1
	}
	l.layout, l.content, l.stamp, l.lone = layout, content, info.Stamp, l.file
	l.members = []catalog.Member{{Change: catalog.Change{File: l.file, Content: content.content, Read: read, LinkGroup: group}, Number: number, Offset: m.Offset}}
	l.pack.why = []string{l.why}
	l.index = layout.Size() - layout.Footer().Offset
	if l.isAsIntended() {
		return nil // it goes on under the key with which it began
	}
	return l.draw()
}

// isAsIntended reports whether the bundle is the one that the intent of an
// earlier run is for, byte for byte. A key that has sealed one content must
// never seal another.
func (l *lone) isAsIntended() bool {
	then, now := &l.intent.File, &l.file
	stamp := then.Stamp
	stamp.Size = l.stamp.Size
	return l.intent.ID != 0 && l.was == l.content.content && stamp.Equal(l.stamp) && l.archiveSize(l.layout.Size()) == l.intent.Size &&
		then.Mode == now.Mode && then.UID == now.UID && then.GID == now.GID && linkGroup(then) == linkGroup(now)
}
