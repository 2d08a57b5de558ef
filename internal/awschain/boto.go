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
// use: /etc/boto.cfg, and over it ~/.boto; where BOTO_CONFIG is set that file alone,
// and else, where BOTO_PATH is, the files in that. It reports whether there is a
// pair. Files that are missing, or that can't be opened, are passed over: the one in
// /etc may be for root alone. Errors: Local.
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
	} else if several := getenv("BOTO_PATH"); several != "" {
		files = nil
		for _, one := range filepath.SplitList(several) {
			files = append(files, expand(one, home))
		}
	}
	return readBoto(files)
}

// HasSharedKeys reports whether the shared credentials file has a key of the profile
// default, which boto prefers to its own configuration. Source: boto 2.49,
// boto/provider.py (get_credentials).
func HasSharedKeys(getenv func(string) string) bool {
	path := getenv("AWS_SHARED_CREDENTIALS_FILE")
	if path == "" {
		home := getenv("HOME")
		if home == "" {
			return false
		}
		path = filepath.Join(home, ".aws", "credentials")
	}
	var keys BotoKeys
	return readKeys(path, "default", &keys) == nil && keys.ID != "" && keys.Secret != ""
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
		err := readKeys(path, "Credentials", &keys)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return keys, false, &firn.Error{Op: "read boto's configuration", Subject: path, Kind: firn.Local, Err: err}
		}
	}
	return keys, keys.ID != "" && keys.Secret != "", nil
}

// readKeys reads a section of a file of sections, with lines of NAME = VALUE or
// NAME: VALUE. Names don't care for case; # and ; begin comments, the latter also
// behind a blank in a line. A mark of the byte order in front is no part of it.
func readKeys(path, wanted string, keys *BotoKeys) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	section := ""
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimPrefix(lines.Text(), "\ufeff")
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "", trimmed[0] == '#', trimmed[0] == ';', line[0] == ' ', line[0] == '\t':
			continue // of what goes over several lines nothing is a key
		case trimmed[0] == '[':
			section, _, _ = strings.Cut(trimmed[1:], "]") // what comes behind is nothing
			section = strings.TrimSpace(section)
			continue
		}
		i := strings.IndexAny(line, "=:")
		if i < 0 || section != wanted {
			continue
		}
		value, _, _ := strings.Cut(line[i+1:], " ;")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(line[:i])) {
		case "aws_access_key_id":
			keys.ID = value
		case "aws_secret_access_key":
			keys.Secret = value
		case "aws_security_token", "aws_session_token":
			keys.Session = value
		}
	}
	return lines.Err()
}
