package syncer

import (
	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/plan"
)

// Modes are what a sync does where it is not to do all, as mt-aws-glacier has
// them. The zero value does all: it sends what is new and what was modified,
// marks what was removed, and keeps every version. With any of them set, what
// the others stand for is skipped.
type Modes struct {
	New bool // send and record what the catalog knows nothing of
	// ReplaceModified sends and records what has changed, and lets the versions
	// go that it replaced.
	ReplaceModified bool
	// DeleteRemoved lets all versions go of what is not on the disk any more.
	DeleteRemoved bool
}

// mirrors reports whether versions are let go.
func (m Modes) mirrors() bool { return m.ReplaceModified || m.DeleteRemoved }

// The names of runs in the catalog: a mirror lets go the versions that it, or
// one before it that was cut short, has replaced or removed.
const (
	syncRun   = "sync"
	mirrorRun = "mirror"
)

func (m Modes) command() string {
	if m.mirrors() {
		return mirrorRun
	}
	return syncRun
}

// declines says why a decision is not carried out; empty where it is.
func (m Modes) declines(d *plan.Decision) string {
	switch {
	case m == Modes{}, d.Action == plan.Unchanged, d.Action == plan.Unseen, d.Action == plan.Trust:
		return ""
	case d.Action == plan.Removed && !m.DeleteRemoved:
		return "gone, and --delete-removed is not given"
	case d.Action == plan.Removed:
		return ""
	case d.File.Kind == firn.Directory && (m.New || m.ReplaceModified):
		return "" // for what is kept in it
	case d.Known == nil && !m.New:
		return "new, and --new is not given"
	case d.Known != nil && !m.ReplaceModified:
		return d.Why + ", and --replace-modified is not given"
	}
	return ""
}
