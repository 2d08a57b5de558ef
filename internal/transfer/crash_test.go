package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"pgregory.net/rapid"
)

// A machine runs a process that can be killed: from a step on, nothing that it
// does has an effect, neither at the store nor in its journal.
type machine struct {
	mu    sync.Mutex
	steps []string // each effect and each return from one
	kill  int      // the step at which it dies; 0: never
	dead  bool
}

func (m *machine) step(op string, done bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errKilled
	}
	when := "before "
	if done {
		when = "after "
	}
	m.steps = append(m.steps, when+op)
	if len(m.steps) == m.kill {
		m.dead = true
		return errKilled
	}
	return nil
}

var errKilled = errors.New("killed")

// reconcile does with an open record what the works above do: a resumable
// upload is resumed, anything else is looked for among the archives.
func reconcile(v *vault, j *journal, job *Task) (found bool) {
	job.Resume = nil
	switch {
	case j.result != nil:
		return true
	case j.begun != nil && j.begun.Multipart:
		r := j.resume
		job.Resume = &r
		return false
	case j.begun == nil && !j.doubt:
		return false
	}
	for _, a := range v.archives {
		if a.Description == described(*job) {
			return true
		}
	}
	j.begun, j.doubt = nil, false
	return false
}

// killed uploads with a process that dies at step kill, and goes on with
// another, until one survives. It gives the steps of the first.
func killed(t testing.TB, v *vault, tr firn.Traits, opt UploadOptions, job Task, j *journal, kills ...int) (first []string) {
	for i := 0; ; i++ {
		m := &machine{}
		if i < len(kills) {
			m.kill = kills[i]
		}
		v.fail, j.fail = m.step, m.step
		opt.Clock = manual()
		var err error
		if found := i > 0 && reconcile(v, j, &job); !found {
			_, err = uploader(t, v, tr, opt).Upload(context.Background(), job)
		}
		if i == 0 {
			first = m.steps
		}
		if m.dead {
			if err == nil {
				t.Errorf("killed at %d, and succeeded", m.kill)
			}
			continue
		}
		if err != nil {
			t.Fatalf("after %v: %v", kills, err)
		}
		return first
	}
}

// TestKilledAtEachStep: whatever the step, the next process sends exactly the
// rest, and one archive is left.
func TestKilledAtEachStep(t *testing.T) {
	const size = 4*mib + 5
	for _, c := range []struct {
		name string
		tr   firn.Traits
		part int64
	}{{"single", traits, mib}, {"parts", tinySingle(), mib}, {"odd parts", anyPart(), 3 * mib}} {
		opt := UploadOptions{PartSize: c.part, Concurrency: 1}
		v, j, f := newVault(), &journal{}, newFile(size, 1)
		steps := killed(t, v, c.tr, opt, task(f, j), j)
		for k := range steps {
			t.Run(fmt.Sprintf("%s %s %d", c.name, steps[k], k+1), func(t *testing.T) {
				v, j, f := newVault(), &journal{}, newFile(size, 1)
				job := task(f, j)
				killed(t, v, c.tr, opt, job, j, k+1)
				v.only(t, described(job), f.content())
				j.check(t)
				for off, n := range v.puts {
					if n != 1 {
						t.Errorf("the part at %d was stored %d times", off, n)
					}
				}
				if f.open != 0 {
					t.Errorf("the file is open %d times", f.open)
				}
			})
		}
	}
}

// TestKilledAtRandom: several kills, several bodies at a time, and lines that
// change the part size in between.
func TestKilledAtRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.Int64Range(1, 6*mib).Draw(rt, "size")
		kills := rapid.SliceOfN(rapid.IntRange(1, 25), 0, 6).Draw(rt, "kills")
		opt := UploadOptions{
			PartSize:    mib * rapid.Int64Range(1, 5).Draw(rt, "part"),
			Concurrency: rapid.IntRange(1, 4).Draw(rt, "concurrency"),
		}
		v, j, f := newVault(), &journal{}, newFile(size, 1)
		job := task(f, j)
		job.HashFirst = rapid.Bool().Draw(rt, "hash first")
		killed(t, v, anyPart(), opt, job, j, kills...)
		v.only(t, described(job), contentOf(size, 1))
		j.check(t)
		for off, n := range v.puts {
			if n != 1 {
				rt.Fatalf("the part at %d was stored %d times", off, n)
			}
		}
		if t.Failed() {
			rt.FailNow()
		}
	})
}

// TestResumeOfAnotherFile: what changed since is begun anew, and what was sent
// of the old is freed. An archive that was completing is completed.
func TestResumeOfAnotherFile(t *testing.T) {
	const size = 3 * mib
	opt := UploadOptions{PartSize: mib, Concurrency: 1}
	v0, j0 := newVault(), &journal{}
	steps := killed(t, v0, tinySingle(), opt, task(newFile(size, 1), j0), j0)
	for k := range steps {
		t.Run(fmt.Sprint(steps[k], k+1), func(t *testing.T) {
			v, j, f := newVault(), &journal{}, newFile(size, 1)
			job := task(f, j)
			m := &machine{kill: k + 1}
			v.fail, j.fail = m.step, m.step
			old := f.content()
			if _, err := uploader(t, v, tinySingle(), opt).Upload(t.Context(), job); err == nil {
				t.Fatal("it survived")
			}
			v.fail, j.fail = nil, nil
			if j.result != nil {
				return // it died with all done
			}
			f.write(size+mib, 9)
			completing := j.resume.Completing
			if reconcile(v, j, &job) {
				t.Fatal("a multipart upload in doubt")
			}
			r, err := uploader(t, v, tinySingle(), opt).Upload(t.Context(), job)
			if err != nil {
				t.Fatal(err)
			}
			j.check(t)
			want, stamp := f.content(), f.stamp
			if completing {
				want, stamp = old, firn.Stamp{Size: size, ModTime: time.Unix(1e9, 0), Inode: 1}
			}
			v.only(t, described(job), want)
			if r.Content != want || !r.Stamp.Equal(stamp) {
				t.Errorf("result %+v", r)
			}
		})
	}
}
