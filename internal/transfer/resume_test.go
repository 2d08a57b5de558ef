package transfer

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// begunTask is the upload of a file in parts of a MiB that an earlier process began:
// some parts are stored, and some recorded.
func begunTask(t *testing.T, v *vault, j *journal, f *virtual, stored, recorded []firn.Part) Task {
	t.Helper()
	return begunIn(t, v, j, f, mib, stored, recorded)
}

// begunIn is begunTask in parts of part bytes.
func begunIn(t *testing.T, v *vault, j *journal, f *virtual, part int64, stored, recorded []firn.Part) Task {
	t.Helper()
	job := task(f, j)
	id, err := v.StartUpload(t.Context(), described(job), part)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stored {
		v.open[id].parts[p.Offset] = p
	}
	j.begun = &Begun{Stamp: f.stamp, Multipart: true}
	j.resume = Resume{Upload: id, PartSize: part, Stamp: f.stamp}
	job.Resume = &Resume{Upload: id, PartSize: part, Stamp: f.stamp, Parts: recorded}
	return job
}

// TestResumeConfirmsEachPart: what the store holds, what was recorded and what
// the file holds may differ in all ways, and only what agrees is kept.
func TestResumeConfirmsEachPart(t *testing.T) {
	const size = 4*mib + 9
	part := func(i int) firn.Part {
		off, n := parts{size, mib}.at(i)
		h := treehash.New()
		b := make([]byte, n)
		fill(b, off, 1)
		h.Write(b)
		return firn.Part{Offset: off, Size: n, Tree: h.Sum()}
	}
	other := func(i int) firn.Part {
		p := part(i)
		p.Tree[0]++
		return p
	}
	list := func(p ...firn.Part) []firn.Part { return p }
	for _, c := range []struct {
		name             string
		stored, recorded []firn.Part
		resumed          int64 // bytes kept
		sent             int64
		restarts         bool
		read             int64 // bytes of the file beside those sent twice
	}{
		{"nothing", nil, nil, 0, size, false, 0},
		{"all", list(part(0), part(1), part(2), part(3), part(4)), list(part(4), part(3), part(2), part(1), part(0)), size, 0, false, 0},
		{"some", list(part(1), part(4)), list(part(1), part(4)), mib + 9, 3 * mib, false, 0},
		{"sent, not recorded", list(part(0), part(3)), list(part(0)), 2 * mib, 2*mib + 9, false, mib},
		{"recorded, not there", list(part(0)), list(part(0), part(1)), mib, 3*mib + 9, false, 0},
		{"others at the store", list(part(0), other(1)), list(part(0), part(1)), mib, 3*mib + 9, false, 0},
		{"others at the store, not recorded", list(part(0), other(1)), list(part(0)), mib, 3*mib + 9, false, mib},
		{"others recorded", list(part(0), part(1)), list(part(0), other(1)), mib, 3*mib + 9, false, 0},
		{"cut short at the store", list(part(0), firn.Part{Offset: mib, Size: 7, Tree: part(1).Tree}), list(part(0)), mib, 3*mib + 9, false, 0},
		{"beyond the end", list(part(0), firn.Part{Offset: 7 * mib, Size: mib}), list(part(0)), 0, size, true, 0},
		{"between the parts", list(part(0), firn.Part{Offset: 5, Size: mib}), list(part(0)), 0, size, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, j, f := newVault(), &journal{}, newFile(size, 1)
			job := begunTask(t, v, j, f, c.stored, c.recorded)
			r, err := uploader(t, v, tinySingle(), UploadOptions{PartSize: 2 * mib}).Upload(t.Context(), job)
			if err != nil {
				t.Fatal(err)
			}
			if r.Resumed != c.resumed || r.Sent != c.sent || f.reads != 2*c.sent+c.read {
				t.Errorf("result %+v, %d bytes read", r, f.reads)
			}
			if v.calls["AbortUpload"] == 1 != c.restarts {
				t.Errorf("calls %v", v.calls)
			}
			v.only(t, described(job), f.content())
			j.check(t)
		})
	}
}

