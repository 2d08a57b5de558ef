package glaciercli

import (
	"context"
	"slices"
	"strings"
)

// An option is one of a command's.
type option struct {
	short, long string // with their dashes; either may be empty
	value       string // what the usage calls its value; empty: it has none
	isInt       bool
	help        string
}

// name is what errors call the option.
func (o *option) name() string {
	if o.short != "" && o.long != "" {
		return o.short + "/" + o.long
	}
	return o.short + o.long
}

// key is by what the value is found.
func (o *option) key() string {
	if o.long != "" {
		return o.long
	}
	return o.short
}

// A parser is a command, or a group of them, as Python's argparse has it.
type parser struct {
	prog    string
	options []option
	// One of both: the words that stand behind, of which the last may come more
	// than once where it ends in +; or commands.
	words []string
	subs  []*parser

	run func(*program, context.Context, *call) error
}

// own is the last word of the parser's name.
func (p *parser) own() string { return p.prog[strings.LastIndexByte(p.prog, ' ')+1:] }

// choices are the names of the commands, as the usage has them.
func (p *parser) choices() string {
	var names []string
	for _, s := range p.subs {
		names = append(names, s.own())
	}
	return "{" + strings.Join(names, ",") + "}"
}

var helpOption = option{short: "-h", long: "--help", help: "show this help message and exit"}

// command makes a parser without commands.
func command(prog string, words string, run func(*program, context.Context, *call) error, options ...option) *parser {
	return &parser{prog: prog, words: strings.Fields(words), run: run, options: append([]option{helpOption}, options...)}
}

// Commands gives the commands that may come next on a command line, for completion;
// nothing where none can.
func Commands(before []string) []string {
	p := grammar()
	for _, word := range before {
		i := slices.IndexFunc(p.subs, func(s *parser) bool { return s.own() == word })
		if i >= 0 {
			p = p.subs[i]
		}
	}
	var names []string
	for _, s := range p.subs {
		names = append(names, s.own())
	}
	return names
}

// grammar is that of glacier-cli, and of vbourachot's fork, and --part-size.
// Sources: github.com/basak/glacier-cli, github.com/vbourachot/glacier-cli.
func grammar() *parser {
	wait, fix := option{long: "--wait"}, option{long: "--fix"}
	maxAge := option{long: "--max-age", value: "MAX_AGE_HOURS", isInt: true}
	partSize := option{long: "--part-size", value: "MIB", isInt: true}
	vault := []*parser{
		command("glacier vault list", "", (*program).vaultList),
		command("glacier vault create", "name", (*program).vaultCreate),
		command("glacier vault sync", "vault", (*program).vaultSync, wait, fix, maxAge),
		command("glacier vault reconcile", "vault dir", (*program).vaultReconcile, option{long: "--commit"}),
	}
	archive := []*parser{
		command("glacier archive list", "vault", (*program).archiveList, option{long: "--force-ids"}, option{long: "--with-hash"}),
		command("glacier archive upload", "vault file", (*program).archiveUpload, option{long: "--name", value: "NAME"}, partSize),
		command("glacier archive multi-upload", "vault dir", (*program).archiveMultiUpload, option{long: "--resume"}, partSize),
		command("glacier archive retrieve", "vault name+", (*program).archiveRetrieve,
			option{long: "--multipart-size", value: "MULTIPART_SIZE", isInt: true}, option{short: "-o", value: "OUTPUT_FILENAME"}, wait),
		command("glacier archive delete", "vault name", (*program).archiveDelete),
		command("glacier archive multi-delete", "vault name+", (*program).archiveMultiDelete),
		command("glacier archive checkpresent", "vault name", (*program).archiveCheckPresent, wait, option{long: "--quiet"}, maxAge),
	}
	job := []*parser{command("glacier job list", "", (*program).jobList)}
	help := []option{helpOption}
	return &parser{
		prog: "glacier", options: []option{helpOption, {long: "--region", value: "REGION"}},
		subs: []*parser{
			{prog: "glacier vault", options: help, subs: vault},
			{prog: "glacier archive", options: help, subs: archive},
			{prog: "glacier job", options: help, subs: job},
		},
	}
}
