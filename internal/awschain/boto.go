package awschain

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/firn-archive/firn"
)

// BotoKeys are a key pair as boto's configuration has it.
type BotoKeys struct {
	ID, Secret string
	Session    string // empty without one
}

// Boto reads the keys in the configuration of boto 2, which programs of its time
// use: /etc/boto.cfg, and over it ~/.boto; where BOTO_CONFIG is set that file alone;
// and over those the files in BOTO_PATH. It reports whether there is a pair. Files
// that are missing are passed over. Errors: Local.
//
// Source: boto 2.49, boto/pyami/config.py (BotoConfigLocations) and boto/provider.py.
func Boto(getenv func(string) string) (keys BotoKeys, ok bool, err error) {
	home := getenv("HOME")
	files := []string{"/etc/boto.cfg"}
	if home != "" {
		files = append(files, filepath.Join(home, ".boto"))
	}
	if one := getenv("BOTO_CONFIG"); one != "" {
		files = []string{expand(one, home)}
	}
	for _, one := range filepath.SplitList(getenv("BOTO_PATH")) {
		files = append(files, expand(one, home))
	}
	return readBoto(files)
}

// expand puts the home folder in the place of a ~ in front.
func expand(path, home string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && home != "" {
		return filepath.Join(home, rest)
	}
	return path
}

// readBoto reads files, of which a later one wins.
func readBoto(files []string) (keys BotoKeys, ok bool, err error) {
	for _, path := range files {
		err := readBotoFile(path, &keys)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return keys, false, &firn.Error{Op: "read boto's configuration", Subject: path, Kind: firn.Local, Err: err}
		}
	}
	return keys, keys.ID != "" && keys.Secret != "", nil
}

// readBotoFile reads the section Credentials of a file of sections, with lines of
// NAME = VALUE or NAME: VALUE. Names don't care for case; # and ; begin comments,
// the latter also behind a blank in a line.
func readBotoFile(path string, keys *BotoKeys) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	section := ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "", trimmed[0] == '#', trimmed[0] == ';', line[0] == ' ', line[0] == '\t':
			continue // of what goes over several lines nothing is a key
		case trimmed[0] == '[':
			section = strings.TrimSpace(strings.TrimSuffix(trimmed[1:], "]"))
			continue
		}
		i := strings.IndexAny(line, "=:")
		if i < 0 || section != "Credentials" {
			continue
		}
		value, _, _ := strings.Cut(line[i+1:], " ;")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(line[:i])) {
		case "aws_access_key_id":
			keys.ID = value
		case "aws_secret_access_key":
			keys.Secret = value
		case "aws_security_token":
			keys.Session = value
		}
	}
	return lines.Err()
}
