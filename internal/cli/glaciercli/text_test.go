package glaciercli

import (
	"bytes"
	"strings"
	"testing"
)

// TestRepr: what Python 3 prints for repr, of each.
func TestRepr(t *testing.T) {
	for s, want := range map[string]string{
		"x": `'x'`, "it's": `"it's"`, `"`: `'"'`, `'"`: `'\'"'`, "a\tb\\": `'a\tb\\'`, "\x01\x7f": `'\x01\x7f'`,
		"\u200b": `'\u200b'`, "ünï": `'ünï'`, "\u00a0\u00ad": `'\xa0\xad'`, "\U0001f600": "'\U0001f600'", "\U000e0001": `'\U000e0001'`, "a\xffb": `'a\udcffb'`, "\n\r": `'\n\r'`, "": `''`,
	} {
		if got := repr(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

// TestDescribed: names and what they are sent as. What can't be told from a name
// with a % stays as it is.
func TestDescribed(t *testing.T) {
	for name, want := range map[string]string{
		"plain": "plain", "ünï": "%C3%BCn%C3%AF", "a\tb": "a%09b", "100%": "100%", "a b~!": "a b~!", "\xff": "%FF",
	} {
		if got := described(name); got != want {
			t.Errorf("%q is sent as %q, want %q", name, got, want)
		}
		if !isDescribed(want, name) {
			t.Errorf("%q isn't known as what %q is sent as", want, name)
		}
	}
	for description, want := range map[string]string{
		"%C3%BCn%C3%AF": "ünï", "100%": "100%", "a%20b": "a%20b", "%41": "%41", "%FF": "%FF", "a%09": "a\t", "%c3%bc": "%c3%bc",
	} {
		if got := nameOf(description); got != want {
			t.Errorf("%q stands for %q, want %q", description, got, want)
		}
	}
	if isDescribed("other", "one") || !isDescribed("x", " x ") {
		t.Error("blanks at the ends don't come back from the service, and all else does")
	}
}

func FuzzNameOf(f *testing.F) {
	for _, s := range []string{"%C3%BC", "a b", "%", "%zz", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !isDescribed(s, nameOf(s)) && !isDescribed(described(s), s) {
			t.Errorf("%q stands for %q, which isn't sent so", s, nameOf(s))
		}
		if strings.ContainsFunc(described(s), func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q is sent as %q", s, described(s))
		}
	})
}

func TestSay(t *testing.T) {
	var b bytes.Buffer
	say(&b, "glacier: ", "one\ntwo")
	if b.String() != "glacier: one\nglacier: two\n" {
		t.Errorf("%q", b.String())
	}
}
