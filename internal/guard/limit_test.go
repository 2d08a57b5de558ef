package guard_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/storetest"
)

// about reports whether got is within a tenth of want.
func about(got, want time.Duration) bool { return (got - want).Abs() <= want/10 }

// TestLimit: all bodies together keep within the rate, in one request,
// in parts, and in many at the same time.
func TestLimit(t *testing.T) {
	const rate, size = 100_000, 500_000
	data := storetest.Data(1, size)
	for name, upload := range map[string]func(context.Context, firn.Store) error{
		"one": func(ctx context.Context, s firn.Store) error {
			body, sums := storetest.Body(data)
			_, err := s.UploadArchive(ctx, "x", body, sums)
			return err
		},
		"a part": func(ctx context.Context, s firn.Store) error {
			id, err := s.StartUpload(ctx, "x", 1<<20)
			if err != nil {
				return err
			}
			body, sums := storetest.Body(data)
			return s.UploadPart(ctx, id, 0, body, sums)
		},
		"five at once": func(ctx context.Context, s firn.Store) error {
			errs := make([]error, 5)
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() {
					body, sums := storetest.Body(data[:size/5])
					_, errs[i] = s.UploadArchive(ctx, "x", body, sums)
				})
			}
			wg.Wait()
			return errors.Join(errs...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := guard.Limit(storetest.NewMemory(storetest.MemoryOptions{}), guard.LimitOptions{Upload: config.Steady(rate)})
				began := time.Now()
				if err := upload(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); !about(took, size/rate*time.Second) {
					t.Errorf("%v, want %v", took, size/rate*time.Second)
				}
			})
		})
	}
}

