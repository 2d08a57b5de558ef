package sqldb

import (
	"io"
	"os"
)

const (
	// roomAfter is how many commits a process makes before the log gets room: a command
	// that makes a few doesn't wait for it.
	roomAfter = 16
	// roomSize is how large a log gets in bytes: SQLite begins it anew after a thousand
	// pages (sqlite.org, "Write-Ahead Logging", "Automatic Checkpoint").
	roomSize = walHeader + 1000*(frameHeader+4096)
)

// makeRoom has the log of a database be as large as it will get, with zeros behind what
// is in it. Where a log grows with each commit, the file system has to sync its size too,
// and where its blocks are: on ext4 that takes half as long again, see BenchmarkWrite.
// SQLite reads a log up to the first frame that isn't whole, which zeros are not.
//
// The caller is in a write transaction that has written nothing, so that nobody adds to
// the log meanwhile. After an error it is as it was.
func makeRoom(path string) error {
	log, err := os.OpenFile(path+"-wal", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer log.Close() // no lock is lost: SQLite has those on other files
	size, err := log.Seek(0, io.SeekEnd)
	if err != nil || size >= roomSize {
		return err
	}
	if _, err := log.Write(make([]byte, roomSize-size)); err != nil {
		log.Truncate(size)
		return err
	}
	return nil
}
