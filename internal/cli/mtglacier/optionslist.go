package mtglacier

import "slices"

// A kind is what sort of value an option has.
type kind int

const (
	text   kind = iota
	number      // a whole number, with or without a sign
	flag        // none
	list        // text, again and again; the order counts
)

// A definition is an option that some command has.
type definition struct {
	name    string
	kind    kind
	old     []string // names that are answered with a warning
	initial string   // the value of who gives none
	about   string   // for the help
}

// definitions are all options. Source: mt-aws-glacier 1.120, its manual and its
// table of options.
func definitions() []definition {
	return []definition{
		{name: "config", about: "FILE with name=value lines, of options"},
		{name: "key", about: "access key id"},
		{name: "secret", about: "secret access key"},
		{name: "token", about: "session token, for keys that end"},
		{name: "region", about: "such as us-east-1"},
		{name: "timeout", initial: "180", about: "seconds that the service may be silent while data goes up or down; for an answer it is waited 10 minutes at least"},
		{name: "protocol", initial: "http", about: "http or https; either way requests go over https"},
		{name: "terminal-encoding", initial: utf8Name, about: "of the command line and of what is printed"},
		{name: "filenames-encoding", initial: utf8Name, about: "of names on the disk"},
		{name: "config-encoding", initial: utf8Name, about: "of the config file"},
		{name: "journal-encoding", initial: utf8Name, about: "of the journal"},
		{name: "vault", old: []string{"to-vault"}, about: "name of the vault"},
		{name: "dir", old: []string{"to-dir", "from-dir"}, about: "root of the tree"},
		{name: "base-dir", about: "taken, and without effect"},
		{name: "journal", about: "FILE that records what is stored"},
		{name: "new-journal", about: "FILE to write; it is missing or empty"},
		{name: "concurrency", kind: number, initial: "4", about: "requests at a time, 1 to 30"},
		{name: "partsize", kind: number, initial: "16", about: "of uploads, in MiB: a power of two up to 4096"},
		{name: "segment-size", kind: number, initial: "0", about: "of downloads, in MiB: a power of two; 0: whole files"},
		{name: "max-number-of-files", kind: number, about: "stop after so many"},
		{name: "check-max-file-size", kind: number, about: "MiB that stdin can have"},
		{name: "new", kind: flag, about: "upload what isn't in the journal (what sync does when nothing else is said)"},
		{name: "replace-modified", kind: flag, about: "upload what was modified, then delete what it replaces"},
		{name: "delete-removed", kind: flag, about: "delete what isn't on the disk any more"},
		{name: "detect", initial: string(DetectMtimeAndTreehash), about: "how to tell what was modified: treehash, mtime, mtime-and-treehash, mtime-or-treehash, always-positive, size-only"},
		{name: "leaf-optimization", initial: "1", about: "0 or 1; taken, and without effect"},
		{name: "follow", kind: flag, about: "follow symbolic links"},
		{name: "filter", kind: list, about: "rules, as in '+*.jpg -'; the first that matches decides, and what none matches is included"},
		{name: "include", kind: list, about: "a rule that includes"},
		{name: "exclude", kind: list, about: "a rule that excludes"},
		{name: "dry-run", kind: flag, about: "say what would be done, and don't"},
		{name: "filename", about: "FILE to upload"},
		{name: "set-rel-filename", about: "its name in the journal"},
		{name: "stdin", kind: flag, about: "upload stdin"},
		{name: "request-inventory-format", initial: "json", about: "json or csv"},
		{name: "format", initial: "for-humans", about: "for-humans or mtmsg"},
	}
}

const utf8Name = "UTF-8"

// A usage is the options of a command, beside those that all have.
type usage struct {
	command Command
	about   string
	needs   []string // the value of each must be given, or be there initially
	takes   []string
	unused  []string // taken with a warning, because it had them once
}

// takesName tells whether the command is followed by the name of a vault.
func (u *usage) takesName() bool { return u.command == CreateVault || u.command == DeleteVault }

// has tells whether the command uses an option.
func (u *usage) has(name string) bool {
	return slices.Contains(commonNeeds(), name) || slices.Contains(commonTakes(), name) ||
		slices.Contains(u.needs, name) || slices.Contains(u.takes, name)
}

// ignores tells whether the command takes an option that it does nothing with.
func (u *usage) ignores(name string) bool { return slices.Contains(u.unused, name) }

// commonNeeds are the options that every command needs, whether it speaks to the
// service or not.
func commonNeeds() []string { return []string{"key", "secret", "region"} }

// commonTakes are the other options that every command has.
func commonTakes() []string {
	return []string{"config", "token", "timeout", "protocol", "terminal-encoding", "filenames-encoding", "config-encoding", "journal-encoding"}
}

// usages are all commands.
func usages() []usage {
	filters := []string{"filter", "include", "exclude", "dry-run"}
	with := func(more ...string) []string { return append(more, filters...) }
	return []usage{
		{command: CreateVault, about: "make a vault"},
		{command: DeleteVault, about: "delete a vault, which must be empty"},
		{command: ListVaults, about: "list the vaults of the region", takes: []string{"dry-run", "format"}},
		{
			command: Sync, about: "upload what is new or modified in a tree", needs: []string{"dir", "vault", "journal"},
			takes: with("concurrency", "partsize", "new", "replace-modified", "delete-removed", "detect", "max-number-of-files", "leaf-optimization", "follow"),
		},
		{
			command: UploadFile, about: "upload one file, or stdin", needs: []string{"vault", "journal"},
			takes: []string{"filename", "dir", "set-rel-filename", "stdin", "check-max-file-size", "base-dir", "concurrency", "partsize"},
		},
		{
			command: PurgeVault, about: "delete what the journal has", needs: []string{"vault", "journal"},
			takes: with("concurrency"), unused: []string{"dir"},
		},
		{
			command: Restore, about: "ask for what the journal has and the disk has not", needs: []string{"dir", "vault", "max-number-of-files", "journal"},
			takes: with("concurrency"),
		},
		{
			command: RestoreCompleted, about: "download what restore asked for, as far as it is ready", needs: []string{"dir", "vault", "journal"},
			takes: with("concurrency", "segment-size"),
		},
		{
			command: CheckLocalHash, about: "compare the disk with the journal", needs: []string{"dir", "journal"},
			takes: with(), unused: []string{"vault"},
		},
		{command: RetrieveInventory, about: "ask for the inventory of a vault", needs: []string{"vault"}, takes: []string{"request-inventory-format"}},
		{command: DownloadInventory, about: "make a journal of an inventory that is ready", needs: []string{"vault", "new-journal"}},
		{command: Help, about: "show this"},
		{command: Version, about: "show which version this is"},
	}
}

// usageOf finds a command by its name.
func usageOf(name string) (usage, bool) {
	all := usages()
	i := slices.IndexFunc(all, func(u usage) bool { return string(u.command) == name })
	if i < 0 {
		return usage{}, false
	}
	return all[i], true
}

// definitionOf finds an option by its name, or by one that it once had.
func definitionOf(name string) (definition, bool) {
	all := definitions()
	i := slices.IndexFunc(all, func(d definition) bool { return d.name == name || slices.Contains(d.old, name) })
	if i < 0 {
		return definition{}, false
	}
	return all[i], true
}
