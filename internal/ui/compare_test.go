package ui

import (
	"strings"
	"testing"

	"github.com/firn-archive/firn"
)

// TestCompare: how much is to be read is said before it takes days.
func TestCompare(t *testing.T) {
	both := firn.CompareEvent{Tree: "t", Read: firn.Count{Files: 12345, Bytes: 5 << 40}, Hashless: firn.Count{Files: 1, Bytes: 3}}
	trusting := firn.CompareEvent{Tree: "t", Read: firn.Count{Files: 2, Bytes: 2048}, Trusting: true}
	object := `{"v":1,"type":"compare","time":"2026-01-02T03:04:05Z","tree":"t","files":12345,"bytes":5497558138880,"hashless_files":1,"hashless_bytes":3}
{"v":1,"type":"compare","time":"2026-01-02T03:04:05Z","tree":"t","files":2,"bytes":2048}
`
	text := `5.00 TiB in 12,345 files are to be read once, to compare them with what the store has; 3 B in 1 file are sent again, since nobody recorded the hash of what the store has; --trust-times takes size and time for it
2.00 KiB in 2 files are to be read once, to compare them with what the store has
`
	dry := strings.NewReplacer("are to be", "would be", "are sent", "would be sent").Replace(text)
	for name, c := range map[string]struct {
		change   []func(*Options)
		out, err string
	}{
		"plain":   {nil, "", text},
		"dry run": {[]func(*Options){dryRun}, "", dry},
		"json":    {[]func(*Options){asJSON}, object, ""},
		"quiet":   {[]func(*Options){quiet}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			r := record(append(c.change, func(o *Options) { o.Log = &log })...)
			r.Sink()(both)
			r.Sink()(trusting)
			r.check(t, c.out, c.err)
			if !strings.Contains(log.String(), "Z 5.00 TiB in 12,345 files ") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}
