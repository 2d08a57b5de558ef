package syncer_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// A gated store takes the archive that holds some bytes once one gate is open, and all
// others once the other is.
type gated struct {
	firn.Store
	bytes         []byte
	theirs, other chan struct{}
}

func (g *gated) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	data, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	if err != nil {
		return "", err
	}
	gate := g.other
	if bytes.Contains(data, g.bytes) {
		gate = g.theirs
	}
	select {
	case <-gate:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	return g.Store.UploadArchive(ctx, description, body, sums)
}

// TestContentThatLandsMeanwhile: a file that was read, and of whose content the catalog
// knew nothing, while a bundle with that was on its way, shares its archive though it
// landed before the file's turn came.
func TestContentThatLandsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := worktest.New(t, storetest.MemoryOptions{})
		const size = 600 << 10
		b.Bundle(2<<20, 1<<20) // one in each
		same := bytes.Repeat([]byte("same"), size/4)
		b.Write("a", string(same))
		for i := range 3 { // two are on their way, and the next waits for one of them
			b.Write(fmt.Sprint("b", i), string(bytes.Repeat([]byte{byte(i)}, size)))
		}
		b.Write("c", string(same))
		gate := &gated{Store: b.Store, bytes: same[:4096], theirs: make(chan struct{}), other: make(chan struct{})}
		b.Store = gate
		var res syncer.Result
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			res, err = syncer.Run(t.Context(), b.Options())
		}()
		synctest.Wait() // all is read, and the catalog was asked of all
		if n := len(b.Memory.Archives()); n != 0 {
			t.Fatalf("%d archives before one may land", n)
		}
		close(gate.theirs)
		synctest.Wait() // it has landed, and c had its turn
		if n := len(b.Memory.Archives()); n != 1 {
			t.Errorf("%d archives where one may land", n)
		}
		close(gate.other)
		<-done
		if err != nil {
			t.Fatal(err)
		}
		b.Counts(res.Counts, map[firn.Action]int64{firn.Sent: 4, firn.Recorded: 1})
		if n := len(b.Memory.Archives()); n != 4 {
			t.Errorf("%d archives", n)
		}
		everyCurrentFileIsStored(b)
	})
}
