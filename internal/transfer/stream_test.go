package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/firn-archive/firn"
	"pgregory.net/rapid"
)

// streamOf is a stream of f's bytes.
func streamOf(t testing.TB, f *virtual, j *journal) Stream {
	return Stream{Path: "stdin", Body: io.NewSectionReader(f, 0, f.size), Journal: j, Spool: t.TempDir()}
}

// describedBy is the description of a journal's archive.
func describedBy(j *journal) string { return j.name().Description }

func TestStreamsOfAllSizes(t *testing.T) {
	single, inParts := map[string]int{"UploadArchive": 1}, func(n int) map[string]int {
		return map[string]int{"StartUpload": 1, "UploadPart": n, "CompleteUpload": 1}
	}
	for _, c := range []struct {
		name              string
		size, part, limit int64 // limit: Traits.MaxSingle
		calls             map[string]int
	}{
		{"a byte", 1, 2 * mib, 64 * mib, single},
		{"a byte less than a part", 2*mib - 1, 2 * mib, 64 * mib, single},
		{"a part", 2 * mib, 2 * mib, 64 * mib, single},
		{"a byte more", 2*mib + 1, 2 * mib, 64 * mib, inParts(2)},
		{"a part, too large for one request", 2 * mib, 2 * mib, mib, inParts(1)},
		{"many parts", 23*mib + 7, 2 * mib, 64 * mib, inParts(12)},
		{"many parts, the last one whole", 24 * mib, 2 * mib, 64 * mib, inParts(12)},
		{"more than firn sends at once", 65 * mib, 128 * mib, 4096 * mib, inParts(1)},
		{"parts that are no power of two", 23*mib + 7, 5 * mib, 64 * mib, inParts(5)},
	} {
		for _, concurrency := range []int{1, 3} {
			t.Run(fmt.Sprint(c.name, " ", concurrency), func(t *testing.T) {
				v, j, f, events := newVault(), &journal{}, newFile(c.size, 1), &tally{}
				tr := anyPart()
				tr.MaxSingle = c.limit
				u := uploader(t, v, tr, UploadOptions{PartSize: c.part, Concurrency: concurrency, Events: events.sink})
				s, want := streamOf(t, f, j), f.content()
				r, err := u.UploadStream(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				v.only(t, describedBy(j), want)
				j.check(t)
				if fmt.Sprint(v.calls) != fmt.Sprint(c.calls) {
					t.Errorf("calls %v, want %v", v.calls, c.calls)
				}
				if r.Content != want || r.Archive == "" || r.Sent != c.size || j.result == nil || *j.result != r {
					t.Errorf("result %+v, recorded %+v", r, j.result)
				}
				if f.reads != c.size {
					t.Errorf("%d bytes were read of %d", f.reads, c.size)
				}
				if events.bytes != c.size {
					t.Errorf("events tell of %d bytes", events.bytes)
				}
				if v.most > concurrency {
					t.Errorf("%d bodies in flight", v.most)
				}
				if left, _ := os.ReadDir(s.Spool); len(left) != 0 {
					t.Errorf("left in the spool folder: %v", left)
				}
			})
		}
	}
}

// TestStreamsComeInAnyPieces: a pipe gives what it has.
func TestStreamsComeInAnyPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 5*mib).Draw(t, "size")
		v, j, f := newVault(), &journal{}, newFile(size, 3)
		dir, err := os.MkdirTemp("", "spool")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		body := &pieces{r: io.NewSectionReader(f, 0, size), sizes: rapid.SliceOfN(rapid.IntRange(0, 300<<10), 1, 8).Draw(t, "pieces")}
		opt := UploadOptions{PartSize: mib, Concurrency: rapid.IntRange(1, 4).Draw(t, "concurrency"), TokenOf: tokenOf}
		u, err := NewUploader(v, traits, opt)
		if err != nil {
			t.Fatal(err)
		}
		r, err := u.UploadStream(context.Background(), Stream{Path: "x", Body: body, Journal: j, Spool: dir})
		if err != nil || r.Content != f.content() {
			t.Fatalf("%+v, %v", r, err)
		}
	})
}

// pieces reads as many bytes at a time as its sizes say, in turn.
type pieces struct {
	r     io.Reader
	sizes []int
	n     int
}

