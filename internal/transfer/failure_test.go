package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
)

// always gives k at each call of op, before or after its effect.
func always(op string, after bool, k firn.Kind) func(string, bool) error {
	return func(name string, done bool) error {
		if name == op && done == after {
			return kind(k)
		}
		return nil
	}
}

// nth gives k at the n-th call of op, from 1.
func nth(n int, op string, after bool, k firn.Kind) func(string, bool) error {
	return func(name string, done bool) error {
		if name != op || done != after {
			return nil
		}
		if n--; n != 0 {
			return nil
		}
		return kind(k)
	}
}

// outcome is what an upload gives when a call always fails in a way.
type outcome struct {
	kind firn.Kind
	ok   bool   // it succeeds all the same
	last string // the journal's last word
}

// expect is the rule, and below it the exceptions.
func expect(op string, after bool, k firn.Kind) outcome {
	last := map[string]string{"UploadArchive": "Dropped", "StartUpload": "Dropped", "UploadPart": "Opened", "CompleteUpload": "Completing"}[op]
	unsure := k == firn.Lost || k == firn.Other
	switch {
	case op == "UploadArchive" && after && unsure:
		return outcome{firn.InDoubt, false, "InDoubt"}
	case op == "UploadArchive" && k == firn.SlowBody:
		return outcome{ok: true, last: "Stored"} // in parts
	case op == "StartUpload" && after && k == firn.Lost:
		return outcome{ok: true, last: "Stored"} // found by its token
	case op == "StartUpload" && unsure:
		return outcome{k, false, "Begin"}
	case op == "UploadPart" && k == firn.NotFound:
		return outcome{firn.NotFound, false, "Dropped"}
	case op == "CompleteUpload" && k == firn.NotFound:
		return outcome{firn.InDoubt, false, "InDoubt"}
	}
	return outcome{k, false, last}
}

// TestEveryKindOfFailure at each call: the error that comes out, what is
// recorded, and that a later run sets it right and leaves one archive.
func TestEveryKindOfFailure(t *testing.T) {
	for op, tr := range map[string]firn.Traits{
		"UploadArchive": traits, "StartUpload": tinySingle(), "UploadPart": tinySingle(), "CompleteUpload": tinySingle(),
	} {
		for k := firn.Other; k.String() != "unknown"; k++ {
			for _, after := range []bool{false, true} {
				if after && k != firn.Lost && k != firn.Other && k != firn.NotFound {
					continue // what has a kind did not happen
				}
				if after && k == firn.NotFound && op != "CompleteUpload" {
					continue // only a completion that happened may be "not found"
				}
				t.Run(fmt.Sprintf("%s %v %v", op, k, after), func(t *testing.T) {
					v, j, f := newVault(), &journal{}, newFile(2*mib+1, 1)
					v.fail = always(op, after, k)
					job := task(f, j)
					opt := UploadOptions{PartSize: mib, Concurrency: 2, Clock: manual()}
					_, err := uploader(t, v, tr, opt).Upload(t.Context(), job)
					want := expect(op, after, k)
					if (err == nil) != want.ok || firn.KindOf(err) != want.kind {
						t.Errorf("kind %v: %v", firn.KindOf(err), err)
					}
					if err != nil && !strings.HasPrefix(err.Error(), "upload file: ") {
						t.Errorf("the error doesn't name the file: %v", err)
					}
					if got := j.log[len(j.log)-1]; got != want.last {
						t.Errorf("journal %v, want %s at the end", j.log, want.last)
					}
					if k == firn.NotFound {
						clear(v.open) // as the store said
					}
					settle(t, v, j, f, job, tr, opt)
				})
			}
		}
	}
}

// settle runs the job again on a store that is well, as the works above do.
func settle(t *testing.T, v *vault, j *journal, f *virtual, job Task, tr firn.Traits, opt UploadOptions) {
	t.Helper()
	v.fail = nil
	if !reconcile(v, j, &job) {
		if _, err := uploader(t, v, tr, opt).Upload(context.Background(), job); err != nil {
			t.Fatalf("on a store that is well: %v", err)
		}
	}
	v.only(t, described(job), f.content())
	j.check(t)
}

