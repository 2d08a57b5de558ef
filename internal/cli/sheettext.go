package cli

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/ui"
)

// The page of a recovery sheet: characters in a line, and lines. A printer's has
// 66 lines, six to the inch of eleven inches.
const (
	sheetWidth = 80
	sheetLines = 66
)

// projectPage is where firn is to be had.
const projectPage = "https://github.com/firn-archive/firn"

// unseal opens what is encrypted, on the sheet.
const unseal = "age --decrypt --identity identity.txt "

// firnCommands are what brings everything back with firn, line by line; a line
// that begins with # is a remark.
func firnCommands(r sheetRecord) (lines []string) {
	store, identity := shellWord(r.Store), ""
	if r.Encrypted {
		identity = " --identity identity.txt"
	}
	if r.Kind != string(config.Local) {
		lines = append(lines, "export AWS_REGION="+shellWord(r.Region))
		if r.Endpoint != "" {
			lines = append(lines, "export AWS_ENDPOINT_URL="+shellWord(r.Endpoint))
		}
	}
	return append(lines,
		"firn recover "+store+identity+" --wait",
		"firn ls "+store,
		"firn restore "+store+" --to back --wait"+identity,
	)
}

// stockCommands are what brings everything back without firn. Words in capitals
// are to be replaced.
func stockCommands(r sheetRecord) []string {
	switch r.Kind {
	case string(config.Local):
		return localCommands(r)
	case string(config.S3):
		return bucketCommands(r)
	}
	return vaultCommands(r)
}

// bucketCommands use the program of the bucket's vendor. What is of a cold class is
// asked for first, and can be read a day or two later.
func bucketCommands(r sheetRecord) []string {
	bucket, prefix, _ := strings.Cut(r.Name, "/")
	options := ""
	if r.Region != "" {
		options += " --region " + shellWord(r.Region)
	}
	if r.Endpoint != "" {
		options += " --endpoint-url " + shellWord(r.Endpoint)
	}
	lines := []string{
		`s3() { c=$1; shift; aws s3 "$c" "$@"` + options + `; }`,
		`s3api() { c=$1; shift; aws s3api "$c" --bucket ` + shellWord(bucket) + ` "$@"` + options + `; }`,
		"# lists of all files, each beside a text that says how to get them back: take the last folder",
		"s3 ls " + shellWord("s3://"+strings.TrimSuffix(r.Name, "/")+"/.firn/lists/"),
		"# what there is: a file's first version bears its name, below that of its tree",
		"s3 ls --recursive " + shellWord("s3://"+r.Name),
		"# asks for one; it can be read 12 to 48 hours later, for a week",
		`s3api restore-object --key ` + shellWord(strings.TrimPrefix(prefix+"/KEY", "/")) + ` --restore-request 'Days=7,GlacierJobParameters={Tier=Bulk}'`,
		"# gets it; of an archive of many files, tar lists and extracts them",
		"s3 cp " + shellWord("s3://"+strings.TrimSuffix(r.Name, "/")+"/KEY") + " FILE",
	}
	if r.Encrypted {
		lines = append(lines, unseal+"FILE >FILE.tar")
	}
	return lines
}

// vaultCommands use the program of the vault's vendor.
func vaultCommands(r sheetRecord) []string {
	account := r.Account
	if account == "" {
		account = "-" // that of the credentials
	}
	vault := "--account-id " + account + " --vault-name " + shellWord(r.Name)
	if r.Region != "" {
		vault += " --region " + shellWord(r.Region)
	}
	if r.Endpoint != "" {
		vault += " --endpoint-url " + shellWord(r.Endpoint)
	}
	lines := []string{
		`glacier() { c=$1; shift; aws glacier "$c" ` + vault + ` "$@"; }`,
		`ask() { glacier initiate-job --job-parameters '{"Type":"archive-retrieval","Tier":"Bulk","ArchiveId":"'"$1"'"}'; }`,
		"# First the list of files. Tags name the archives that have it, as NUMBER/ARCHIVE: firn-full-... the whole, firn-catalog-... what is newer.",
		"glacier list-tags-for-vault",
		"ask ARCHIVE                                # prints a jobId",
		"glacier describe-job --job-id=JOBID        # hours later: Succeeded",
		"glacier get-job-output --job-id=JOBID FILE",
	}
	lines = append(lines, searchCommands(r, `"remote":"ARCHIVE"`)...)
	return append(lines,
		"# That archive is asked for in the same way, and opened with",
		unpackCommand(r),
		"# If there are no tags, the inventory names all archives:",
		`glacier initiate-job --job-parameters '{"Type":"inventory-retrieval"}'`,
	)
}

