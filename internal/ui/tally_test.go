package ui

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
)

// TestBundlesEnd: a bundle is of no one file, and leaves the display when it is
// told to have ended.
func TestBundlesEnd(t *testing.T) {
	now := time.Unix(0, 0)
	tally := newTally(now)
	tally.add(firn.TransferEvent{Path: "a and 9 more files", Bytes: 5}, now)
	tally.add(firn.TransferEvent{Path: "b", Bytes: 7}, now)
	tally.add(firn.TransferEvent{Path: "a and 9 more files", Ended: true}, now)
	tally.add(firn.TransferEvent{Path: "never seen", Ended: true}, now)
	if r := tally.read(now, 9); len(r.current) != 1 || r.current[0].path != "b" || r.moved != 12 {
		t.Errorf("%+v", r)
	}
}
