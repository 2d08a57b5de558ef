package foreign

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/inventory"
)

// A GlacierSync is a database of glaciersync. Source: glaciersync of 2013,
// github.com/OriHoch/glaciersync.
//
// A file above the profile's threshold is an archive of its own, as is one that
// would be alone in its tar. The others lie in tars, which were recorded when they
// had been uploaded: a file is in the last tar that was recorded with it, unless
// it has an archive of its own. Where a file had changed its row was changed in
// place, so that of what lies in older tars nothing is known but the name.
// glaciersync never noticed that a file was removed.
//
// What it stored of a symbolic link in a tar is the link, though the row has the
// size of its target; of a hard link whose first name is in the same tar, a
// reference to that.
type GlacierSync struct {
	*database
	maxMembers int // of a tar that are told
}

// A SyncedTree is a directory that a database of glaciersync knows.
type SyncedTree struct {
	Profile string
	Base    string // its absolute path, as its machine wrote it
	Files   int64
	Bytes   int64
}

// A SyncedFile is a file and where it is stored.
type SyncedFile struct {
	Profile string
	Base    string // the directory's absolute path, as its machine wrote it
	Path    string // below Base, with slashes; any bytes
	// ModTime is good to a quarter of a microsecond, since a floating-point
	// number held it; zero where it can't be one.
	ModTime time.Time
	Size    int64 // of the file, in bytes

	// Archive is the file itself where Member is empty, else a tar that has it
	// under the name Member.
	Archive firn.ArchiveID
	Member  string
	Tar     int64 // number of the tar; 0: it is in none
	// SHA1 is that of the whole archive; HasSHA1: it is known.
	SHA1    [sha1.Size]byte
	HasSHA1 bool
}

// A SyncedTar is a tar that glaciersync uploaded, with everything that its
// database says to be in it, in the order of the tar. Members at its end may be
// missing where glaciersync was killed.
type SyncedTar struct {
	Number  int64
	Archive firn.ArchiveID
	Made    time.Time // by its machine's clock
	SHA1    [sha1.Size]byte
	HasSHA1 bool
	Members []SyncedMember
}

// A SyncedMember is a member of a tar.
type SyncedMember struct {
	TarMember
	// File is the row of the file, of one that is to be restored from here; nil
	// where a newer version is elsewhere.
	File *SyncedFile
}

// The tables of glaciersync.
const (
	filesTable  = "glaciersync_files"
	hashesTable = "glaciersync_hashes"
	tarsTable   = "glaciersync_tars"
	linksTable  = "glaciersync_tar_files"
)

var allTables = []string{filesTable, hashesTable, tarsTable, linksTable}

// maxMembers is how many members of a tar are told. glaciersync's tars hold what
// is below a threshold, twice at most; larger ones would not fit its memory.
const maxMembers = 1 << 18

