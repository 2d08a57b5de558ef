package plan

import (
	"fmt"
	"strings"

	"github.com/firn-archive/firn"
)

// Detect says what shows that a file of the same size has other content. Another
// size always shows it.
type Detect uint8

// The ways to detect a change.
const (
	// ByTime hashes where mtime, ctime or inode differ.
	ByTime Detect = iota
	// ByHash hashes always: for what writes and puts the mtime back.
	ByHash
	// ByTimeAndHash hashes where the mtime differs, and believes neither ctime
	// nor inode: for disks and shares that give them anew at each mount.
	ByTimeAndHash
	// ByTimeOrHash takes another mtime for a change, and hashes all others.
	ByTimeOrHash
	// BySize believes that a file of the same size is the same.
	BySize
	// Always takes every file for changed, and has it sent again.
	Always
)

var detectNames = [...]string{"mtime", "hash", "mtime-and-hash", "mtime-or-hash", "size", "always"}

// detectAliases are mt-aws-glacier's names of those that firn calls otherwise
// (its README, "--detect").
var detectAliases = map[string]Detect{
	"treehash": ByHash, "mtime-and-treehash": ByTimeAndHash, "mtime-or-treehash": ByTimeOrHash,
	"size-only": BySize, "always-positive": Always,
}

// String gives the name that ParseDetect reads.
func (d Detect) String() string {
	if int(d) >= len(detectNames) {
		return "unknown"
	}
	return detectNames[d]
}

// ParseDetect reads a name: firn's, or mt-aws-glacier's. Errors: Usage.
func ParseDetect(s string) (Detect, error) {
	for i, name := range detectNames {
		if s == name {
			return Detect(i), nil
		}
	}
	if d, ok := detectAliases[s]; ok {
		return d, nil
	}
	return 0, &firn.Error{Op: "read way to detect changes", Subject: s, Kind: firn.Usage,
		Err: fmt.Errorf("there is none of this name; there are %s", strings.Join(detectNames[:], ", "))}
}