// TestPassingFailures are overcome without a word.
func TestPassingFailures(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(string, bool) error
		tr   firn.Traits
	}{
		{"a single that broke off", nth(1, "UploadArchive", false, firn.Lost), traits},
		{"a single that came corrupt", nth(1, "UploadArchive", false, firn.Corrupt), traits},
		{"a single too slow for the store", nth(1, "UploadArchive", false, firn.SlowBody), traits},
		{"an upload that was not opened", nth(1, "StartUpload", false, firn.Lost), tinySingle()},
		{"an upload whose id was lost", nth(1, "StartUpload", true, firn.Lost), tinySingle()},
		{"a part that came corrupt", nth(2, "UploadPart", false, firn.Corrupt), tinySingle()},
		{"a first part too slow for the store", nth(1, "UploadPart", false, firn.SlowBody), tinySingle()},
		{"a later part too slow for the store", nth(3, "UploadPart", false, firn.SlowBody), tinySingle()},
		{"an upload that vanished", nth(2, "UploadPart", false, firn.NotFound), tinySingle()},
		{"a completion refused", nth(1, "CompleteUpload", false, firn.Invalid), tinySingle()},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, j, f, events := newVault(), &journal{}, newFile(7*mib, 1), &tally{}
			v.fail = c.fail
			job := task(f, j)
			opt := UploadOptions{PartSize: 2 * mib, Concurrency: 1, Clock: manual(), Events: events.sink}
			if _, err := uploader(t, v, c.tr, opt).Upload(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			v.only(t, described(job), f.content())
			j.check(t)
			if events.bytes != f.size {
				t.Errorf("events tell of %d bytes of %d", events.bytes, f.size)
			}
		})
	}
}

