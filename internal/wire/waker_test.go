package wire_test

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/queuetest"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/wire"
)

// TestWaker: a message wakes all who wait on this machine, by what the catalog says
// of the store's queue.
func TestWaker(t *testing.T) {
	env := environment(t)
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC))
	server := queuetest.New(now)
	defer server.Close()
	for k, v := range server.Env() {
		t.Setenv(k, v)
	}
	env.Clock = now
	cat := openCatalog(t, env)
	s, err := wire.Open(t.Context(), env, config.Location{Scheme: config.Glacier, Vault: "photos"}, wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const vault = "arn:aws:glacier:us-east-1:123456789012:vaults/photos"
	row, err := cat.Register(t.Context(), catalog.StoreSpec{URL: "glacier:photos", Kind: "glacier", Identity: "aws " + vault, Name: "photos", Region: "us-east-1", Address: vault})
	if err != nil {
		t.Fatal(err)
	}
	if w, err := s.Waker(t.Context(), cat, row); w != nil || err != nil {
		t.Errorf("a waker without a queue: %v, %v", w, err)
	}
	ch := firn.Channel{Queue: "jobs", QueueURL: server.AddQueue("jobs"), QueueMade: true}
	if err := cat.SetWaker(t.Context(), catalog.Waker{Store: row.ID, Channel: ch}); err != nil {
		t.Fatal(err)
	}
	a, err := s.Waker(t.Context(), cat, row)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Waker(t.Context(), cat, row)
	if err != nil {
		t.Fatal(err)
	}
	server.Send("jobs", `{"VaultARN":"`+vault+`","JobId":"1","Completed":true}`, now.Now().Add(10*time.Minute))
	for _, w := range []retrieval.Waker{a, b} {
		if err := w.Wait(t.Context(), now.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if took := now.Now().Sub(time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)); took < 10*time.Minute || took > 11*time.Minute {
		t.Errorf("it took %v", took)
	}
	if left := server.Messages("jobs"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}
