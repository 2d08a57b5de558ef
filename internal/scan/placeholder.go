package scan

import (
	"errors"

	"github.com/firn-archive/firn"
)

// placeholder is what stat says, as something special, of a file or directory
// whose content is in a cloud and not on this disk: to open it, or to list it,
// would fetch that. The systems mark them:
//
//   - macOS: SF_DATALESS (iCloud Drive, and all that are File Providers);
//   - Windows: FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS, FILE_ATTRIBUTE_RECALL_ON_OPEN
//     and FILE_ATTRIBUTE_OFFLINE (OneDrive and others, and tape);
//   - Linux has no mark: each client has its own way, if any.
const placeholder = "a placeholder"

var errContent = errors.New("its content is not on this disk")

// errElsewhere is the error of a placeholder.
func errElsewhere(path string) error {
	return &firn.Error{Op: "read", Subject: path, Kind: firn.Local, Err: errContent,
		Hint: "have the cloud's program keep it on this device, or leave it out"}
}
