// Package firn holds the domain of firn, a program that archives directory
// trees in cold storage: what an archive, a job, a file version and a store
// are, which errors there are, and what happens in a run. It does no I/O; the
// packages that do are named after what they talk to.
package firn

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/firn-archive/firn/treehash"
)

// Identifiers that a store gives out. They are opaque: compare, never parse.
type (
	ArchiveID string
	UploadID  string
	JobID     string
)

// A Token is the random name that firn gives to each thing it makes in a
// store, before it makes it: by it a lost answer is found again.
type Token [16]byte

// NewToken draws a token.
func NewToken() Token {
	var t Token
	rand.Read(t[:]) // never fails: crypto/rand ends the program instead
	return t
}

// String gives the 22 characters of the token's unpadded base64url form.
func (t Token) String() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

// IsZero reports whether the token was never drawn.
func (t Token) IsZero() bool { return t == Token{} }

// ParseToken reads what String wrote.
func ParseToken(s string) (Token, error) {
	var t Token
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(t) {
		return Token{}, fmt.Errorf("%q is not a token of 22 base64url characters", s)
	}
	copy(t[:], b)
	return t, nil
}

// An Archive is what a store says of one archive.
type Archive struct {
	ID          ArchiveID
	Description string        // as uploaded; printable ASCII where firn wrote it
	Created     time.Time     // by the store's clock
	Size        int64         // bytes, without overhead
	Tree        treehash.Hash // of the bytes as stored
	// Receipt is what else the store said of it, as far as it did.
	Receipt
}

// An Upload is a multipart upload that is neither completed nor aborted.
type Upload struct {
	ID          UploadID
	Description string
	Created     time.Time // by the store's clock
	PartSize    int64     // bytes
}

// A Part is one part that a store holds of an open upload.
type Part struct {
	Offset int64         // bytes from the archive's start; a multiple of the part size
	Size   int64         // bytes
	Tree   treehash.Hash // zero where the store doesn't tell
}

// A Range is the half-open range of bytes [Start, End).
type Range struct{ Start, End int64 }

// Len is the number of bytes in the range.
func (r Range) Len() int64 { return r.End - r.Start }

// A Tier says how fast, and how dear, a retrieval is.
type Tier string

// The tiers of vaults and of S3's Glacier classes.
const (
	Expedited Tier = "expedited"
	Standard  Tier = "standard"
	Bulk      Tier = "bulk"
)

// Tiers lists all tiers, the cheapest first.
var tiers = []Tier{Bulk, Standard, Expedited}

// ParseTier reads a tier's name as users write it.
func ParseTier(s string) (Tier, error) {
	for _, t := range tiers {
		if s == string(t) {
			return t, nil
		}
	}
	return "", &Error{Op: "read tier", Subject: s, Kind: Usage, Err: fmt.Errorf("no such tier; there are %v", tiers)}
}

// JobKind says what a job brings.
type JobKind string

// The kinds of job.
const (
	RetrievalJob JobKind = "retrieval"
	InventoryJob JobKind = "inventory"
)

// JobState says how far a job is.
type JobState string

// The states of a job.
const (
	JobRunning JobState = "running"
	JobReady   JobState = "ready" // its output can be read, for a day or so
	JobFailed  JobState = "failed"
)

// A Job is what a store says of one job.
type Job struct {
	ID          JobID
	Kind        JobKind
	State       JobState
	Message     string // the store's own words, where it failed
	Description string // as given to the request; holds firn's token
	Created     time.Time
	Completed   time.Time // zero while running
	Tier        Tier      // empty for inventories
	// Expires is when a ready job of a store that ThawsWhole can't be read any
	// more, unless it is asked for again before; zero where nobody knows.
	Expires time.Time
	// Instant: it stands for an archive that can be read at any time, in a store that
	// thaws others. Nobody asked for it.
	Instant bool

	// Of retrievals:
	Archive     ArchiveID
	ArchiveSize int64
	ArchiveTree treehash.Hash
	Range       Range         // of the archive, that the job brings
	RangeTree   treehash.Hash // zero where the range is not a node of the tree

	// Of inventories:
	Format  InventoryFormat
	Partial bool // by date, limit or marker: not all archives
	// Listing is what was asked for; once the job is ready, its Marker is where
	// another list goes on, empty where this one came to its end.
	Listing       Listing
	InventorySize int64 // bytes of output; 0 while running
}