// localCommands find an archive in the folder of a local vault.
func localCommands(r sheetRecord) []string {
	lines := []string{
		"cd " + shellWord(strings.TrimPrefix(r.Store, "local:")),
		"# First the list of files. The archives that have it, the newest first; what isn't in that is in the one behind it:",
		`sqlite3 vault.db "SELECT number, part_size FROM archive WHERE deleted IS NULL AND description LIKE '` + snapshotDescription() + `%' ORDER BY number DESC"`,
		"# Number 12345 is FILE archives/000/012/345; where part_size isn't 0, that is a folder of parts: cat archives/000/012/345/* >FILE",
		"# Where it is neither, it is small, and made so:",
		`sqlite3 vault.db "SELECT writefile('FILE', body) FROM small WHERE number = 12345"`,
	}
	lines = append(lines, searchCommands(r, `"hash":"HASH"`)...)
	return append(lines,
		`sqlite3 vault.db "SELECT number, part_size FROM archive WHERE deleted IS NULL AND hex(tree_hash) = upper('HASH')"`,
		unpackCommand(r),
	)
}

// snapshotDescription is what the descriptions of all snapshots begin with, and
// no others do: base64 of whole threes of bytes.
func snapshotDescription() string {
	return "mt2 " + base64.RawURLEncoding.EncodeToString([]byte(`{"filename":".firn/`+string(describe.Snapshot)+`/`))
}

// searchCommands open a list of files and look for one, and for the archive that
// has it, which shows in what.
func searchCommands(r sheetRecord, what string) []string {
	open := "zstd -dc FILE"
	if r.Encrypted {
		open = unseal + "FILE | zstd -dc"
	}
	return []string{
		open + " >>~/list",
		`grep '"name":"NAME"' ~/list                # the last line counts: "content":[N`,
		`grep '"archive":{"id":N,' ~/list           # ` + what,
	}
}

// unpackCommand opens an archive of files.
func unpackCommand(r sheetRecord) string {
	if r.Encrypted {
		return unseal + "FILE | tar -xp"
	}
	return "tar -xpf FILE                              # where it is no tar, it is the file"
}

// shellWord is a word for a POSIX shell, in ASCII.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@+=,", r)
	}
	printable := func(r rune) bool { return r >= ' ' && r < 0x7f && r != '\\' }
	switch {
	case s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }):
		return s
	case !strings.ContainsFunc(s, func(r rune) bool { return !printable(r) }):
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	// Dollar-single-quotes: POSIX.1-2024, Shell Command Language, 2.2.4.
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'':
			b.WriteString(`\'`)
		case printable(rune(c)):
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	return b.String() + "'"
}

// sheetText is the page of a store: ASCII, no wider than sheetWidth. Where a
// list is so long that it would be more than a page, its end is left out.
func sheetText(r sheetRecord, version string) string {
	text := ""
	for most := max(len(r.Trees), len(r.Recipients), 1); most > 0; most-- {
		text = sheetOf(r, version, most)
		if strings.Count(text, "\n") <= sheetLines {
			break
		}
	}
	return text
}

