package bundle

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/firn-archive/firn"
)

// maxWindow is the largest window, in bytes, that a decompressor gets: eight
// times of what the compressor takes, for other compressors and times to come.
const maxWindow = 8 * window

// ReadIndex reads the index of a bundle: r gives f.Size bytes of it from byte
// f.Offset on. Nothing is handed out before all of it has the hash that f
// names. The members come in the order of the bundle, and may be had again;
// each is checked: paths lie below the tree's root and content lies in the tar.
// The first error ends the members.
//
// Errors: Corrupt (what was read is not an index, or not that of f, or says
// what can't be), and what r gave.
func ReadIndex(r io.Reader, f Footer) (Info, iter.Seq2[Member, error], error) {
	if err := f.check(f.end()); err != nil {
		return Info{}, nil, damaged("footer", err)
	}
	stored, err := io.ReadAll(io.LimitReader(r, f.Size))
	if err != nil {
		return Info{}, nil, fmt.Errorf("read a bundle's index: %w", err)
	}
	if int64(len(stored)) < f.Size {
		return Info{}, nil, damaged("index", fmt.Errorf("it ends after %d of %d bytes", len(stored), f.Size))
	}
	if sha256.Sum256(stored) != f.Sum {
		return Info{}, nil, damaged("index", errors.New("its bytes don't have the sum that the footer names"))
	}
	info, err := readInfo(stored)
	if err != nil {
		return Info{}, nil, damaged("index", fmt.Errorf("line 1: %w", err))
	}
	return info, func(yield func(Member, error) bool) {
		if err := readMembers(stored, f, func(m Member) bool { return yield(m, nil) }); err != nil {
			yield(Member{}, damaged("index", err))
		}
	}, nil
}

// lines are those of an index.
type lines struct {
	*bufio.Scanner
	zstd *zstd.Decoder
}

func openLines(stored []byte) (*lines, error) {
	dec, err := zstd.NewReader(bytes.NewReader(stored),
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(MaxIndex))
	if err != nil {
		return nil, err
	}
	s := bufio.NewScanner(io.LimitReader(dec, MaxIndex+1))
	s.Buffer(make([]byte, 0, 4<<10), maxLine)
	return &lines{s, dec}, nil
}

// next gives the next line, and whether there is one.
func (l *lines) next() ([]byte, bool, error) {
	if l.Scan() {
		return l.Bytes(), true, nil
	}
	return nil, false, l.Err()
}

func readInfo(stored []byte) (Info, error) {
	l, err := openLines(stored)
	if err != nil {
		return Info{}, err
	}
	defer l.zstd.Close()
	text, found, err := l.next()
	if !found {
		return Info{}, cmp.Or(err, io.ErrUnexpectedEOF)
	}
	return parseInfo(text)
}

// readMembers gives each member of the index to take, which says whether it
// wants more.
func readMembers(stored []byte, f Footer, take func(Member) bool) error {
	l, err := openLines(stored)
	if err != nil {
		return err
	}
	defer l.zstd.Close()
	tar := extents{end: f.Offset - zeroes}
	var size int64
	for n := 0; ; n++ { // line 0 is not a member's
		text, found, err := l.next()
		size += int64(len(text)) + int64(len("\n"))
		switch {
		case err != nil:
			return fmt.Errorf("line %d: %w", n+1, err)
		case !found && n-1 == f.Members && size-int64(len("\n")) == f.Raw:
			return nil
		case !found || n > f.Members || size > f.Raw:
			return fmt.Errorf("line %d: the footer says %d members in %d bytes", n+1, f.Members, f.Raw)
		case n == 0:
			continue
		}
		m, err := parseMember(text)
		if err == nil && m.hasContent() {
			err = tar.take(&m)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
		if !take(m) {
			return nil
		}
	}
}

// extents are where content lies in a tar: one behind the other, with room for
// a header before each.
type extents struct {
	end   int64    // of the last entry
	next  int64    // the end of what lies there so far
	taken []extent // ascending
}

type extent struct {
	offset  int64
	content firn.Content
}

// take checks the place of m's content: behind what came before, or just that
// of an earlier member.
func (x *extents) take(m *Member) error {
	end := x.end - m.Offset // of what follows the content
	if m.Offset >= x.next+blockSize && m.Offset%blockSize == 0 && m.Content.Size <= end {
		x.taken = append(x.taken, extent{m.Offset, m.Content})
		x.next = m.Offset + m.Content.Size + padding(m.Content.Size)
		return nil
	}
	i, found := slices.BinarySearchFunc(x.taken, m.Offset, func(e extent, at int64) int { return cmp.Compare(e.offset, at) })
	if !found || x.taken[i].content != m.Content {
		return fmt.Errorf("%q: no content of %d bytes can be at byte %d", m.File.Path, m.Content.Size, m.Offset)
	}
	return nil
}
