package firn

import (
	"context"
	"io"

	"github.com/firn-archive/firn/treehash"
)

// A Companion is a store that keeps plain files beside an archive, which can be
// read at any time and with every tool: what people need who have no firn. The
// decorators of stores are Companions, whatever is below them: where that is none,
// Place says so, and PutCompanion gives Invalid.
type Companion interface {
	// PutCompanion stores a file beside an archive of the store, in place of any
	// earlier one of that name. It goes when the archive is deleted. Folder
	// names the files of one archive and is the same for all of them; what its
	// name begins with is how listings sort it. Idempotent.
	// Errors: Invalid (size, name), Corrupt, SlowBody.
	PutCompanion(ctx context.Context, archive ArchiveID, folder, name string, body *io.SectionReader, sums treehash.Sums) error
	// CompanionFolder is the whole name of the folder that a file beside an
	// archive lies in, below the one for all companions.
	CompanionFolder(archive ArchiveID, folder string) string
	// Place says where the store is, in the words of other tools; false where
	// these know no such place.
	Place() (Place, bool)
	// Key is the name by which other tools know an archive.
	Key(archive ArchiveID) string
}

// A Place is where S3's own tools find a store.
type Place struct {
	Bucket   string
	Prefix   string // that all keys begin with: empty, or with a slash at its end
	Region   string
	Endpoint string // URL of a server that isn't Amazon's; empty: it is
	// Companions is the folder of all companions, below the prefix, with a slash
	// at its end.
	Companions string
}
