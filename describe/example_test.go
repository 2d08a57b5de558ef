package describe_test

import (
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
)

func ExampleDecode() {
	for _, description := range []string{
		"mt2 eyJmaWxlbmFtZSI6ImZpbGUudHh0IiwibXRpbWUiOiIyMDEzMTIxOVQwODMzMDFaIn0",
		"<m><v>4</v><p>Z2xhY2llci1kZy5wZGY=</p><lm>20120821T170824Z</lm><ce>1:0:4340ebcf79712dc5e3ef7d50bab98ba5:54687</ce></m>",
		`{"Path":"c:+AFw-dir+AFw-s+APY-me file","UTCDateModified":"20130322T120026Z","Flags":2}`,
		"a file's plain name",
	} {
		a := describe.Decode(description)
		if a.Format == describe.Unknown {
			fmt.Println("unknown")
			continue
		}
		fmt.Printf("%s of %s: %s (%s)\n", a.Format, a.ModTime.Format(time.DateOnly), a.Path, a.Packed())
	}
	// Output:
	// mt2 of 2013-12-19: file.txt ()
	// fastglacier of 2012-08-21: glacier-dg.pdf (compressed)
	// cloudberry of 2013-03-22: c:\dir\söme file (encrypted)
	// unknown
}

func ExampleEncode() {
	id, err := firn.ParseToken("AQAAAAD7AAAAAAAAAAAA_w")
	if err != nil {
		panic(err)
	}
	description, err := describe.Encode(describe.Archive{
		Token:   id, // of one's own: firn.NewToken()
		Kind:    describe.File,
		Tree:    "home",
		Path:    "photos/2012/IMG_0001.jpg",
		ModTime: time.Date(2012, 12, 25, 10, 0, 0, 0, time.UTC),
		Mode:    0o644,
		HasMode: true,
	})
	if err != nil {
		panic(err)
	}
	a := describe.Decode(description)
	fmt.Println(description[:4]+"...", a.Tree, a.Path, a.ModTime, a.Mode)
	// Output: mt2 ... home photos/2012/IMG_0001.jpg 2012-12-25 10:00:00 +0000 UTC -rw-r--r--
}

// An uploaded name with umlauts, as glacier-cli has sent it.
func ExampleGuess() {
	a := describe.Guess("M%C3%BCnchen/photos.tar")
	name, escaped := describe.Unescape(a.Path)
	fmt.Println(a.Format, a.Path, name, escaped)
	// Output: plain M%C3%BCnchen/photos.tar München/photos.tar true
}

func ExampleSafePath() {
	for _, p := range []string{"photos/a.jpg", "/etc/passwd", "../../x", "a\nb"} {
		safe, changed := describe.SafePath(p)
		fmt.Printf("%q %q %t\n", p, safe, changed)
	}
	// Output:
	// "photos/a.jpg" "photos/a.jpg" false
	// "/etc/passwd" "etc/passwd" true
	// "../../x" "___/___/x" true
	// "a\nb" "a%0Ab" true
}

func ExampleArchive_SafePath() {
	a := describe.Decode(`{"Path":"+AFwAXA-nas+AFw-share+AFw-a.jpg"}`)
	safe, _ := a.SafePath()
	fmt.Println(a.Path, safe)
	// Output: \\nas\share\a.jpg nas/share/a.jpg
}
