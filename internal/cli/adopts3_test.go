package cli

import (
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/s3test"
)

// TestAdoptInS3: what other programs put below a prefix has the name of its key, in a
// tree that is called as the prefix's last folder, or the bucket.
func TestAdoptInS3(t *testing.T) {
	for store, want := range map[string]struct{ prefix, tree string }{
		"s3:bucket/photos":       {"photos/", "photos"},
		"s3:bucket/home/photos":  {"home/photos/", "photos"},
		"s3:other":               {"", "other"},
		"s3:bucket/" + `back\up`: {`back\up/`, "adopted"},
	} {
		t.Run(store, func(t *testing.T) {
			w := newBucketWorld(t, s3test.Options{})
			bucket, _, _ := strings.Cut(strings.TrimPrefix(store, "s3:"), "/")
			w.firn(Done, "store", "create", store, "--class", "STANDARD")
			w.server.Fill(bucket, want.prefix+"2019/b ä ", "STANDARD", 2)
			_, stderr := w.firn(Done, "adopt", store)
			w.says(stderr, "--tree "+want.tree)
			list, _ := w.firn(Done, "ls", store, "--tree", want.tree)
			w.says(list, "2019/b ä 0000000")
			w.says(list, "2019/b ä 0000001")
			w.firn(Done, "adopt", store)
		})
	}
}