// OpenGlacierSync opens a database of glaciersync; the caller closes it. Errors
// have the kinds Usage (it is something else), Corrupt, Conflict (it is being
// written to), Local.
func OpenGlacierSync(ctx context.Context, path string) (*GlacierSync, error) {
	d, err := openDatabase(ctx, path)
	if err != nil {
		return nil, err
	}
	ok, err := isGlacierSync(ctx, d)
	if err == nil && !ok {
		err = notThat(path, GlacierSyncDatabase)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &GlacierSync{d, maxMembers}, nil
}

func isGlacierSync(ctx context.Context, d *database) (bool, error) {
	tables, err := d.tables(ctx)
	if err != nil {
		return false, err
	}
	for table, columns := range map[string][]string{
		filesTable:  {"profile", "basepath", "fname", "mtime", "bytesize", "archive_id"},
		hashesTable: {"archive_id", "hash"},
		tarsTable:   {"archive_id", "mtime"},
		linksTable:  {"tar_rowid", "file_rowid"},
	} {
		if ok, err := d.contains(ctx, tables, table, columns...); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// Trees lists the directories that the database knows, at most 10,000 of them.
func (g *GlacierSync) Trees(ctx context.Context) ([]SyncedTree, error) {
	if err := g.check(ctx, filesTable); err != nil {
		return nil, err
	}
	c, err := g.query(ctx, "SELECT +profile, +basepath, count(*), CAST(total(bytesize) AS INTEGER) FROM glaciersync_files GROUP BY 1, 2 ORDER BY 1, 2 LIMIT ?", maxVaults)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var all []SyncedTree
	for c.next() {
		var t SyncedTree
		t.Profile, _ = text(c.values[0])
		t.Base, _ = text(c.values[1])
		t.Files, _ = c.values[2].(int64)
		t.Bytes, _ = c.values[3].(int64)
		all = append(all, t)
	}
	return all, c.err
}

// Parts of queries: the columns of a file's row, f; each archive's hash, as h;
// the last tar of each file, as l.
const (
	fileColumns = "+f.profile, +f.basepath, +f.fname, +f.mtime, +f.bytesize, +f.archive_id"
	hashes      = "(SELECT archive_id AS a, min(hash) AS sha1 FROM glaciersync_hashes GROUP BY archive_id)"
	lastTars    = `(SELECT file_rowid AS f, max(tar_rowid) AS t FROM glaciersync_tar_files
		WHERE typeof(tar_rowid) = 'integer' AND typeof(file_rowid) = 'integer' GROUP BY file_rowid)`
)

// Files hands each file to each, in the order in which glaciersync first saw
// them. Rows that can't be used, or that don't say where the file is, go to bad.
func (g *GlacierSync) Files(ctx context.Context, each func(SyncedFile) error, bad Bad) error {
	if err := g.check(ctx, allTables...); err != nil {
		return err
	}
	c, err := g.query(ctx, "SELECT "+fileColumns+`, f.rowid, +l.t, +t.archive_id, +h.sha1
		FROM glaciersync_files f LEFT JOIN `+lastTars+` l ON l.f = f.rowid
		LEFT JOIN glaciersync_tars t ON t.rowid = l.t
		LEFT JOIN `+hashes+` h ON h.a = CASE WHEN f.archive_id <> '' THEN f.archive_id ELSE t.archive_id END
		ORDER BY f.rowid`)
	if err != nil {
		return err
	}
	defer c.close()
	for c.next() {
		f, err := located(c)
		if err == nil {
			err = each(f)
		} else {
			number, _ := c.values[6].(int64)
			err = bad.tell(corrupt(g.path, row(filesTable, number), err))
		}
		if err != nil {
			return err
		}
	}
	if c.err != nil {
		return c.err
	}
	return g.whole(ctx)
}

// located reads a row of Files.
func located(c *cursor) (SyncedFile, error) {
	f, windows, err := file(c)
	if err != nil {
		return f, err
	}
	f.SHA1, f.HasSHA1 = digest(c.values[9])
	if f.Archive != "" {
		return f, inventory.CheckID(string(f.Archive))
	}
	f.Tar, _ = c.values[7].(int64)
	if f.Tar == 0 {
		return f, fmt.Errorf("it does not say where %s is stored: glaciersync was stopped before it wrote that down", quote(f.Path))
	}
	id, _ := text(c.values[8])
	f.Archive, f.Member = firn.ArchiveID(id), memberName(f.Base, f.Path, windows)
	if err := inventory.CheckID(id); err != nil {
		return f, fmt.Errorf("%s is in tar %d: %w", quote(f.Path), f.Tar, err)
	}
	return f, nil
}

// file reads the columns of a file's row, which are the first ones. Its Archive
// is the one that the row has itself.
func file(c *cursor) (f SyncedFile, windows bool, err error) {
	for i, column := range []struct {
		name string
		to   *string
	}{{"profile", &f.Profile}, {"basepath", &f.Base}, {"fname", &f.Path}} {
		if *column.to, err = c.text(i, column.name); err != nil {
			return f, false, err
		}
	}
	windows = windowsPath.MatchString(f.Base)
	f.Path = below(f.Base, f.Path, windows)
	f.ModTime = moment(c.values[3])
	size, ok := c.values[4].(int64)
	if !ok || size < 0 {
		return f, false, fmt.Errorf("%s has no size", quote(f.Path))
	}
	f.Size = size
	id, _ := text(c.values[5])
	f.Archive = firn.ArchiveID(id)
	return f, windows, nil
}

// digest reads a SHA-1 in hexadecimal digits.
func digest(v any) (sum [sha1.Size]byte, ok bool) {
	s, _ := text(v)
	if len(s) != 2*sha1.Size {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(s))
	return sum, err == nil
}

// windowsPath begins like an absolute path of Windows.
var windowsPath = regexp.MustCompile(`^([A-Za-z]:[\\/]|\\\\)`)

// below gives a file's path below its base, with slashes. Where the base was the
// root of a volume, glaciersync left the whole path in it.
func below(base, path string, windows bool) string {
	if windows {
		base, path = strings.ReplaceAll(base, `\`, "/"), strings.ReplaceAll(path, `\`, "/")
	}
	return strings.TrimPrefix(path, strings.TrimSuffix(base, "/")+"/")
}

// memberName gives the name that a file has in a tar: its absolute path without
// drive and leading slashes, as Python's tarfile makes it. Of a share of Windows
// server and share stay, as in Python before 2.7.8.
func memberName(base, path string, windows bool) string {
	if windows {
		base = strings.ReplaceAll(base, `\`, "/")
		if len(base) > 1 && base[1] == ':' {
			base = base[2:]
		}
	}
	return strings.TrimLeft(strings.TrimSuffix(base, "/")+"/"+path, "/")
}

// Tars hands each tar to each, in the order in which they were made, those
// without members last. Tars and members that can't be used go to bad; the
// members stay in their tar as unknown ones.
func (g *GlacierSync) Tars(ctx context.Context, each func(SyncedTar) error, bad Bad) error {
	if err := g.check(ctx, allTables...); err != nil {
		return err
	}
	for _, query := range []string{
		"SELECT " + fileColumns + `, +m.tar_rowid, +l.t, +t.archive_id, +h.sha1, +t.mtime, m.rowid
		FROM glaciersync_tar_files m LEFT JOIN glaciersync_files f ON f.rowid = m.file_rowid
		LEFT JOIN glaciersync_tars t ON t.rowid = m.tar_rowid
		LEFT JOIN ` + lastTars + ` l ON l.f = m.file_rowid
		LEFT JOIN ` + hashes + ` h ON h.a = t.archive_id
		ORDER BY m.tar_rowid, m.rowid`,
		"SELECT NULL, NULL, NULL, NULL, NULL, NULL, t.rowid, NULL, +t.archive_id, +h.sha1, +t.mtime, NULL FROM glaciersync_tars t LEFT JOIN " + hashes + ` h ON h.a = t.archive_id
		WHERE t.rowid NOT IN (SELECT tar_rowid FROM glaciersync_tar_files WHERE typeof(tar_rowid) = 'integer') ORDER BY t.rowid`,
	} {
		if err := g.tars(ctx, query, each, bad); err != nil {
			return err
		}
	}
	return g.whole(ctx)
}

func (g *GlacierSync) tars(ctx context.Context, query string, each func(SyncedTar) error, bad Bad) error {
	c, err := g.query(ctx, query)
	if err != nil {
		return err
	}
	defer c.close()
	t := tarReader{path: g.path, most: g.maxMembers, each: each, bad: bad}
	for c.next() {
		if err := t.row(c); err != nil {
			return err
		}
	}
	if c.err != nil {
		return c.err
	}
	return t.flush()
}

// A tarReader gathers the rows of one tar after the other.
type tarReader struct {
	path string
	most int // members of a tar
	each func(SyncedTar) error
	bad  Bad
	tar  SyncedTar // the one that is being gathered, if begun

	begun, tooMany bool
}

func (t *tarReader) row(c *cursor) error {
	number, _ := c.values[6].(int64)
	if !t.begun || number != t.tar.Number {
		if err := t.flush(); err != nil {
			return err
		}
		id, _ := text(c.values[8])
		t.tar = SyncedTar{Number: number, Archive: firn.ArchiveID(id), Made: moment(c.values[10])}
		t.tar.SHA1, t.tar.HasSHA1 = digest(c.values[9])
		t.begun, t.tooMany = true, false
	}
	link, ok := c.values[11].(int64)
	if !ok || t.tooMany {
		return nil // a tar without members
	}
	if len(t.tar.Members) == t.most {
		t.tar.Members, t.tooMany = nil, true
		return t.bad.tell(corrupt(t.path, row(tarsTable, number), fmt.Errorf("it has more than %d members", t.most)))
	}
	m, err := t.member(c)
	if err != nil {
		if err := t.bad.tell(corrupt(t.path, row(linksTable, link), err)); err != nil {
			return err
		}
	}
	t.tar.Members = append(t.tar.Members, m)
	return nil
}

// flush hands out the tar that was gathered.
func (t *tarReader) flush() error {
	if !t.begun {
		return nil
	}
	t.begun = false
	if err := inventory.CheckID(string(t.tar.Archive)); err != nil {
		return t.bad.tell(corrupt(t.path, row(tarsTable, t.tar.Number), err))
	}
	return t.each(t.tar)
}

// member reads a row of Tars. Where it answers an error, what it gives is an
// unknown member.
func (t *tarReader) member(c *cursor) (SyncedMember, error) {
	unknown := SyncedMember{TarMember: TarMember{Size: -1}}
	f, windows, err := file(c)
	if err != nil {
		return unknown, err
	}
	m := SyncedMember{TarMember: TarMember{Name: memberName(f.Base, f.Path, windows), Size: -1}}
	if last, _ := c.values[7].(int64); f.Archive != "" || last != t.tar.Number {
		return m, nil
	}
	f.Archive, f.Member, f.Tar = t.tar.Archive, m.Name, t.tar.Number
	f.SHA1, f.HasSHA1 = t.tar.SHA1, t.tar.HasSHA1
	m.File = &f
	if !windows || isASCII(m.Name) || len(m.Name) <= maxTarName {
		m.Size = f.Size
	} // else the name has another encoding there, and perhaps another length
	return m, nil
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > '~' }) < 0
}
