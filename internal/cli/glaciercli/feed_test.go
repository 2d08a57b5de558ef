package glaciercli

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
)

// TestFeed: what is called like a key of git-annex must be as long as that says, and
// of what is encrypted the sender must live.
func TestFeed(t *testing.T) {
	const secret = "GPGHMACSHA1--0123456789abcdef0123456789abcdef01234567"
	for _, c := range []struct {
		name, data string
		dies, ok   bool
	}{
		{"anything", "abc", false, true},
		{"anything", "abc", true, true},
		{"SHA256E-s3--084c79.txt", "abc", false, true},
		{"SHA256E-s3--084c79.txt", "ab", false, false},
		{"SHA256E-s3--084c79.txt", "abcd", false, false},
		{"SHA256E-s3--084c79.txt", "", false, false},
		{"prefix/WORM-s4-m1795293640--w", "abc", false, false},
		{"WORM-s4-m1795293640--w", "abcd", false, true},
		{"SHA256E-s9-S3-C2--084c79", "abc", false, true}, // a piece of it
		{"SHA256E--084c79", "abc", false, true},
		{"SHA256E--084c79", "abc", true, false},
		{"SHA256E-s9-S3-C2--084c79", "abc", true, false},
		{"URL--http&c%%example.com%a", "abc", true, false},
		{"my_SHA256E-s3--084c79.txt", "ab", false, false},
		{"v2SHA256E-s3--084c79.txt", "ab", false, false},
		{"prefix" + secret, "abc", true, false},
		{secret, "abc", false, true},
		{secret, "abc", true, false},
	} {
		parent := 7
		p := &program{Env: Env{Stdin: strings.NewReader(c.data), Clock: clock.NewManual(time.Unix(0, 0)), Parent: func() int { return parent }}, parent: parent}
		f := newFeed(t.Context(), p, c.name)
		if c.dies {
			parent = 1
		}
		got, err := io.ReadAll(f)
		if (err == nil) != c.ok || c.ok && string(got) != c.data {
			t.Errorf("%s of %q, %t: %q, %v", c.name, c.data, c.dies, got, err)
		}
		if err != nil && firn.KindOf(err) != firn.Local {
			t.Errorf("%s: %v is of another kind", c.name, err)
		}
	}
}
