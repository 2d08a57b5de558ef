package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/testprog"
)

// tourStore names a store in which the tour is to take place, with the
// credentials of the environment; it costs what docs/tour.md says.
const tourStore = "FIRN_TOUR_STORE"

// TestTour runs every block of docs/tour.md, as a newcomer would, in one shell.
func TestTour(t *testing.T) {
	if testing.Short() {
		t.Skip("one program after the other")
	}
	shell := testprog.Need(t, "bash")
	firn, err := exec.LookPath("firn")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/tour.md")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	env := []string{"HOME=" + home, "PATH=" + filepath.Dir(firn) + ":" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	deadline := 5 * time.Minute
	real := os.Getenv(tourStore)
	if real != "" {
		env = append(os.Environ(), append(env, "STORE="+real)...)
		deadline = 71 * time.Hour
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, shell, "-e", "-o", "pipefail", "-x", "-c", tourScript(t, string(page), real != ""))
	cmd.Dir, cmd.Env = home, env
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if real == "" {
		if left, err := os.ReadDir(home); err != nil || len(left) != 0 {
			t.Errorf("it left %v, %v", left, err)
		}
	}
}

// tourScript joins the blocks of the page. In a real vault those that begin and
// end the local one are left out. The server's port may be taken here: another one
// is asked for, and waited for.
func tourScript(t *testing.T, page string, real bool) string {
	t.Helper()
	blocks := regexp.MustCompile("(?ms)^```bash(?: tour=(\\w+))?\n(.*?)^```$").FindAllStringSubmatch(page, -1)
	if len(blocks) < 10 {
		t.Fatalf("the tour has %d blocks", len(blocks))
	}
	var script strings.Builder
	for _, b := range blocks {
		switch {
		case real && (b[1] == "server" || b[1] == "end"):
		case b[1] == "server":
			script.WriteString(serverOnAnyPort(t, b[2]))
		default:
			script.WriteString(b[2])
		}
	}
	return script.String()
}

// serverOnAnyPort changes the block that starts the server.
func serverOnAnyPort(t *testing.T, block string) string {
	t.Helper()
	const fixed = "http://127.0.0.1:9012"
	for _, must := range []string{fixed, "firn serve ~/firn-tour/vaults ", "2> ~/firn-tour/serve.log &"} {
		if strings.Count(block, must) != 1 {
			t.Fatalf("the block of the server has %q %d times", must, strings.Count(block, must))
		}
	}
	block = strings.Replace(block, "firn serve ~/firn-tour/vaults ", "firn serve ~/firn-tour/vaults --json --listen 127.0.0.1:0 ", 1)
	block = strings.Replace(block, "2> ~/firn-tour/serve.log &", "> ~/firn-tour/serve.json 2> ~/firn-tour/serve.log &", 1)
	return block + `until grep -q http://127 ~/firn-tour/serve.json; do kill -0 %1; sleep 0.1; done
export AWS_ENDPOINT_URL=$(grep -o 'http://127[0-9.:]*' ~/firn-tour/serve.json | head -1)
`
}
