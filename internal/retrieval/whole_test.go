package retrieval_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

// A cold is a rig with a store in S3, whose archives thaw whole.
type cold struct {
	*rig
	server *s3test.Server
	store  firn.Store
}

func newCold(t *testing.T) *cold {
	t.Helper()
	c := &cold{rig: newRig(t, storetest.MemoryOptions{})}
	c.server = s3test.New(s3test.Options{Clock: c.Clock, Thaw: 12 * time.Hour, Buckets: []string{"bucket"}})
	store, err := s3cold.Open(t.Context(), s3cold.Config{
		Bucket: "bucket", Region: "eu-west-1", Endpoint: "http://s3.test", Transport: c.server.Transport(), Class: s3cold.DeepArchive,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "secret"}, nil
		}),
	})
	c.check(err)
	c.store = store
	c.check(store.Create(t.Context()))
	return c
}

// archive stores one, and gives the want of all of it.
func (c *cold) archive(label string, size int) (retrieval.Want, []byte) {
	data := content(7, size)
	sums := treehash.NewDouble()
	sums.Write(data)
	id, err := c.store.UploadArchive(c.T.Context(), label, io.NewSectionReader(bytes.NewReader(data), 0, int64(size)), sums.Sums())
	c.check(err)
	return retrieval.Want{Remote: id, Size: int64(size), Tree: treehash.Sum(data), Label: label}, data
}

// look gives an asker as a new process has it, that has looked at the jobs.
func (c *cold) look() *retrieval.Asker {
	o := c.options()
	down, err := transfer.NewDownloader(c.store, transfer.DownloadOptions{Clock: c.Clock})
	c.check(err)
	o.Store, o.Downloader = c.store, down
	a := retrieval.New(o)
	c.check(a.Look(c.T.Context()))
	return a
}

// restores fails the test where so many restores weren't asked for.
func (c *cold) restores(n int) {
	c.T.Helper()
	if got := c.server.Calls()["POST restore"]; got != n {
		c.T.Errorf("%d restores were asked for, want %d", got, n)
	}
}

// TestThawsWhole: a range is asked for as all of its archive, which another process
// finds by the archive alone, for each of its ranges; what is read is the range.
func TestThawsWhole(t *testing.T) {
	c := newCold(t)
	w, data := c.archive("a", 5*mib+3)
	tail := part(w, 2, 4)
	a := c.look()
	c.found(a, tail, "", "")
	job := c.ask(a, tail, firn.Bulk)
	if job.Range != (firn.Range{End: w.Size}) || job.Tier != firn.Bulk {
		t.Errorf("asked for %+v", job)
	}
	c.found(c.look(), part(w, 0, 1), job.ID, firn.JobRunning)
	c.restores(1)

	c.Clock.Advance(12 * time.Hour)
	a = c.look()
	ready := c.found(a, tail, job.ID, firn.JobReady)
	out, err := a.Output(tail, ready)
	c.check(err)
	got, err := out.Fetch(t.Context(), *tail.Range)
	c.check(err)
	if !bytes.Equal(got, data[2*mib:4*mib]) {
		t.Error("other bytes come")
	}
	c.check(a.Fetched(t.Context(), tail, ready))
	c.found(c.look(), part(w, 0, 1), job.ID, firn.JobReady) // it is there for others
	c.restores(1)
}

// TestThawedAnew: a copy that is gone is asked for again, under the id that it had,
// and what the catalog says is of the newest request.
func TestThawedAnew(t *testing.T) {
	c := newCold(t)
	w, _ := c.archive("a", 100)
	a := c.look()
	first := c.ask(a, w, firn.Bulk)
	c.Clock.Advance(12 * time.Hour)
	c.check(a.Look(t.Context()))
	c.check(a.Gone(t.Context(), w, c.found(a, w, first.ID, firn.JobReady), "it expired"))
	c.Clock.Advance(30 * 24 * time.Hour)
	c.check(a.Look(t.Context()))
	c.found(a, w, "", "")
	again := c.ask(a, w, firn.Standard)
	if again.ID != first.ID {
		t.Errorf("%q, then %q", first.ID, again.ID)
	}
	c.restores(2)
	row, ok, err := c.Catalog.JobByRemote(t.Context(), c.Row.ID, again.ID)
	c.check(err)
	if !ok || row.State >= catalog.JobFailed || row.Remote.Tier != firn.Standard {
		t.Errorf("the catalog has %+v", row)
	}
	c.check(a.Look(t.Context()))
	c.found(a, w, again.ID, firn.JobRunning)
	c.Clock.Advance(12 * time.Hour)
	if open := fmt.Sprint(len(c.open())); open != "1" {
		t.Errorf("the catalog waits for %s jobs", open)
	}
	c.found(c.look(), w, again.ID, firn.JobReady)
	row, _, err = c.Catalog.JobByRemote(t.Context(), c.Row.ID, again.ID)
	c.check(err)
	if row.State != catalog.JobReady || row.Remote.Tier != firn.Standard {
		t.Errorf("the catalog has %+v", row)
	}
}
