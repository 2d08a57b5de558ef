package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// TestRun does all of it, on a small scale.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), []string{"-files", "300", "-versions", "700", "-per-folder", "10", "-bundle", "100", "-rounds", "2", "-dir", t.TempDir()}, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), " ms | "); n < 10 || !strings.HasPrefix(out.String(), "700 versions of 300 files") {
		t.Errorf("%d rows:\n%s", n, &out)
	}
}

func TestRefuses(t *testing.T) {
	for _, args := range [][]string{{"-files", "0"}, {"-rounds", "-1"}, {"extra"}, {"-nonsense"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
