package transfer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const mbit = 1e6 / 8 // bytes/s

// sendAll uploads files of these sizes at once and gives the time it took and
// the bytes the store read.
func sendAll(t *testing.T, v *vault, opt UploadOptions, sizes ...int64) (time.Duration, int64) {
	t.Helper()
	u := uploader(t, v, traits, opt)
	start := time.Now()
	var sent atomic.Int64
	var all sync.WaitGroup
	for i, size := range sizes {
		all.Go(func() {
			f, j := newFile(size, byte(i)), &journal{}
			job := task(f, j)
			r, err := u.Upload(t.Context(), job)
			if err != nil {
				t.Error(err)
				return
			}
			sent.Add(r.Sent)
			j.check(t)
			if r.Content != f.content() {
				t.Errorf("file %d is stored as %v", i, r.Content)
			}
		})
	}
	all.Wait()
	if len(v.archives) != len(sizes) || len(v.open) != 0 {
		t.Errorf("%d archives, %d uploads open", len(v.archives), len(v.open))
	}
	return time.Since(start), sent.Load()
}

// mixed is a home directory: a video, photos, notes.
var mixed = []int64{70 * mib, 20 * mib, 12 * mib, 5 * mib, 5 * mib, 3 * mib, 1 * mib, 300 << 10, 10 << 10, 5, 1}

func total(sizes []int64) (n int64) {
	for _, s := range sizes {
		n += s
	}
	return n
}

// TestSlowLine: with the defaults, over slow lines behind buffers of all sizes,
// all arrives, no body takes longer than it may, and little is sent in vain.
func TestSlowLine(t *testing.T) {
	for i, c := range []struct {
		rate   float64
		buffer int64
	}{
		{mbit / 4, 300 << 10}, {mbit, 0}, {mbit, 300 << 10}, {mbit, 2500 << 10}, {4 * mbit, 300 << 10}, {20 * mbit, 300 << 10},
	} {
		if testing.Short() && i%3 != 0 {
			continue
		}
		t.Run(fmt.Sprintf("%v Mbit behind %d KiB", c.rate/mbit, c.buffer>>10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, events := newVault(), &tally{}
				v.trusting = true
				v.wire = steady(c.rate)
				v.wire.buffer = c.buffer
				took, sent := sendAll(t, v, UploadOptions{Events: events.sink}, mixed...)
				longest := slices.Max(v.bodies)
				waste := float64(sent)/float64(total(mixed)) - 1
				t.Logf("%v, %d bodies, longest %v, %d broken off, %.0f%% in vain", took, len(v.bodies), longest, v.broken, 100*waste)
				if longest > maxBody {
					t.Errorf("a body took %v", longest)
				}
				if waste > 0.1 {
					t.Errorf("%.0f%% were sent in vain", 100*waste)
				}
				if events.bytes != total(mixed) {
					t.Errorf("events tell of %d bytes of %d", events.bytes, total(mixed))
				}
			})
		})
	}
}

// TestLimitIsKnownBeforehand: nothing has to be found out the hard way.
func TestLimitIsKnownBeforehand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault()
		v.trusting = true
		v.wire = steady(mbit)
		_, sent := sendAll(t, v, UploadOptions{Limit: mbit}, mixed...)
		if longest := slices.Max(v.bodies); longest > maxBody || v.broken != 0 || sent != total(mixed) {
			t.Errorf("longest %v, %d broken off, %d bytes sent", longest, v.broken, sent)
		}
	})
}

// TestFastLine: what is not slow is not slowed.
func TestFastLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault()
		v.trusting = true
		v.wire = steady(1000 * mbit)
		took, _ := sendAll(t, v, UploadOptions{PartSize: 16 * mib}, 80*mib, 80*mib, 16*mib)
		if v.broken != 0 || v.most != DefaultConcurrency || len(v.bodies) != 5+5+1 || v.calls["StartUpload"] != 2 {
			t.Errorf("%d broken off, %d at a time, %d bodies, calls %v", v.broken, v.most, len(v.bodies), v.calls)
		}
		if ideal := 176 * mib / (1000 * mbit) * float64(time.Second); float64(took) > 1.2*ideal {
			t.Errorf("took %v", took)
		}
	})
}

// changing is a line whose rate is looked up by the time since the test began.
func changing(rate func(time.Duration) float64) *wire {
	start := time.Now()
	return &wire{rate: func() float64 { return rate(time.Since(start)) }, buffer: 300 << 10}
}

// TestLineGetsSlowAndRecovers: parts that are stored are not given up, the
// parts of the next file are small, those of the last large again.
func TestLineGetsSlowAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault()
		v.trusting = true
		v.wire = changing(func(d time.Duration) float64 {
			switch {
			case d < 20*time.Second:
				return 50 * mbit
			case d < time.Hour:
				return 2.2 * mbit // 64 MiB take 244 s
			}
			return 100 * mbit
		})
		u := uploader(t, v, traits, UploadOptions{Concurrency: 1})
		var sizes []int64
		for i, size := range []int64{256 * mib, 80 * mib, 100 * mib, 128 * mib} {
			if i == 2 {
				time.Sleep(time.Hour)
			}
			j := &journal{}
			job := task(newFile(size, byte(i)), j)
			if _, err := u.Upload(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, j.resume.PartSize/mib)
			j.check(t)
		}
		if !slices.Equal(sizes, []int64{64, 16, 16, 64}) {
			t.Errorf("parts of %v MiB", sizes)
		}
		if longest := slices.Max(v.bodies); longest > ceiling || longest < maxBody {
			t.Errorf("the longest body took %v", longest)
		}
	})
}

