package filter

import (
	"maps"
	"slices"
	"strings"
)

// LitterReason is why a scan leaves out what the default list names.
const LitterReason = "on the default list (--no-default-excludes keeps it)"

// Litter lists what is left out by default, sorted: what network storage,
// desktops and file systems put beside people's files and make again by
// themselves, what was thrown away, and views of other times. A name that ends
// with a slash is that of a directory.
func Litter() []string {
	names := slices.Collect(maps.Keys(litterFiles))
	for name := range litterDirs {
		names = append(names, name+"/")
	}
	return slices.Sorted(slices.Values(names))
}

// Names are spelled as the systems write them, where there are several ways in
// each. Not here, though often called litter: ._* and .AppleDouble, which hold
// what belongs to the files beside them.
var (
	litterDirs = map[string]string{
		"@eaDir":                    "Synology: thumbnails and search index",
		"#recycle":                  "Synology: recycle bin",
		"#snapshot":                 "Synology: older states of the share",
		"@Recycle":                  "QNAP: recycle bin",
		"@Recently-Snapshot":        "QNAP: older states of the share",
		".@__thumb":                 "QNAP: thumbnails",
		".Spotlight-V100":           "macOS: search index",
		".Trashes":                  "macOS: trash of a disk",
		".fseventsd":                "macOS: record of changes",
		".TemporaryItems":           "macOS: temporary files",
		"$RECYCLE.BIN":              "Windows: recycle bin",
		"$Recycle.Bin":              "Windows: recycle bin",
		"RECYCLER":                  "Windows XP: recycle bin",
		"System Volume Information": "Windows: restore points and indexes",
		"lost+found":                "ext file systems: what a check of the disk found",
	}
	litterFiles = map[string]string{
		".DS_Store":    "macOS: how a window looks",
		".apdisk":      "macOS: settings of a shared disk",
		"Thumbs.db":    "Windows: thumbnails",
		"thumbs.db":    "Windows: thumbnails",
		"ehthumbs.db":  "Windows: thumbnails",
		"desktop.ini":  "Windows: how a folder looks",
		"Desktop.ini":  "Windows: how a folder looks",
		"pagefile.sys": "Windows: swapped memory",
		"hiberfil.sys": "Windows: sleeping memory",
		"swapfile.sys": "Windows: swapped memory",
	}
)

// isLitter tells whether a file or directory of that name is on the list.
func isLitter(name []byte, isDir bool) bool {
	names := litterFiles
	if isDir {
		names = litterDirs
	}
	_, found := names[string(name)] // doesn't allocate
	return found
}

// UnfinishedReason is why a scan leaves out what IsUnfinished names.
const UnfinishedReason = "of a restore that has not finished"

// IsUnfinished reports whether a name is one that a restore gives to what is not
// whole yet, .firn- and 16 hex digits, or to the mark of a folder that isn't,
// both with .part after it. It may stand in any tree, and is nobody's file.
func IsUnfinished(name []byte) bool {
	const before, digits, mark, after = ".firn-", 16, "restore", ".part"
	n := len(name) - len(before) - len(after)
	if n != digits && n != len(mark) || name[0] != '.' {
		return false // as almost all are
	}
	s := string(name) // so short that it needs no memory
	if !strings.EqualFold(s[:len(before)], before) || !strings.EqualFold(s[len(before)+n:], after) {
		return false
	}
	middle := s[len(before) : len(before)+n]
	return n == digits && strings.Trim(middle, "0123456789abcdefABCDEF") == "" || strings.EqualFold(middle, mark)
}