func (p *pieces) Read(b []byte) (int, error) {
	n := min(len(b), p.sizes[p.n%len(p.sizes)])
	p.n++
	if n == 0 && p.n%2 == 0 {
		n = 1
	}
	return p.r.Read(b[:n])
}

func TestStreamsThatCanNotBeRead(t *testing.T) {
	broken := errors.New("input/output error")
	for name, c := range map[string]struct {
		body io.Reader
		kind firn.Kind
		want string
	}{
		"empty":             {strings.NewReader(""), firn.Invalid, "nothing in it"},
		"broken at once":    {iotest.ErrReader(broken), firn.Local, "input/output error"},
		"broken in a part":  {io.MultiReader(iotest.OneByteReader(strings.NewReader("abc")), iotest.ErrReader(broken)), firn.Local, "input/output error"},
		"broken after many": {io.MultiReader(io.NewSectionReader(newFile(5*mib, 1), 0, 5*mib), iotest.ErrReader(broken)), firn.Local, "input/output error"},
		"broken after one":  {io.MultiReader(io.NewSectionReader(newFile(mib, 1), 0, mib), iotest.ErrReader(broken)), firn.Local, "input/output error"},
		"stuck":             {stuck{}, firn.Local, io.ErrNoProgress.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			v, j := newVault(), &journal{}
			u := uploader(t, v, traits, UploadOptions{PartSize: mib})
			_, err := u.UploadStream(t.Context(), Stream{Path: "stdin", Body: c.body, Journal: j, Spool: t.TempDir()})
			if firn.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v", err)
			}
			nothingLeft(t, v, j)
		})
	}
}

// stuck gives nothing, and no error.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func nothingLeft(t *testing.T, v *vault, j *journal) {
	t.Helper()
	j.check(t)
	if len(v.archives) != 0 || len(v.open) != 0 || j.begun != nil || j.doubt || j.result != nil {
		t.Errorf("archives %v, uploads %v, journal %v", v.archives, v.open, j.log)
	}
}

func TestEmptyStreamWhereItMayBe(t *testing.T) {
	v, j, tr := newVault(), &journal{}, traits
	tr.EmptyArchives = true
	if _, err := uploader(t, v, tr, UploadOptions{}).UploadStream(t.Context(), streamOf(t, newFile(0, 1), j)); err != nil {
		t.Fatal(err)
	}
	v.only(t, describedBy(j), contentOf(0, 1))
}

func TestStreamOfTooManyParts(t *testing.T) {
	tr := traits
	tr.MaxParts = 3
	for _, c := range []struct {
		size, expect int64
		want         string
	}{
		{3 * mib, 0, ""},
		{3*mib + 1, 0, "parts of 2 MiB"},
		{3*mib + 1, 3*mib + 1, ""}, // parts of 2 MiB
		{6*mib + 1, 4 * mib, "parts of 4 MiB"},
	} {
		v, j, f := newVault(), &journal{}, newFile(c.size, 1)
		s := streamOf(t, f, j)
		s.Expect = c.expect
		_, err := uploader(t, v, tr, UploadOptions{PartSize: mib}).UploadStream(t.Context(), s)
		if c.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", c, err)
			}
			v.only(t, describedBy(j), f.content())
			continue
		}
		if firn.KindOf(err) != firn.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
		nothingLeft(t, v, j)
	}
	any := tr
	any.AnyPart, any.MaxPart = true, 3*mib
	for part, want := range map[int64]string{2 * mib: "parts of 3 MiB, for up to", 3 * mib: "split it"} {
		v, j, f := newVault(), &journal{}, newFile(9*mib+1, 1)
		_, err := uploader(t, v, any, UploadOptions{PartSize: part}).UploadStream(t.Context(), streamOf(t, f, j))
		var said *firn.Error
		if !errors.As(err, &said) || !strings.Contains(fmt.Sprint(said, said.Hint), want) {
			t.Errorf("parts of %d bytes: %v", part, err)
		}
		nothingLeft(t, v, j)
	}
	s := streamOf(t, newFile(1, 1), &journal{})
	s.Expect = tr.MaxPart*3 + 1
	if _, err := uploader(t, newVault(), tr, UploadOptions{}).UploadStream(t.Context(), s); firn.KindOf(err) != firn.Invalid {
		t.Errorf("more than any store takes is expected: %v", err)
	}
}

