package s3cold

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
)

// The names of what firn keeps beside the archives, below the prefix.
const (
	ownFolder     = ".firn/"
	storeName     = ownFolder + "store.json"
	tagsName      = ownFolder + "tags.json"
	uploadsFolder = ownFolder + "uploads/"
	hashesFolder  = ownFolder + "hashes/"
	objectsFolder = ownFolder + "objects/"
	// of archives that are snapshots of the catalog
	snapshotsFolder = ownFolder + string(describe.Snapshot) + "/"
	versionKind     = "versions"
)

// validKey reports whether a key below the prefix can be shown, and be the path
// of a file for every other tool.
func validKey(key string) bool {
	if key == "" || len(key) > maxKey || !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
		return false
	}
	for name := range strings.SplitSeq(key, "/") {
		if name == "" || name == "." || name == ".." {
			return false
		}
	}
	return true
}

// A naming says under which names an archive may be stored, the best first.
type naming struct {
	keys     []string         // below the prefix
	read     describe.Archive // what its description says
	own      bool             // that is firn's: two with the same one are one archive
	snapshot bool
}

// name chooses the names of an archive. Only the first version of a file that a
// server can be asked to not overwrite has the file's own. What the description
// doesn't tell from all others has a random one.
func (s *Store) name(description string, conditional bool) naming {
	d := describe.Decode(description)
	if d.Format != describe.Firn || d.Token.IsZero() {
		n := naming{keys: []string{randomName()}, read: d}
		if conditional && isAnnexKey(description) && validKey(description) && len(s.base+description) <= maxKey {
			n.keys = slices.Insert(n.keys, 0, description)
		}
		return n
	}
	n := naming{read: d, own: true, snapshot: d.Kind == describe.Snapshot}
	if !conditional {
		n.keys = []string{randomName()}
		return n
	}
	if d.Kind != describe.File {
		n.keys = []string{describe.Name(d.Kind, d.Token, d.Encrypted)}
		return n
	}
	readable := d.Path
	if d.Tree != "" {
		readable = d.Tree + "/" + d.Path
	}
	if d.Path != "" && validKey(readable) && len(s.base+readable) <= maxKey && !strings.HasPrefix(readable, ownFolder) {
		n.keys = append(n.keys, readable)
	}
	n.keys = append(n.keys, describe.Name(versionKind, d.Token, false))
	return n
}

// isAnnexKey reports whether a description is a key of git-annex, which its programs
// look for by this name: BACKEND, fields such as -s123, two hyphens, and a name
// (git-annex.branchable.com, "key format").
func isAnnexKey(description string) bool {
	head, name, ok := strings.Cut(description, "--")
	backend, fields, sized := strings.Cut(head, "-")
	if !ok || name == "" || backend == "" || strings.ContainsAny(description, "/ ") {
		return false
	}
	odd := func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9') }
	if strings.ContainsFunc(backend, odd) {
		return false
	}
	for field := range strings.SplitSeq(fields, "-") {
		if sized && (len(field) < 2 || !strings.Contains("smSC", field[:1]) || strings.Trim(field[1:], "0123456789") != "") {
			return false
		}
	}
	return true
}

func randomName() string { return objectsFolder + firn.NewToken().String() }

// isArchive reports whether a key below the prefix is that of an archive.
func isArchive(key string) bool {
	return key != storeName && key != tagsName && !strings.HasPrefix(key, uploadsFolder) && !strings.HasPrefix(key, hashesFolder) &&
		!strings.HasPrefix(key, listsFolder)
}

// keyHash names what belongs to a key.
func keyHash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// idOf writes the id of an archive: its key below the prefix, of which only
// control characters, what isn't UTF-8, and '%' are written otherwise.
func idOf(key string) firn.ArchiveID {
	var b strings.Builder
	for i := 0; i < len(key); {
		r, n := utf8.DecodeRuneInString(key[i:])
		if r == utf8.RuneError && n == 1 || unicode.IsControl(r) || r == '%' {
			for _, c := range []byte(key[i : i+n]) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		} else {
			b.WriteString(key[i : i+n])
		}
		i += n
	}
	return firn.ArchiveID(b.String())
}

// keyOfID reads what idOf wrote.
func keyOfID(id firn.ArchiveID) (key string, ok bool) {
	key, err := url.PathUnescape(string(id))
	return key, err == nil && key != "" && isArchive(key) && idOf(key) == id
}
