package rows

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/firn-archive/firn"
)

// Read reads a stream, once. A row and what it points to are valid until the
// next; strings stay. The last row is the *End, which comes only when r has
// ended too: whoever got it got all. The first error ends the rows.
//
// Everything is checked before it is handed out: numbers refer to rows that
// came before, paths lie below their tree's root, sizes are not negative, and
// the order is that of the package. What an archive with a Base doesn't hold,
// entries of it may refer to. What is not checked: whether the rows go together
// with those of other streams, and whether names that a store or another
// catalog gave are any good.
//
// Errors: Corrupt (this is no such stream, or not all of it), and what r gave.
func Read(r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 0, flushAt), maxLine)
		d := new(decoder)
		for s.Scan() {
			row, err := d.next(s.Bytes())
			if err != nil {
				yield(nil, d.damaged(err))
				return
			}
			if d.rules.stage != atEnd && !yield(row, nil) {
				return
			}
		}
		switch err := s.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			d.lines++
			yield(nil, d.damaged(fmt.Errorf("it is longer than %d bytes", maxLine)))
		case err != nil:
			yield(nil, fmt.Errorf("read rows: after line %d: %w", d.lines, err))
		case d.rules.stage != atEnd:
			d.lines++
			yield(nil, d.damaged(errors.New("the stream ends here, before its last line: it was cut short")))
		default:
			yield(&d.end, nil)
		}
	}
}

// A decoder reads the lines of one stream. The rows of which there are many
// are its own, and used again.
type decoder struct {
	rules rules
	lines int64
	line  object // the line, which has one key
	o     object // its value
	dir   Dir
	entry Entry
	arch  Archive
	end   End
}

// next gives the row of a line.
func (d *decoder) next(text []byte) (Row, error) {
	d.lines++
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	d.line.open(text)
	switch {
	case d.line.err != nil:
		return nil, d.line.err
	case len(d.line.fields) != 1:
		return nil, fmt.Errorf("it has %d keys, not one that says what it is", len(d.line.fields))
	}
	f := &d.line.fields[0]
	d.o.open(f.value)
	if d.o.err != nil {
		return nil, fmt.Errorf("%.20s: %w", f.key, d.o.err)
	}
	row := d.row(f.key)
	if row == nil {
		return nil, fmt.Errorf("there are no lines of kind %.20q", f.key)
	}
	err := d.o.close()
	if err == nil {
		err = d.rules.take(row)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.key, err)
	}
	return row, nil
}

// damaged says which line is wrong. A newer firn may have meant something by
// it.
func (d *decoder) damaged(err error) error {
	e := &firn.Error{Op: "read rows", Subject: fmt.Sprint("line ", d.lines), Kind: firn.Corrupt, Err: err}
	if v := d.rules.version; v > Version {
		e.Hint = fmt.Sprintf("it was written by a newer firn, in format %d, and this one knows %d: take a newer firn", v, Version)
	}
	return e
}

// row reads the value of a line of that kind; nil where there is no such kind.
func (d *decoder) row(kind []byte) Row {
	o := &d.o
	switch string(kind) {
	case "header":
		return o.header()
	case "catalog":
		return &Catalog{ID: o.number("id"), Token: o.token("token"), Host: o.text("host")}
	case "tree":
		return o.tree()
	case "run":
		return o.run()
	case "snapshot":
		return &Snapshot{
			Catalog: o.number("catalog"), Seq: o.number("seq"), Base: o.number("base"),
			Through: o.number("through"), Archive: o.number("archive"), Made: o.moment("made"),
		}
	case "archive":
		o.archive(&d.arch)
		return &d.arch
	case "dir":
		d.dir = Dir{Tree: o.number("tree"), Path: o.text("path")}
		return &d.dir
	case "entry":
		o.entry(&d.entry)
		return &d.entry
	case "end":
		d.end = End{Archives: o.number("archives"), Entries: o.number("entries")}
		return &d.end
	}
	return nil
}

func (o *object) header() *Header {
	h := &Header{
		Version: int(o.limited("version", math.MaxInt32)), Catalog: o.token("catalog"), Host: o.text("host"),
		Seq: o.number("seq"), Base: o.number("base"), Through: o.number("through"), Made: o.moment("made"),
	}
	if h.Version < 1 {
		o.fail("version", fmt.Errorf("there is no format %d", h.Version))
	}
	o.object("store", o.get("store", ""), func(in *object) {
		h.Store = Store{
			Identity: in.text("identity"), Kind: in.text("kind"), URL: in.text("url"),
			Name: in.text("name"), Region: in.text("region"), Address: in.text("address"),
		}
	})
	for v := range o.elements("includes", o.get("includes", "")) {
		o.object("includes", v, func(in *object) {
			h.Includes = append(h.Includes, Include{Catalog: in.token("catalog"), Seq: in.number("seq")})
		})
	}
	for v := range o.elements("profiles", o.get("profiles", "")) {
		o.object("profiles", v, func(in *object) {
			h.Profiles = append(h.Profiles, Profile{Name: in.text("name"), Text: in.text("text")})
		})
	}
	return h
}

