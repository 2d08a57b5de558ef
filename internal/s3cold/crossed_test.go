package s3cold_test

import (
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
)

// TestCrossedNames: where objects are files, what was a file and is a folder now, or
// the other way round, gets another name.
func TestCrossedNames(t *testing.T) {
	for _, paths := range [][2]string{{"a", "a/b/c"}, {"a/b/c", "a/b"}} {
		for _, inParts := range []bool{false, true} {
			_, s := create(t, s3test.Options{Files: true}, nil)
			first, _ := describeFile(t, "home", paths[0])
			upload(t, s, first, []byte("first"))
			then, token := describeFile(t, "home", paths[1])
			body, sums := storetest.Body([]byte("then"))
			got, err := s.UploadArchive(t.Context(), then, body, sums)
			if inParts {
				if err := s.DeleteArchive(t.Context(), got); err != nil {
					t.Fatal(err)
				}
				u, startErr := s.StartUpload(t.Context(), then, s3cold.MinPart)
				if startErr != nil {
					t.Fatal(startErr)
				}
				if err := s.UploadPart(t.Context(), u, 0, body, sums); err != nil {
					t.Fatal(err)
				}
				got, err = s.CompleteUpload(t.Context(), u, 4, sums.Tree)
			}
			if want := ".firn/versions/" + token.String(); err != nil || string(got) != want {
				t.Errorf("%q after %q, in parts %v: %q, %v; want %q", paths[1], paths[0], inParts, got, err, want)
			}
		}
	}
}

// TestNothingLargeIsSentInVain: of a large file whose first version has its name the
// body goes out once.
func TestNothingLargeIsSentInVain(t *testing.T) {
	server, s := create(t, s3test.Options{}, nil)
	data := []byte(strings.Repeat("x", 1<<20+1))
	for i, want := range []int{1, 1} {
		d, _ := describeFile(t, "home", "a")
		used := requests(server, func() { upload(t, s, d, data) })
		if i == 0 {
			used["PUT"]-- // the server was asked whether it knows conditions
		}
		if used["PUT"] != want {
			t.Errorf("upload %d: %v", i+1, used)
		}
	}
}
