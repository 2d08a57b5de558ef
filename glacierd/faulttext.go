package glacierd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseFault reads a fault as people write it on a command line: its kind, then
// settings in any order, with blanks between:
//
//	fault   = kind { " " setting }
//	setting = "op=" OPERATION | "nth=" N | "times=" N | "p=" PROBABILITY | "after=" SIZE | "delay=" DURATION
//
// SIZE is a number of bytes, perhaps with KiB, MiB or GiB behind it; DURATION is
// as in 1h30m or 500ms. Examples:
//
//	lost-answer op=UploadArchive nth=3
//	timeout after=1MiB p=0.1
//	timeout delay=120s
//	clock-skew delay=-20m
//	truncate after=100000 times=2
func ParseFault(text string) (Fault, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Fault{}, fmt.Errorf("fault %q: a fault begins with its kind, one of %s", text, kindNames())
	}
	f := Fault{Kind: FaultKind(words[0])}
	seen := map[string]bool{}
	for _, word := range words[1:] {
		name, value, ok := strings.Cut(word, "=")
		if !ok || value == "" {
			return Fault{}, fmt.Errorf("fault %q: %q is not NAME=VALUE", text, word)
		}
		if seen[name] {
			return Fault{}, fmt.Errorf("fault %q: %s is set twice", text, name)
		}
		seen[name] = true
		if err := f.set(name, value); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %w", text, err)
		}
	}
	if err := f.check(); err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", text, err)
	}
	return f, nil
}

func (f *Fault) set(name, value string) (err error) {
	switch name {
	case "op":
		f.Op = value
	case "nth":
		f.Nth, err = parseCount(value)
	case "times":
		f.Times, err = parseCount(value)
	case "p":
		f.Probability, err = strconv.ParseFloat(value, 64)
		if err != nil || !(f.Probability > 0 && f.Probability <= 1) {
			err = fmt.Errorf("it is not a number above 0 and up to 1")
		}
	case "after":
		f.After, err = parseSize(value)
	case "delay":
		f.Delay, err = time.ParseDuration(value)
	default:
		return fmt.Errorf("there is no setting %q; there are op, nth, times, p, after and delay", name)
	}
	if err != nil {
		return fmt.Errorf("%s=%s: %w", name, value, err)
	}
	return nil
}

func parseCount(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("it is not a number from 1 on")
	}
	return n, nil
}

// parseSize reads a number of bytes.
func parseSize(text string) (int64, error) {
	unit := int64(1)
	for name, bytes := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(text, name); ok {
			text, unit = rest, bytes
			break
		}
	}
	n, ok := parseOffset(text)
	if !ok || n > 1<<60/unit {
		return 0, fmt.Errorf("it is not a number of bytes, such as 1000 or 64MiB")
	}
	return n * unit, nil
}

// check finds what makes no sense in a fault.
func (f Fault) check() error {
	ops, ok := faultKinds()[f.Kind]
	if !ok {
		return fmt.Errorf("there is no kind %q; there are %s", f.Kind, kindNames())
	}
	if f.Op != "" && ops == nil {
		for _, o := range operations() {
			ops = append(ops, o.name)
		}
	}
	switch {
	case f.Op != "" && !slices.Contains(ops, f.Op):
		return fmt.Errorf("%s can't strike %q, only %s", f.Kind, f.Op, strings.Join(ops, ", "))
	case f.Nth < 0 || f.Times < 0 || f.After < 0:
		return fmt.Errorf("nth, times and after can't be negative")
	case !(f.Probability >= 0 && f.Probability <= 1):
		return fmt.Errorf("a probability of %v is not between 0 and 1", f.Probability)
	case f.Delay < 0 && f.Kind != FaultClockSkew:
		return fmt.Errorf("a delay of %v can't be negative", f.Delay)
	case f.Kind == FaultSlow && f.Delay == 0:
		return fmt.Errorf("%s needs a delay", f.Kind)
	}
	return nil
}

// String gives the fault as ParseFault reads it.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	add := func(given bool, format string, value any) {
		if given {
			fmt.Fprintf(&b, format, value)
		}
	}
	add(f.Op != "", " op=%s", f.Op)
	add(f.Nth != 0, " nth=%d", f.Nth)
	add(f.Times != 0, " times=%d", f.Times)
	add(f.Probability != 0, " p=%v", f.Probability)
	add(f.After != 0, " after=%d", f.After)
	add(f.Delay != 0, " delay=%v", f.Delay)
	return b.String()
}

func kindNames() string {
	var names []string
	for kind := range faultKinds() {
		names = append(names, string(kind))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
