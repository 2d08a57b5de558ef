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
				s := guard.Limit(storetest.NewMemory(storetest.MemoryOptions{}), guard.LimitOptions{Upload: rate})
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

// TestLimitDownloads, in small sips.
func TestLimitDownloads(t *testing.T) {
	const rate, size = 100_000, 300_000
	c := clock.NewManual(noon)
	m := storetest.NewMemory(storetest.MemoryOptions{})
	s := guard.Limit(m, guard.LimitOptions{Download: rate, Clock: c})
	data := storetest.Data(2, size)
	body, sums := storetest.Body(data)
	archive, err := s.UploadArchive(t.Context(), "x", body, sums)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Now().Equal(noon) {
		t.Error("the upload was held back too")
	}
	job, err := s.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: archive, Tier: firn.Bulk})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Output(t.Context(), job, firn.Range{End: size})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
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

// TestLimitSavesNothingUp: after a pause bodies don't rush.
func TestLimitSavesNothingUp(t *testing.T) {
	const rate = 100_000
	c := clock.NewManual(noon)
	s := guard.Limit(storetest.NewMemory(storetest.MemoryOptions{}), guard.LimitOptions{Upload: rate, Clock: c})
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
	s := guard.Limit(&deaf{m}, guard.LimitOptions{Upload: 1, Clock: clock.NewManual(noon)})
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
