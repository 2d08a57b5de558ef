package foreign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/sqldb"
	"github.com/firn-archive/firn/mtjournal"
)

// accepted is what can be read, for messages.
const accepted = "firn reads an inventory in JSON or CSV, a journal of mt-aws-glacier, and the databases of glacier-cli, its fork by vbourachot, and glaciersync"

// Sniff finds out what a file is, by its content. Text may be compressed with
// gzip or zstd: Open unpacks it.
//
// Errors: Local where it can't be read; Corrupt where it is damaged; Conflict
// where it is being written to; Usage where it is something else, with what it
// looks like and what to do.
func Sniff(ctx context.Context, path string) (Kind, error) {
	t, err := Open(path)
	if err != nil {
		return "", err
	}
	defer t.Close()
	head, err := t.head(path)
	if err != nil {
		return "", err
	}
	if bytes.HasPrefix(head, []byte(sqldb.Magic)) {
		if t.packed {
			return "", unknown(path, &hinted{errors.New("it is a SQLite database that is compressed"), "unpack it first"})
		}
		return sniffDatabase(ctx, path, head)
	}
	kind, _, err := sniffText(head)
	if err != nil {
		return "", unknown(path, err)
	}
	return kind, nil
}

// unknown is the error of a file that is not known here.
func unknown(path string, err error) error {
	e := &firn.Error{Op: "read", Subject: path, Kind: firn.Usage, Err: err, Hint: accepted}
	var h *hinted
	if errors.As(err, &h) {
		e.Hint = h.hint
	}
	return e
}

// A hinted is an error that knows what to do.
type hinted struct {
	error
	hint string
}

// applicationID is where a database says whose it is, in four bytes. Source:
// sqlite.org, "Database File Format".
const applicationID = 68

// sniffDatabase looks for the tables of the programs that are known.
func sniffDatabase(ctx context.Context, path string, head []byte) (Kind, error) {
	if len(head) >= applicationID+4 {
		switch string(head[applicationID : applicationID+4]) {
		case "firn":
			return "", unknown(path, &hinted{errors.New("it is a catalog of firn's own"), "use: firn catalog import"})
		case "gvlt", "gacc":
			return "", unknown(path, &hinted{errors.New("it is part of a vault in a folder"), "use that folder as a store, local:FOLDER"})
		}
	}
	d, err := openDatabase(ctx, path)
	if err != nil {
		return "", err
	}
	defer d.Close()
	if ok, err := isGlacierSync(ctx, d); ok || err != nil {
		return GlacierSyncDatabase, err
	}
	g := &GlacierCLI{database: d}
	switch ok, err := g.recognize(ctx); {
	case err != nil:
		return "", err
	case ok && g.Fork:
		return ForkDatabase, nil
	case ok:
		return GlacierCLIDatabase, nil
	}
	tables, err := d.tables(ctx)
	if err != nil {
		return "", err
	}
	return "", unknown(path, stranger(tables))
}

// stranger says whose tables they may be.
func stranger(tables []string) error {
	const most = 5
	if len(tables) == 0 {
		return errors.New("it is a SQLite database without tables")
	}
	var names []string
	for _, name := range tables[:min(most, len(tables))] {
		names = append(names, quote(name))
	}
	if len(tables) > most {
		names = append(names, "and others")
	}
	return fmt.Errorf("it is a SQLite database of another program, with the tables %s", strings.Join(names, ", "))
}

// maxChatter is how far into a file an inventory may begin: glacier-upload
// prints some lines before it.
const maxChatter = 4 << 10