// sheetOf is the page with so many entries at most in each of its lists.
func sheetOf(r sheetRecord, version string, most int) string {
	p := &page{}
	p.line("FIRN RECOVERY SHEET of %s", r.Store)
	p.line("made %s with firn %s", r.Made, version)
	p.line("")
	where := "a folder of archives"
	if r.Kind == string(config.Glacier) {
		where = "a vault of Amazon Glacier"
	}
	if r.Kind == string(config.S3) {
		where = "a bucket of S3"
	}
	p.line("The directories below are kept in %s. This page says how to bring them back on any other computer, when the one that sent them is gone. "+
		"firn, which sent them, is a free program: %s", where, projectPage)
	p.needs(r, most)
	p.head("What there is")
	p.contents(r, most)
	p.head("With firn")
	p.commands(r.WithFirn)
	p.head("Without firn, in bash")
	p.line("All files at once: docs/format.md of firn, \"Getting everything back with stock tools\". One by one, with words in CAPITALS replaced:")
	p.commands(r.WithStock)
	return p.String()
}

// A page puts a sheet together.
type page struct{ strings.Builder }

// needs tells what it takes to bring anything back. No secret is on the page,
// but lines to write down where those are kept.
func (p *page) needs(r sheetRecord, most int) {
	p.head("What it takes")
	if r.Kind != string(config.Local) {
		account := ""
		if r.Account != "" {
			account = " of AWS account " + r.Account
		}
		p.item("The keys%s: access key id and secret access key.", account)
		p.kept("They are kept")
		if r.Kind == string(config.S3) {
			p.item("Time, and money. What is of a cold class is there 5 to 48 hours after it was asked for, for some days.")
		} else {
			p.item("Time, and money. What is asked for is there 5 to 12 hours later, and for 24 hours. Amazon charges for it; firn tells the price first.")
		}
	} else {
		p.item("The folder %s of %s, or a copy of it.", strings.TrimPrefix(r.Store, "local:"), r.host)
		p.kept("It is on the disk")
	}
	if !r.Encrypted {
		p.item("No identity: nothing is encrypted. Whoever can read the store can read the files.")
		return
	}
	there := "was in"
	if !r.hasIdentity {
		there = "was NOT in"
	}
	p.item("The identity file, below identity.txt: text with a line AGE-SECRET-KEY-...; where it has a passphrase, that within an age file. All is encrypted (https://age-encryption.org): "+
		"WITHOUT IT NOBODY BRINGS ANYTHING BACK. On %s it %s %s. Keep a copy elsewhere, and not in the store alone.", r.host, there, r.Identity)
	p.kept("It is kept")
	p.line("  It opens what is for:")
	for i, key := range r.Recipients {
		if i == most {
			p.line("  and %d more", len(r.Recipients)-most)
			break
		}
		p.line("  %s", shortKey(key))
	}
	if len(r.Recipients) == 0 {
		p.line("  (not recorded here: firn key show tells those of an identity)")
	}
}

// kept leaves space to write.
func (p *page) kept(what string) {
	p.line("  %s: %s", what, strings.Repeat("_", sheetWidth-4-len(what)))
}

// item writes text behind a bullet.
func (p *page) item(format string, args ...any) {
	mark := "* "
	for _, line := range wrapText(ascii(fmt.Sprintf(format, args...)), sheetWidth-len(mark)) {
		p.WriteString(mark + line + "\n")
		mark = "  "
	}
}

// contents tells where the store is, and what is in it.
func (p *page) contents(r sheetRecord, most int) {
	p.field("address", r.Address)
	p.field("account", r.Account)
	p.field("region", r.Region)
	p.field("endpoint", r.Endpoint)
	p.field("profile", r.Profile)
	p.field("holds", fmt.Sprintf("%s in %s archives", ui.Bytes(r.Bytes), ui.Count(r.Archives)))
	list := "none yet, so that names are in the archives alone"
	if n := len(r.Snapshots); n > 0 {
		list = fmt.Sprintf("snapshot %d of %s", r.Snapshots[n-1].Seq, day(r.Snapshots[n-1].Made))
	}
	p.field("list", list)
	for i, t := range r.Trees {
		if i == most {
			p.item("and %d more directories, which the list of files names", len(r.Trees)-most)
			break
		}
		p.item("%s: %s:%s", t.Tree, t.Host, t.Root)
		p.line("  %s in %s; last complete sync: %s", ui.Bytes(t.Bytes), ui.Files(t.Files), day(t.LastSync))
	}
}

