package firn_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/firn-archive/firn"
)

func TestErrorReadsAsASentence(t *testing.T) {
	err := &firn.Error{Op: "upload", Subject: "photos/a.jpg", Kind: firn.NotFound, Err: errors.New(`vault "x" does not exist`), Hint: "create it with: firn store create x"}
	const want = `upload photos/a.jpg: vault "x" does not exist; create it with: firn store create x`
	if err.Error() != want {
		t.Errorf("got %s", err)
	}
	bare := &firn.Error{Op: "list jobs", Kind: firn.Throttled}
	if bare.Error() != "list jobs: throttled" {
		t.Errorf("got %s", bare)
	}
}

func TestKindOfLooksThroughWrapping(t *testing.T) {
	inner := &firn.Error{Op: "read", Kind: firn.Lost, Err: io.EOF}
	err := fmt.Errorf("while testing: %w", inner)
	if firn.KindOf(err) != firn.Lost || !errors.Is(err, io.EOF) {
		t.Errorf("kind %v", firn.KindOf(err))
	}
	if firn.KindOf(io.EOF) != firn.Other {
		t.Error("a foreign error has a kind")
	}
}

// TestEveryKindHasAName also pins their number: names and kinds go in step.
func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]bool{}
	for k := firn.Other; k <= firn.Skew; k++ {
		if seen[k.String()] || k.String() == "unknown" {
			t.Errorf("kind %d is called %q", k, k)
		}
		seen[k.String()] = true
	}
	if got := (firn.Skew + 1).String(); got != "unknown" {
		t.Errorf("beyond the last: %q", got)
	}
}

// TestLostIsNotTemporary: repeating after a lost answer makes doubles.
func TestLostIsNotTemporary(t *testing.T) {
	for k := firn.Other; k <= firn.Skew; k++ {
		want := k == firn.Throttled || k == firn.Unavailable || k == firn.SlowBody || k == firn.Network || k == firn.Capacity || k == firn.Skew
		if k.Temporary() != want {
			t.Errorf("%v: temporary %v", k, k.Temporary())
		}
	}
}

func TestTokenRoundTrip(t *testing.T) {
	tok := firn.NewToken()
	got, err := firn.ParseToken(tok.String())
	if err != nil || got != tok || len(tok.String()) != 22 {
		t.Errorf("%s came back as %s, %v", tok, got, err)
	}
	for _, s := range []string{"", "short", tok.String() + "A", "!!!!!!!!!!!!!!!!!!!!!!", "AAAAAAAAAAAAAAAAAAAAAB"} {
		if _, err := firn.ParseToken(s); err == nil {
			t.Errorf("ParseToken(%q) succeeded", s)
		}
	}
}
