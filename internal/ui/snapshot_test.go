package ui

import (
	"strings"
	"testing"

	"github.com/firn-archive/firn"
)

// TestSnapshot: people hear of a snapshot with --verbose, programs always, and
// the log keeps it.
func TestSnapshot(t *testing.T) {
	full := firn.SnapshotEvent{Store: "local:v", Seq: 1, Archive: "id", Size: 12 << 10}
	added := firn.SnapshotEvent{Store: "local:v", Seq: 12, Base: 7, Archive: "id2", Size: 700}
	text := "saved the catalog in local:v: snapshot 1 (12.0 KiB)\nsaved the catalog in local:v: snapshot 12, which adds to 7 (700 B)\n"
	objects := `{"v":1,"type":"snapshot","time":"2026-01-02T03:04:05Z","store":"local:v","seq":1,"archive":"id","size":12288}
{"v":1,"type":"snapshot","time":"2026-01-02T03:04:05Z","store":"local:v","seq":12,"base":7,"archive":"id2","size":700}
`
	for name, c := range map[string]struct {
		change   []func(*Options)
		out, err string
	}{
		"plain":   {nil, "", ""},
		"verbose": {[]func(*Options){verbose}, "", text},
		"json":    {[]func(*Options){asJSON}, objects, ""},
		"quiet":   {[]func(*Options){asJSON, quiet}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			r := record(append(c.change, func(o *Options) { o.Log = &log })...)
			r.Sink()(full)
			r.Sink()(added)
			r.check(t, c.out, c.err)
			if !strings.Contains(log.String(), "Z saved the catalog in local:v: snapshot 12, which adds to 7") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}
