package scan

import (
	"io/fs"
	"syscall"
	"testing"
)

// attributed is a file with these attributes.
type attributed struct {
	fs.FileInfo
	attributes uint32
}

func (a attributed) Sys() any { return &syscall.Win32FileAttributeData{FileAttributes: a.attributes} }

func TestWindowsMarks(t *testing.T) {
	const archive, directory = syscall.FILE_ATTRIBUTE_ARCHIVE, syscall.FILE_ATTRIBUTE_DIRECTORY
	for attributes, want := range map[uint32]bool{
		archive:                                 false,
		archive | attributeOffline:              true,
		archive | attributeRecallOnOpen:         true,
		archive | attributeRecallOnDataAccess:   true,
		directory:                               false,
		directory | attributeRecallOnDataAccess: false,
		directory | attributeRecallOnOpen:       true,
	} {
		if got := isPlaceholder(attributed{attributes: attributes}); got != want {
			t.Errorf("attributes %#x: %v", attributes, got)
		}
	}
}
