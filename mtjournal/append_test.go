package mtjournal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/firn-archive/firn"
)

// journal makes a journal with a text.
func journal(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) *Appender {
	t.Helper()
	a, err := OpenAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func has(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v\nwant %q", filepath.Base(path), got, err, want)
	}
}

func small(path string) Record {
	return Record{Op: Created, Time: 1, Archive: "x-" + path, Size: 2, MTime: 3, HasMTime: true, Tree: "h", Path: path}
}

func smallLine(path string) string {
	return "B\t1\tCREATED\tx-" + path + "\t2\t3\th\t" + path + "\n"
}

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	a := open(t, path)
	for _, records := range [][]Record{{small("a")}, nil, {small("b"), small("c")}} {
		if err := a.Append(records...); err != nil {
			t.Fatal(err)
		}
	}
	has(t, path, smallLine("a")+smallLine("b")+smallLine("c"))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if err := a.Append(small("d")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("appended after Close: %v", err)
	}
	a = open(t, path)
	if err := a.Append(small("d")); err != nil || a.Torn != nil {
		t.Fatal(err, a.Torn)
	}
	has(t, path, smallLine("a")+smallLine("b")+smallLine("c")+smallLine("d"))
}

// TestAppendToOthers: whatever version a journal is of, and whoever wrote it.
func TestAppendToOthers(t *testing.T) {
	for _, text := range []string{"", "1 DELETED x a\n", "A\t1\tDELETED\tx\ta\r\n", "C\t1\tDELETED\tx\ta\nrubbish\n", "A\t1\tCREATED\tx\t1\tNONE\th\ta\n"} {
		path := journal(t, text)
		if err := open(t, path).Append(small("b")); err != nil {
			t.Fatal(err)
		}
		has(t, path, text+smallLine("b"))
	}
}

// TestUnfitWritesNothing: also those beside it, so that the caller decides.
func TestUnfitWritesNothing(t *testing.T) {
	path := journal(t, "")
	a := open(t, path)
	err := a.Append(small("a"), small("b\nc"), small("d"))
	if !errors.Is(err, ErrUnfit) || firn.KindOf(err) != firn.Invalid || !strings.Contains(err.Error(), `"b\nc"`) {
		t.Errorf("got %v", err)
	}
	has(t, path, "")
	if err := a.Append(small("a\xff")); !errors.Is(err, ErrUnfit) {
		t.Errorf("a name that is not UTF-8: %v", err)
	}
	a.AnyEncoding = true
	if err := a.Append(small("a\xff")); !errors.Is(err, ErrUnfit) {
		t.Errorf("an archive id that is not ASCII: %v", err)
	}
	r := small("a\xff")
	r.Archive = "x-a"
	if err := a.Append(r); err != nil {
		t.Error(err)
	}
	has(t, path, "B\t1\tCREATED\tx-a\t2\t3\th\ta\xff\n")
}

// TestTornLine: a journal that was torn at any byte of its last line loses
// nothing, and goes on with whole lines.
func TestTornLine(t *testing.T) {
	const last = "B\t1\tCREATED\tarchive\t2\t3\th\tdir/last name\n"
	for cut := 1; cut < len(last); cut++ {
		for _, before := range []string{"", smallLine("a") + smallLine("b")} {
			path := journal(t, before+last[:cut])
			a := open(t, path)
			if a.Torn == nil || a.Torn.Reason != Torn || a.Torn.Line != int64(1+strings.Count(before, "\n")) || a.Torn.Text != last[:cut] {
				t.Fatalf("cut to %q: %+v", last[:cut], a.Torn)
			}
			if r := a.Torn.Record; r != nil && (r.Archive != "archive" || !strings.HasPrefix("dir/last name", r.Path)) {
				t.Errorf("cut to %q: %+v", last[:cut], r)
			}
			if whole := cut == len(last)-1; whole && a.Torn.Record == nil {
				t.Error("a line that lacks only its LF has no record")
			}
			if err := a.Append(small("c")); err != nil {
				t.Fatal(err)
			}
			has(t, path, before+smallLine("c"))
			has(t, path+".torn", last[:cut]+"\n")
		}
	}
}

