package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/treehash"
)

// manual is a clock on which all waiting is over at once.
func manual() clock.Clock { return clock.NewManual(time.Unix(1e9, 0)) }

func TestUploadsOfAllSizes(t *testing.T) {
	for _, c := range []struct {
		size  int64
		calls map[string]int
	}{
		{1, map[string]int{"UploadArchive": 1}},
		{mib, map[string]int{"UploadArchive": 1}},
		{64*mib - 1, map[string]int{"UploadArchive": 1}},
		{64 * mib, map[string]int{"UploadArchive": 1}},
		{64*mib + 1, map[string]int{"StartUpload": 1, "UploadPart": 2, "CompleteUpload": 1}},
		{128 * mib, map[string]int{"StartUpload": 1, "UploadPart": 2, "CompleteUpload": 1}},
	} {
		t.Run(fmt.Sprint(c.size), func(t *testing.T) {
			v, j, f, events := newVault(), &journal{}, newFile(c.size, 1), &tally{}
			u := uploader(t, v, traits, UploadOptions{Events: events.sink})
			job, want := task(f, j), f.content()
			r, err := u.Upload(t.Context(), job)
			if err != nil {
				t.Fatal(err)
			}
			v.only(t, described(job), want)
			j.check(t)
			if fmt.Sprint(v.calls) != fmt.Sprint(c.calls) {
				t.Errorf("calls %v, want %v", v.calls, c.calls)
			}
			if r.Content != want || !r.Stamp.Equal(f.stamp) || r.Sent != c.size || r.Duplicate || r.Resumed != 0 || r.Archive == "" {
				t.Errorf("result %+v", r)
			}
			if j.result == nil || *j.result != r {
				t.Errorf("recorded %+v", j.result)
			}
			if f.open != 0 {
				t.Errorf("the file was left open %d times", f.open)
			}
			if events.bytes != c.size {
				t.Errorf("events tell of %d bytes", events.bytes)
			}
		})
	}
}

// TestEachByteIsReadTwice: once to hash it, once to send it.
func TestEachByteIsReadTwice(t *testing.T) {
	for name, hashFirst := range map[string]bool{"hashed by part": false, "hashed first": true} {
		for _, size := range []int64{1000, 5*mib + 1} {
			v, f := newVault(), newFile(size, 1)
			job := task(f, &journal{})
			job.HashFirst = hashFirst
			job.Known = func(context.Context, firn.Content) (bool, error) { return false, nil }
			u := uploader(t, v, tinySingle(), UploadOptions{PartSize: 2 * mib})
			if _, err := u.Upload(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			if f.reads != 2*size {
				t.Errorf("%s: of %d bytes %d were read", name, size, f.reads)
			}
			v.only(t, described(job), f.content())
		}
	}
}

func TestKnownContentIsNotSent(t *testing.T) {
	for _, c := range []struct {
		name             string
		size             int64
		hashFirst, known bool
		asked            int
	}{
		{"single", 100, false, true, 1},
		{"single, new", 100, false, false, 1},
		{"parts", 3 * mib, false, true, 0},
		{"parts, hashed first", 3 * mib, true, true, 1},
		{"parts, hashed first, new", 3 * mib, true, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, j, f := newVault(), &journal{}, newFile(c.size, 1)
			job, asked := task(f, j), 0
			job.HashFirst = c.hashFirst
			job.Known = func(_ context.Context, got firn.Content) (bool, error) {
				asked++
				if got != f.content() {
					t.Errorf("asked for %v", got)
				}
				return c.known, nil
			}
			r, err := uploader(t, v, tinySingle(), UploadOptions{PartSize: mib}).Upload(t.Context(), job)
			if err != nil {
				t.Fatal(err)
			}
			if asked != c.asked {
				t.Errorf("asked %d times, want %d", asked, c.asked)
			}
			if dup := c.known && c.asked > 0; r.Duplicate != dup {
				t.Errorf("duplicate: %v", r.Duplicate)
			} else if dup && (len(j.log) != 0 || len(v.calls) != 0 || r.Content != f.content()) {
				t.Errorf("result %+v, journal %v, calls %v", r, j.log, v.calls)
			} else if !dup {
				v.only(t, described(job), f.content())
			}
		})
	}
}

// changer writes to the file once each time that it was opened, n times in
// all, when it is read from off on.
func changer(f *virtual, n int, off, size int64) func(int64) {
	times := 0
	return func(at int64) {
		f.mu.Lock()
		now := at >= off && times < n && f.opens > times
		f.mu.Unlock()
		if now {
			times++
			f.write(size, f.seed+1)
		}
	}
}

func TestChangesAreNoticed(t *testing.T) {
	const size = 3*mib + 7
	for _, c := range []struct {
		name  string
		times int   // how often it changes
		off   int64 // when this is read
		size  int64 // what it changes to
		kind  firn.Kind
	}{
		{"once", 1, 0, size, firn.Other},
		{"three times", 3, mib, size, firn.Other},
		{"four times", 4, mib, size, firn.Changed},
		{"shrinks", 1, 2 * mib, mib + 1, firn.Other},
		{"shrinks to a single", 1, mib, 10, firn.Other},
		{"grows", 1, 2 * mib, 2 * size, firn.Other},
		{"shrinks to nothing", 1, mib, 0, firn.Changed},
	} {
		for name, tr := range map[string]firn.Traits{"single": traits, "parts": tinySingle()} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				v, j, f := newVault(), &journal{}, newFile(size, 1)
				f.onRead = changer(f, c.times, c.off, c.size)
				job := task(f, j)
				r, err := uploader(t, v, tr, UploadOptions{PartSize: mib, Concurrency: 1}).Upload(t.Context(), job)
				f.onRead = nil
				j.check(t)
				if c.kind != firn.Other {
					if firn.KindOf(err) != c.kind || len(v.archives) != 0 || len(v.open) != 0 || j.begun != nil {
						t.Errorf("error %v, archives %v, open %v, journal %v", err, v.archives, v.open, j.log)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				v.only(t, described(job), f.content())
				if !r.Stamp.Equal(f.stamp) {
					t.Errorf("stamp %v, want %v", r.Stamp, f.stamp)
				}
			})
		}
	}
}