// TestStoreThatLostParts: the store refuses to complete, since parts are
// missing or others; these, and only these, are sent again.
func TestStoreThatLostParts(t *testing.T) {
	v, j, f := newVault(), &journal{}, newFile(5*mib, 1)
	struck := false
	v.fail = func(op string, done bool) error {
		if op == "CompleteUpload" && !struck {
			struck = true
			for _, o := range v.open {
				delete(o.parts, mib)
				p := o.parts[3*mib]
				p.Tree[0]++
				o.parts[3*mib] = p
			}
		}
		return nil
	}
	job := task(f, j)
	if _, err := uploader(t, v, tinySingle(), UploadOptions{PartSize: mib}).Upload(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	v.only(t, described(job), f.content())
	if want := map[int64]int{0: 1, mib: 2, 2 * mib: 1, 3 * mib: 2, 4 * mib: 1}; fmt.Sprint(v.puts) != fmt.Sprint(want) {
		t.Errorf("parts stored %v, want %v", v.puts, want)
	}
}

// TestSeveralUploadsOfOneToken: all but one are freed.
func TestSeveralUploadsOfOneToken(t *testing.T) {
	v, j, f := newVault(), &journal{}, newFile(2*mib, 1)
	job := task(f, j)
	ctx := t.Context()
	for _, description := range []string{described(job), described(job), describe(firn.NewToken())} {
		if _, err := v.StartUpload(ctx, description, mib); err != nil {
			t.Fatal(err)
		}
	}
	v.fail = nth(1, "StartUpload", true, firn.Lost)
	if _, err := uploader(t, v, tinySingle(), UploadOptions{PartSize: mib, Clock: manual()}).Upload(ctx, job); err != nil {
		t.Fatal(err)
	}
	if len(v.archives) != 1 || len(v.open) != 1 {
		t.Errorf("%d archives, %d uploads open; another's upload should be left", len(v.archives), len(v.open))
	}
}

// TestUploadLostAndNotListed: the answer is lost, and then the list can't be
// had. The record stays, for there may be an upload, and the next run finds it.
func TestUploadLostAndNotListed(t *testing.T) {
	v, j, f := newVault(), &journal{}, newFile(2*mib, 1)
	lost, down := nth(1, "StartUpload", true, firn.Lost), always("Uploads", false, firn.Network)
	v.fail = func(op string, done bool) error { return cmp.Or(lost(op, done), down(op, done)) }
	job := task(f, j)
	opt := UploadOptions{PartSize: mib, Clock: manual()}
	if _, err := uploader(t, v, tinySingle(), opt).Upload(t.Context(), job); firn.KindOf(err) != firn.Lost {
		t.Errorf("%v", err)
	}
	if want := []string{"Begin"}; !slices.Equal(j.log, want) || len(v.open) != 1 {
		t.Errorf("journal %v, %d uploads open", j.log, len(v.open))
	}
	settle(t, v, j, f, job, tinySingle(), opt)
	if v.calls["StartUpload"] != 1 {
		t.Errorf("calls %v", v.calls)
	}
}

// TestCancelledSingles: one of which the store has the last byte is in doubt,
// any other surely isn't stored.
func TestCancelledSingles(t *testing.T) {
	for name, c := range map[string]struct {
		size int64
		log  []string
	}{"all sent": {10, []string{"Begin", "InDoubt"}}, "on its way": {mib, []string{"Begin", "Dropped"}}} {
		v, j, f := newVault(), &journal{}, newFile(c.size, 1)
		ctx, cancel := context.WithCancel(t.Context())
		reads := 0
		f.onRead = func(off int64) {
			if off == 0 {
				if reads++; reads == 2 {
					cancel()
				}
			}
		}
		_, err := uploader(t, v, traits, UploadOptions{}).Upload(ctx, task(f, j))
		if !errors.Is(err, context.Canceled) || !slices.Equal(j.log, c.log) || len(v.archives) != 0 {
			t.Errorf("%s: %v, journal %v", name, err, j.log)
		}
		if got := firn.KindOf(err) == firn.InDoubt; got != (c.log[1] == "InDoubt") {
			t.Errorf("%s: kind %v", name, firn.KindOf(err))
		}
	}
}

// TestCancelledPartsStay: nothing is aborted, and the next run sends the rest.
func TestCancelledPartsStay(t *testing.T) {
	v, j, f := newVault(), &journal{}, newFile(6*mib, 1)
	ctx, cancel := context.WithCancel(t.Context())
	v.fail = func(op string, done bool) error {
		if op == "UploadPart" && !done && v.calls[op] == 4 {
			cancel()
		}
		return nil
	}
	job := task(f, j)
	opt := UploadOptions{PartSize: mib, Concurrency: 1}
	if _, err := uploader(t, v, tinySingle(), opt).Upload(ctx, job); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if v.calls["AbortUpload"] != 0 || len(j.resume.Parts) < 3 {
		t.Errorf("calls %v, parts recorded %v", v.calls, j.resume.Parts)
	}
	v.fail = nil
	reconcile(v, j, &job)
	before := f.reads
	r, err := uploader(t, v, tinySingle(), opt).Upload(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if r.Resumed < 3*mib || r.Resumed+r.Sent != 6*mib || f.reads-before != 2*r.Sent {
		t.Errorf("result %+v; %d bytes read", r, f.reads-before)
	}
	v.only(t, described(job), f.content())
}

// TestJournalThatFails: an upload goes no further than its record.
func TestJournalThatFails(t *testing.T) {
	full := &firn.Error{Op: "write catalog", Kind: firn.Full, Err: errors.New("no space left")}
	for _, op := range []string{"Begin", "Opened", "Part", "Completing", "Stored"} {
		v, j, f := newVault(), &journal{}, newFile(3*mib, 1)
		j.fail = func(name string, done bool) error {
			if name == "journal "+op && !done {
				return full
			}
			return nil
		}
		job := task(f, j)
		opt := UploadOptions{PartSize: mib, Concurrency: 1}
		if _, err := uploader(t, v, tinySingle(), opt).Upload(t.Context(), job); firn.KindOf(err) != firn.Full {
			t.Errorf("%s: %v", op, err)
		}
		sent := map[string]int{"Begin": 0, "Opened": 0, "Completing": 3, "Stored": 3}
		if want, ok := sent[op]; ok && v.calls["UploadPart"] != want {
			t.Errorf("%s: %d parts sent", op, v.calls["UploadPart"])
		}
		j.fail = nil
		settle(t, v, j, f, job, tinySingle(), opt)
	}
}
