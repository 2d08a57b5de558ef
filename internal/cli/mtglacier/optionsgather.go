package mtglacier

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// asksHelp tells whether a first argument asks for help: one of its words is help
// or h, in any case, as --help and -h have them. Source: mt-aws-glacier 1.120,
// which looks for /\b(help|h)\b/i.
func asksHelp(arg string) bool {
	notWord := func(r rune) bool { return r >= utf8.RuneSelf || r != '_' && !isAlnum(byte(r)) }
	return slices.ContainsFunc(strings.FieldsFunc(arg, notWord), func(word string) bool {
		return strings.EqualFold(word, "help") || strings.EqualFold(word, "h")
	})
}

// asksVersion tells whether a first argument asks for the version: version, with
// up to two dashes.
func asksVersion(arg string) bool {
	return strings.EqualFold(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "version")
}

// A gatherer brings together what the command line and the config file say, and
// notes what is wrong with it.
type gatherer struct {
	env    Env
	usage  usage
	values map[string]setting // of options that the command uses, decoded
	rules  []setting          // --filter, --include and --exclude, in order
	word   string             // behind the command
	notes  []string           // for stderr
	wrong  problems
}

func (g *gatherer) fault(format string, args ...any) {
	g.wrong = append(g.wrong, problemf(format, args...))
}

func (g *gatherer) warn(format string, args ...any) {
	g.notes = append(g.notes, "WARNING: "+problemf(format, args...).Error())
}

// parse reads the arguments behind the program's name, and the config file that
// they name. The notes are lines for stderr. The options are there with an error
// too, with what is known of the terminal's encoding.
func parse(args []string, env Env) (o *Options, notes []string, err error) {
	o = &Options{}
	switch {
	case len(args) > 0 && asksHelp(args[0]):
		o.Command = Help
		return o, nil, nil
	case len(args) > 0 && asksVersion(args[0]):
		o.Command = Version
		return o, nil, nil
	}
	settings, words, wrong := readArguments(args)
	if wrong != nil {
		return o, nil, wrong
	}
	g := &gatherer{env: env, values: map[string]setting{}}
	if !g.command(words) {
		return o, nil, g.wrong
	}
	if o.Command = g.usage.command; o.Command == Help || o.Command == Version {
		return o, nil, nil
	}
	g.gather(settings, &o.Encodings)
	if g.wrong == nil {
		g.check(o)
	}
	if g.wrong != nil {
		return o, g.notes, g.wrong
	}
	return o, g.notes, nil
}

// command finds out which command it is, and the word behind it.
func (g *gatherer) command(words []string) bool {
	if len(words) == 0 {
		g.fault("Please specify command")
		return false
	}
	var known bool
	if g.usage, known = usageOf(words[0]); !known {
		g.fault("Unknown command %q; the commands are in: mtglacier help", words[0])
		return false
	}
	words = words[1:]
	if g.usage.takesName() {
		if len(words) == 0 {
			g.fault("Please specify another argument in command line: VAULT-NAME")
			return false
		}
		g.word, words = words[0], words[1:]
	}
	if len(words) > 0 {
		g.fault("Unexpected argument in command line: %q", words[0])
		return false
	}
	return true
}

// gather fills in the values, those of the config file first.
func (g *gatherer) gather(settings []setting, e *Encodings) {
	var config []setting
	for _, s := range settings {
		if s.name != "config" {
			continue
		}
		var err error
		if config, err = readConfig(g.env, s.value); err != nil {
			g.wrong = append(g.wrong, each(err)...)
		}
	}
	both := append(config, settings...)
	e.Terminal = g.encoding(both, "terminal-encoding")
	e.Filenames = g.encoding(both, "filenames-encoding")
	e.Journal = g.encoding(both, "journal-encoding")
	configEncoding := g.encoding(both, "config-encoding")
	for _, s := range config {
		if g.usage.has(s.name) {
			g.warnOfOld(&s)
			g.keep(s, configEncoding)
		}
	}
	typed := map[string]setting{}
	for _, s := range settings {
		g.fromCommandLine(s, typed, e.Terminal)
	}
}

// fromCommandLine takes what the command line says of one option.
func (g *gatherer) fromCommandLine(s setting, typed map[string]setting, terminal Encoding) {
	g.warnOfOld(&s)
	d, _ := definitionOf(s.name)
	if before, again := typed[s.name]; again && (d.kind == text || d.kind == number) {
		g.fault("%s specified, while %s already defined", &s, &before)
		return
	}
	typed[s.name] = s
	switch {
	case g.usage.ignores(s.name):
		g.warn("%s is not used by %s any more, and has no effect", &s, g.usage.command)
	case !g.usage.has(s.name):
		g.fault("Unexpected option %s for %s", &s, g.usage.command)
	case d.kind == list:
		g.rule(s, terminal)
	case s.name != "config": // whose name is bytes
		g.keep(s, terminal)
	}
}

func (g *gatherer) warnOfOld(s *setting) {
	if s.as != s.name {
		g.warn("%s is deprecated, use --%s instead", s, s.name)
	}
}

// keep decodes a value, over any that was there before.
func (g *gatherer) keep(s setting, e Encoding) {
	if g.decode(&s, e) {
		g.values[s.name] = s
	}
}

func (g *gatherer) rule(s setting, e Encoding) {
	if g.decode(&s, e) {
		g.rules = append(g.rules, s)
	}
}

func (g *gatherer) decode(s *setting, e Encoding) bool {
	value, err := e.Decode(s.value)
	if err != nil {
		g.fault("Value of %s is not in the encoding %s", s, e)
		return false
	}
	s.value = value
	return true
}

// encoding finds the encoding that an option names, the last that is given.
func (g *gatherer) encoding(settings []setting, option string) Encoding {
	var last setting
	for _, s := range settings {
		if s.name == option {
			last = s
		}
	}
	if last.name == "" {
		return Encoding{}
	}
	e, err := encodingNamed(last.value)
	if err != nil {
		g.fault("%s: %v", &last, err)
	}
	return e
}

// given tells whether an option was given.
func (g *gatherer) given(name string) bool {
	_, ok := g.values[name]
	return ok
}

// text gives the value of an option, or what it is initially.
func (g *gatherer) text(name string) string {
	if s, ok := g.values[name]; ok {
		return s.value
	}
	d, _ := definitionOf(name)
	return d.initial
}

// flag tells whether a flag is set.
func (g *gatherer) flag(name string) bool {
	s := g.values[name]
	return s.on()
}

// called is how messages call an option: by the name that it was given by.
func (g *gatherer) called(name string) string {
	if s, ok := g.values[name]; ok {
		return s.String()
	}
	return strconv.Quote("--" + name)
}
