package snapshot_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/snapshot"
)

// TestMovedTag: a tag says where a store went, in the characters that tags have.
func TestMovedTag(t *testing.T) {
	allowed := regexp.MustCompile(`^[a-zA-Z0-9 _./=+@-]{1,255}$`)
	for _, store := range []string{
		"s3:bucket/photos?region=eu-west-1", "glacier:eu-west-1/v_2.x", "local:/mnt/a b/ä+%@=", "s3:b",
	} {
		value := snapshot.MovedValue(store)
		if !allowed.MatchString(value) {
			t.Errorf("%s: %q can't be a tag's value", store, value)
		}
		if got := snapshot.Moved(map[string]string{snapshot.MovedTag: value}); got != store {
			t.Errorf("%s: read as %q", store, got)
		}
	}
	if got := snapshot.Moved(map[string]string{"a": "b"}); got != "" {
		t.Errorf("it was moved to %q", got)
	}
	if got := snapshot.Moved(map[string]string{snapshot.MovedTag: "=zz"}); got != "=zz" {
		t.Errorf("what somebody else wrote is %q", got)
	}
	long := "local:/" + strings.Repeat("ä", 300)
	if value := snapshot.MovedValue(long); !allowed.MatchString(value) || !strings.HasPrefix(long, snapshot.Moved(map[string]string{snapshot.MovedTag: value})) {
		t.Errorf("a long one is %q", value)
	}
	if !snapshot.IsTag(snapshot.MovedTag) {
		t.Error("it is no tag of firn's")
	}
}
