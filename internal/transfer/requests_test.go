package transfer

import (
	"testing"
)

func TestRequests(t *testing.T) {
	for _, c := range []struct {
		size, part int64
		want       int64
	}{
		{1, 0, 1}, {MaxSingle, mib, 1}, {MaxSingle + 1, 0, 2 + 2}, {gib, 0, 16 + 2}, {gib, 16 * mib, 64 + 2},
		{10000*64*mib + 1, 0, 5001 + 2}, {10000*4*gib + 1, 0, 0},
	} {
		u := uploader(t, newVault(), traits, UploadOptions{PartSize: c.part})
		if got := u.Requests(c.size); got != c.want {
			t.Errorf("%d bytes in parts of %s: %d requests, want %d", c.size, inMiB(c.part), got, c.want)
		}
	}
	slow := uploader(t, newVault(), traits, UploadOptions{Limit: 125000})
	if got := slow.Requests(MaxSingle); got <= 1 {
		t.Errorf("on a slow line %d requests, want parts", got)
	}
}
