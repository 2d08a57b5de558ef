package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
)

// TestReadyIsCalledOnce nothing more is to come, and not before.
func TestReadyIsCalledOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the hook of this test is for sh")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		err  error
		want string // in the message; empty: none
	}{
		{"all is there", t.Context(), nil, `"event":"on_ready","time":"2026-01-02T03:04:05Z","host":"nas","profile":"p","store":"local:/v","restore":7,"what":"a, b","path":"/back","status":"done","exit":0,"counts":{"restored":{"files":2,"bytes":3}}}`},
		{"all that can be had", t.Context(), ErrPartial, `"status":"partial","exit":3`},
		{"some is pending", t.Context(), errors.Join(ErrPartial, ErrNotYet), ""},
		{"it failed", t.Context(), &firn.Error{Op: "restore", Kind: firn.Full}, ""},
		{"interrupted", gone, context.Canceled, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := taskHome(t, map[string]string{"FIRN_HOST": "nas", "FIRN_CONFIG_DIR": t.TempDir()})
			a := &app{env: env}
			if err := a.openUI("restore", false); err != nil {
				t.Fatal(err)
			}
			said := filepath.Join(t.TempDir(), "said")
			p := &config.Profile{Name: "p", Store: "local:/v", Hooks: config.Hooks{OnReady: config.Hook{Shell: "cat >> " + said}, Timeout: config.DefaultHookTimeout}}
			b := broughtBack{Restore: 7, What: "a, b", To: "/back", Counts: map[firn.Action]firn.Count{firn.Restored: {Files: 2, Bytes: 3}}}
			a.ready(tt.ctx, p, b, tt.err)
			a.ready(tt.ctx, nil, b, tt.err) // of no profile
			got, err := os.ReadFile(said)
			if tt.want == "" && err == nil || !strings.Contains(string(got), tt.want) || strings.Count(string(got), "\n") > 1 {
				t.Errorf("the hook got %q, want %q", got, tt.want)
			}
		})
	}
}
