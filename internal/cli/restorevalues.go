package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/restore"
)

// A tierList is one tier or more, in order of preference. It is a pflag.Value.
type tierList []firn.Tier

// Set reads names with commas between them.
func (l *tierList) Set(s string) error {
	var tiers tierList
	for name := range strings.SplitSeq(s, ",") {
		t, err := firn.ParseTier(strings.TrimSpace(name))
		if err != nil {
			return err
		}
		if slices.Contains(tiers, t) {
			return fmt.Errorf("%q names %s twice", s, t)
		}
		tiers = append(tiers, t)
	}
	*l = tiers
	return nil
}

// String gives the names.
func (l *tierList) String() string {
	var names []string
	for _, t := range *l {
		names = append(names, string(t))
	}
	return strings.Join(names, ",")
}

// Type names the value in help.
func (l *tierList) Type() string { return "list" }

// An overwriteChoice says what becomes of files that exist. It is a pflag.Value.
type overwriteChoice restore.Overwrite

// Set reads a name.
func (c *overwriteChoice) Set(s string) error {
	o, err := restore.ParseOverwrite(s)
	if err == nil {
		*c = overwriteChoice(o)
	}
	return err
}

// String gives the name.
func (c *overwriteChoice) String() string { return string(*c) }

// Type names the value in help.
func (c *overwriteChoice) Type() string { return "which" }

// An hourlyRate is a number of bytes an hour, of at least 1. It is a pflag.Value.
type hourlyRate struct{ sizeLimit }

// Set reads a size, with or without /h behind it.
func (r *hourlyRate) Set(s string) error {
	return r.sizeLimit.Set(strings.TrimSuffix(s, "/h"))
}
