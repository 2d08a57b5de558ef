package mtglacier

import (
	"fmt"
	"slices"
	"strings"
)

// A setting is an option with its value, as it was given.
type setting struct {
	name     string // of the definition
	as       string // the whole name that it was given by; differs where that is an old one
	value    string // bytes, until they are decoded; "1" for a flag
	inConfig bool
}

// String names the setting in messages.
func (s *setting) String() string {
	if s.inConfig {
		return fmt.Sprintf("%q in the config file", s.as)
	}
	return fmt.Sprintf("%q", "--"+s.as)
}

// on tells whether a flag is set: in a config file it may have a value.
func (s *setting) on() bool { return s.value != "" && s.value != "0" }

// readArguments takes a command line apart, as Perl's Getopt::Long does by
// default: options and words in any order, up to an argument that is --; one dash
// before a name or two; the value behind a = or as the next argument, whatever
// that begins with; a name as short as it is still only one. Source: Getopt::Long
// (perldoc).
func readArguments(args []string) (settings []setting, words []string, wrong problems) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			return settings, append(words, args...), wrong
		}
		name, isOption := strings.CutPrefix(arg, "-")
		if !isOption || name == "" {
			words = append(words, arg)
			continue
		}
		name = strings.TrimPrefix(name, "-")
		name, value, hasValue := strings.Cut(name, "=")
		as, err := wholeName(name)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		d, _ := definitionOf(as)
		switch {
		case d.kind == flag && hasValue:
			wrong = append(wrong, problemf("Option %s does not take an argument", name))
			continue
		case d.kind == flag:
			value = "1"
		case hasValue && value == "", !hasValue && len(args) == 0:
			wrong = append(wrong, problemf("Option %s requires an argument", name))
			continue
		case !hasValue:
			value, args = args[0], args[1:]
		}
		settings = append(settings, setting{name: d.name, as: as, value: value})
	}
	return settings, words, wrong
}

// wholeName gives the name of the option that name is the beginning of.
func wholeName(name string) (string, error) {
	var hits []string
	for _, d := range definitions() {
		for _, whole := range append([]string{d.name}, d.old...) {
			if whole == name {
				return whole, nil
			}
			if strings.HasPrefix(whole, name) {
				hits = append(hits, whole)
			}
		}
	}
	switch len(hits) {
	case 0:
		return "", problemf("Unknown option: %s", name)
	case 1:
		return hits[0], nil
	}
	slices.Sort(hits)
	return "", problemf("Option %s is ambiguous (%s)", name, strings.Join(hits, ", "))
}
