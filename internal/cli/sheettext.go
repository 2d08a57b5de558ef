package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/ui"
)

// sheetWidth is how wide a recovery sheet is, in characters.
const sheetWidth = 80

// projectPage is where firn is to be had.
const projectPage = "https://github.com/firn-archive/firn"

// firnCommands are what brings everything back with firn, line by line; a line
// that begins with # is a remark.
func firnCommands(r sheetRecord) (lines []string) {
	store, identity := shellWord(r.Store), ""
	if r.Encrypted {
		identity = " --identity identity.txt"
	}
	if r.Kind == string(config.Glacier) {
		lines = append(lines, "export AWS_REGION="+shellWord(r.Region)+"    # credentials as for any AWS tool")
		if r.Endpoint != "" {
			lines = append(lines, "export AWS_ENDPOINT_URL="+shellWord(r.Endpoint))
		}
	}
	return append(lines,
		"firn recover "+store+identity+"    # status 75: not yet, run it again later",
		"firn ls "+store,
		"firn restore "+store+" --to DIR --wait"+identity,
	)
}

// stockCommands are what brings everything back without firn.
func stockCommands(r sheetRecord) (lines []string) {
	if r.Kind == string(config.Local) {
		lines = localCommands(r)
	} else {
		lines = vaultCommands(r)
	}
	if !r.Encrypted {
		return append(lines,
			"zstd -dc SNAPSHOT    # which archive holds which file: JSON, docs/format.md",
			"tar -xpf BUNDLE      # an archive of many files; one of a single file is that file",
		)
	}
	return append(lines,
		"age --decrypt --identity identity.txt SNAPSHOT | zstd -dc    # which archive holds what: JSON",
		"age --decrypt --identity identity.txt ARCHIVE | tar -xp      # every other archive",
	)
}

// vaultCommands get an archive out of a vault, with the program of the vendor.
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
		`V="` + vault + `"`,
		"aws glacier list-tags-for-vault $V    # firn-catalog-*: number and archive id of the newest snapshot, firn-full-*: of the full one that it adds to",
		`aws glacier initiate-job $V --job-parameters '{"Type":"inventory-retrieval"}'    # all archives`,
	}
	id := "ID"
	if n := len(r.Snapshots); n > 0 {
		lines = append(lines, "ID="+shellWord(string(r.Snapshots[n-1].Archive)))
		id = `'$ID'`
	}
	return append(lines,
		`aws glacier initiate-job $V --job-parameters '{"Type":"archive-retrieval","Tier":"Bulk","ArchiveId":"`+id+`"}'`,
		"aws glacier list-jobs $V              # hours later: StatusCode is Succeeded",
		"aws glacier get-job-output $V --job-id JOB FILE",
	)
}

// localCommands find an archive in the folder of a local vault.
func localCommands(r sheetRecord) []string {
	return []string{
		"cd " + shellWord(strings.TrimPrefix(r.Store, "local:")),
		`sqlite3 vault.db "SELECT number, part_size, size, description FROM archive WHERE deleted IS NULL"`,
		"# archive number 12345 is the file archives/000/012/345; where part_size isn't 0 it is a folder of parts, which go one after the other: cat archives/000/012/345/*",
	}
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

// sheetText is the page of a store: ASCII, and no wider than sheetWidth.
func sheetText(r sheetRecord, version string) string {
	p := &page{}
	p.line("FIRN RECOVERY SHEET of %s", r.Store)
	p.line("made %s with firn %s", r.Made, version)
	p.line("")
	p.line("What is listed here was archived with firn, a free program that keeps directory trees in cold storage. Get it from %s; "+
		"docs/format.md there says how everything is stored. No secret is on this page.", projectPage)
	p.head("The store")
	p.field("name", r.Store)
	p.field("address", r.Address)
	p.field("account", r.Account)
	p.field("region", r.Region)
	p.field("endpoint", r.Endpoint)
	p.field("profile", r.Profile)
	p.field("holds", fmt.Sprintf("%s in %s archives", ui.Bytes(r.Bytes), ui.Count(r.Archives)))
	for _, s := range r.Snapshots {
		p.field("snapshot", fmt.Sprintf("%d of %s, archive %s", s.Seq, day(s.Made), s.Archive))
	}
	if len(r.Snapshots) == 0 {
		p.field("snapshot", "none yet")
	}
	p.head("Directories in it")
	for _, t := range r.Trees {
		p.line("%s: %s:%s", t.Tree, t.Host, t.Root)
		p.line("    %s in %s; last complete sync: %s", ui.Bytes(t.Bytes), ui.Files(t.Files), day(t.LastSync))
	}
	p.encryption(r)
	p.head("With firn, on any machine")
	p.commands(r.WithFirn)
	p.head("With stock tools alone")
	p.commands(r.WithStock)
	return p.String()
}

// A page puts a sheet together.
type page struct{ strings.Builder }

// encryption says who can open the archives.
func (p *page) encryption(r sheetRecord) {
	p.head("Encryption")
	if !r.Encrypted {
		p.line("None: whoever can read the store can read the files.")
		return
	}
	p.line("Archives are age files (https://age-encryption.org), for these recipients:")
	for _, key := range r.Recipients {
		p.line("    %s", shortKey(key))
	}
	if len(r.Recipients) == 0 {
		p.line("    (not recorded here: firn key show tells those of an identity)")
	}
	where := "The identity that opens them is expected in %s on this machine"
	if !r.hasIdentity {
		where = "The identity that opens them is not in %s on this machine, so it has to be elsewhere"
	}
	p.line(where+". WITHOUT IT NOBODY BRINGS ANYTHING BACK: keep a copy off this machine, and not in the store alone. Its place:", r.Identity)
	p.line("")
	p.line("    identity.txt is kept: %s", strings.Repeat("_", sheetWidth-26))
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

func (p *page) head(text string) { fmt.Fprintf(p, "\n%s\n%s\n", text, strings.Repeat("-", len(text))) }

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
