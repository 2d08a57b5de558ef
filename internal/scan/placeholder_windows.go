package scan

import (
	"io/fs"
	"syscall"
)

const marksPlaceholders = true

// The attributes of what is recalled from elsewhere. Source: Microsoft, Win32
// API, "File Attribute Constants".
const (
	attributeOffline            = 0x00001000
	attributeRecallOnOpen       = 0x00040000
	attributeRecallOnDataAccess = 0x00400000
)

// isPlaceholder reports whether to read a file would recall it. Folders whose
// files do so are listed like any other, unless listing them would.
func isPlaceholder(info fs.FileInfo) bool {
	data, ok := info.Sys().(*syscall.Win32FileAttributeData)
	if !ok {
		return false
	}
	if data.FileAttributes&syscall.FILE_ATTRIBUTE_DIRECTORY != 0 {
		return data.FileAttributes&attributeRecallOnOpen != 0
	}
	return data.FileAttributes&(attributeOffline|attributeRecallOnOpen|attributeRecallOnDataAccess) != 0
}