// uploaded uploads an archive, and gives the output of a job that brings all of it.
func uploaded(t *testing.T, s firn.Store, data []byte) (firn.Output, sums) {
	t.Helper()
	body, sums := storetest.Body(data)
	archive, err := s.UploadArchive(t.Context(), "x", body, sums)
	if err != nil {
		t.Fatal(err)
	}
	job, err := s.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: archive, Tier: firn.Bulk})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Output(t.Context(), job, firn.Range{End: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	return out, sums
}

// TestLimitDownloads, in small sips.
func TestLimitDownloads(t *testing.T) {
	const rate, size = 100_000, 300_000
	c := clock.NewManual(noon)
	m := storetest.NewMemory(storetest.MemoryOptions{})
	s := guard.Limit(m, guard.LimitOptions{Download: config.Steady(rate), Clock: c})
	data := storetest.Data(2, size)
	out, sums := uploaded(t, s, data)
	defer out.Close()
	if !c.Now().Equal(noon) {
		t.Error("the upload was held back too")
	}
	if out.Tree != sums.Tree {
		t.Error("the hash is lost")
	}
	large := make([]byte, size)
	n, err := out.Read(large)
	if err != nil || n > rate/10 {
		t.Errorf("%d bytes came at once, %v", n, err)
	}
	rest, err := io.ReadAll(out)
	if err != nil || !bytes.Equal(append(large[:n], rest...), data) {
		t.Errorf("other bytes, %v", err)
	}
	if took := c.Now().Sub(noon); !about(took, size/rate*time.Second) {
		t.Errorf("%v", took)
	}
}

// TestNoLimitForNow: where a timetable has no limit a download isn't cut into sips,
// each of which costs two calls of the system and two locks.
func TestNoLimitForNow(t *testing.T) {
	const size = 1 << 20
	s := guard.Limit(storetest.NewMemory(storetest.MemoryOptions{}), guard.LimitOptions{Download: timetable(t, "12:00,off 13:00,1k"), Clock: clock.NewManual(noon)})
	out, _ := uploaded(t, s, storetest.Data(2, size))
	defer out.Close()
	if n, err := out.Read(make([]byte, size)); n != size || err != nil {
		t.Errorf("%d of %d bytes came at once, %v", n, size, err)
	}
}

// TestLimitSavesNothingUp: after a pause bodies don't rush.
func TestLimitSavesNothingUp(t *testing.T) {
	const rate = 100_000
	c := clock.NewManual(noon)
	s := guard.Limit(storetest.NewMemory(storetest.MemoryOptions{}), guard.LimitOptions{Upload: config.Steady(rate), Clock: c})
	for range 3 {
		c.Advance(time.Hour)
		began := c.Now()
		body, sums := storetest.Body(storetest.Data(3, rate))
		if _, err := s.UploadArchive(t.Context(), "x", body, sums); err != nil {
			t.Fatal(err)
		}
		if took := c.Now().Sub(began); !about(took, time.Second) {
			t.Errorf("%v", took)
		}
	}
}

func TestLimitEndsWithItsContext(t *testing.T) {
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(because)
	m := storetest.NewMemory(storetest.MemoryOptions{})
	s := guard.Limit(&deaf{m}, guard.LimitOptions{Upload: config.Steady(1), Clock: clock.NewManual(noon)})
	body, sums := storetest.Body([]byte("x"))
	if _, err := s.UploadArchive(ctx, "x", body, sums); !errors.Is(err, because) {
		t.Errorf("%v", err)
	}
}

// A deaf store doesn't look at contexts.
type deaf struct{ *storetest.Memory }

func (d *deaf) UploadArchive(_ context.Context, _ string, body *io.SectionReader, _ sums) (firn.ArchiveID, error) {
	_, err := io.Copy(io.Discard, body)
	return "x", err
}

func TestNoLimit(t *testing.T) {
	m := storetest.NewMemory(storetest.MemoryOptions{})
	if guard.Limit(m, guard.LimitOptions{}) != firn.Store(m) {
		t.Error("a store without limits was wrapped")
	}
}

// timetable reads one, for times in UTC.
func timetable(t *testing.T, s string) config.Timetable {
	t.Helper()
	table, err := config.ParseTimetable(s)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestLimitFollowsATimetable: a body that is under way gets slower and faster
// with it, and is never stopped.
func TestLimitFollowsATimetable(t *testing.T) {
	table := timetable(t, "00:00,100000 12:01,1000 12:10,off 13:00,50000")
	for _, c := range []struct {
		after time.Duration // noon
		size  int
		want  time.Duration
	}{
		{0, 1_000_000, 10 * time.Second},
		{50 * time.Second, 1_010_000, 20 * time.Second},             // 1,000,000 by 12:01, then slowly
		{9*time.Minute + 50*time.Second, 1 << 20, 10 * time.Second}, // 10 kB slowly, the rest at once
		{20 * time.Minute, 1 << 20, 0},
		{59*time.Minute + 59*time.Second, 4 << 20, 0},
	} {
		clk := clock.NewManual(noon.Add(c.after))
		began := clk.Now()
		s := guard.Limit(storetest.NewMemory(storetest.MemoryOptions{}), guard.LimitOptions{Upload: table, Clock: clk})
		body, sums := storetest.Body(storetest.Data(3, c.size))
		if _, err := s.UploadArchive(t.Context(), "x", body, sums); err != nil {
			t.Fatal(err)
		}
		if took := clk.Now().Sub(began); (took - c.want).Abs() > c.want/10+time.Second {
			t.Errorf("%d bytes from noon + %v: %v, want %v", c.size, c.after, took, c.want)
		}
	}
}

// TestLimitIsReplaced: a rate that is set anew holds for a body that waits by
// the old one, also where there was none before.
func TestLimitIsReplaced(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after config.Timetable // from the tenth second on
		size          int
		want          time.Duration
	}{
		{"faster", config.Steady(10), config.Steady(100_000), 500_000, 15 * time.Second},
		{"slower", config.Steady(100_000), config.Steady(10_000), 1_050_000, 15 * time.Second},
		{"off", config.Steady(10), config.Timetable{}, 500_000, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var rate config.Rate
				rate.Set(c.before)
				s := guard.Limit(storetest.NewMemory(storetest.MemoryOptions{}), guard.LimitOptions{Upload: &rate})
				time.AfterFunc(10*time.Second, func() { rate.Set(c.after) })
				began := time.Now()
				body, sums := storetest.Body(storetest.Data(1, c.size))
				if _, err := s.UploadArchive(t.Context(), "x", body, sums); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); (took - c.want).Abs() > 2*time.Second {
					t.Errorf("%v, want %v", took, c.want)
				}
			})
		})
	}
}

// TestLimitComesLater: where there was no limit, one that is set holds.
func TestLimitComesLater(t *testing.T) {
	var rate config.Rate
	c := clock.NewManual(noon)
	s := guard.Limit(storetest.NewMemory(storetest.MemoryOptions{}), guard.LimitOptions{Upload: &rate, Clock: c})
	for _, want := range []time.Duration{0, 5 * time.Second} {
		began := c.Now()
		body, sums := storetest.Body(storetest.Data(1, 500_000))
		if _, err := s.UploadArchive(t.Context(), "x", body, sums); err != nil {
			t.Fatal(err)
		}
		if took := c.Now().Sub(began); !about(took, want) {
			t.Errorf("%v, want %v", took, want)
		}
		rate.Set(config.Steady(100_000))
	}
}

// TestLimitWithAClockSetBack: nothing hangs, and nothing rushes.
func TestLimitWithAClockSetBack(t *testing.T) {
	c := clock.NewManual(noon)
	s := guard.Limit(storetest.NewMemory(storetest.MemoryOptions{}), guard.LimitOptions{Upload: config.Steady(100_000), Clock: c})
	for range 2 {
		began := c.Now()
		body, sums := storetest.Body(storetest.Data(1, 500_000))
		if _, err := s.UploadArchive(t.Context(), "x", body, sums); err != nil {
			t.Fatal(err)
		}
		if took := c.Now().Sub(began); !about(took, 5*time.Second) {
			t.Errorf("%v", took)
		}
		c.Advance(-24 * time.Hour)
	}
}
