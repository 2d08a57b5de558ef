// Package foreign reads the records that other programs kept of what they
// stored in vaults: the databases of glacier-cli, of its fork and of
// glaciersync, and inventories that were saved to a file. It finds out what a
// file is, and says of each archive what its record says.
//
// Files are only read, never trusted, and never held whole. What is damaged
// is told, with the file's name, and stops as little as it can. Paths and names
// are as they were recorded, and may be hostile: describe.SafePath is for them.
package foreign

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/firn-archive/firn"
)

// A Kind says what a file is.
type Kind string

// The kinds that Sniff knows, in words for people.
const (
	GlacierCLIDatabase  Kind = "database of glacier-cli"
	ForkDatabase        Kind = "database of vbourachot's fork of glacier-cli"
	GlacierSyncDatabase Kind = "database of glaciersync"
	Journal             Kind = "journal of mt-aws-glacier" // package mtjournal reads it
	InventoryJSON       Kind = "inventory in JSON"
	InventoryCSV        Kind = "inventory in CSV"
)

// A Bad is told of each row or entry that can't be used, as a *firn.Error of
// the kind Corrupt whose Subject names the file and the place. Reading goes on
// unless it answers an error, with which the reader then ends. A nil Bad ends
// it with the first.
type Bad func(error) error

func (b Bad) tell(err error) error {
	if b == nil {
		return err
	}
	return b(err)
}

// maxText is the longest name, path or key that is taken from a row, in bytes.
// No file system has longer paths.
const maxText = 64 << 10

// text gives a value that is text, or bytes; "" and false for any other.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	}
	return "", false
}

// moment gives the time of a value in seconds since 1970, which may be a whole
// number or not. It is the zero time where there is none, and where it is no
// time of the years 1 to 9999.
func moment(v any) time.Time {
	const first, last = -62135596800, 253402300799
	switch v := v.(type) {
	case int64:
		if first <= v && v <= last {
			return time.Unix(v, 0).UTC()
		}
	case float64:
		if first <= v && v < last+1 {
			whole := math.Floor(v)
			return time.Unix(int64(whole), int64(math.Round((v-whole)*1e9))).UTC()
		}
	}
	return time.Time{}
}

// quote shows what may hold anything, in one short line.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// corrupt is the error of one place of a file.
func corrupt(path, place string, err error) error {
	if place != "" {
		path += ", " + place
	}
	return &firn.Error{Op: "read", Subject: path, Kind: firn.Corrupt, Err: err}
}

func row(table string, id int64) string { return fmt.Sprintf("%s row %d", table, id) }
