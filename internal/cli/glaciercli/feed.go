package glaciercli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/loose"
	"github.com/firn-archive/firn/internal/transfer"
)

// Keys of git-annex, as archives are called. One of what isn't encrypted may say how
// many bytes it stands for. Source: git-annex.branchable.com, "key format" and
// "encryption".
var (
	annexKey = regexp.MustCompile(`[A-Z][A-Z0-9_]*-s([0-9]{1,18})(?:-m[0-9]+)?--`)
	// One that says no size: of what is encrypted, of a URL, or of a piece.
	annexOpen = regexp.MustCompile(`[A-Z][A-Z0-9_]*(?:-[sSCm][0-9]+)*--`)
)

// A feed is standard input. Where whoever writes to it dies, it just ends: git-annex
// that is killed leaves half a file under a good name, which must not be stored. So
// the feed fails where it ends before the size that the name says; and, where the
// name is a key that says no size, as those of what is encrypted and of URLs do,
// where the process that started this one is gone.
type feed struct {
	io.Reader
	ctx    context.Context
	p      *program
	size   int64 // by the name; 0: it says none
	read   int64
	parent int // that must live on; 0: it need not
}

func newFeed(ctx context.Context, p *program, name string) *feed {
	f := &feed{Reader: p.Stdin, ctx: ctx, p: p}
	if m := annexKey.FindStringSubmatch(name); m != nil {
		f.size, _ = strconv.ParseInt(m[1], 10, 64) // has 18 digits at most
	}
	if f.size == 0 && annexOpen.MatchString(name) {
		f.parent = p.parent
	}
	return f
}

// Read reads on, and looks at the end whether that is one.
func (f *feed) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	f.read += int64(n)
	switch {
	case f.size > 0 && f.read > f.size, f.size > 0 && err == io.EOF && f.read < f.size:
		return 0, f.fail(fmt.Sprintf("it has %s than the %d bytes that the name says", fewer(f.read < f.size), f.size))
	case err == io.EOF && f.parent != 0:
		// The pipe of a process that dies is closed first.
		if werr := f.p.Clock.Sleep(f.ctx, orphanWait); werr != nil {
			return 0, werr
		}
		if err := f.alive(); err != nil {
			return 0, err
		}
	}
	return n, err
}

func fewer(is bool) string {
	if is {
		return "fewer"
	}
	return "more"
}

// alive gives an error where the process that started this one is gone.
func (f *feed) alive() error {
	if f.parent == 0 || f.p.Parent() == f.parent {
		return nil
	}
	return f.fail("the program that wrote it has ended, so that it may be incomplete")
}

func (f *feed) fail(why string) error {
	return &firn.Error{Op: "read", Subject: "standard input", Kind: firn.Local, Err: errors.New(why), Hint: "nothing was stored"}
}

// A watchedJournal looks once more at the feed before an upload becomes an archive.
type watchedJournal struct {
	*loose.Journal
	feed *feed
}

// Completing is that of the journal, where the feed is whole.
func (j *watchedJournal) Completing(ctx context.Context, c firn.Content) error {
	if err := j.feed.alive(); err != nil {
		return err
	}
	return j.Journal.Completing(ctx, c)
}

var _ transfer.Journal = (*watchedJournal)(nil)
