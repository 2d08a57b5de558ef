package describe

import (
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/internal/testprog"
)

func TestUTF7(t *testing.T) {
	for s, want := range map[string]string{
		// The examples of RFC 2152.
		"A+ImIDkQ.":         "A≢Α.",
		"Hi Mom -+Jjo--!":   "Hi Mom -☺-!",
		"+ZeVnLIqe-":        "日本語",
		"Item 3 is +AKM-1.": "Item 3 is £1.",

		"": "", "abc": "abc", "+-": "+", "a+-b+-": "a+b+", "1+-1=2": "1+1=2",
		"+AFw-":          `\`,
		"c:+AFw-+AOQ-":   `c:\ä`,
		"c:+AFwA5A-":     `c:\ä`,
		"+2D3eAA-":       "😀",
		"+AOQ":           "ä",
		"+AOQ.":          "ä.",
		"+AOQ-+AOQ-":     "ää",
		"+AOQ--":         "ä-",
		"+AOQA9g":        "äö",
		"+AAA-":          "\x00",
		"+ACsAKw-":       "++",
		"+AC4ALgAv-":     "../",
		"\xff\x80é+AOQ-": "\xff\x80éä",
	} {
		if got := fromUTF7(s); got != want {
			t.Errorf("%q is %q, want %q", s, got, want)
		}
	}
}

// TestNotUTF7: what no writer of UTF-7 makes stays as it is.
func TestNotUTF7(t *testing.T) {
	for _, s := range []string{
		"+", "a+", "+ ", "C++", "++", "+++-", "a+b", "+A-", "+AO", "+AOQA", "+AOQAA-", "+AOR-",
		"+2D0-", "+2D3YPQ-", "+3gA-", "+2D0AQQ-", "+AEHYPQ-", "+F8-", "+=", "+é",
	} {
		if got := fromUTF7(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

// dotnet writes UTF-7 as .NET's Encoding.UTF7 does: only these characters stand
// for themselves, and base64 always ends with "-".
func dotnet(text string) string {
	const direct = "\t\n\r '(),-./0123456789:?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var b strings.Builder
	for len(text) > 0 {
		n := strings.IndexFunc(text, func(r rune) bool { return strings.ContainsRune(direct, r) })
		if n < 0 {
			n = len(text)
		}
		switch run := text[:n]; {
		case n == 0:
			n = 1
			b.WriteByte(text[0])
		case strings.HasPrefix(run, "+"):
			n = 1
			b.WriteString("+-")
		default:
			var units []byte
			for _, u := range utf16.Encode([]rune(run)) {
				units = append(units, byte(u>>8), byte(u))
			}
			b.WriteString("+" + base64.RawStdEncoding.EncodeToString(units) + "-")
		}
		text = text[n:]
	}
	return b.String()
}

// FuzzUTF7: what .NET wrote is read as it was, and anything else does no harm.
func FuzzUTF7(f *testing.F) {
	for _, s := range []string{"", "a+b", `c:\dir\日本語 😀.txt`, "+AOQ-", "+2D0-", "++++", "\xff+AOQ", "é+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := fromUTF7(s); utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("%q became %q", s, got)
		}
		text := strings.ToValidUTF8(s, "")
		if got := fromUTF7(dotnet(text)); got != text {
			t.Errorf("%q was written as %q, and read as %q", text, dotnet(text), got)
		}
	})
}

// TestOthersWriteUTF7: another writer, which keeps to the RFC's minimum, is read
// too.
func TestOthersWriteUTF7(t *testing.T) {
	const program = `
import sys
for line in sys.stdin.buffer.read().decode("utf-8").splitlines():
    print(line.encode("utf-7").decode("ascii"))
`
	texts := []string{"a+b", `c:\dir\ä`, "日本語", "😀 +", "~tilde~", "Α≢Ω.-x", "ä+-", "{\"é\"}", "ÄÖÜ/日/a"}
	cmd := exec.Command(testprog.Python(t), "-c", program)
	cmd.Stdin = strings.NewReader(strings.Join(texts, "\n"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		got = append(got, fromUTF7(strings.TrimSuffix(line, "\n")))
	}
	if diff := cmp.Diff(texts, got); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
}