// TestResumeOfWhatIsGone begins anew, without a word.
func TestResumeOfWhatIsGone(t *testing.T) {
	for name, r := range map[string]Resume{
		"expired":              {Upload: "upload-77", PartSize: mib},
		"never opened":         {},
		"a part size of none":  {Upload: "upload-1", PartSize: 12345},
		"parts that are small": {Upload: "upload-1", PartSize: mib},
	} {
		t.Run(name, func(t *testing.T) {
			v, j, f := newVault(), &journal{}, newFile(5*mib, 1)
			job := task(f, j)
			tr := tinySingle()
			if name == "parts that are small" {
				tr.MaxParts = 3
			}
			if r.Upload == "upload-1" {
				if _, err := v.StartUpload(t.Context(), "another", mib); err != nil {
					t.Fatal(err)
				}
			}
			r.Stamp = f.stamp
			j.begun, j.resume, job.Resume = &Begun{Multipart: true}, r, &r
			got, err := uploader(t, v, tr, UploadOptions{PartSize: mib}).Upload(t.Context(), job)
			if err != nil {
				t.Fatal(err)
			}
			if got.Resumed != 0 || got.Sent != f.size {
				t.Errorf("result %+v", got)
			}
			v.only(t, described(job), f.content())
			j.check(t)
			if j.log[0] != "Dropped" {
				t.Errorf("journal %v", j.log)
			}
		})
	}
}

// TestResumeFailsWithItsKind, and leaves the record as it is.
func TestResumeFailsWithItsKind(t *testing.T) {
	for _, c := range []struct {
		op     string
		resume Resume
	}{
		{"Uploads", Resume{}},
		{"Parts", Resume{Upload: "upload-1", PartSize: mib}},
		{"CompleteUpload", Resume{Upload: "upload-1", PartSize: mib, Completing: true}},
	} {
		for _, k := range []firn.Kind{firn.Network, firn.Denied, firn.Lost, firn.Throttled, firn.Unavailable, firn.Other} {
			t.Run(fmt.Sprint(c.op, " ", k), func(t *testing.T) {
				v, j, f := newVault(), &journal{}, newFile(3*mib, 1)
				job := task(f, j)
				if _, err := v.StartUpload(t.Context(), described(job), mib); err != nil {
					t.Fatal(err)
				}
				c.resume.Stamp, c.resume.Token = f.stamp, j.name().Token
				j.begun, j.resume, job.Resume = &Begun{Multipart: true}, c.resume, &c.resume
				v.fail = always(c.op, false, k)
				_, err := uploader(t, v, tinySingle(), UploadOptions{PartSize: mib}).Upload(t.Context(), job)
				if err == nil || firn.KindOf(err) != k || j.begun == nil || v.calls["AbortUpload"] != 0 {
					t.Errorf("%v; journal %v, calls %v", err, j.log, v.calls)
				}
				settle(t, v, j, f, job, tinySingle(), UploadOptions{PartSize: mib})
			})
		}
	}
}

