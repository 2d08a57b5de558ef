// Package mtjournal reads and writes the journal of mt-aws-glacier: the file in
// which mtglacier keeps what it stored in a vault of Amazon Glacier, and
// without which it can't find anything again.
//
// # The format
//
// A journal is text without a header, only ever appended to, one record a line.
// A line ends with LF; CR LF is read too. Nothing is escaped, and the last field
// goes on to the end of the line, blanks included. The encoding is UTF-8 unless
// mtglacier was told another (--journal-encoding); this package reads names as
// bytes.
//
// There are four versions. mtglacier wrote 0 in 2012, A from version 0.80 beta
// (December 2012), B since 0.971 beta (July 2013), and C never, but it reads
// all of them. In A, B and C one tab stands between two fields:
//
//	A|B|C  time  CREATED       archive  size  mtime  tree  name
//	A|B|C  time  DELETED       archive  name
//	A|B|C  time  RETRIEVE_JOB  archive  job
//
// In version 0, which has no letter, there is one blank between the fields of
// CREATED, and any white space between those of the others:
//
//	time  CREATED       archive  size  tree  name
//	time  DELETED       archive  name
//	time  RETRIEVE_JOB  archive
//
// The fields:
//
//	time     seconds since 1970 when the request was made; 1 to 20 digits
//	archive  the archive's id; at least one character, no white space (of ASCII)
//	size     bytes; 1 to 20 digits
//	mtime    seconds since 1970, 1 to 20 digits with a sign or without, or NONE
//	         where the file's time is not known; NONE is an error in A. In A it
//	         is not known either where the name is the archive's id: such lines
//	         came from an inventory, of archives that other programs stored
//	tree     the tree hash, as the service gave it; no white space
//	name     the file's path below the root of the tree, with slashes: see
//	         ValidName
//	job      the id of the retrieval job
//
// Numbers beyond 63 bits are errors here.
//
// # The state
//
// What was created and not deleted since is in the vault. Several archives of
// one name are versions of a file, in the order of their mtime, or of their time
// where there is no mtime, also where the one is compared with the other; then
// of their time; then of their lines. See State.
//
// # Faults
//
// mtglacier refuses a whole journal for one bad line. Here each bad line is
// reported as a LineError, and those after it are read. In particular the last
// line of a journal is torn, if it lacks its LF: the program or the machine
// died while it was written, and its last field may be cut short.
//
// # Sources
//
// Source and tests of mt-aws-glacier 1.120: lib/App/MtAws/Journal.pm, Utils.pm,
// FileVersions.pm; t/unit/journal_*.t, t/integration/journal_parselines.t.
package mtjournal

import "github.com/firn-archive/firn/treehash"

// An Op is what a record says has happened, as the journal writes it.
type Op string

// The operations.
const (
	Created     Op = "CREATED"      // an archive was stored, or found in an inventory
	Deleted     Op = "DELETED"      // an archive was deleted
	RetrieveJob Op = "RETRIEVE_JOB" // an archive's retrieval was asked for
)

// A Record is one line of a journal. Nothing in what was read is to be trusted:
// anybody can write a journal.
type Record struct {
	Line    int64  // number of the line, from 1; not looked at when writing
	Version byte   // 'A', 'B', 'C' or '0'; not looked at when writing, which is always in B
	Op      Op     // what happened
	Time    int64  // when, in seconds since 1970; never negative
	Archive string // the archive's id

	// Of Created only.

	Size     int64  // of the archive, in bytes; never negative
	MTime    int64  // of the file, in seconds since 1970; only where HasMTime
	HasMTime bool   // whether the time of the file is known
	Tree     string // the tree hash as it is written there, which may be anything; see TreeHash

	// Path is the file's name, of Created and Deleted: relative, with slashes,
	// any bytes. It is to be made safe where Unsafe says so.
	Path string
	Job  string // the job's id, of RetrieveJob; version 0 has none
}

// TreeHash gives the tree hash of the archive; false where the journal has
// something else in its place.
func (r Record) TreeHash() (treehash.Hash, bool) {
	h, err := treehash.Parse(r.Tree)
	return h, err == nil
}

// Unsafe reports whether the record has a name that is not a path below the
// root, or not one that mtglacier takes: it could lead anywhere.
func (r Record) Unsafe() bool { return r.Op != RetrieveJob && !ValidName(r.Path) }
