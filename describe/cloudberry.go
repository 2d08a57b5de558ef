package describe

import (
	"strconv"
	"strings"
)

// The bits of Flags in CloudBerry's descriptions. Source: CloudBerry Lab's
// answer on Stack Overflow about the metadata in Glacier's descriptions.
const (
	cloudBerryCompressed = 1
	cloudBerryEncrypted  = 2
)

// decodeCloudBerry reads the JSON of CloudBerry Explorer and Backup:
//
//	{"Path":"c:+AFw-dir+AFw-file","UTCDateModified":"20130322T120026Z","Flags":1}
//
// Path is the full path of the source file in UTF-7, the time is as in mt2.
// Only the path has to be there.
func decodeCloudBerry(s string) Archive {
	keys, ok := flatObject([]byte(s))
	if !ok {
		return Archive{}
	}
	path, _ := scalar(keys.berryPath)
	if path == "" {
		return Archive{}
	}
	a := Archive{Format: CloudBerry, Path: fromUTF7(path)}
	a.Kind = kindOf(a.Path)
	if stamp, ok := scalar(keys.berryTime); ok {
		if t, ok := parseTime(stamp); ok {
			a.ModTime = t
		}
	}
	if flags, ok := scalar(keys.berryFlags); ok {
		n, err := strconv.ParseInt(strings.Trim(flags, space), 10, 64)
		a.Compressed = err != nil || n&cloudBerryCompressed != 0
		a.Encrypted = err != nil || n&cloudBerryEncrypted != 0
	}
	return a
}
