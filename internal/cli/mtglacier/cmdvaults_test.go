package mtglacier

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/clock"
)

// TestListIsRepeated: a service that has a problem of its own is asked again, a
// few times, and one that refuses is not.
func TestListIsRepeated(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"b", "a"} {
		b.ok("create-vault " + name)
	}
	for _, test := range []struct {
		status, fails   int
		good            bool
		atLeast, atMost int // often it is asked
	}{
		{http.StatusServiceUnavailable, 2, true, 3, 3},
		{http.StatusServiceUnavailable, 1000, false, 5, 20},
		{http.StatusForbidden, 9, false, 1, 1},
	} {
		asked := 0
		b.intercept(func(w http.ResponseWriter, _ *http.Request) bool {
			asked++
			if asked <= test.fails {
				w.WriteHeader(test.status)
			}
			return asked <= test.fails
		})
		var stdout, stderr bytes.Buffer
		env := b.env(&stdout, &stderr)
		env.Clock = clock.NewManual(time.Unix(1e9, 0))
		status := Main(t.Context(), []string{"list-vaults", "--config=glacier.cfg", "--format=mtmsg"}, env)
		if asked < test.atLeast || asked > test.atMost || (status == 0) != test.good {
			t.Errorf("%+v: asked %d times, status %d, %s", test, asked, status, &stderr)
		}
		if status != 0 {
			continue
		}
		var names []string
		for line := range strings.Lines(stdout.String()) {
			if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 5 && f[3] == "VaultName" {
				names = append(names, f[4])
			}
		}
		if !slices.Equal(names, []string{"a", "b"}) {
			t.Errorf("vaults %q", names)
		}
	}
}
