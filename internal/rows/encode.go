package rows

import (
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// An encoder puts lines together, without reflection, since there are millions.
// Values that are zero are left out.
type encoder struct{ buf []byte }

// row adds the line of a row.
func (e *encoder) row(row Row) {
	switch r := row.(type) {
	case *Header:
		e.begin("header").header(r)
	case *Catalog:
		e.begin("catalog").catalog(r)
	case *Tree:
		e.begin("tree").tree(r)
	case *Run:
		e.begin("run").run(r)
	case *Snapshot:
		e.begin("snapshot").snapshot(r)
	case *Archive:
		e.begin("archive").archive(r)
	case *Dir:
		e.begin("dir").dir(r)
	case *Entry:
		e.begin("entry").entry(r)
	case *End:
		e.begin("end").end(r)
	}
	e.raw("}}\n")
}

func (e *encoder) begin(kind string) *encoder {
	e.raw(`{"`)
	e.raw(kind)
	e.raw(`":{`)
	return e
}

func (e *encoder) header(h *Header) {
	e.number("version", Version)
	e.token("catalog", h.Catalog)
	e.text("host", h.Host)
	e.number("seq", h.Seq)
	e.number("base", h.Base)
	e.number("through", h.Through)
	e.moment("made", h.Made)
	e.key("store", "{")
	e.store(&h.Store)
	e.raw("}")
	if len(h.Includes) > 0 {
		e.key("includes", "[")
		for _, in := range h.Includes {
			e.item("{")
			e.token("catalog", in.Catalog)
			e.number("seq", in.Seq)
			e.raw("}")
		}
		e.raw("]")
	}
	if len(h.Profiles) > 0 {
		e.key("profiles", "[")
		for _, p := range h.Profiles {
			e.item("{")
			e.text("name", p.Name)
			e.text("text", p.Text)
			e.raw("}")
		}
		e.raw("]")
	}
}

func (e *encoder) store(s *Store) {
	e.text("identity", s.Identity)
	e.text("kind", s.Kind)
	e.text("url", s.URL)
	e.text("name", s.Name)
	e.text("region", s.Region)
	e.text("address", s.Address)
}

func (e *encoder) catalog(c *Catalog) {
	e.number("id", c.ID)
	e.token("token", c.Token)
	e.text("host", c.Host)
}

func (e *encoder) tree(t *Tree) {
	e.number("id", t.ID)
	e.text("name", t.Name)
	e.text("host", t.Host)
	e.text("root", t.Root)
	e.hex("recipients", t.Recipients)
	if len(t.Keys) > 0 {
		e.key("keys", "[")
		for _, k := range t.Keys {
			e.item("")
			e.quote(k)
		}
		e.raw("]")
	}
}

func (e *encoder) run(r *Run) {
	e.number("id", r.ID)
	e.number("catalog", r.Catalog)
	e.number("origin", r.Origin)
	e.number("tree", r.Tree)
	e.text("command", r.Command)
	e.moment("started", r.Started)
	e.moment("ended", r.Ended)
	if r.Complete {
		e.key("complete", "true")
	}
	if len(r.Counts) > 0 {
		e.key("counts", "{")
		for _, action := range slices.Sorted(maps.Keys(r.Counts)) {
			e.item("")
			e.quote(string(action))
			e.raw(":")
			e.pair(r.Counts[action].Files, r.Counts[action].Bytes)
		}
		e.raw("}")
	}
}

func (e *encoder) snapshot(s *Snapshot) {
	e.number("catalog", s.Catalog)
	e.number("seq", s.Seq)
	e.number("base", s.Base)
	e.number("through", s.Through)
	e.number("archive", s.Archive)
	e.moment("made", s.Made)
}

func (e *encoder) archive(a *Archive) {
	e.number("id", a.ID)
	e.text("kind", a.Kind)
	e.number("state", int64(a.State))
	e.number("run", a.Run)
	e.number("settled", a.Settled)
	e.token("token", a.Token)
	e.text("remote", string(a.Remote))
	e.number("size", a.Size)
	if !a.Tree.IsZero() {
		e.hex("hash", a.Tree[:])
	}
	e.moment("created", a.Created)
	e.moment("leaves", a.Leaves)
	e.text("note", a.Note)
	e.text("description", a.Description)
	e.text("format", a.Format)
	e.text("packed", a.Packed)
	e.text("class", a.Class)
	e.text("checksum", a.Checksum)
	e.bytes("header", a.Header)
	e.hex("recipients", a.Recipients)
	if len(a.Contents) > 0 {
		e.contents(a.Contents)
	}
}

// contents adds what an archive holds: each an offset, a size and a hash, and
// the member's number where that isn't one more than the one before.
func (e *encoder) contents(all []Content) {
	e.key("contents", "[")
	for i, next := 0, int64(0); i < len(all); i++ {
		c := &all[i]
		e.item("[")
		e.buf = strconv.AppendInt(e.buf, c.Offset, 10)
		e.buf = strconv.AppendInt(append(e.buf, ','), c.Size, 10)
		e.raw(`,"`)
		if c.Tree != (treehash.Hash{}) {
			e.buf = hex.AppendEncode(e.buf, c.Tree[:])
		}
		e.raw(`"`)
		if c.Member != next {
			e.buf = strconv.AppendInt(append(e.buf, ','), c.Member, 10)
		}
		next = c.Member + 1
		e.raw("]")
	}
	e.raw("]")
}

func (e *encoder) dir(d *Dir) {
	e.number("tree", d.Tree)
	e.text("path", d.Path)
}

func (e *encoder) entry(n *Entry) {
	e.text("name", n.Name)
	e.number("since", n.Since)
	e.number("until", n.Until)
	e.key("mode", `"`)
	e.buf = append(strconv.AppendUint(e.buf, uint64(n.Mode), 8), '"')
	e.number("size", n.Size)
	if !n.ModTime.IsZero() {
		e.key("mtime", "")
		e.pair(n.ModTime.Unix(), int64(n.ModTime.Nanosecond()))
	}
	e.owner("uid", n.UID)
	e.owner("gid", n.GID)
	if n.Archive != 0 {
		e.key("content", "")
		e.pair(n.Archive, n.Member)
	}
	e.text("target", n.Target)
	e.number("group", n.LinkGroup)
	e.bytes("attrs", n.Attrs)
}

func (e *encoder) end(n *End) {
	e.number("archives", n.Archives)
	e.number("entries", n.Entries)
}

func (e *encoder) raw(s string) { e.buf = append(e.buf, s...) }

// item begins an element of an array or an object with s: with a comma before
// it, unless it is the first.
func (e *encoder) item(s string) {
	if last := e.buf[len(e.buf)-1]; last != '{' && last != '[' {
		e.buf = append(e.buf, ',')
	}
	e.raw(s)
}

// key adds a key, and the beginning of its value.
func (e *encoder) key(key, value string) {
	e.item(`"`)
	e.raw(key)
	e.raw(`":`)
	e.raw(value)
}

func (e *encoder) number(key string, n int64) {
	if n != 0 {
		e.key(key, "")
		e.buf = strconv.AppendInt(e.buf, n, 10)
	}
}

// owner is a number of which 0 is one like others; -1 is left out.
func (e *encoder) owner(key string, n int64) {
	if n >= 0 {
		e.key(key, "")
		e.buf = strconv.AppendInt(e.buf, n, 10)
	}
}

// pair adds an array of two numbers; of one, where the second is 0.
func (e *encoder) pair(a, b int64) {
	e.raw("[")
	e.buf = strconv.AppendInt(e.buf, a, 10)
	if b != 0 {
		e.buf = strconv.AppendInt(append(e.buf, ','), b, 10)
	}
	e.raw("]")
}

// The seconds since 1970 that have a year of four digits, as RFC 3339 wants.
const (
	year0     = -62167219200 // 0000-01-01T00:00:00Z
	year10000 = 253402300800 // 10000-01-01T00:00:00Z
)

// moment adds a time in UTC: as RFC 3339 has it, or where that can't, as
// seconds since 1970 and nanoseconds.
func (e *encoder) moment(key string, t time.Time) {
	switch sec := t.Unix(); {
	case t.IsZero():
	case sec < year0 || sec >= year10000:
		e.key(key, "")
		e.pair(sec, int64(t.Nanosecond()))
	default:
		e.key(key, `"`)
		e.buf = append(t.UTC().AppendFormat(e.buf, time.RFC3339Nano), '"')
	}
}

func (e *encoder) token(key string, t firn.Token) {
	if !t.IsZero() {
		e.key(key, `"`)
		e.buf = append(base64.RawURLEncoding.AppendEncode(e.buf, t[:]), '"')
	}
}

func (e *encoder) hex(key string, b []byte) {
	if len(b) > 0 {
		e.key(key, `"`)
		e.buf = append(hex.AppendEncode(e.buf, b), '"')
	}
}

func (e *encoder) bytes(key string, b []byte) {
	if len(b) > 0 {
		e.key(key, `"`)
		e.buf = append(base64.StdEncoding.AppendEncode(e.buf, b), '"')
	}
}

// text adds a string, or where it is not UTF-8 its bytes, under a key of its
// own.
func (e *encoder) text(key, s string) {
	switch {
	case s == "":
	case utf8.ValidString(s):
		e.key(key, "")
		e.quote(s)
	default:
		e.item(`"`)
		e.raw(key)
		e.raw(base64Suffix + `":"`)
		e.buf = append(base64.StdEncoding.AppendEncode(e.buf, []byte(s)), '"')
	}
}

// base64Suffix is what the key of a text that is not UTF-8 ends in.
const base64Suffix = "_b64"

// quote adds a string of UTF-8, with escapes for what RFC 8259 wants them for.
func (e *encoder) quote(s string) {
	e.raw(`"`)
	done := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		e.raw(s[done:i])
		done = i + 1
		if c < ' ' {
			const digits = "0123456789abcdef"
			e.buf = append(e.buf, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		} else {
			e.buf = append(e.buf, '\\', c)
		}
	}
	e.raw(s[done:])
	e.raw(`"`)
}