// TestChangeBehindTheStampsBack: the bytes change after they were hashed and
// the stamp does not: only the store can notice, and does.
func TestChangeBehindTheStampsBack(t *testing.T) {
	for name, tr := range map[string]firn.Traits{"single": traits, "parts": tinySingle()} {
		for times, want := range map[int]firn.Kind{1: firn.Other, 1000: firn.Corrupt} {
			t.Run(fmt.Sprint(name, times), func(t *testing.T) {
				v, j, f := newVault(), &journal{}, newFile(3*mib, 1)
				reads, changed := 0, 0
				f.onRead = func(off int64) {
					if off != 0 {
						return
					}
					if reads++; reads%2 == 0 && changed < times {
						changed++
						f.mu.Lock()
						f.seed++
						f.mu.Unlock()
					}
				}
				job := task(f, j)
				_, err := uploader(t, v, tr, UploadOptions{PartSize: 4 * mib, Concurrency: 1, Clock: manual()}).Upload(t.Context(), job)
				f.onRead = nil
				if firn.KindOf(err) != want || (err == nil) != (want == firn.Other) {
					t.Fatalf("%v", err)
				}
				j.check(t)
				if err == nil {
					v.only(t, described(job), f.content())
				} else if len(v.archives) != 0 || changed > 10 {
					t.Errorf("%d archives after %d tries", len(v.archives), changed)
				}
			})
		}
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	u := uploader(t, newVault(), traits, UploadOptions{})
	f := newFile(10, 1)
	f.err = errors.New("input/output error")
	missing := task(f, &journal{})
	missing.Open = func() (File, error) { return nil, fs.ErrNotExist }
	for name, job := range map[string]Task{"read": task(f, &journal{}), "open": missing} {
		_, err := u.Upload(t.Context(), job)
		if firn.KindOf(err) != firn.Local || !strings.Contains(err.Error(), "upload file: "+name) {
			t.Errorf("%s: %v", name, err)
		}
		if got := job.Journal.(*journal).log; len(got) != 0 {
			t.Errorf("%s: journal %v", name, got)
		}
	}
}

// TestReadErrorWhileSending: the hash pass went well, the send pass does not.
func TestReadErrorWhileSending(t *testing.T) {
	v, j, f := newVault(), &journal{}, newFile(2*mib, 1)
	reads := 0
	f.onRead = func(off int64) {
		if off == 0 {
			if reads++; reads == 2 {
				f.mu.Lock()
				f.err = errors.New("input/output error")
				f.mu.Unlock()
			}
		}
	}
	_, err := uploader(t, v, traits, UploadOptions{}).Upload(t.Context(), task(f, j))
	if firn.KindOf(err) != firn.Local {
		t.Errorf("%v", err)
	}
	if want := []string{"Begin", "Dropped"}; !slices.Equal(j.log, want) {
		t.Errorf("journal %v, want %v", j.log, want)
	}
}

func TestEmptyFiles(t *testing.T) {
	v, f := newVault(), newFile(0, 1)
	if _, err := uploader(t, v, traits, UploadOptions{}).Upload(t.Context(), task(f, &journal{})); firn.KindOf(err) != firn.Changed {
		t.Errorf("a store without empty archives: %v", err)
	}
	tr := traits
	tr.EmptyArchives = true
	job := task(f, &journal{})
	if _, err := uploader(t, v, tr, UploadOptions{}).Upload(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	v.only(t, described(job), firn.Content{Tree: treehash.Sum(nil)})
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for _, opt := range []UploadOptions{{PartSize: 3 * mib}, {Concurrency: -1}, {Limit: -5}} {
		if _, err := NewUploader(newVault(), traits, opt); firn.KindOf(err) != firn.Usage {
			t.Errorf("%+v: %v", opt, err)
		}
	}
	if _, err := NewUploader(newVault(), firn.Traits{}, UploadOptions{}); firn.KindOf(err) != firn.Usage {
		t.Errorf("a store without traits: %v", err)
	}
	u := uploader(t, newVault(), traits, UploadOptions{})
	if _, err := u.Upload(t.Context(), Task{}); firn.KindOf(err) != firn.Usage {
		t.Errorf("a task of nothing: %v", err)
	}
}

// TestConcurrencyIsBounded over files and parts alike.
func TestConcurrencyIsBounded(t *testing.T) {
	for _, c := range []int{1, 3} {
		v := newVault()
		u := uploader(t, v, tinySingle(), UploadOptions{PartSize: mib, Concurrency: c})
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				f := newFile(int64(1+i)*mib/2, byte(i))
				if _, err := u.Upload(t.Context(), task(f, &journal{})); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if v.most > c || v.most < 1 {
			t.Errorf("%d bodies in flight, the bound is %d", v.most, c)
		}
		if len(v.archives) != 12 || len(v.open) != 0 {
			t.Errorf("%d archives, %d uploads open", len(v.archives), len(v.open))
		}
	}
}