// TestTornTwice: the second torn line is kept beside the first.
func TestTornTwice(t *testing.T) {
	path := journal(t, "1 DEL")
	open(t, path).Close()
	if err := os.WriteFile(path, []byte(smallLine("a")+"B\t1"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, path).Close()
	has(t, path, smallLine("a"))
	has(t, path+".torn", "1 DEL\nB\t1\n")
}

// TestTornKeptFirst: where the torn line can't be kept, it isn't cut off.
func TestTornKeptFirst(t *testing.T) {
	text := smallLine("a") + "B\t1\tDEL"
	path := journal(t, text)
	if err := os.Mkdir(path+".torn", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAppend(path); firn.KindOf(err) != firn.Local || !strings.Contains(err.Error(), "keep its torn last line") {
		t.Errorf("got %v", err)
	}
	has(t, path, text)
	if err := os.Remove(path + ".torn"); err != nil {
		t.Fatal(err)
	}
	open(t, path) // the failure left no lock
}

// TestNoJournal: whatever else is named by mistake stays as it is.
func TestNoJournal(t *testing.T) {
	for _, text := range []string{
		"\n", "# comment\n", "hello", "Dear diary,\nB\t1\tDELETED\tx\ta\n", "1234 is a number", "1234\tCREATE x", "B\tx", "Bye", "2026-11-22 12:00 started\n",
		"D\t1\tDELETED\tx\ta\n", "B\tbroken\n", "\x89PNG\r\n\x1a\n\x00", "\xff\xd8\xff",
		strings.Repeat("1", 2*MaxLine), strings.Repeat("1", 2*MaxLine) + "\n", strings.Repeat("\x00", 3*MaxLine),
		smallLine("a") + strings.Repeat("\x00", 3*MaxLine),
	} {
		path := journal(t, text)
		if _, err := OpenAppend(path); firn.KindOf(err) != firn.Invalid || !errors.Is(err, errNoJournal) {
			t.Errorf("%.40q: %v", text, err)
		}
		has(t, path, text)
		if _, err := os.Stat(path + ".torn"); err == nil {
			t.Errorf("%.40q: something was cut off", text)
		}
	}
}

// TestReplaced: nothing is written into a journal that its name doesn't lead to any
// more.
func TestReplaced(t *testing.T) {
	for name, replace := range map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+"~", []byte(smallLine("x")), 0o600), os.Rename(path+"~", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := journal(t, "")
			a := open(t, path)
			if err := a.Append(small("a")); err != nil {
				t.Fatal(err)
			}
			if err := replace(path); err != nil {
				t.Skip("an open file stays here:", err)
			}
			if err := a.Append(small("b")); firn.KindOf(err) != firn.Local || !errors.Is(err, errReplaced) {
				t.Errorf("%v", err)
			}
			if data, _ := os.ReadFile(path); strings.Contains(string(data), smallLine("b")) {
				t.Errorf("%q", data)
			}
		})
	}
}

func TestOpenFails(t *testing.T) {
	if _, err := OpenAppend(filepath.Join(t.TempDir(), "none", "journal")); firn.KindOf(err) != firn.Local || !strings.Contains(err.Error(), "make the folder first") {
		t.Errorf("got %v", err)
	}
	if _, err := OpenAppend(t.TempDir()); firn.KindOf(err) != firn.Local {
		t.Errorf("a folder: %v", err)
	}
}

