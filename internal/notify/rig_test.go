package notify_test

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/notify"
	"github.com/firn-archive/firn/internal/queuetest"
	"github.com/firn-archive/firn/internal/storetest"
)

// vaultARN is that of the vault of these tests.
const vaultARN = "arn:aws:glacier:us-east-1:123456789012:vaults/photos"

// A rig is a vault and a server of messages on one clock.
type rig struct {
	*testing.T
	clock     *clock.Manual
	server    *queuetest.Server
	messenger *notify.Messenger
	vault     *storetest.Memory
	recorded  firn.Channel
	steps     []string
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, clock: clock.NewManual(time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC))}
	r.server = queuetest.New(r.clock)
	t.Cleanup(r.server.Close)
	for k, v := range r.server.Env() {
		t.Setenv(k, v)
	}
	t.Setenv("AWS_PROFILE", "")
	r.vault = storetest.NewMemory(storetest.MemoryOptions{Clock: r.clock})
	var err error
	r.messenger, err = notify.OpenMessenger(t.Context(), notify.MessengerConfig{})
	r.check(err)
	return r
}

func (r *rig) check(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// setup is that of a machine, which its catalog tells from others.
func (r *rig) setup(catalog firn.Token) *notify.Setup {
	return &notify.Setup{
		Messenger: r.messenger, Vault: r.vault, Name: "photos", Identity: "aws " + vaultARN, Catalog: catalog, Clock: r.clock,
		Record: func(ch firn.Channel) error { r.recorded = ch; return nil },
		Tell:   func(text string) { r.steps = append(r.steps, text) },
	}
}

// here and elsewhere are two machines.
var here, elsewhere = firn.Token{1}, firn.Token{2}

// done is what the vault tells of a job.
func done(vault, job string) string {
	return `{"Action":"ArchiveRetrieval","Completed":true,"JobId":"` + job + `","StatusCode":"Succeeded","VaultARN":"` + vault + `"}`
}
