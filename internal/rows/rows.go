// Package rows writes and reads what a catalog knows of one store, as JSON
// lines: the content of snapshots, which lie in the store itself, and of
// exports. docs/format.md describes the lines for readers without firn.
//
// A stream is a Header, then Catalogs, Trees, Runs, Snapshots, Archives, and
// for each directory a Dir with its Entries, then an End. What refers to a
// number comes after what has it. The numbers are those of the catalog that
// wrote the stream, and the same in all its streams.
//
// A line is an object with one key, which says what the row is:
//
//	{"dir":{"tree":1,"path":"photos/2012"}}
//	{"entry":{"name":"a.jpg","since":3,"mode":"100644","size":9,"mtime":[1356429600,5],"uid":1000,"gid":100,"content":[17,2]}}
//
// Keys whose values would be zero or empty, or an owner -1, are left out. A
// text that isn't UTF-8 is in standard base64, under its key with _b64 behind
// it. Hashes are in hexadecimal (base64 comes out of zstd no smaller), tokens
// in base64url, other bytes in standard base64. Times of files are seconds
// since 1970, and nanoseconds where they are not 0; other times are RFC 3339, or
// the two numbers where RFC 3339 has no such year. What an archive contains is
// an array for each content: offset, size, hash, and its member number where
// that isn't one more than the one before (0 for the first); an entry's content
// is the number of its archive and, where it isn't 0, of the member.
//
// Keys may be added under one Version; whoever reads ignores those that they
// don't know. A new kind of line makes a new Version.
package rows

import (
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// Version is the version of the format that a Writer writes.
const Version = 1

// A Row is one line: a *Header, *Catalog, *Tree, *Run, *Snapshot, *Archive,
// *Dir, *Entry or *End.
type Row interface{ isRow() }

// A Header says what a stream is.
type Header struct {
	Version int        // 1 and up; a Writer writes its own
	Catalog firn.Token // whose rows they are
	Host    string     // its machine
	// Seq counts the snapshots of a catalog and store from 1; 0: an export.
	Seq int64
	// Base is the snapshot that this one adds to; 0: it is full. Then it has
	// the archives and entries alone that changed since.
	Base    int64
	Through int64     // the last run that is in it whole
	Made    time.Time // by the local clock
	Store   Store
	// Includes are the snapshots of other catalogs that this one has taken in.
	Includes []Include
	Profiles []Profile
}

// A Store is the store that a stream is about.
type Store struct{ Identity, Kind, URL, Name, Region, Address string }

// An Include is the newest snapshot of another catalog whose rows are all in
// the stream.
type Include struct {
	Catalog firn.Token
	Seq     int64
}

// A Profile is one from the user's configuration, as its file has it.
type Profile struct{ Name, Text string }

// A Catalog is one that rows came from. Number 1 wrote the stream.
type Catalog struct {
	ID    int64
	Token firn.Token
	Host  string
}

// A Tree is a directory tree in the store.
type Tree struct {
	ID         int64
	Name       string
	Host       string
	Root       string // absolute path; bytes
	Recipients []byte // 32 bytes that stand for all who can open what it stores; nil: it isn't encrypted
	// Keys are the recipients themselves, public keys, where they are known.
	Keys []string
}

// A Run is one command's work.
type Run struct {
	ID       int64
	Catalog  int64 // a Catalog's ID
	Origin   int64 // its id in that catalog, where that is not the writer of the stream; else 0
	Tree     int64 // a Tree's ID; 0: of the whole store
	Command  string
	Started  time.Time
	Ended    time.Time // zero while it goes on, or when it was killed
	Complete bool
	Counts   map[firn.Action]firn.Count
}

// A Snapshot is one that the catalog knows to be in the store.
type Snapshot struct {
	Catalog int64 // a Catalog's ID
	Seq     int64
	Base    int64
	Through int64
	Archive int64 // number of its archive, whose row comes later
	Made    time.Time
}

// An Archive is one that is in the store, or was, with what it holds.
type Archive struct {
	ID      int64
	Kind    string // file, bundle, catalog, loose, foreign
	State   uint8  // 10 stored, 11 foreign, 21 lost, 22 deleted
	Run     int64  // that intended it; 0: found in an inventory
	Settled int64  // the run in which it got its state; 0: not known
	Token   firn.Token
	Remote  firn.ArchiveID
	Size    int64         // bytes as stored
	Tree    treehash.Hash // of these
	Created time.Time     // by the store's clock; zero: not known
	// Leaves is when it is to be deleted at the earliest, by the store's clock,
	// since no version needs it; zero: it stays. It may be gone by then: what it
	// holds doesn't count as stored.
	Leaves time.Time
	Note   string
	// Description is kept of archives that others wrote, or that are of no
	// tree; Format says whose it is, Packed how its maker packed the content.
	Description, Format, Packed string
	// Class is the storage class of S3, Checksum what S3 confirmed, as in
	// firn.Receipt; each is empty where nobody knows.
	Class, Checksum string
	// Header is the head of an encrypted archive, Recipients stand for all who
	// can open it; nil where it isn't encrypted.
	Header, Recipients []byte
	Contents           []Content
}

// A Content is a file's content within an archive.
type Content struct {
	Member int64 // 0, 1, ... in the archive's order
	Offset int64 // in the archive; in its plaintext where it is encrypted
	Size   int64
	Tree   treehash.Hash // zero: nobody read it
}

// A Dir is the directory that the entries after it are in.
type Dir struct {
	Tree int64  // a Tree's ID
	Path string // "" is the tree's root; bytes
}

// An Entry is one version of a file, a link, or of the directory itself. Names
// ascend by their bytes. The versions of one name follow each other, oldest
// first; only the last one may be current.
type Entry struct {
	Name      string // bytes; "" is the directory itself
	Since     int64  // the run that made it
	Until     int64  // the run that replaced or removed it; 0: it is current
	Mode      uint32 // st_mode, with the type
	Size      int64
	ModTime   time.Time
	UID, GID  int64 // -1: none
	Archive   int64 // that holds its content; 0: it has none
	Member    int64
	Target    string // of links
	LinkGroup int64  // 0: it has one name
	Attrs     []byte
}

// An End closes a stream, so that one which was cut short is known: it counts
// the rows of its kinds.
type End struct{ Archives, Entries int64 }

func (*Header) isRow()   {}
func (*Catalog) isRow()  {}
func (*Tree) isRow()     {}
func (*Run) isRow()      {}
func (*Snapshot) isRow() {}
func (*Archive) isRow()  {}
func (*Dir) isRow()      {}
func (*Entry) isRow()    {}
func (*End) isRow()      {}
