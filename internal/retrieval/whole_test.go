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

// TestExtendACopyThatIsGone: what is gone isn't asked for by the way, since that would
// be the price of all of it.
func TestExtendACopyThatIsGone(t *testing.T) {
	c := newCold(t)
	want, _ := c.archive("one", 3<<20)
	job, err := c.look().AskFor(t.Context(), want, firn.Bulk, 1)
	c.check(err)
	extend := func(says bool, restores int) {
		t.Helper()
		stays, err := c.look().Extend(t.Context(), want, job.ID, firn.Expedited, 3)
		c.check(err)
		if c.restores(restores); stays != says {
			t.Errorf("it stays: %v", stays)
		}
	}
	extend(false, 1) // on its way
	c.Clock.Advance(13 * time.Hour)
	extend(true, 2)
	c.Clock.Advance(2 * 24 * time.Hour)
	extend(true, 3)
	c.Clock.Advance(5 * 24 * time.Hour)
	extend(false, 3)
}

// TestALostThawIsCharged: a request whose answer nobody got, since the process was
// killed or the line broke, is in the ledger once the store shows what it did: as a
// retrieval, and as a copy. One that never arrived isn't.
func TestALostThawIsCharged(t *testing.T) {
	for name, arrived := range map[string]bool{"arrived": true, "never arrived": false} {
		t.Run(name, func(t *testing.T) {
			c := newCold(t)
			want, _ := c.archive("one", 3*mib)
			_, err := c.Catalog.JobIntent(t.Context(), catalog.Job{Store: c.Row.ID, Token: firn.NewToken(),
				Remote: firn.Job{Kind: firn.RetrievalJob, Archive: want.Remote, Tier: firn.Bulk}})
			c.check(err)
			if arrived {
				_, err := c.store.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: want.Remote, Tier: firn.Bulk})
				c.check(err)
			}
			c.Clock.Advance(time.Hour)
			for range 2 {
				_, found := c.look().Find(want)
				ledger, err := c.Catalog.Ledger(t.Context(), c.Row.ID, c.Clock.Now().AddDate(0, -1, 0), c.Clock.Now().AddDate(0, 1, 0))
				c.check(err)
				if found != arrived || len(ledger.Retrievals) == 1 != arrived || len(ledger.Charges) == 1 != arrived {
					t.Errorf("found: %v; %+v", found, ledger)
				}
				if arrived && (ledger.Retrievals[0].Bytes != want.Size || ledger.Charges[0].Op != catalog.CopyOp || ledger.Charges[0].Bytes != want.Size) {
					t.Errorf("%+v", ledger)
				}
			}
		})
	}
}

// TestLargeCopiesStayLong: where nobody says for how long, it is as long as the
// download takes, and two days.
func TestLargeCopiesStayLong(t *testing.T) {
	c := newCold(t)
	a := c.look()
	for size, want := range map[int64]int{0: 3, 1: 3, 80 << 30: 3, 200 << 30: 5, 1 << 40: 15, 1 << 50: 90} { // 1 MiB/s is 84 GiB a day
		if got, err := a.Days(t.Context(), size); err != nil || got != want {
			t.Errorf("%d bytes: %d days, %v; want %d", size, got, err, want)
		}
	}
}
