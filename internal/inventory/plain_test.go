package inventory

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
)

// slowlyJSON is ReadJSON by encoding/json alone.
func slowlyJSON(r io.Reader, each func(firn.Archive) error, bad func(error) error) (firn.InventoryInfo, error) {
	return readJSON(r, &jsonReader{each: each, bad: bad, slowly: true})
}

// sameAsSlowly reads text in both ways.
func sameAsSlowly(t *testing.T, text string) {
	t.Helper()
	show := func(r read) []any {
		var failed string
		if r.err != nil {
			failed, _, _ = strings.Cut(r.err.Error(), ": ")
		}
		return []any{r.info, r.archives, r.bad, failed}
	}
	want := show(leniently(slowlyJSON, text))
	if diff := cmp.Diff(want, show(leniently(ReadJSON, text))); diff != "" {
		t.Errorf("%.300q: slowly, and not:\n%s", text, diff)
	}
	in := func(r io.Reader, each func(firn.Archive) error, bad func(error) error) (firn.InventoryInfo, error) {
		return ReadJSON(iotest.OneByteReader(r), each, bad)
	}
	if diff := cmp.Diff(want, show(leniently(in, text))); diff != "" {
		t.Errorf("%.300q: slowly, and in crumbs:\n%s", text, diff)
	}
}

// An entry of an inventory, with what may stand in its place.
const plainEntry = `{"ArchiveId":"a-1","ArchiveDescription":"one","CreationDate":"2012-05-15T17:19:46.700Z","Size":12,"SHA256TreeHash":"` + hex64 + `"}`

// entries are sound ones, odd ones, and such as are none.
func entries() (all []string) {
	with := func(old, new string) { all = append(all, strings.Replace(plainEntry, old, new, 1)) }
	all = append(all, plainEntry, strings.NewReplacer(`":`, "\" :\n ", `,"`, " ,\t\"", "}", "\r\n}").Replace(plainEntry))
	for _, text := range []string{`{\"Path\":\"c:\\dir\\f\"}`, `\/\b\f\n\r\t`, `\u00e9`, `\ud83d\ude00`, `\ud83d`, `\x`, `\`, "é", "\xff", "a\xc3", "\x01", "\n", "\x7f", ""} {
		with("one", text)
		with("a-1", text)
	}
	for _, number := range []string{"0", "-1", "01", "1.5", "1e3", "999999999999999999", "1000000000000000000", "9223372036854775807", "9223372036854775808", "null", `"12"`, "true", "[]", "", "1 2"} {
		with(":12", ":"+number)
	}
	for _, key := range []string{"archiveid", "Other", "Arch\\u0069veId", "SIZE"} {
		with("ArchiveId", key)
	}
	with(`"one"`, "null")
	with(`"Size":12,`, `"Size":12,"New":{"a":["}",{"b":"\"]"}]},`)
	with(`"Size":12`, `"Size":1,"Size":12`)
	with("}", ",}")
	with("}", "")
	with("{", "{,")
	with(",", ",,")
	with(",", ";")
	return append(all, "{}", "null", "7", `"x"`, "[]", "{", "x", "")
}

// TestPlainIsJSON: what is read by other means than encoding/json comes out the
// same, and so do the errors, wherever an entry is and whatever stands behind it.
func TestPlainIsJSON(t *testing.T) {
	for _, e := range entries() {
		for _, list := range []string{e, plainEntry + "," + e, e + " ,\n" + plainEntry, plainEntry + "," + e + "," + plainEntry, e + ",", e + plainEntry} {
			sameAsSlowly(t, `{"VaultARN":"v","ArchiveList":[`+list+`],"InventoryDate":"2012-05-15T17:19:46Z"}`)
		}
	}
	whole := `{"ArchiveList": [ ` + plainEntry + ` , ` + plainEntry + ` ] , "VaultARN":"v" } `
	for i := range len(whole) {
		sameAsSlowly(t, whole[:i])
	}
	for _, end := range []string{"", "]", "}", "]]", "]}x", "]}{}", `],"ArchiveList":[]}`, `],"VaultARN":7}`, "]}\n"} {
		sameAsSlowly(t, `{"ArchiveList":[`+plainEntry+end)
	}
}

// TestPlainFails: what the reader says at last is said, once all that came before
// is read.
func TestPlainFails(t *testing.T) {
	for i := range len(plainEntry) {
		text := `{"ArchiveList":[` + plainEntry + `,` + plainEntry[:i]
		var n int
		_, err := ReadJSON(io.MultiReader(strings.NewReader(text), iotest.ErrReader(io.ErrClosedPipe)), func(firn.Archive) error {
			n++
			return nil
		}, nil)
		if err == nil || err.Error() != "after archive 1: "+io.ErrClosedPipe.Error() || n != 1 {
			t.Fatalf("after %d bytes: %d archives, %v", len(text), n, err)
		}
	}
}