// TestOneAppender: a journal has one writer, by whatever name it is opened.
func TestOneAppender(t *testing.T) {
	path := journal(t, "")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	a := open(t, link)
	for _, name := range []string{path, link} {
		_, err := OpenAppend(name)
		if firn.KindOf(err) != firn.Conflict || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := a.Append(small("a")); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if err := open(t, path).Append(small("b")); err != nil {
		t.Fatal(err)
	}
	has(t, path, smallLine("a")+smallLine("b"))
}

// TestManyGoroutines: lines are whole, whoever writes.
func TestManyGoroutines(t *testing.T) {
	path := journal(t, "")
	a := open(t, path)
	const writers, each = 8, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := a.Append(small(fmt.Sprint(w, "/", i)), small(fmt.Sprint(w, "+", i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := Load(f, func(bad *LineError) { t.Error(bad) })
	if err != nil || s.Len() != 2*writers*each {
		t.Errorf("%d archives, %v", s.Len(), err)
	}
}

// A faulty journal fails at the operation that is named.
type faulty struct {
	file
	fails map[string]bool
	did   map[string]int // how often each fault was met
	short int            // bytes that a failing Write writes
}

var errFault = errors.New("the disk is on fire")

func (f *faulty) fault(op string) error {
	if !f.fails[op] {
		return nil
	}
	f.did[op]++
	return errFault
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.fault("write") == nil {
		return f.file.Write(p)
	}
	n, err := f.file.Write(p[:f.short])
	return n, errors.Join(err, errFault)
}

func (f *faulty) Sync() error { return errors.Join(f.file.Sync(), f.fault("sync")) }
func (f *faulty) Truncate(size int64) error {
	if err := f.fault("truncate"); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

func (f *faulty) Stat() (fs.FileInfo, error) { return f.stat(f.fault("stat")) }

func (f *faulty) stat(err error) (fs.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	return f.file.Stat()
}

// TestFailingDisk: what was not written wholly, or not durably, is taken back,
// and can be written again.
func TestFailingDisk(t *testing.T) {
	for _, tt := range []struct {
		fails string
		short int
	}{{"write", 0}, {"write", 1}, {"write", 10}, {"write", len(smallLine("b")) + 3}, {"sync", 0}, {"stat", 0}} {
		path := journal(t, smallLine("a"))
		a := open(t, path)
		f := &faulty{file: a.file, fails: map[string]bool{tt.fails: true}, did: map[string]int{}, short: tt.short}
		a.file = f
		err := a.Append(small("b"), small("c"))
		if tt.fails == "sync" {
			// The journal is as it was, but not durably so.
			if !errors.Is(err, errFault) || !strings.Contains(err.Error(), "torn line") || a.Append(small("b")) == nil {
				t.Errorf("%+v: %v", tt, err)
			}
			has(t, path, smallLine("a"))
			continue
		}
		if !errors.Is(err, errFault) || firn.KindOf(err) != firn.Local || f.did[tt.fails] == 0 {
			t.Errorf("%+v: %v", tt, err)
		}
		has(t, path, smallLine("a"))
		clear(f.fails)
		if err := a.Append(small("b")); err != nil {
			t.Errorf("%+v: again: %v", tt, err)
		}
		has(t, path, smallLine("a")+smallLine("b"))
	}
}

// TestFailingTruncate: where a piece of a line can't be taken back, nothing is
// written behind it.
func TestFailingTruncate(t *testing.T) {
	path := journal(t, smallLine("a"))
	a := open(t, path)
	f := &faulty{file: a.file, fails: map[string]bool{"write": true, "truncate": true}, did: map[string]int{}, short: 5}
	a.file = f
	err := a.Append(small("b"))
	if !errors.Is(err, errFault) || !strings.Contains(err.Error(), "torn line") || f.did["truncate"] != 1 {
		t.Errorf("got %v", err)
	}
	clear(f.fails)
	if again := a.Append(small("b")); again != err {
		t.Errorf("again: %v", again)
	}
	has(t, path, smallLine("a")+smallLine("b")[:5])
	a.Close()
	if a := open(t, path); a.Torn == nil {
		t.Error("it isn't torn")
	}
	has(t, path, smallLine("a"))
}

// TestOtherWriter: what a program that knows no lock wrote is not cut off.
func TestOtherWriter(t *testing.T) {
	path := journal(t, "")
	a := open(t, path)
	other, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	a.file = interloper{a.file, func() { other.WriteString(smallLine("other")) }}
	if err := a.Append(small("b")); !errors.Is(err, errFault) || !strings.Contains(err.Error(), "another program") {
		t.Errorf("got %v", err)
	}
	has(t, path, smallLine("b")[:5]+smallLine("other"))
}

// An interloper writes a piece of each line, and lets another program write.
type interloper struct {
	file
	other func()
}

func (i interloper) Write(p []byte) (int, error) {
	n, err := i.file.Write(p[:5])
	i.other()
	return n, errors.Join(err, errFault)
}