// sniffText tells what a text is, and where in it that begins.
func sniffText(head []byte) (Kind, int, error) {
	if isJournal(head) {
		return Journal, 0, nil
	}
	start := 0
	for line := range bytes.Lines(head) {
		words := bytes.TrimLeft(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")), " \t\r\n")
		switch {
		case bytes.HasPrefix(words, []byte("{")) && isInventory(head[start:]):
			return InventoryJSON, start, nil
		case bytes.Contains(line, []byte("ArchiveId")) && bytes.ContainsAny(line, ",;\t") && !bytes.ContainsAny(line, "{'"):
			return InventoryCSV, start, nil
		}
		if start += len(line); start > maxChatter || !utf8.Valid(line) {
			break
		}
	}
	return "", 0, looksLike(head)
}

// isJournal reports whether one of the first lines is one of a journal.
func isJournal(head []byte) bool {
	if cut := bytes.LastIndexByte(head, '\n'); cut >= 0 {
		head = head[:cut+1]
	}
	lines := 0
	for _, err := range mtjournal.Records(bytes.NewReader(head)) {
		var bad *mtjournal.LineError
		if err == nil || errors.As(err, &bad) && (bad.Reason == mtjournal.Torn && bad.Record != nil || bad.Reason == mtjournal.NoMTime) {
			return true
		}
		if lines++; lines == 10 {
			break
		}
	}
	return false
}

// isInventory reports whether JSON that begins so may be an inventory.
func isInventory(head []byte) bool {
	return bytes.Contains(head, []byte(`"ArchiveList"`)) ||
		bytes.Contains(head, []byte(`"VaultARN"`)) && bytes.Contains(head, []byte(`"InventoryDate"`))
}

// looks are the beginnings of files that people may give by mistake.
func looks() []struct{ begin, is, do string } {
	unpack := "unpack it first"
	return []struct{ begin, is, do string }{
		{"PK\x03\x04", "it is a zip file", unpack},
		{"BZh", "it is compressed with bzip2", unpack},
		{"\xfd7zXZ\x00", "it is compressed with xz", unpack},
		{"7z\xbc\xaf\x27\x1c", "it is compressed with 7z", unpack},
		{"age-encryption.org/", "it is encrypted with age", "decrypt it first"},
		{"-----BEGIN AGE ENCRYPTED FILE", "it is encrypted with age", "decrypt it first"},
		{"\xff\xfe", "it is text in UTF-16", "save it as UTF-8"},
		{"\xfe\xff", "it is text in UTF-16", "save it as UTF-8"},
		{"<", "it looks like XML or HTML", accepted},
	}
}

// looksLike says what a file seems to be that is none of those.
func looksLike(head []byte) error {
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))
	if len(trimmed) == 0 {
		return errors.New("it is empty")
	}
	for _, l := range looks() {
		if bytes.HasPrefix(trimmed, []byte(l.begin)) {
			return &hinted{errors.New(l.is), l.do}
		}
	}
	switch {
	case bytes.Contains(head, []byte("'ArchiveList'")):
		return &hinted{errors.New("it is an inventory in Python's notation, not in JSON"),
			"turn it into JSON, without the lines before it: python3 -c 'import ast, json, sys; json.dump(ast.literal_eval(sys.stdin.read()), sys.stdout)' <FILE >inventory.json"}
	case bytes.Contains(head, []byte("b'ArchiveId,")), bytes.Contains(head, []byte(`b"ArchiveId,`)):
		return &hinted{errors.New("it is an inventory in Python's notation of bytes"),
			"turn it into text, without the lines before it: python3 -c 'import ast, sys; sys.stdout.buffer.write(ast.literal_eval(sys.stdin.read()))' <FILE >inventory.csv"}
	case bytes.Contains(head, []byte(`"InventorySizeInBytes"`)):
		return &hinted{errors.New("it is the description of a job, not its output"), "the output comes with: aws glacier get-job-output"}
	case trimmed[0] == '{' || trimmed[0] == '[':
		return errors.New("it looks like JSON, but has no ArchiveList")
	case !utf8.Valid(trimmed[:max(0, len(trimmed)-utf8.UTFMax)]) || bytes.IndexByte(head, 0) >= 0:
		return fmt.Errorf("it is no text, and begins with %s", quote(string(head[:min(16, len(head))])))
	}
	first, _, _ := bytes.Cut(trimmed, []byte("\n"))
	return fmt.Errorf("it is text that begins with %s", quote(string(first)))
}
