package mtglacier

import (
	"path/filepath"
	"time"

	"github.com/firn-archive/firn/internal/filter"
)

// A Command is the first thing that the command line says.
type Command string

// The commands.
const (
	CreateVault       Command = "create-vault"
	DeleteVault       Command = "delete-vault"
	ListVaults        Command = "list-vaults"
	Sync              Command = "sync"
	UploadFile        Command = "upload-file"
	PurgeVault        Command = "purge-vault"
	Restore           Command = "restore"
	RestoreCompleted  Command = "restore-completed"
	CheckLocalHash    Command = "check-local-hash"
	RetrieveInventory Command = "retrieve-inventory"
	DownloadInventory Command = "download-inventory"
	Help              Command = "help"
	Version           Command = "version"
)

// A Detect is the way in which sync tells what was modified.
type Detect string

// The ways. What has another size was modified with each of them.
const (
	DetectTreehash         Detect = "treehash"           // another hash
	DetectMtime            Detect = "mtime"              // another time
	DetectMtimeAndTreehash Detect = "mtime-and-treehash" // both; only then it is hashed
	DetectMtimeOrTreehash  Detect = "mtime-or-treehash"  // one of them; hashed where the time is the same
	DetectAlways           Detect = "always-positive"    // every file
	DetectSize             Detect = "size-only"          // nothing else
)

// noLimit is the MaxNumberOfFiles of who gave none.
const noLimit = -1

// Options are what the command line and the config file say, checked: what the
// command needs is there, and within its limits. A field that the command
// doesn't use has its zero value or its default.
//
// Texts are UTF-8, whatever encoding they were given in. Paths are as they were
// typed; [Options.path] gives what to open.
type Options struct {
	Command Command
	Vault   string // of --vault, or behind create-vault and delete-vault

	// Who asks, and where.
	Key, Secret, Token string // Token is empty without one
	Region             string
	// Endpoint is the address of the service, such as http://127.0.0.1:8080;
	// empty where it is Amazon's or the environment's.
	Endpoint string
	// Timeout is how long the service may be silent; 0: as firn has it.
	Timeout time.Duration

	Dir        string // the root of the tree; it exists
	Journal    string // it exists where the command reads nothing else
	NewJournal string // of download-inventory: missing or empty

	Concurrency int // 1 to 30
	PartSize    int // MiB, a power of two, 1 to 4096
	SegmentSize int // MiB, a power of two; 0: archives are downloaded whole
	// MaxNumberOfFiles is noLimit, or 0 and more.
	MaxNumberOfFiles int

	// What sync does: at least one of the three is set.
	New, ReplaceModified, DeleteRemoved bool

	Detect Detect
	Follow bool // symbolic links
	DryRun bool
	// Filter has no rules but those of --filter, --include and --exclude. It is
	// never nil.
	Filter *filter.Filter

	// Of upload-file: a plain file that isn't empty, or stdin.
	Filename         string // empty with Stdin
	RelFilename      string // its name in the journal; set for stdin and for files
	Stdin            bool
	CheckMaxFileSize int // MiB that stdin may have; 0 without Stdin

	InventoryFormat string // of retrieve-inventory: "json" or "csv"
	ForHumans       bool   // of list-vaults: else mtmsg

	Encodings Encodings
}

// path gives what to open for a name that was typed: its bytes on the disk, from
// the folder on that relative paths start from.
func (o *Options) path(env Env, name string) (string, error) {
	raw, err := o.Encodings.Filenames.Encode(name)
	if err != nil {
		return "", err
	}
	return inDir(env, raw), nil
}

// inDir makes a path absolute.
func inDir(env Env, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(env.Dir, path)
}
