package glaciercli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A call is what was called: a command with its options and words.
type call struct {
	parser *parser
	values map[string]string // by the option's key; of one without a value, empty
	words  []string
	extras []string // that nobody knows
}

// given reports whether an option is there.
func (c *call) given(key string) bool {
	_, ok := c.values[key]
	return ok
}

// number gives the value of an option, or what it is without it.
func (c *call) number(key string, otherwise int64) int64 {
	n, err := pythonInt(c.values[key])
	if err != nil {
		return otherwise
	}
	return n
}

// A usageError is a command line that is wrong, in the words of argparse.
type usageError struct {
	parser *parser
	text   string
}

func (e *usageError) Error() string { return e.text }

// A helpWanted ends the reading of a command line.
type helpWanted struct{ parser *parser }

func (h *helpWanted) Error() string { return "help is wanted" }

// parse reads a command line as argparse does: options may stand anywhere behind
// their command, may be shortened as long as they can be told apart, and have their
// value behind = or as the next word; what comes behind -- is no option.
func (p *parser) parse(args []string) (*call, error) {
	c := &call{parser: p, values: map[string]string{}}
	if err := p.read(args, c); err != nil {
		return nil, err
	}
	if len(c.extras) > 0 {
		return nil, &usageError{p, "unrecognized arguments: " + strings.Join(c.extras, " ")}
	}
	return c, nil
}

// A token is a word of the command line and what it is taken for.
type token struct {
	text   string
	kind   byte    // 'A' a word, 'O' an option, '-' the two dashes
	option *option // nil: of no such option
	value  *string // that is part of the word
}

var negative = regexp.MustCompile(`^-\d+$|^-\d*\.\d+$`)

// tokens says what each word is.
func (p *parser) tokens(args []string) ([]token, error) {
	var all []token
	for i, arg := range args {
		if arg == "--" {
			all = append(all, token{text: arg, kind: '-'})
			for _, rest := range args[i+1:] {
				all = append(all, token{text: rest, kind: 'A'})
			}
			return all, nil
		}
		t, err := p.token(arg)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func (p *parser) token(arg string) (token, error) {
	word := token{text: arg, kind: 'A'}
	if !strings.HasPrefix(arg, "-") || len(arg) == 1 {
		return word, nil
	}
	name, value, assigned := strings.Cut(arg, "=")
	for i := range p.options {
		o := &p.options[i]
		if arg == o.short || arg == o.long {
			return token{text: arg, kind: 'O', option: o}, nil
		}
		if assigned && (name == o.short || name == o.long) {
			return token{text: arg, kind: 'O', option: o, value: &value}, nil
		}
	}
	found, names := p.shortened(arg)
	switch {
	case len(found) > 1:
		return word, &usageError{p, fmt.Sprintf("ambiguous option: %s could match %s", arg, strings.Join(names, ", "))}
	case len(found) == 1:
		return found[0], nil
	case negative.MatchString(arg), strings.Contains(arg, " "):
		return word, nil
	}
	return token{text: arg, kind: 'O'}, nil
}

// shortened gives the options that a word may begin, and what they are called.
func (p *parser) shortened(arg string) (found []token, names []string) {
	for i := range p.options {
		o := &p.options[i]
		if strings.HasPrefix(arg, "--") {
			name, value, assigned := strings.Cut(arg, "=")
			if o.long == "" || !strings.HasPrefix(o.long, name) {
				continue
			}
			t := token{text: arg, kind: 'O', option: o}
			if assigned {
				t.value = &value
			}
			found, names = append(found, t), append(names, o.long)
		} else if o.short != "" && arg[:2] == o.short {
			value := arg[2:]
			found, names = append(found, token{text: arg, kind: 'O', option: o, value: &value}), append(names, o.short)
		}
	}
	return found, names
}

// read reads what is the parser's into c.
func (p *parser) read(args []string, c *call) error {
	c.parser = p
	all, err := p.tokens(args)
	if err != nil {
		return err
	}
	left := slices.Clone(p.words) // words that are still to come
	for i := 0; i < len(all); {
		if all[i].kind == 'O' {
			n, err := p.takeOption(all[i:], c)
			if err != nil {
				return err
			}
			i += n
			continue
		}
		if p.subs != nil {
			return p.readSub(args[i:], c)
		}
		chunk := []string{}
		for ; i < len(all) && all[i].kind != 'O'; i++ {
			if all[i].kind == 'A' {
				chunk = append(chunk, all[i].text)
			}
		}
		left = c.takeWords(left, chunk)
	}
	if len(left) > 0 {
		for i := range left {
			left[i] = strings.TrimSuffix(left[i], "+")
		}
		return &usageError{p, "the following arguments are required: " + strings.Join(left, ", ")}
	}
	return nil
}

// readSub reads a command: all behind its name is its own.
func (p *parser) readSub(args []string, c *call) error {
	for _, s := range p.subs {
		if s.own() == args[0] {
			return s.read(args[1:], c)
		}
	}
	var names []string
	for _, s := range p.subs {
		names = append(names, repr(s.own()))
	}
	return &usageError{p, fmt.Sprintf("argument %s: invalid choice: %s (choose from %s)", p.choices(), repr(args[0]), strings.Join(names, ", "))}
}

// takeWords gives words that follow each other to the parameters that are left, as
// many as can have one; it gives those that are left then.
func (c *call) takeWords(left, chunk []string) []string {
	for len(left) > 0 && len(chunk) > 0 {
		n := 1
		if strings.HasSuffix(left[0], "+") {
			n = len(chunk)
		}
		c.words = append(c.words, chunk[:n]...)
		left, chunk = left[1:], chunk[n:]
	}
	c.extras = append(c.extras, chunk...)
	return left
}

// takeOption takes an option, and the next word where that is its value. It gives
// how many words it took.
func (p *parser) takeOption(all []token, c *call) (int, error) {
	t := all[0]
	if t.option == nil {
		c.extras = append(c.extras, t.text)
		return 1, nil
	}
	wrong := func(format string, args ...any) (int, error) {
		return 0, &usageError{p, "argument " + t.option.name() + ": " + fmt.Sprintf(format, args...)}
	}
	n, value := 1, ""
	switch {
	case t.option.value == "" && t.value != nil:
		return wrong("ignored explicit argument %s", repr(*t.value))
	case t.option.value == "":
	case t.value != nil:
		value = *t.value
	case len(all) < 2 || all[1].kind != 'A':
		return wrong("expected one argument")
	default:
		n, value = 2, all[1].text
	}
	if t.option.long == helpOption.long {
		return 0, &helpWanted{p}
	}
	if t.option.isInt {
		number, err := pythonInt(value)
		if err != nil {
			return wrong("invalid int value: %s", repr(value))
		}
		value = strconv.FormatInt(number, 10)
	}
	c.values[t.option.key()] = value
	return n, nil
}

// pythonInt reads a number as Python's int does.
func pythonInt(s string) (int64, error) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return n, nil // the largest there is: Python's have no end
	}
	return n, err
}
