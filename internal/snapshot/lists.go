package snapshot

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/byhand"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/treehash"
)

// Beside a snapshot lie a list of all current files, and what to do with it, where
// the store keeps such companions. They are made when the snapshot is stored; until
// that is done a file in the spool says that they are missing, so that the next
// command makes them.

// listsDue is that file.
func (m *Maker) listsDue() string {
	return filepath.Join(m.Spool, "lists-"+strconv.FormatInt(m.Row.ID, 10))
}

// place is where the store keeps companions; false where it doesn't.
func (m *Maker) place() (firn.Place, bool) {
	if m.Companion == nil {
		return firn.Place{}, false
	}
	return m.Companion.Place()
}

// expectLists notes that the lists of a snapshot will be missing.
func (m *Maker) expectLists() error {
	if _, ok := m.place(); !ok {
		return nil
	}
	if err := os.WriteFile(m.listsDue(), nil, 0o600); err != nil {
		return spoolError(m.listsDue(), err)
	}
	return nil
}

// settleLists makes the lists that a command left missing.
func (m *Maker) settleLists(ctx context.Context) error {
	if _, err := os.Stat(m.listsDue()); err != nil {
		return nil
	}
	known, err := m.own(ctx)
	if err != nil {
		return err
	}
	m.makeLists(ctx, known)
	return nil
}

// makeLists puts the lists of the newest snapshot beside it. What keeps them from
// being there is told, and is no error: firn needs none.
func (m *Maker) makeLists(ctx context.Context, known []catalog.Snapshot) {
	place, ok := m.place()
	newest := newestStored(known)
	if !ok || newest == nil {
		return
	}
	l := &lists{Maker: m, place: place, of: newest, folder: newest.Made.UTC().Format(folderTime) + "." + m.token.String()}
	err := l.put(ctx)
	if err == nil {
		err = os.Remove(m.listsDue())
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) && ctx.Err() == nil {
		m.Events(firn.NoticeEvent{Warn: true, Text: "the list of files by which " + m.Row.URL + " can be restored without firn could not be stored; the next sync tries again: " + err.Error()})
	}
}

// folderTime begins the names of the folders of lists, so that listings sort them.
const folderTime = "20060102T150405Z"

// lists are what lies beside one snapshot.
type lists struct {
	*Maker
	place  firn.Place
	of     *catalog.Snapshot
	folder string

	key *seal.Key // nil: they are not encrypted
	// wraps remembers how archives are wrapped, by their rows.
	wraps map[int64]string
}

// put makes both files and stores them, the list first.
func (l *lists) put(ctx context.Context) error {
	var err error
	if l.key, _, err = l.drawKey(ctx); err != nil {
		return err
	}
	path := filepath.Join(l.Spool, l.prefix()+firn.NewToken().String())
	defer os.Remove(path)
	if err := l.write(ctx, path); err != nil {
		return err
	}
	if err := l.send(ctx, path); err != nil {
		return err
	}
	text, err := byhand.Guide{
		Place: l.place, Folder: l.Companion.CompanionFolder(l.of.Remote, l.folder), Made: l.of.Made, Host: l.Host, Sealed: l.key != nil,
	}.Text()
	if err != nil {
		return err
	}
	return l.store(ctx, byhand.TextName, strings.NewReader(text), int64(len(text)))
}

// write writes the list into the spool.
func (l *lists) write(ctx context.Context, path string) error {
	if err := os.MkdirAll(l.Spool, 0o700); err != nil {
		return spoolError(l.Spool, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return spoolError(path, err)
	}
	out := &spoolFile{file: f}
	err = l.writeTo(ctx, out)
	if cerr := f.Close(); err == nil {
		err = out.note(cerr)
	}
	if out.err != nil {
		return spoolError(path, out.err)
	}
	return err
}

// writeTo writes the rows of all trees.
func (l *lists) writeTo(ctx context.Context, out io.Writer) error {
	w, err := byhand.NewWriter(out)
	if err != nil {
		return err
	}
	trees, err := l.Catalog.Trees(ctx, l.Row.ID)
	if err != nil {
		return err
	}
	for _, t := range trees {
		for e, err := range l.Catalog.Files(ctx, catalog.ListQuery{Tree: t.ID}) {
			if err != nil {
				return err
			}
			row := byhand.Row{Tree: t.Name, File: e.File, Content: e.Content}
			if err := l.locate(ctx, &row, &e.Location); err != nil {
				return err
			}
			if err := w.Write(&row); err != nil {
				return err
			}
		}
	}
	return w.Close()
}

// locate says where a row's content is, if the store has it.
func (l *lists) locate(ctx context.Context, row *byhand.Row, at *catalog.Location) error {
	if at.State != catalog.Stored && at.State != catalog.Foreign {
		return nil
	}
	row.Key, row.Offset, row.Size = l.Companion.Key(at.Remote), at.Offset, at.Size
	if l.key == nil && at.Kind != catalog.ForeignArchive {
		return nil // nothing of the store is encrypted
	}
	var err error
	row.Seal, err = l.wrapOf(ctx, at.Archive)
	return err
}

// maxWraps bounds how many archives are remembered: files of one bundle mostly
// follow each other.
const maxWraps = 10_000

// wrapOf is how an archive is wrapped.
func (l *lists) wrapOf(ctx context.Context, archive int64) (string, error) {
	wrap, known := l.wraps[archive]
	if known {
		return wrap, nil
	}
	sealed, wrap, err := l.Catalog.Wrapping(ctx, archive)
	if sealed {
		wrap = byhand.Age
	}
	if l.wraps == nil || len(l.wraps) >= maxWraps {
		l.wraps = map[int64]string{}
	}
	l.wraps[archive] = wrap
	return wrap, err
}

// send stores the list, sealed where a snapshot is.
func (l *lists) send(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return spoolError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return spoolError(path, err)
	}
	if l.key == nil {
		return l.store(ctx, byhand.ListName, f, info.Size())
	}
	return l.store(ctx, byhand.SealedName, l.key.Seal(f, info.Size()), l.key.Size(info.Size()))
}

// store stores one file.
func (l *lists) store(ctx context.Context, name string, from io.ReaderAt, size int64) error {
	body := io.NewSectionReader(from, 0, size)
	double := treehash.NewDouble()
	if _, err := io.Copy(double, body); err != nil {
		return err
	}
	return l.Companion.PutCompanion(ctx, l.of.Remote, l.folder, name, io.NewSectionReader(from, 0, size), double.Sums())
}
