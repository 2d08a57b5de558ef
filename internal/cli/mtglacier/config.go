package mtglacier

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
)

// maxConfig is the largest config file, in bytes: what is larger is something
// else.
const maxConfig = 1 << 20

// readConfig reads a config file, whose name is used byte by byte.
func readConfig(env Env, name string) ([]setting, error) {
	f, err := os.Open(inDir(env, name))
	if err != nil {
		return nil, problemf("Cannot read config file %q: %v", name, reason(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, problemf("Cannot read config file %q: it is not a plain file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, problemf("Cannot read config file %q: %v", name, reason(err))
	}
	if len(data) > maxConfig {
		return nil, problemf("Cannot read config file %q: it has more than 1 MiB", name)
	}
	return parseConfig(data)
}

// parseConfig reads the lines of a config file. Of a name that is there twice the
// last counts.
func parseConfig(data []byte) ([]setting, error) {
	var settings []setting
	var wrong problems
	line := 0
	for text := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		line++
		text = bytes.Trim(text, blanks)
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		s := setting{inConfig: true, value: "1"} // a name alone is that of a flag
		name, value, hasValue := bytes.Cut(text, []byte("="))
		s.as = string(bytes.TrimRight(name, blanks))
		if hasValue {
			s.value = string(bytes.TrimLeft(value, blanks))
		}
		if !isOptionName(s.as) {
			wrong = append(wrong, problemf("Cannot parse line in config file: line %d is neither name=value nor name", line)) // it may have a secret in it
			continue
		}
		d, known := definitionOf(s.as)
		switch {
		case !known && !hasValue: // which may be a key
			wrong = append(wrong, problemf("Unknown option in config file: line %d", line))
			continue
		case !known:
			wrong = append(wrong, problemf("Unknown option in config file: %q", s.as))
			continue
		case d.kind == list:
			wrong = append(wrong, problemf("Option %q cannot be given in the config file", s.as))
			continue
		}
		s.name = d.name
		settings = append(settings, s)
	}
	if wrong != nil {
		return nil, wrong
	}
	return settings, nil
}

// blanks are the characters that don't count around names, values and lines.
const blanks = " \t\r\n\f\v"

// isOptionName tells whether a name begins with a letter or digit, and has
// nothing but these and dashes.
func isOptionName(name string) bool {
	return syntax{1, len(name), func(c byte) bool { return isAlnum(c) || c == '-' }, ""}.fits(name) && name[0] != '-'
}

// reason gives the cause of an error about a file whose name is said already.
func reason(err error) error {
	var about *fs.PathError
	if errors.As(err, &about) {
		return about.Err
	}
	return err
}
