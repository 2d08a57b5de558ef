package firn

import "time"

// An Event is one thing that happened in a run, for whoever watches: the
// terminal, a log, JSON lines. Works emit events; only the ui prints them.
type Event interface{ event() }

// A Sink takes events. It must be safe for concurrent use, and quick.
type Sink func(Event)

// Discard is a sink that nobody watches.
func Discard(Event) {}

// The events.
type (
	// FileEvent: something was decided or done about one file.
	FileEvent struct {
		Action  Action
		Tree    string
		Path    string
		Size    int64
		Archive ArchiveID // where known
		Reason  string    // why it is skipped, or sent; may be empty
		Err     error     // of Failed
	}
	// ScanEvent: how far the scan is; Done with its end.
	ScanEvent struct {
		Files, Bytes int64 // seen so far
		Done         bool
		Packing      bool // they go into one archive as they are seen
		Archives     bool // Files are a store's archives
	}
	// TransferEvent: n more bytes went over the wire (negative: they were
	// refused, and will be sent again).
	TransferEvent struct {
		Path  string
		Bytes int64
		// Ended: no more will be told of Path. A FileEvent for it says the same.
		Ended bool
	}
	// PlanEvent: so much more is to be transferred than was known before;
	// negative where it turns out not to be needed. Files without bytes: how
	// much it will be shows at the end.
	PlanEvent struct {
		Files, Bytes int64
		Archives     bool // Files are a store's archives
	}
	// WaitEvent: nothing happens until a time, and why.
	WaitEvent struct {
		What  string
		Until time.Time
	}
	// NoticeEvent: something the user should know, in one sentence.
	NoticeEvent struct {
		Text   string
		Warn   bool
		Detail bool // for those who want to know each detail
	}
	// SnapshotEvent: what the catalog knows of a store was put into the store.
	SnapshotEvent struct {
		Store   string
		Seq     int64 // counts them up
		Base    int64 // the one that it adds to; 0: it is full
		Archive ArchiveID
		Size    int64 // bytes as stored
	}
	// CompareEvent: so much of a tree is known from the store alone, and has to be
	// compared with what is on the disk.
	CompareEvent struct {
		Tree string
		// Read is to be read once; Hashless is sent again, since nobody recorded a
		// hash to compare it with.
		Read, Hashless Count
		// Trusting: it is what doesn't agree in size and time.
		Trusting bool
	}
	// SummaryEvent closes a run.
	SummaryEvent struct {
		Command string // "sync", "restore", "verify"
		Store   string
		Tree    string
		DryRun  bool
		Stopped bool // by an error or an interrupt, before the end
		Counts  map[Action]Count
		// Excluded says why how many files and directories were left out.
		Excluded map[string]int64
		Elapsed  time.Duration
	}
)

// A Count is how many files and bytes an action touched.
type Count struct{ Files, Bytes int64 }

// An Action is what happened, or would happen, to a file.
type Action string

// The actions.
const (
	Sent      Action = "sent"      // uploaded
	Recorded  Action = "recorded"  // kept in the catalog alone: its content is stored already, or it has none
	Unchanged Action = "unchanged" // as it was
	Removed   Action = "removed"   // gone from disk; its versions stay
	Deleted   Action = "deleted"   // an archive: gone from the store, as it was told
	Skipped   Action = "skipped"   // not kept, and why
	Excluded  Action = "excluded"  // left out by a filter: a file, or a directory with all below it
	Left      Action = "left"      // not sent in this run: a limit was reached
	Failed    Action = "failed"    // passed over after an error
	Pending   Action = "pending"   // waits for a job or an inventory
	Restored  Action = "restored"  // downloaded, verified and in place
	Equal     Action = "equal"     // in place already
	Missing   Action = "missing"   // verify: in the catalog, not on disk
	Extra     Action = "new"       // verify: on disk, not in the catalog
	Differs   Action = "differs"   // verify: size, time or hash differ
	Verified  Action = "ok"        // verify: as recorded
)

func (FileEvent) event()     {}
func (ScanEvent) event()     {}
func (TransferEvent) event() {}
func (PlanEvent) event()     {}
func (WaitEvent) event()     {}
func (NoticeEvent) event()   {}
func (SnapshotEvent) event() {}
func (CompareEvent) event()  {}
func (SummaryEvent) event()  {}
