package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A section of an ini file, with its settings in the order of the file.
type section struct {
	name     string
	settings []setting
}

// A setting has its key in lower case.
type setting struct{ key, value string }

// parseINI reads an ini file as Python 2's ConfigParser does: "key = value" or
// "key: value", whole lines of comments behind # or ;, the rest of a line behind
// " ;", values that go on in indented lines, and %(key)s for the value of another
// key of the section or of [DEFAULT].
func parseINI(text string) ([]section, error) {
	if len(text) > maxDocument {
		return nil, errors.New("it has more than a mebibyte; is it the right file?")
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("it is no UTF-8; save it as UTF-8 first")
	}
	var p iniParser
	for i, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		if err := p.line(strings.TrimRight(line, " \t\r")); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return p.interpolated()
}

type iniParser struct {
	sections []section
	current  int  // of sections, once there is one
	open     bool // the last setting may go on
}

func (p *iniParser) line(line string) error {
	switch {
	case strings.TrimSpace(line) == "":
		return nil
	case line[0] == '#' || line[0] == ';':
		return nil
	case strings.HasPrefix(strings.ToLower(line), "rem ") || strings.EqualFold(line, "rem"):
		return nil
	case line[0] == ' ' || line[0] == '\t':
		if p.open {
			s := p.sections[p.current].settings
			s[len(s)-1].value += "\n" + strings.TrimSpace(line)
			return nil
		}
		line = strings.TrimSpace(line)
	}
	if line[0] == '[' {
		return p.header(line)
	}
	return p.setting(line)
}

func (p *iniParser) header(line string) error {
	end := strings.IndexByte(line, ']')
	if end < 2 {
		return fmt.Errorf("%q is no section; write [NAME]", line)
	}
	name := line[1:end]
	p.open = false
	for i, s := range p.sections {
		if s.name == name {
			p.current = i
			return nil
		}
	}
	p.sections = append(p.sections, section{name: name})
	p.current = len(p.sections) - 1
	return nil
}

func (p *iniParser) setting(line string) error {
	at := strings.IndexAny(line, "=:")
	if at < 1 {
		return fmt.Errorf("%q is neither a section nor a setting; write KEY = VALUE", line)
	}
	if len(p.sections) == 0 {
		return errors.New("this setting stands before the first section")
	}
	key, value := strings.ToLower(strings.TrimSpace(line[:at])), strings.TrimSpace(line[at+1:])
	if i := strings.Index(value, ";"); i > 0 && (value[i-1] == ' ' || value[i-1] == '\t') {
		value = strings.TrimSpace(value[:i])
	}
	if value == `""` {
		value = ""
	}
	s := &p.sections[p.current].settings
	p.open = true
	for i := range *s {
		if (*s)[i].key == key { // the last one counts, in its own place
			*s = append((*s)[:i], (*s)[i+1:]...)
			break
		}
	}
	*s = append(*s, setting{key, value})
	return nil
}

// reference is what interpolation replaces.
var reference = regexp.MustCompile(`%\(([^)]*)\)s|%%`)

// interpolated resolves references. Where a value has none, a % stands for
// itself, as it does in ConfigParser.
func (p *iniParser) interpolated() ([]section, error) {
	defaults := map[string]string{}
	for _, s := range p.sections {
		if strings.EqualFold(s.name, "default") {
			for _, s := range s.settings {
				defaults[s.key] = s.value
			}
		}
	}
	for _, s := range p.sections {
		values := map[string]string{}
		for _, s := range s.settings {
			values[s.key] = s.value
		}
		for i := range s.settings {
			value, err := interpolate(s.settings[i].value, func(key string) (string, bool) {
				if v, ok := values[key]; ok {
					return v, true
				}
				v, ok := defaults[key]
				return v, ok
			})
			if err != nil {
				return nil, fmt.Errorf("[%s] %s: %w", s.name, s.settings[i].key, err)
			}
			s.settings[i].value = value
		}
	}
	return p.sections, nil
}

const (
	interpolations = 10      // as deep as ConfigParser goes
	longestValue   = 1 << 16 // bytes; references to references could make any length
)

func interpolate(value string, look func(string) (string, bool)) (string, error) {
	for range interpolations {
		if !strings.Contains(value, "%(") {
			return value, nil
		}
		var missing error
		length := 0
		value = reference.ReplaceAllStringFunc(value, func(ref string) string {
			if ref == "%%" {
				return "%"
			}
			key := strings.ToLower(ref[2 : len(ref)-2])
			v, ok := look(key)
			if !ok {
				missing = fmt.Errorf("it refers to %q, which is not there", key)
			}
			if length += len(v); length > longestValue {
				missing = errors.New("with what it refers to it is too long")
				return ""
			}
			return v
		})
		if missing != nil {
			return "", missing
		}
		if !reference.MatchString(value) {
			return value, nil
		}
	}
	return "", errors.New("it refers to itself, or goes too deep")
}
