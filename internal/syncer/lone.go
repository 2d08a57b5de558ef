package syncer

import (
	"context"
	"io"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/bundle"
	"github.com/firn-archive/firn/internal/catalog"
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
	content firn.Content
}

// sendLone sees a file into the store, in a bundle of its own.
func (s *syncer) sendLone(ctx context.Context, u upload) error {
	leave, err := s.twins.enter(ctx, u.file.Stamp.Size)
	if err != nil {
		return err
	}
	defer leave()
	l := &lone{file: u.file, why: u.why}
	l.pack = &pack{syncer: s, lone: u.file, first: u.file.Path, made: s.now().UTC().Truncate(time.Second)}
	l.pack.open = func() (transfer.File, error) { return l.opened(ctx) }
	if in, ok := s.resumable[u.file.Path]; ok {
		if err := s.Budget.take(u.file.Path, u.file.Stamp.Size); err != nil {
			return s.uploadFailed(ctx, u, err)
		}
		return l.goOn(ctx, in)
	}
	f, err := l.opened(ctx)
	if err != nil {
		return s.uploadFailed(ctx, u, err)
	}
	if err := f.Close(); err != nil {
		return s.uploadFailed(ctx, u, err)
	}
	content := l.content
	if !s.always {
		if err := s.twins.claim(ctx, content); err != nil {
			return err
		}
		defer s.twins.leave(content)
		stored, err := s.isContentStored(ctx, content)
		if err != nil {
			return err
		}
		if stored {
			return l.record(ctx, u)
		}
	}
	if err := s.Budget.take(u.file.Path, u.file.Stamp.Size); err != nil {
		return s.uploadFailed(ctx, u, err)
	}
	return s.sendPack(ctx, l.pack)
}

// goOn goes on with what an earlier run began.
func (l *lone) goOn(ctx context.Context, in catalog.Intent) error {
	l.used.add(l.file.Path)
	l.intent, l.resume, l.made = in, resumeOf(in), describe.Decode(in.Description).Made
	if err := l.restoreKey(); err != nil {
		return err
	}
	return l.sendPack(ctx, l.pack)
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
	return l.seals(f, l.layout.Over(f), l.layout.Size())
}

// compose makes the bundle of an open file.
func (l *lone) compose(ctx context.Context, f *scan.File, info firn.File) error {
	l.file = refreshed(l.file, info)
	read := l.now()
	content, err := scan.Hash(ctx, io.NewSectionReader(f, 0, info.Stamp.Size))
	if err != nil {
		return err
	}
	now, err := f.Stamp()
	if err != nil {
		return err
	}
	if !now.Equal(info.Stamp) || content.Size != info.Stamp.Size {
		return changing(l.file.Path)
	}
	group := linkGroup(&l.file)
	layout, err := bundle.NewLayout(l.file, content, group, l.bundleInfo(l.made))
	if err != nil {
		return err
	}
	m := layout.Member()
	number := int64(0)
	if content.Size == 0 {
		number = -1
	}
	l.layout, l.content, l.stamp, l.lone = layout, content, info.Stamp, l.file
	l.members = []catalog.Member{{Change: catalog.Change{File: l.file, Content: content, Read: read, LinkGroup: group}, Number: number, Offset: m.Offset}}
	l.pack.why = []string{l.why}
	l.index = layout.Size() - layout.Footer().Offset
	if l.isAsIntended(info.Stamp) {
		return nil // it goes on under the key with which it began
	}
	return l.draw()
}

// isAsIntended reports whether the file is the one that the recorded intent is
// for. A key that has sealed one content must never seal another.
func (l *lone) isAsIntended(stamp firn.Stamp) bool {
	then := l.intent.File.Stamp
	then.Size = stamp.Size
	size := l.layout.Size()
	if l.key != nil {
		size = l.key.Size(size)
	}
	return l.intent.ID != 0 && then.Equal(stamp) && size == l.intent.Size
}