// shortKey shortens the keys that take half a page: those that are safe from
// quantum computers. It is to tell them apart; the identity file has them whole.
func shortKey(key string) string {
	const keep = 28
	if len(key) <= sheetWidth-4 {
		return key
	}
	return fmt.Sprintf("%s...%s (%d characters)", key[:keep], key[len(key)-12:], len(key))
}

func (p *page) head(text string) { fmt.Fprintf(p, "\n== %s ==\n", text) }

// line writes text, over as many lines as it takes, which are indented as the
// first one is.
func (p *page) line(format string, args ...any) {
	text := ascii(fmt.Sprintf(format, args...))
	indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
	for _, line := range wrapText(text[len(indent):], sheetWidth-len(indent)) {
		p.WriteString(strings.TrimRight(indent+line, " ") + "\n")
	}
}

// field writes a name and its value; nothing where that is empty.
func (p *page) field(name, value string) {
	const width = 10
	if value == "" {
		return
	}
	for i, line := range wrapText(ascii(value), sheetWidth-width) {
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(p, "%-*s%s\n", width, name, line)
	}
}

// commands writes lines of a shell, so that they can be typed, or copied, as
// they are: what is too long goes on behind a backslash, without a blank that
// would part a word.
func (p *page) commands(lines []string) {
	for _, text := range lines {
		if code, remark := cutRemark(text); remark != "" && len(text) > sheetWidth {
			for _, line := range wrapText(remark, sheetWidth-2) {
				p.WriteString("# " + line + "\n")
			}
			if text = code; text == "" {
				continue
			}
		}
		for len(text) > sheetWidth {
			n := breakShell(text, sheetWidth-1)
			if n == len(text) {
				break
			}
			p.WriteString(text[:n] + "\\\n")
			text = text[n:]
		}
		p.WriteString(text + "\n")
	}
}

// inQuotes tells of each character of a shell's line whether it is within
// single quotes, or the one that ends them. There is no backslash within.
func inQuotes(text string) []bool {
	quoted := make([]bool, len(text))
	now := false
	for i := range len(text) {
		quoted[i] = now
		if text[i] == '\'' && (i == 0 || text[i-1] != '\\') {
			now = !now
		}
	}
	return quoted
}

// cutRemark takes the remark off a shell's line, which is its end, or all of it.
func cutRemark(text string) (code, remark string) {
	quoted := inQuotes(text)
	for i := range len(text) {
		if text[i] == '#' && !quoted[i] && (i == 0 || text[i-1] == ' ') {
			return strings.TrimRight(text[:i], " "), text[i+1:]
		}
	}
	return text, ""
}

// breakShell gives where a line of a shell may be broken, so that at most width
// characters stand before: behind a blank at best, and never within single
// quotes, where a backslash is one. Where there is no such place it is the first
// one behind that width.
func breakShell(text string, width int) int {
	quoted := inQuotes(text)
	blank, other := 0, 0
	for i := 1; i < len(text); i++ {
		if quoted[i] || text[i-1] == '\\' || text[i-1] == '$' {
			continue
		}
		switch {
		case i > width && other == 0:
			return i
		case i > width:
		case text[i-1] == ' ':
			blank, other = i, i
		default:
			other = i
		}
	}
	switch {
	case blank >= width/2:
		return blank
	case other > 0:
		return other
	}
	return len(text)
}

// ascii makes text that any printer has letters for: all else is written as Go
// writes it in a string.
func ascii(s string) string {
	clean := ui.Text(s)
	var b strings.Builder
	for _, r := range clean {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// wrapText breaks text into lines at blanks, and words that are too long
// anywhere.
func wrapText(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for len(word) > width {
			lines = append(lines, word[:width])
			word = word[width:]
		}
		line = word
	}
	return append(lines, line)
}
