package describe

import (
	"strings"
	"time"
)

// glacierSyncDB begins the description of glaciersync's database; the local
// time of the upload follows.
const glacierSyncDB = "glaciersync sqlite3 db "

// glacierSyncTime is how Python writes the time there: perhaps with a fraction
// behind it, which Parse takes too.
const glacierSyncTime = "2006-01-02 15:04:05"

// decodeGlacierSync reads what glaciersync wrote: nothing but the SHA-1 of what
// is in the archive, or which database it is. Source: OriHoch/glaciersync.
func decodeGlacierSync(s string) Archive {
	s = strings.Trim(s, space)
	if stamp, ok := strings.CutPrefix(s, glacierSyncDB); ok {
		if _, err := time.Parse(glacierSyncTime, stamp); err != nil {
			return Archive{}
		}
		return Archive{Format: GlacierSyncDB, Kind: Database, Stamp: stamp}
	}
	if len(s) == 40 && strings.Trim(s, "0123456789abcdef") == "" {
		return Archive{Format: GlacierSync, SHA1: s}
	}
	return Archive{}
}