// TestEveryFailureOfAStream at each call: what comes out, and what is left.
func TestEveryFailureOfAStream(t *testing.T) {
	const size = 4*mib + 1
	for _, c := range []struct {
		op    string
		after bool
		kind  firn.Kind
		want  firn.Kind
		last  string // the journal's last word
	}{
		{"UploadArchive", false, firn.Denied, firn.Denied, "Dropped"},
		{"UploadArchive", false, firn.Network, firn.Network, "Dropped"},
		{"UploadArchive", true, firn.Lost, firn.InDoubt, "InDoubt"},
		{"StartUpload", false, firn.Denied, firn.Denied, "Dropped"},
		{"StartUpload", false, firn.Lost, firn.Lost, "Begin"}, // looked for later
		{"UploadPart", false, firn.Denied, firn.Denied, "Dropped"},
		{"UploadPart", false, firn.Network, firn.Network, "Dropped"},
		{"UploadPart", false, firn.NotFound, firn.NotFound, "Dropped"},
		{"UploadPart", false, firn.Corrupt, firn.Corrupt, "Dropped"},
		{"UploadPart", true, firn.Lost, firn.Lost, "Dropped"},
		{"CompleteUpload", false, firn.Network, firn.Network, "Completing"},
		{"CompleteUpload", true, firn.Lost, firn.Lost, "Completing"},
		{"CompleteUpload", false, firn.Invalid, firn.Invalid, "Dropped"},
		{"CompleteUpload", true, firn.NotFound, firn.InDoubt, "InDoubt"},
		{"journal Begin", false, firn.Full, firn.Full, ""},
		{"journal Opened", false, firn.Full, firn.Full, "Dropped"},
		{"journal Part", false, firn.Full, firn.Full, "Dropped"},
	} {
		t.Run(fmt.Sprint(c.op, " ", c.kind, " ", c.after), func(t *testing.T) {
			v, j := newVault(), &journal{}
			v.fail = always(c.op, c.after, c.kind)
			j.fail = v.fail
			n := int64(size)
			if c.op == "UploadArchive" {
				n = mib
			}
			u := uploader(t, v, traits, UploadOptions{PartSize: mib, Concurrency: 2, Clock: manual()})
			_, err := u.UploadStream(t.Context(), streamOf(t, newFile(n, 1), j))
			if firn.KindOf(err) != c.want {
				t.Errorf("error %v, want %v", err, c.want)
			}
			last := ""
			if len(j.log) > 0 {
				last = j.log[len(j.log)-1]
			}
			if last != c.last {
				t.Errorf("journal %v, want %s at its end", j.log, c.last)
			}
			if c.last == "Dropped" && len(v.open)+len(v.archives) > 0 {
				t.Errorf("left: %v, %v", v.open, v.archives)
			}
			j.check(t)
		})
	}
}

// TestPartsOfAStreamAreSentAgain, from the spool, where that may help.
func TestPartsOfAStreamAreSentAgain(t *testing.T) {
	for _, k := range []firn.Kind{firn.Corrupt, firn.SlowBody} {
		for n := 1; n <= 5; n++ {
			v, j, f := newVault(), &journal{}, newFile(4*mib+1, 1)
			v.fail = nth(n, "UploadPart", false, k)
			if _, err := uploader(t, v, traits, UploadOptions{PartSize: mib, Concurrency: 1}).UploadStream(t.Context(), streamOf(t, f, j)); err != nil {
				t.Errorf("%v at part %d: %v", k, n, err)
				continue
			}
			v.only(t, describedBy(j), f.content())
			j.check(t)
		}
	}
}

// TestInterruptedStream: nothing is left, though the Read hangs.
func TestInterruptedStream(t *testing.T) {
	for _, before := range []int64{0, 1, mib, 3 * mib} {
		synctest.Test(t, func(t *testing.T) {
			v, j := newVault(), &journal{}
			r, w := io.Pipe()
			ctx, cancel := context.WithCancel(t.Context())
			s := Stream{Path: "stdin", Body: r, Journal: j, Spool: t.TempDir()}
			done := make(chan error)
			go func() {
				_, err := uploader(t, v, traits, UploadOptions{PartSize: mib}).UploadStream(ctx, s)
				done <- err
			}()
			io.Copy(w, io.NewSectionReader(newFile(before, 1), 0, before))
			synctest.Wait() // it wants more, and there is none
			if before > mib && len(v.open) != 1 {
				t.Errorf("%d uploads are open", len(v.open))
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("after %d bytes: %v", before, err)
			}
			nothingLeft(t, v, j)
			w.Close() // lets the Read end
		})
	}
}

