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
//	mode      string  permissions with setuid, setgid and sticky, octal; absent
//	                  where an archive was uploaded by itself
//	ns        number  nanoseconds of the time of modification; 0 where absent
//	tree      string  name of the tree that the file belongs to; absent where it
//	                  was uploaded alone, or by firn called mtglacier
//	cat       string  token of the catalog that wrote it, which tells apart trees
//	                  of one name; absent where there is no room for it
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
// These, and what other programs wrote. Each format says itself what it is,
// but for the last one, which only Guess reads.
//
//	mt2, mt1         mt-aws-glacier: a JSON object in base64url, as above, with
//	                 filename and mtime; mt1 is encoded twice. Read as leniently
//	                 as mt-aws-glacier reads them (its lib/App/MtAws/MetaData.pm)
//	FastGlacier      versions 1 to 4, and programs that write the same:
//	                 <m><v>4</v><p>PATH</p><lm>TIME</lm><ce>0:0:MD5:SIZE</ce></m>
//	                 with PATH in base64. The two flags say that the content was
//	                 compressed, and encrypted; MD5 and SIZE are of the plain file.
//	                 Version 3 has no SIZE, 2 no ce; version 1 is
//	                 <ArchiveMetadata><Path>PATH</Path></ArchiveMetadata>
//	                 (fastglacier.com, "FastGlacier File Metadata Format")
//	CloudBerry       {"Path":PATH,"UTCDateModified":TIME,"Flags":FLAGS} with PATH in
//	                 UTF-7 (RFC 2152). Flag 1 says that the content was compressed,
//	                 2 that it was encrypted (CloudBerry Lab on Stack Overflow)
//	glaciersync      the SHA-1 of a file or a tar, in hexadecimal, and nothing else;
//	                 "glaciersync sqlite3 db 2013-05-01 20:52:45.774243", in local
//	                 time, on its database (github.com/OriHoch/glaciersync)
//	plain            a name: glacier-cli and many others
//
// TIME is YYYYMMDDTHHMMSSZ in UTC. Others' paths may be absolute, of Windows, or
// hostile: [Archive.SafePath] makes them fit to be used.
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
	Unknown       Format = ""               // none that is known here
	Firn          Format = "firn"           // mt2, with firn's keys
	MT2           Format = "mt2"            // mt-aws-glacier since 0.84beta (2013)
	MT1           Format = "mt1"            // mt-aws-glacier before that
	FastGlacier   Format = "fastglacier"    // FastGlacier, QNAP's Hybrid Backup Sync, CrushFTP and others
	CloudBerry    Format = "cloudberry"     // CloudBerry Explorer and Backup
	GlacierSync   Format = "glaciersync"    // glaciersync, whose database has the names
	GlacierSyncDB Format = "glaciersync-db" // that database
	Plain         Format = "plain"          // a name as it stands, by a guess
)

// A Kind says what an archive holds. There may be kinds that this version does
// not know.
type Kind string

// The kinds of archive.
const (
	File   Kind = "file"   // a file's content, under the file's name
	Opaque Kind = "opaque" // a file's content, whose name or time mt2 can't hold
	Bundle Kind = "bundle" // many files, or one that is larger: a tar with an index behind it
	Sealed Kind = "sealed" // a bundle, encrypted with age
	// Snapshot is what a catalog knows of the store: JSON lines, compressed with
	// zstd, and perhaps encrypted with age.
	Snapshot Kind = "catalog"
	// Folder is a folder that another program marked: its path ends with a slash
	// or a backslash. An archive can't be empty, so it holds something, mostly a
	// byte; look at its size before you leave it out.
	Folder   Kind = "folder"
	Database Kind = "database" // another program's record of its archives
)

// An Archive is what the description of an archive says. What was read is
// what somebody wrote: nothing in it is to be trusted, a path may lead anywhere.
type Archive struct {
	Format  Format     // Encode always writes Firn
	Version int        // of firn's keys, or of FastGlacier's format; 0 where it is not said
	Token   firn.Token // zero in other formats
	Kind    Kind       // empty of GlacierSync, which doesn't tell a file from a tar of many
	Tree    string     // the tree's name; empty of a file of none, and in other formats
	// Path is relative to the tree's root, with slashes; any bytes. Empty where
	// it is not said, and of what is not a file. In other formats it is as the
	// program wrote it: SafePath makes it relative.
	Path    string
	ModTime time.Time // of the file; zero where it is not said
	// Mode holds permissions, setuid, setgid and sticky; only where HasMode.
	Mode    fs.FileMode
	HasMode bool
	Made    time.Time // when the archive was made; zero where Kind is File
	// Of bundles, 0 where it is not said: how many entries the index has, and in
	// how many bytes at the archive's end index and footer are.
	Members, Index int64
	// Catalog is the one that wrote it; of snapshots, the one whose rows it has.
	// Zero where it is not said.
	Catalog firn.Token
	// Of snapshots: its number, from 1 in its catalog and store, and that of the
	// one that it adds to; 0: it is full.
	Seq, Base int64

	// Of other formats: what was done to the content. Where either is set, the
	// archive holds something that only the program that wrote it can read. Of
	// firn's: a snapshot is Encrypted, where its name says so.
	Compressed, Encrypted bool
	// Of other formats: the file as it was before that. PlainSize is in bytes,
	// and said only where HasPlainSize; MD5 is in lower-case hexadecimal, empty
	// where it is not said.
	PlainSize    int64
	HasPlainSize bool
	MD5          string
	// SHA1 is that of the archive, in lower-case hexadecimal: all that
	// GlacierSync says.
	SHA1 string
	// Stamp is, of GlacierSyncDB, the local time when it was uploaded, as it was
	// written: YYYY-MM-DD HH:MM:SS, and perhaps a fraction. The greatest, as
	// text, is of the newest.
	Stamp string
}

// Packed says in words what the program that wrote the archive did to the
// content: "compressed", "encrypted", "compressed, encrypted", or nothing.
func (a Archive) Packed() string {
	switch {
	case a.Compressed && a.Encrypted:
		return "compressed, encrypted"
	case a.Compressed:
		return "compressed"
	case a.Encrypted:
		return "encrypted"
	}
	return ""
}
