package adopt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
)

// maxMarker is the largest archive that is taken for the mark of a folder, in
// bytes: these hold a byte, since an archive can't be empty.
const maxMarker = 1 << 10

// How files and folders are made whose mode nobody recorded.
const (
	fileMode   = 0o644
	folderMode = 0o755
)

// file makes an entry of a file that is the archive.
func file(tree, path string, found firn.Archive) catalog.FoundMember {
	return catalog.FoundMember{
		Tree:    tree,
		File:    firn.File{Path: path, Kind: firn.Regular, Mode: fileMode, UID: -1, GID: -1, Links: 1, Stamp: firn.Stamp{Size: found.Size}},
		Content: firn.Content{Size: found.Size, Tree: found.Tree},
	}
}

// A spot is where in the trees something goes.
type spot struct {
	tree, path string
	folder     bool
	changed    bool // the path isn't what it was called
	whole      bool // the folder that is to be taken off isn't there
}

// spotOf finds where something goes that was called so; false: the name says
// nothing. Packed is the ending that tells whose program can read the content;
// empty where anybody can.
func (a *adopter) spotOf(title describe.Archive, packed string, size int64) (s spot, ok bool) {
	safe, changed := title.SafePath()
	tree, path, stripped := a.names.place(title.Path, safe)
	if tree == "" {
		tree = a.Tree
	} else {
		changed = !strings.HasSuffix(strings.ReplaceAll(title.Path, `\`, "/"), "/"+path) // but for where it was
	}
	s = spot{tree: tree, path: path, folder: title.Kind == describe.Folder && size <= maxMarker, changed: changed, whole: !stripped}
	switch {
	case s.folder:
		s.changed = safe != strings.TrimSuffix(title.Path, "/")
	case path == "":
		s.path = safe // a file can't be the root
	case packed != "":
		s.tree += packedSuffix
		s.path, _ = describe.SafePath(path + "." + packed)
	}
	return s, safe != ""
}

// member makes the entry of what somebody called so, as spotOf.
func (a *adopter) member(ctx context.Context, found firn.Archive, title describe.Archive, packed string) (m catalog.FoundMember, ok bool, err error) {
	s, ok := a.spotOf(title, packed, found.Size)
	if !ok {
		return m, false, nil
	}
	path, err := a.names.claim(ctx, s, title.Path, found.ID)
	if err != nil {
		return m, false, err
	}
	if s.whole {
		a.teller.tell("whole", "that are not below it", "%s is not below %s: its path stays whole", title.Path, a.names.strip)
	}
	if s.changed || path != s.path {
		a.teller.tell("safe", "names that were made safe", "%s is kept as %s", title.Path, path)
	}
	m = file(s.tree, path, found)
	m.Stamp.ModTime = title.ModTime
	if s.folder {
		m.Kind, m.Mode, m.Stamp.Size, m.Content, m.Number = firn.Directory, folderMode, 0, firn.Content{}, -1
	}
	return m, true, nil
}

// packedBy tells whose program compressed or encrypted an archive, by what its
// record and its description say; empty: nobody's.
func packedBy(title, d describe.Archive) string {
	switch {
	case d.Packed() != "":
		return string(d.Format)
	case title.Packed() != "":
		return string(title.Format)
	}
	return ""
}

// isPath reports whether a path can be one of a tree, as it is on some disk.
func isPath(p string) bool {
	for name := range strings.SplitSeq(p, "/") {
		if name == "" || name == "." || name == ".." || strings.IndexByte(name, 0) >= 0 {
			return false
		}
	}
	return true
}

// prefix reads a folder that is to be taken off paths, as somebody writes it.
func prefix(p string) (string, error) {
	safe := safeFolder(p)
	if safe == "" && p != "" {
		return "", &firn.Error{Op: "adopt", Subject: p, Kind: firn.Usage, Err: fmt.Errorf("it is no folder that could be taken off a path; a slash at the beginning always is")}
	}
	return safe, nil
}

// safeFolder is the path of a folder as SafePath has those of what is in it; empty for
// the root.
func safeFolder(p string) string {
	if strings.Contains(p, `\`) || len(p) > 1 && p[1] == ':' {
		p = describe.FromWindows(p)
	}
	safe, _ := describe.SafePath(p)
	return safe
}

// A namer gives names to paths.
type namer struct {
	catalog *catalog.Catalog
	store   int64
	strip   string  // a safe path; empty: nothing is taken off
	places  []Place // with safe paths, the longest ones first
	// claims are the paths that may stand for several names, by their hash, with
	// the hash of the name that each stands for.
	claims map[uint64]uint64
	seed   maphash.Seed
}

// safePlaces reads directories as they are on a machine.
func safePlaces(places []Place) (safe []Place, err error) {
	for _, p := range places {
		if err = CheckTree(p.Tree); err != nil {
			return nil, err
		}
		safe = append(safe, Place{safeFolder(p.Dir), p.Tree})
	}
	slices.SortStableFunc(safe, func(a, b Place) int { return len(b.Dir) - len(a.Dir) })
	return safe, nil
}

// place finds the tree that a name is in by where it was on the disk, empty for none,
// and takes the prefix off any other; false: it isn't below that.
func (n *namer) place(original, safe string) (tree, path string, stripped bool) {
	if isAbsolute(original) {
		for _, p := range n.places {
			if path, ok := below(p.Dir, original, safe); ok && path != "" {
				return p.Tree, path, true
			}
		}
	}
	path, stripped = below(n.strip, original, safe)
	return "", path, stripped
}

// isAbsolute reports whether a name says where its file was on the disk.
func isAbsolute(name string) bool {
	return strings.HasPrefix(name, "/") || strings.HasPrefix(name, `\\`) || len(name) > 2 && name[1] == ':' && (name[2] == '\\' || name[2] == '/')
}

// below takes a folder off a path; false: the path isn't below it. In names of Windows
// small and capital letters are the same.
func below(folder, original, safe string) (string, bool) {
	k := len(folder)
	if k == 0 {
		return safe, true
	}
	if len(safe) < k || len(safe) > k && safe[k] != '/' {
		return safe, false
	}
	windows := strings.Contains(original, `\`) && !strings.Contains(safe, `\`)
	if safe[:k] != folder && !(windows && strings.EqualFold(safe[:k], folder)) {
		return safe, false
	}
	return strings.TrimPrefix(safe[k:], "/"), true
}

// claim gives the path for a name. Archives of one name are versions of a file;
// but two names that had to be changed may come to one path, and then the later
// one gets another. What may do so is known by its looks, so that the millions of
// other names cost nothing.
func (n *namer) claim(ctx context.Context, s spot, original string, id firn.ArchiveID) (path string, err error) {
	path = s.path
	if !looksChanged(path) {
		return path, nil
	}
	name := maphash.String(n.seed, original)
	for try := 0; ; try++ {
		key := maphash.String(n.seed, s.tree+"\x00"+path)
		owner, claimed := n.claims[key]
		ours := owner == name
		if !claimed {
			if ours, err = n.isOurs(ctx, s, path, original, id); err != nil {
				return "", err
			}
		}
		if ours {
			n.claims[key] = name
			return path, nil
		}
		sum := sha256.Sum256([]byte(strings.Repeat("\x00", try) + original))
		path, _ = describe.SafePath(s.path + "~" + hex.EncodeToString(sum[:4]))
	}
}

// isOurs reports whether what the catalog has at a path, if anything, was called
// like this. Where no description says what it was called, it was called so.
func (n *namer) isOurs(ctx context.Context, s spot, path, original string, id firn.ArchiveID) (bool, error) {
	holders, err := n.catalog.HoldersOf(ctx, n.store, s.tree, path)
	if err != nil {
		return false, err
	}
	for _, h := range holders {
		if h.ID == id || h.Description == "" && !s.changed || h.Description != "" && guess(h.Description).Path == original {
			return true, nil
		}
	}
	return len(holders) == 0, nil
}

// looksChanged reports whether a path may be what SafePath, or claim, made of
// another one.
func looksChanged(p string) bool {
	if strings.IndexByte(p, '%') < 0 && strings.IndexByte(p, '~') < 0 && strings.IndexByte(p, '_') < 0 {
		return false
	}
	for name := range strings.SplitSeq(p, "/") {
		if name == "_" || name == "__" || name == "___" {
			return true
		}
		for i := range len(name) {
			if name[i] == '%' && hexadecimal(name[i+1:], 2, "0123456789ABCDEF") || name[i] == '~' && hexadecimal(name[i+1:], 8, "0123456789abcdef") {
				return true
			}
		}
	}
	return false
}

// hexadecimal reports whether s begins with n of the digits.
func hexadecimal(s string, n int, digits string) bool {
	return len(s) >= n && strings.Trim(s[:n], digits) == ""
}