// TestStoreThatDoesNotAnswerAnInterrupt keeps nobody waiting: what is left is
// recorded.
func TestStoreThatDoesNotAnswerAnInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, j := newVault(), &journal{}
		ctx, cancel := context.WithCancel(t.Context())
		v.fail = func(op string, done bool) error {
			if op == "UploadPart" && !done {
				cancel()
				return ctx.Err()
			}
			return nil
		}
		store := silent{v}
		u, err := NewUploader(store, traits, UploadOptions{PartSize: mib})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = u.UploadStream(ctx, streamOf(t, newFile(3*mib, 1), j))
		if err == nil || time.Since(start) > time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if j.begun == nil || len(v.open) != 1 {
			t.Errorf("journal %v, open %v", j.log, v.open)
		}
	})
}

// silent is a vault that never answers a wish to abort.
type silent struct{ *vault }

func (s silent) AbortUpload(ctx context.Context, _ firn.UploadID) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestStreamOverSlowLine: parts get smaller as long as all that was read is
// still there; no body takes too long.
func TestStreamOverSlowLine(t *testing.T) {
	for _, c := range []struct {
		name  string
		rate  float64
		limit int64
		size  int64
	}{
		{"10 Mbit/s", 10 * mbit, 0, 200 * mib},
		{"2 Mbit/s", 2 * mbit, 0, 100 * mib},
		{"1 Mbit/s, known", 1 * mbit, mbit, 70 * mib},
		{"1 Mbit/s, a small one", 1 * mbit, 0, 40 * mib},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, j, f := newVault(), &journal{}, newFile(c.size, 1)
				v.wire, v.trusting = steady(c.rate), true
				u := uploader(t, v, traits, UploadOptions{Limit: c.limit})
				r, err := u.UploadStream(t.Context(), streamOf(t, f, j))
				if err != nil {
					t.Fatal(err)
				}
				j.check(t)
				v.only(t, describedBy(j), r.Content)
				if longest := slices.Max(v.bodies); longest > maxBody {
					t.Errorf("a body took %v", longest)
				}
				if r.Sent > c.size+128*mib {
					t.Errorf("%d MiB were sent", r.Sent/mib)
				}
			})
		})
	}
}

// TestSpoolThatCanNotBeWritten is told as what it is.
func TestSpoolThatCanNotBeWritten(t *testing.T) {
	v, j := newVault(), &journal{}
	s := streamOf(t, newFile(3*mib, 1), j)
	s.Spool = filepath.Join(s.Spool, "missing")
	if _, err := uploader(t, v, traits, UploadOptions{}).UploadStream(t.Context(), s); firn.KindOf(err) != firn.Local {
		t.Errorf("no folder: %v", err)
	}
	nothingLeft(t, v, j)
	if runtime.GOOS != "linux" {
		return
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	defer full.Close()
	err = (&spool{File: full, slot: mib, slots: 2}).write([]byte("x"), 0)
	if firn.KindOf(err) != firn.Full || !strings.Contains(err.Error(), "room for 2 parts of 1 MiB") {
		t.Errorf("a full disk: %v", err)
	}
}

// TestStreamMemory: no part is ever in memory, of whatever size it is.
func TestStreamMemory(t *testing.T) {
	v, j, f := newVault(), &journal{}, newFile(512*mib, 1)
	v.trusting = true
	u := uploader(t, v, traits, UploadOptions{PartSize: 64 * mib, Concurrency: 2})
	s := streamOf(t, f, j)
	peak := &peakReader{r: s.Body}
	s.Body = peak
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := u.UploadStream(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if grown := int64(peak.heap) - int64(before.HeapAlloc); grown > 8*mib {
		t.Errorf("%d MiB of heap for parts of 64 MiB", grown/mib)
	}
}

// A peakReader looks at the heap now and then.
type peakReader struct {
	r    io.Reader
	n    int64
	heap uint64
}

func (p *peakReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if p.n += int64(n); p.n/(32*mib) != (p.n-int64(n))/(32*mib) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		p.heap = max(p.heap, m.HeapAlloc)
	}
	return n, err
}