// A RetrievalSpec asks for a retrieval job.
type RetrievalSpec struct {
	Archive     ArchiveID
	Range       *Range // nil: the whole archive; else MiB-aligned
	Tier        Tier
	Description string // printable ASCII, at most 1,024 characters
	// Days is how long what is brought is to stay, of a store that ThawsWhole; 0:
	// as the store has it. What is there already stays so long from now on.
	Days int
	// Hastens: the archive is on its way by a slower tier, and Days are those that it
	// was asked to stay then. That the store doesn't speed it up is an error: Conflict,
	// or Invalid.
	Hastens bool
}

// An InventoryFormat is the form of an inventory's output.
type InventoryFormat string

// The forms of inventories. CSV says neither which store's it is nor of when: it
// is for other programs, and a Store reads none.
const (
	InventoryJSON InventoryFormat = "json"
	InventoryCSV  InventoryFormat = "csv"
)

// A Listing says which archives an inventory has; the zero value: all.
type Listing struct {
	// Made at or after, and before, by the store's clock; zero: no bound.
	// Parts of a second don't count.
	After, Before time.Time
	Limit         int64  // at most so many; 0: no bound
	Marker        string // behind those of an earlier list: its Job's Listing.Marker
}

// An InventorySpec asks for an inventory job.
type InventorySpec struct {
	Description string          // printable ASCII, at most 1,024 characters
	Format      InventoryFormat // empty: InventoryJSON
	Listing     Listing
}

// An InventoryInfo heads an inventory.
type InventoryInfo struct {
	Subject  string    // what it is an inventory of: a vault's ARN
	Date     time.Time // by the store's clock, whole seconds
	Archives int64     // how many it listed
	Bytes    int64     // of its output that crossed a network, also where it ended early
}

// StoreInfo is what a store says of itself.
type StoreInfo struct {
	Name string
	// Identity tells this store from any other, also from one of the same
	// name that was deleted and made again. It does not change in its life.
	Identity string
	Address  string // for people: an ARN, a folder
	Region   string
	Created  time.Time
	// Now is the store's own clock at its answer, whole seconds. Only times of
	// one clock may be compared, and the store's is the one that dates
	// inventories.
	Now time.Time
	// As of the last inventory; zero before the first.
	LastInventory time.Time
	Archives      int64
	Bytes         int64
}

// Traits are the rules that a kind of store has.
type Traits struct {
	// FreshInventory: an inventory job that starts now shows all that was
	// stored before. Else inventories lag, by a day or more.
	FreshInventory bool
	// InstantJobs: jobs are ready as soon as they are asked for.
	InstantJobs bool
	MaxArchive  int64 // bytes
	MaxSingle   int64 // bytes in a single request
	MinPart     int64 // bytes
	MaxPart     int64 // bytes
	MaxParts    int
	// AnyPart: parts have any whole number of MiB. Else they have 1 MiB times a
	// power of two.
	AnyPart bool
	// EmptyArchives: an archive may have no bytes.
	EmptyArchives bool
	// UncheckedTrees: the store keeps the tree hash that it is told, and checks
	// bytes by their plain SHA-256 alone. Its Parts have no tree hash, and what it
	// brings has one only where it is a whole archive.
	UncheckedTrees bool
	// ThawsWhole: a job is a state of an archive, which all of becomes readable
	// for some days. An archive has one such job, whoever asked how often, and
	// takes it along when it is deleted; it bears neither description nor tier nor
	// times. Jobs lists none where the archive can be read at any time.
	ThawsWhole bool
	// LiveInventory: an inventory is made while it is read, in the order of the
	// archives' ids. It has no output, none is in CSV, and Jobs lists none.
	LiveInventory bool
	// RepeatableUploads: an archive whose description bears a token of firn's is
	// stored once, however often UploadArchive is called with it. It may be known
	// only once something was stored.
	RepeatableUploads bool
	// Pace is how long the store takes for each tier.
	Pace Pace
	// AnyPace: the server isn't Amazon's, and may be done sooner than Pace says.
	AnyPace bool
	// MinDuration is how long an archive is charged for at the least; to delete
	// it earlier costs what is left of it. 0: as long as it is there.
	MinDuration time.Duration
}
