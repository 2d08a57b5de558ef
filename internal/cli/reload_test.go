package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/config"
)

// TestReload: a sync that runs follows the limit that its profile has now. A file
// that can't be used changes nothing.
func TestReload(t *testing.T) {
	env := testEnv(t)
	env.LookupEnv = func(name string) (string, bool) {
		return map[string]string{"FIRN_CONFIG_DIR": env.Dir}[name], name == "FIRN_CONFIG_DIR"
	}
	asked := make(chan struct{})
	stopped := false
	env.Hangups = func() (<-chan struct{}, func()) { return asked, func() { stopped = true } }
	var stderr bytes.Buffer
	env.Stderr = &stderr
	a := &app{env: env}
	if err := a.openUI("sync", false); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(env.Dir, config.FileName), []byte("[profile.home]\nstore = \"local:v\"\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := a.startReload(t.Context())
	read := func() string { // and what is said of it
		stderr.Reset()
		r.read()
		return stderr.String()
	}
	var rate config.Rate
	rate.Set(config.Steady(1000))
	write("limit_upload = \"5K\"\n")
	if said := read(); said != "" || rate.Get().Slowest() != 1000 {
		t.Errorf("while nothing runs: %q, %v", said, rate.Get())
	}
	end := r.follow("home", false, &rate)
	for _, c := range []struct {
		text, want, said string
	}{
		{"limit_upload = \"5K\"\n", "5K", "the limit of uploads is 5K from now on"},
		{"limit_upload = \"5K\"\n", "5K", "the limit of uploads is the same"},
		{"limit_upload = \"08:00,1M 23:00,off\"\n", "08:00,1M 23:00,off", "the limit of uploads is 08:00,1M 23:00,off from now on"},
		{"limit_uplod = 1\n", "08:00,1M 23:00,off", "can't be used, so all stays as it was"},
		{"part_size = 6000\n", "08:00,1M 23:00,off", "can't be used, so all stays as it was"},
		{"[", "08:00,1M 23:00,off", "can't be used, so all stays as it was"},
		{"", "", "uploads have no limit from now on"},
	} {
		write(c.text)
		if said := read(); !strings.Contains(said, c.said) || rate.Get().String() != c.want {
			t.Errorf("%q: the limit is %q, want %q; said %q", c.text, rate.Get(), c.want, said)
		}
	}
	end()
	end = r.follow("home", true, &rate)
	write("limit_upload = \"5K\"\n")
	if said := read(); !strings.Contains(said, "--limit-upload was given") || rate.Get().String() != "" {
		t.Errorf("with one of the command line: %q, %q", said, rate.Get())
	}
	end()
	r.follow("home", false, &rate)
	asked <- struct{}{}
	asked <- struct{}{} // taken when the first is done with
	r.stop()
	if !stopped || rate.Get().String() != "5K" {
		t.Errorf("asked by a signal, the limit is %q; stopped %v", rate.Get(), stopped)
	}
}