func (o *object) tree() *Tree {
	t := &Tree{
		ID: o.number("id"), Name: o.text("name"), Host: o.text("host"), Root: o.text("root"), Recipients: o.hex("recipients"),
	}
	for v := range o.elements("keys", o.get("keys", "")) {
		t.Keys = append(t.Keys, string(o.quoted("keys", v)))
	}
	return t
}

func (o *object) run() *Run {
	r := &Run{
		ID: o.number("id"), Catalog: o.number("catalog"), Origin: o.number("origin"), Tree: o.number("tree"),
		Command: o.text("command"), Started: o.moment("started"), Ended: o.moment("ended"), Complete: o.bool("complete"),
	}
	o.object("counts", o.get("counts", ""), func(in *object) {
		r.Counts = make(map[firn.Action]firn.Count, len(in.fields))
		for i := range in.fields {
			f := &in.fields[i]
			f.used = true
			files, bytes := in.pair(string(f.key), f.value)
			r.Counts[firn.Action(f.key)] = firn.Count{Files: files, Bytes: bytes}
		}
	})
	return r
}

// archive reads into a, whose room for contents is used again.
func (o *object) archive(a *Archive) {
	contents := a.Contents[:0]
	*a = Archive{
		ID: o.number("id"), Kind: o.text("kind"), State: uint8(o.limited("state", math.MaxUint8)),
		Run: o.number("run"), Settled: o.number("settled"), Token: o.token("token"),
		Remote: firn.ArchiveID(o.text("remote")), Size: o.number("size"), Tree: o.hash("hash", o.get("hash", "")),
		Created: o.moment("created"), Leaves: o.moment("leaves"), Note: o.text("note"), Description: o.text("description"),
		Format: o.text("format"), Packed: o.text("packed"), Class: o.text("class"), Checksum: o.text("checksum"), Header: o.bytes("header"), Recipients: o.hex("recipients"),
	}
	a.Contents = o.contents(contents)
}

// maxContents is how many contents an archive has at most: more than a line of
// ordinary ones holds, and few enough for a line of the shortest ones.
const maxContents = 1 << 20

// contents adds what the archive holds to dst.
func (o *object) contents(dst []Content) []Content {
	const key = "contents"
	next := int64(0)
	for v := range o.elements(key, o.get(key, "")) {
		if len(dst) == maxContents {
			o.fail(key, fmt.Errorf("more than %d", maxContents))
			return dst
		}
		c := Content{Member: next}
		n := 0
		for e := range o.elements(key, v) {
			switch n++; n {
			case 1:
				c.Offset = o.integer(key, e)
			case 2:
				c.Size = o.integer(key, e)
			case 3:
				c.Tree = o.hash(key, e)
			case 4:
				c.Member = o.integer(key, e)
			default:
				o.valid(key, e)
			}
		}
		if n < 3 {
			o.fail(key, fmt.Errorf("%.20q is not an offset, a size and a hash", v))
		}
		if o.err != nil {
			return dst
		}
		dst = append(dst, c)
		next = c.Member + 1
	}
	return dst
}

// entry reads into n.
func (o *object) entry(n *Entry) {
	*n = Entry{
		Name: o.text("name"), Since: o.number("since"), Until: o.number("until"), Mode: o.octal("mode"), Size: o.number("size"),
	}
	n.ModTime = o.moment("mtime")
	n.UID, n.GID = o.owner("uid"), o.owner("gid")
	if v := o.get("content", ""); v != nil {
		n.Archive, n.Member = o.pair("content", v)
	}
	n.Target, n.LinkGroup, n.Attrs = o.text("target"), o.number("group"), o.bytes("attrs")
}

// owner reads a number of which 0 is one like others; -1 where there is none.
func (o *object) owner(key string) int64 {
	v := o.get(key, "")
	if v == nil {
		return -1
	}
	n := o.integer(key, v)
	if n < 0 {
		o.fail(key, fmt.Errorf("%d is negative", n))
	}
	return n
}

// limited reads a number from 0 to most.
func (o *object) limited(key string, most int64) int64 {
	n := o.number(key)
	if n < 0 || n > most {
		o.fail(key, fmt.Errorf("%d is not between 0 and %d", n, most))
	}
	return n
}

// octal reads a mode.
func (o *object) octal(key string) uint32 {
	s := o.quoted(key, o.get(key, ""))
	n, err := strconv.ParseUint(string(s), 8, 32)
	if err != nil {
		o.fail(key, fmt.Errorf("%.20q is not an octal number", s))
	}
	return uint32(n)
}