// TestStoredPartsAreGivenUpOnlyForSpeed: below the ceiling's rate there is no
// other way than to begin anew in small parts.
func TestStoredPartsAreGivenUpOnlyForSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault()
		v.trusting = true
		v.wire = changing(func(d time.Duration) float64 {
			if d < 15*time.Second {
				return 50 * mbit
			}
			return mbit
		})
		j := &journal{}
		job := task(newFile(128*mib, 1), j) // two parts of 64 MiB: of three, the shortest might go first
		if _, err := uploader(t, v, traits, UploadOptions{Concurrency: 1}).Upload(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if longest := slices.Max(v.bodies); longest > maxBody || j.resume.PartSize > 8*mib {
			t.Errorf("longest %v, parts of %s", longest, inMiB(j.resume.PartSize))
		}
		if want := []string{"Begin", "Opened", "Part", "Dropped"}; !slices.Equal(j.log[:4], want) {
			t.Errorf("journal %v", j.log)
		}
		v.only(t, described(job), contentOf(128*mib, 1))
	})
}

// TestHiccup: a line that is silent for a while is not a slow one.
func TestHiccup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault()
		v.trusting = true
		v.wire = changing(func(d time.Duration) float64 {
			if d > 20*time.Second && d < 32*time.Second {
				return 0.05 * mbit
			}
			return 10 * mbit
		})
		_, sent := sendAll(t, v, UploadOptions{}, 128*mib)
		if v.calls["StartUpload"] != 1 || sent > 160*mib {
			t.Errorf("calls %v, %d bytes sent", v.calls, sent)
		}
	})
}

// TestWaitBetweenTriesIsNoSlowness: a store that repeats a request after an
// outage reads the body again, much later.
func TestWaitBetweenTriesIsNoSlowness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, events := newVault(), &tally{}
		v.wire = steady(50 * mbit)
		u := uploader(t, v, traits, UploadOptions{Events: events.sink})
		line := u.line
		tk, err := line.acquire(t.Context(), 64*mib)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		tk.send(cancel, maxBody)
		for try := range 2 {
			time.Sleep(time.Duration(try) * time.Hour)
			for off := int64(0); off < 64*mib; off += mib {
				tk.reads(off, mib)
				time.Sleep(200 * time.Millisecond)
			}
		}
		tk.sent(true)
		tk.release()
		if ctx.Err() != nil {
			t.Errorf("given up: %v", context.Cause(ctx))
		}
		if r := line.rate(); r < 4*mib || r > 6*mib {
			t.Errorf("the rate is believed to be %.0f", r)
		}
	})
}

// TestSlotsGoInTurn: first come, first served, and one who leaves frees the way.
func TestSlotsGoInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := uploader(t, newVault(), traits, UploadOptions{Concurrency: 1}).line
		first, err := l.acquire(t.Context(), mib)
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		var all sync.WaitGroup
		ctx, leave := context.WithCancel(t.Context())
		for i := range 3 {
			all.Go(func() {
				c := t.Context()
				if i == 1 {
					c = ctx
				}
				tk, err := l.acquire(c, mib)
				if (err != nil) != (i == 1) {
					t.Errorf("%d: %v", i, err)
				}
				if err == nil {
					order = append(order, i)
					tk.release()
				}
			})
			synctest.Wait()
		}
		leave()
		synctest.Wait()
		first.release()
		all.Wait()
		if !slices.Equal(order, []int{0, 2}) || l.used != 0 || len(l.waiting) != 0 || len(l.flight) != 0 {
			t.Errorf("order %v; %d used, %d waiting, %d in flight", order, l.used, len(l.waiting), len(l.flight))
		}
	})
}

// TestHashingDoesNotWaitForTheLine: bodies keep their order, and who only
// hashes passes them, within the slots there are.
func TestHashingDoesNotWaitForTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := uploader(t, newVault(), traits, UploadOptions{Concurrency: 3, Limit: mbit}).line
		var got []string
		ask := func(name string, size int64) {
			go func() {
				if _, err := l.acquire(t.Context(), size); err == nil {
					got = append(got, name)
				}
			}()
			synctest.Wait()
		}
		ask("body", 8*mib)
		ask("second body", 8*mib)
		ask("small body", 10)
		ask("hash", 0)
		ask("second hash", 0)
		ask("third hash", 0)
		if want := []string{"body", "hash", "second hash"}; !slices.Equal(got, want) {
			t.Errorf("lent to %v, want %v", got, want)
		}
	})
}
