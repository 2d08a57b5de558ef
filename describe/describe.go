// Package describe writes and reads the descriptions that archives and jobs
// carry in a store: the words by which a file is found again when nothing but
// the store is left.
//
// # What firn writes
//
// The description of an archive is "mt2", a blank, and unpadded base64url of a
// JSON object in UTF-8, 1,024 bytes in all. Its values are strings and numbers,
// never objects or lists, so that mt-aws-glacier reads it too and ignores the
// keys that it does not know.
//
//	filename  string  relative path below the root of the tree, with slashes
//	mtime     string  time of modification, UTC, as YYYYMMDDTHHMMSSZ
//	firn      number  version of the keys below: 1
//	id        string  the archive's token: 22 characters of base64url
//	kind      string  what the archive holds; a file where absent
//	mode      string  permissions with setuid, setgid and sticky, octal
//	ns        number  nanoseconds of the time of modification; 0 where absent
//	tree      string  name of the tree that the file belongs to; absent where it
//	                  was uploaded alone
//
// An archive that is not a file, or whose file's name or time can't be written
// so, is called .firn/KIND/ID, and its mtime is the time when it was made. The
// kind decides what it is, never the name. A file of that sort is of the kind
// "opaque", with two keys more:
//
//	sec       number  time of modification in seconds since 1970; ns adds to it
//	path      string  base64url of the relative path's bytes; absent where the
//	                  description would become too long
//
// The description of a job is "firn1", a blank, the token of the request, and
// perhaps a blank and words for people.
//
// # What it reads
//
// These, and what mt-aws-glacier wrote in its life: mt2, and mt1, which is
// encoded twice. Both are read as leniently as mt-aws-glacier does.
package describe

import (
	"io/fs"
	"time"

	"github.com/firn-archive/firn"
)

// MaxLen is the longest description of an archive or a job, in bytes. Amazon
// Glacier API reference, "Upload Archive" and "Initiate Job": 1,024 printable
// ASCII characters.
const MaxLen = 1024

// Version is the version of firn's keys that Encode writes.
const Version = 1

// A Format is a way of writing descriptions.
type Format string

// The formats.
const (
	Unknown Format = ""     // none that is known here
	Firn    Format = "firn" // mt2, with firn's keys
	MT2     Format = "mt2"  // mt-aws-glacier since 0.84beta (2013)
	MT1     Format = "mt1"  // mt-aws-glacier before that
)

// A Kind says what an archive holds. There may be kinds that this version does
// not know.
type Kind string

// The kinds of archive that hold a single file.
const (
	File   Kind = "file"   // a file's content, under the file's name
	Opaque Kind = "opaque" // a file's content, whose name or time mt2 can't hold
	Bundle Kind = "bundle" // many files, or one that is larger: a tar with an index behind it
	Sealed Kind = "sealed" // a bundle, encrypted with age
)

// An Archive is what the description of an archive says. What was read is
// what somebody wrote: nothing in it is to be trusted, a path may lead anywhere.
type Archive struct {
	Format  Format     // Encode always writes Firn
	Version int        // of firn's keys; 0 in other formats
	Token   firn.Token // zero in other formats
	Kind    Kind       // File in other formats
	Tree    string     // the tree's name; empty of a file of none, and in other formats
	// Path is relative to the tree's root, with slashes; any bytes. Empty where
	// it is not said, and of what is not a file.
	Path    string
	ModTime time.Time // of the file; zero where it is not said
	// Mode holds permissions, setuid, setgid and sticky; only where HasMode.
	Mode    fs.FileMode
	HasMode bool
	Made    time.Time // when the archive was made; zero where Kind is File
	// Of bundles, 0 where it is not said: how many entries the index has, and in
	// how many bytes at the archive's end index and footer are.
	Members, Index int64
}