// TestResumeInPartsOfAnySize: those that are no node of the tree are read once more,
// recorded or not, and sent only where they differ from the file.
func TestResumeInPartsOfAnySize(t *testing.T) {
	const size, width = 10*mib + 9, 3 * mib
	at := parts{size, width}
	part := func(i int) firn.Part {
		off, n := at.at(i)
		b := make([]byte, n)
		fill(b, off, 1)
		return firn.Part{Offset: off, Size: n, Tree: treehash.Sum(b)}
	}
	other := part(1)
	other.Tree[0]++
	list := func(p ...firn.Part) []firn.Part { return p }
	for name, c := range map[string]struct {
		stored, recorded []firn.Part
		resumed, read    int64 // read beside what is sent, which is read twice
		wrote            int   // records of parts
	}{
		"all":                  {list(part(0), part(1), part(2), part(3)), list(part(0), part(1), part(2), part(3)), size, size, 0},
		"sent, not recorded":   {list(part(0), part(3)), list(part(0)), width + mib + 9, width + mib + 9, 3},
		"another one is there": {list(part(0), other), list(part(0), other), width, 2 * width, 3},
	} {
		t.Run(name, func(t *testing.T) {
			v, j, f := newVault(), &journal{}, newFile(size, 1)
			job := begunIn(t, v, j, f, width, c.stored, c.recorded)
			r, err := uploader(t, v, anyPart(), UploadOptions{PartSize: mib}).Upload(t.Context(), job)
			if err != nil {
				t.Fatal(err)
			}
			if sent := size - c.resumed; r.Resumed != c.resumed || r.Sent != sent || f.reads != 2*sent+c.read {
				t.Errorf("result %+v, %d bytes read", r, f.reads)
			}
			if n := strings.Count(strings.Join(j.log, "\n"), "Part"); n != c.wrote {
				t.Errorf("journal %v", j.log)
			}
			v.only(t, described(job), f.content())
			j.check(t)
		})
	}
	t.Run("in a store that takes powers of two only", func(t *testing.T) {
		v, j, f := newVault(), &journal{}, newFile(size, 1)
		job := begunIn(t, v, j, f, width, list(part(0)), list(part(0)))
		r, err := uploader(t, v, tinySingle(), UploadOptions{PartSize: mib}).Upload(t.Context(), job)
		if err != nil || r.Resumed != 0 || v.calls["AbortUpload"] != 1 {
			t.Errorf("result %+v, %v; calls %v", r, err, v.calls)
		}
		v.only(t, described(job), f.content())
	})
}

// TestPartsAreComparedSideBySide: what was sent in parts that are no nodes of the tree is
// read again by as many at a time as send, and by no more.
func TestPartsAreComparedSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const width, count, slots = 3 * mib, 9, 4
		at := parts{width * count, width}
		v, j, f := newVault(), &journal{}, newFile(at.size, 1)
		var sent []firn.Part
		for i := range count {
			off, n := at.at(i)
			b := make([]byte, n)
			fill(b, off, 1)
			sent = append(sent, firn.Part{Offset: off, Size: n, Tree: treehash.Sum(b)})
		}
		job := begunIn(t, v, j, f, width, sent, sent)
		open, reading := make(chan struct{}), map[int64]bool{}
		var mu sync.Mutex
		f.onRead = func(off int64) {
			mu.Lock()
			reading[off/width] = true
			mu.Unlock()
			<-open
		}
		u, err := NewUploader(v, anyPart(), UploadOptions{PartSize: mib, TokenOf: tokenOf, Concurrency: slots})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			_, err := u.Upload(t.Context(), job)
			done <- err
		}()
		synctest.Wait()
		mu.Lock()
		if len(reading) != slots {
			t.Errorf("%d parts are read at a time, want %d", len(reading), slots)
		}
		mu.Unlock()
		close(open)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		v.only(t, described(job), f.content())
		j.check(t)
	})
}

// TestComparingEnds: the first part that can't be read ends it for all of them, with what
// is wrong with that one.
func TestComparingEnds(t *testing.T) {
	const width, count = 3 * mib, 9
	at := parts{width * count, width}
	v, j, f := newVault(), &journal{}, newFile(at.size, 1)
	var sent []firn.Part
	for i := range count {
		off, n := at.at(i)
		sent = append(sent, firn.Part{Offset: off, Size: n, Tree: treehash.Hash{byte(i + 1)}})
	}
	job := begunIn(t, v, j, f, width, sent, sent)
	f.err = errors.New("input/output error")
	if _, err := uploader(t, v, anyPart(), UploadOptions{PartSize: mib}).Upload(t.Context(), job); firn.KindOf(err) != firn.Local || !strings.Contains(err.Error(), "input/output") {
		t.Errorf("%v", err)
	}
}
