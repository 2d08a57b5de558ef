package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// sample is a bundle with some of everything.
func sample(t testing.TB) []byte {
	spool := &memory{}
	w := NewWriter(spool, info)
	for _, f := range oddFiles() {
		add(t, w, f, content(f))
	}
	first := add(t, w, file("first", 600), strings.Repeat("x", 600))
	for _, path := range []string{"copy", "another copy"} {
		if _, err := w.AppendSame(file(path, 600), first, 42); err != nil {
			t.Fatal(err)
		}
	}
	data, _ := seal(t, w, spool)
	return data
}

// TestFormat holds a bundle written out: a change of this is a change of the
// format, and must not happen. What Layout makes must never change.
func TestFormat(t *testing.T) {
	old := folder("alt\xff")
	old.Stamp.ModTime = time.Unix(253402300800, 7)
	old.UID, old.GID, old.Mode = -1, -1, 0o777|fs.ModeSticky
	bare := link("l\n", "ü \"\\")
	m := Member{File: file("a/b", 3), Content: contentOf(file("", 3), "abc"), Offset: 512, LinkGroup: 5}
	var text []byte
	text = appendInfo(text, Info{Tree: "home", Host: "n\xff", Made: made})
	for _, m := range []Member{m, {File: old}, {File: bare}, {File: file("e", 0), Content: emptyContent()}} {
		text = appendMember(text, &m)
	}
	const want = `{"v":1,"tree":"home","host_b64":"bv8=","made":"2026-11-22T01:02:03.0000004Z"}
{"path":"a/b","size":3,"mode":"644","mtime":"2012-12-25T10:00:00.123456789Z","uid":1000,"gid":100,"offset":512,"hash":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","group":5}
{"path_b64":"YWx0/w==","type":"dir","mode":"1777","sec":253402300800,"ns":7}
{"path":"l\u000a","type":"link","mode":"777","mtime":"2012-12-25T10:00:00.123456789Z","uid":1000,"gid":100,"target":"ü \"\\"}
{"path":"e","size":0,"mode":"644","mtime":"2012-12-25T10:00:00.123456789Z","uid":1000,"gid":100}
`
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	of := Info{Tree: "home", Made: made, Catalog: firn.Token{7}}
	text = appendInfo(nil, of)
	if got, err := parseInfo(text); err != nil || got != of || !strings.HasSuffix(string(text), `,"catalog":"BwAAAAAAAAAAAAAAAAAAAA"}`+"\n") {
		t.Errorf("%s is read as %+v, %v", text, got, err)
	}
	l, err := NewLayout(m.File, m.Content, 5, info)
	if err != nil {
		t.Fatal(err)
	}
	data := whole(t, l, strings.NewReader("abc"))
	const sum = "f1d0e64297ebc4256ac61147e444e108379f1df4c90df4bebd982f903d3508e4"
	if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != sum {
		t.Errorf("the bundle's SHA-256 is %x, want %s", got, sum)
	}
	const footer = "4649524e424e444c" + "00000001" + "00000001" + "0000000000000800"
	if got := hex.EncodeToString(data[len(data)-FooterSize:][:24]); got != footer {
		t.Errorf("the footer begins %s, want %s", got, footer)
	}
}

// TestReadTwice: the members of an index can be had more than once, and not all
// need be taken.
func TestReadTwice(t *testing.T) {
	data := sample(t)
	f, err := ParseFooter(data, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	_, seq, err := ReadIndex(iotest.OneByteReader(bytes.NewReader(data[f.Offset:])), f)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	got, err := collect(seq)
	if err != nil || len(got) != f.Members || got[f.Members-1].Offset != got[f.Members-3].Offset {
		t.Errorf("%d members of %d, %v", len(got), f.Members, err)
	}
}

// TestEveryBitCounts: a flipped bit anywhere in index or footer shows.
func TestEveryBitCounts(t *testing.T) {
	data := sample(t)
	f, err := ParseFooter(data, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for i := int(f.Offset); i < len(data); i++ {
		if int64(i) >= f.Offset+f.Size && i < len(data)-FooterSize {
			continue // padding says nothing
		}
		data[i] ^= 1 << (i % 8)
		if _, _, _, err := readAll(data); firn.KindOf(err) != firn.Corrupt {
			t.Fatalf("byte %d is damaged: %v", i, err)
		}
		data[i] ^= 1 << (i % 8)
	}
}

// foot makes the bytes of a footer with a field changed, and the right sum.
func foot(f Footer, change func(b []byte)) []byte {
	f.Size = max(f.Size, 1)
	b := f.append(nil)
	b = b[len(b)-FooterSize:]
	change(b)
	sum := sha256.Sum256(b[:footerSumAt])
	copy(b[footerSumAt:], sum[:])
	return b
}

// TestFooter: what no footer of a bundle can say.
func TestFooter(t *testing.T) {
	good := Footer{Version: 1, Members: 3, Offset: 4096, Size: 700, Raw: 900}
	put32 := func(at int, v uint32) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint32(b[at:], v) }
	}
	put64 := func(at int, v uint64) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint64(b[at:], v) }
	}
	size := good.end()
	tests := []struct {
		name string
		last []byte
		size int64
		want string // of the error; none where empty
		kind firn.Kind
	}{
		{"good", foot(good, func([]byte) {}), size, "", 0},
		{"with more before it", append([]byte("before"), foot(good, func([]byte) {})...), size, "", 0},
		{"later fields", foot(good, func(b []byte) { b[reservedAt] = 1 }), size, "", 0},
		{"nothing", nil, size, "0 bytes", firn.Corrupt},
		{"short", make([]byte, FooterSize-1), size, "511 bytes", firn.Corrupt},
		{"longer than the archive", foot(good, func([]byte) {}), 100, "512 bytes of 100", firn.Corrupt},
		{"a plain tar", make([]byte, FooterSize), size, "doesn't end like a bundle", firn.Corrupt},
		{"another magic", foot(good, func(b []byte) { b[0] = 'f' }), size, "doesn't end like a bundle", firn.Corrupt},
		{"newer", foot(good, put32(versionAt, 2)), size, "newer firn", firn.Conflict},
		{"no members", foot(good, put32(membersAt, 0)), size, "members", firn.Corrupt},
		{"many members", foot(good, put32(membersAt, MaxMembers+1)), size, "members", firn.Corrupt},
		{"very many members", foot(good, put32(membersAt, math.MaxUint32)), size, "members", firn.Corrupt},
		{"no index", foot(good, put64(indexSizeAt, 0)), size, "size", firn.Corrupt},
		{"large index", foot(good, put64(indexSizeAt, 1<<40)), size, "size", firn.Corrupt},
		{"negative index", foot(good, put64(indexSizeAt, math.MaxUint64)), size, "size", firn.Corrupt},
		{"a bomb", foot(good, put64(rawSizeAt, MaxIndex+1)), size, "size", firn.Corrupt},
		{"negative when decompressed", foot(good, put64(rawSizeAt, 1<<63)), size, "size", firn.Corrupt},
		{"offset in the header", foot(good, put64(offsetAt, 512)), 512 + 1024 + 512, "at byte 512", firn.Corrupt},
		{"negative offset", foot(good, put64(offsetAt, 1<<63)), size, "at byte -", firn.Corrupt},
		{"offset at the end of numbers", foot(good, put64(offsetAt, math.MaxInt64&^511)), math.MaxInt64, "at byte 9", firn.Corrupt},
		{"offset between blocks", foot(good, put64(offsetAt, 4097)), size + 1, "at byte 4097", firn.Corrupt},
		{"an archive that is longer", foot(good, func([]byte) {}), size + 512, "does not end before", firn.Corrupt},
		{"an archive that is shorter", foot(good, func([]byte) {}), size - 512, "does not end before", firn.Corrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseFooter(tt.last, tt.size)
			if tt.want == "" {
				if err != nil || got != good {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			if firn.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want kind %v and %q", err, tt.kind, tt.want)
			}
		})
	}
}

// indexOf makes the index of these lines, and a footer that fits both it and a
// tar of size bytes.
func indexOf(t testing.TB, text string, members int, size int64) ([]byte, Footer) {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	stored := enc.EncodeAll([]byte(text), nil)
	return stored, Footer{Version: Version, Members: members, Offset: size, Size: int64(len(stored)), Raw: int64(len(text)), Sum: sha256.Sum256(stored)}
}

const (
	head = `{"v":1,"tree":"t","host":"h","made":"2026-11-22T01:02:03Z"}` + "\n"
	hash = `"hash":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"`
	rest = `"mode":"644","mtime":"2012-12-25T10:00:00Z"`
)

// TestIndex: what an index can say, and what it can't, in a tar of 8 blocks and
// its end.
func TestIndex(t *testing.T) {
	at := func(path, offset, size string) string {
		return `{"path":"` + path + `","size":` + size + `,"offset":` + offset + `,` + hash + `,` + rest + "}\n"
	}
	tests := []struct {
		name    string
		text    string
		members int
		want    string // of the error; none where empty
	}{
		{"one", head + at("a", "512", "3"), 1, ""},
		{"to the end of the tar", head + at("a", "512", "3584"), 1, ""},
		{"two", head + at("a", "512", "512") + at("b", "1536", "1"), 2, ""},
		{"shared", head + at("a", "512", "3") + at("b", "1536", "3") + at("c", "512", "3"), 3, ""},
		{"keys of the future", head + `{"path":"a","size":0,"xattrs":{"a":["b"]},` + rest + "}\n", 1, ""},
		{"no owner", head + `{"path":"a","size":0,"uid":-5,` + rest + "}\n", 1, ""},
		{"owner beyond all numbers of 32 bits", head + `{"path":"a","size":0,"uid":4294967294,` + rest + "}\n", 1, ""},
		{"seconds", head + `{"path":"a","size":0,"mode":"0","sec":-1,"ns":999999999}` + "\n", 1, ""},
		{"root", head + `{"path":"","type":"dir",` + rest + "}\n", 1, ""},

		{"nothing", "", 1, "no index"},
		{"no members", head, 1, "footer says 1 members"},
		{"too few", head + at("a", "512", "3"), 2, "line 3: the footer says 2 members"},
		{"too many", head + at("a", "512", "3") + at("b", "1536", "3"), 1, "line 3: the footer says 1 members"},
		{"no end of the last line", head + strings.TrimSuffix(at("a", "512", "3"), "\n"), 1, "footer says"},
		{"another version", strings.Replace(head, "1", "2", 1) + at("a", "512", "3"), 1, "line 1: it is of version 2"},
		{"no JSON", head + "path=a\n", 1, "line 2: invalid character"},
		{"no JSON at first", "v=1\n" + at("a", "512", "3"), 1, "line 1: invalid character"},
		{"no UTF-8", head + at("a\xff", "512", "3"), 1, "line 2: it is not UTF-8"},
		{"no base64", head + `{"path_b64":"!","size":0,` + rest + "}\n", 1, "line 2: illegal base64"},
		{"endless line", head + `{"path":"` + strings.Repeat("x", maxLine) + `"}` + "\n", 1, "line 2: bufio.Scanner: token too long"},
		{"no path", head + `{"size":0,` + rest + "}\n", 1, "line 2: no path"},
		{"empty path", head + `{"path":"","size":0,` + rest + "}\n", 1, "an empty path"},
		{"path out of the tree", head + at("a/../../b", "512", "3"), 1, "below the root"},
		{"path out of the tree, in base64", head + `{"path_b64":"Li4v/w==","size":0,` + rest + "}\n", 1, "below the root"},
		{"absolute path", head + at("/etc/passwd", "512", "3"), 1, "below the root"},
		{"path with a zero byte", head + at(`a\u0000b`, "512", "3"), 1, "zero byte"},
		{"long path", head + at(strings.Repeat("x", MaxName+1), "512", "3"), 1, "16385 bytes"},
		{"link to nothing", head + `{"path":"a","type":"link",` + rest + "}\n", 1, "empty target"},
		{"socket", head + `{"path":"a","type":"socket",` + rest + "}\n", 1, `"socket"`},
		{"no mode", head + `{"path":"a","size":0,"mtime":"2012-12-25T10:00:00Z"}` + "\n", 1, "the mode"},
		{"large mode", head + `{"path":"a","size":0,"mode":"10000","mtime":"2012-12-25T10:00:00Z"}` + "\n", 1, "the mode"},
		{"no such day", head + `{"path":"a","size":0,"mode":"644","mtime":"2012-02-30T10:00:00Z"}` + "\n", 1, "line 2: parsing time"},
		{"no such nanosecond", head + `{"path":"a","size":0,"mode":"644","sec":1,"ns":1000000000}` + "\n", 1, "nanoseconds"},
		{"negative size", head + at("a", "512", "-1"), 1, "a size of -1"},
		{"no hash", head + `{"path":"a","size":3,"offset":512,` + rest + "}\n", 1, "64 hexadecimal digits"},
		{"no offset", head + `{"path":"a","size":3,` + hash + `,` + rest + "}\n", 1, "at byte 0"},
		{"negative offset", head + at("a", "-512", "3"), 1, "at byte -512"},
		{"in the first header", head + at("a", "511", "3"), 1, "at byte 511"},
		{"between blocks", head + at("a", "513", "3"), 1, "at byte 513"},
		{"over the end", head + at("a", "512", "3585"), 1, "3585 bytes can be at byte 512"},
		{"far over the end", head + at("a", "512", "9223372036854775807"), 1, "can be at byte 512"},
		{"behind the end", head + at("a", "8192", "1"), 1, "at byte 8192"},
		{"no room for a header", head + at("a", "512", "1") + at("b", "1024", "1"), 2, "line 3: \"b\": no content of 1 bytes can be at byte 1024"},
		{"backwards", head + at("a", "2048", "1") + at("b", "512", "1"), 2, "at byte 512"},
		{"shared, of another size", head + at("a", "512", "1") + at("b", "512", "2"), 2, "at byte 512"},
		{"inside another", head + at("a", "512", "2000") + at("b", "1024", "1"), 2, "at byte 1024"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stored, f := indexOf(t, tt.text, tt.members, 8*blockSize+zeroes)
			_, seq, err := ReadIndex(bytes.NewReader(stored), f)
			var got []Member
			if err == nil {
				got, err = collect(seq)
			}
			switch {
			case tt.want == "" && (err != nil || len(got) != tt.members):
				t.Errorf("%+v, %v", got, err)
			case tt.want != "" && (firn.KindOf(err) != firn.Corrupt || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%+v, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// TestBomb: an index that decompresses to more than the footer says, or wants a
// huge window, is given up early.
func TestBomb(t *testing.T) {
	stored, f := indexOf(t, head+strings.Repeat("\n", 100<<20), 1, 4096)
	f.Raw = 2000
	_, seq, err := ReadIndex(bytes.NewReader(stored), f)
	if err == nil {
		_, err = collect(seq)
	}
	if firn.KindOf(err) != firn.Corrupt {
		t.Errorf("lines without an end: %v", err)
	}
	var wide bytes.Buffer
	enc, err := zstd.NewWriter(&wide, zstd.WithWindowSize(2*maxWindow), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enc.Write(make([]byte, 4*maxWindow)); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	f.Size, f.Sum = int64(wide.Len()), sha256.Sum256(wide.Bytes())
	if _, _, err := ReadIndex(&wide, f); firn.KindOf(err) != firn.Corrupt || !errors.Is(err, zstd.ErrWindowSizeExceeded) {
		t.Errorf("a huge window: %v", err)
	}
}

// TestIndexRead: an index that can't be read is not a damaged one.
func TestIndexRead(t *testing.T) {
	stored, f := indexOf(t, head+`{"path":"a","size":0,`+rest+"}\n", 1, 4096)
	broken := errors.New("broken")
	if _, _, err := ReadIndex(iotest.ErrReader(broken), f); !errors.Is(err, broken) || firn.KindOf(err) != firn.Other {
		t.Errorf("%v", err)
	}
	if _, _, err := ReadIndex(bytes.NewReader(stored[1:]), f); firn.KindOf(err) != firn.Corrupt || !strings.Contains(err.Error(), "ends after") {
		t.Errorf("%v", err)
	}
	if _, _, err := ReadIndex(io.MultiReader(bytes.NewReader(stored), zeroReader{}), f); err != nil {
		t.Errorf("more than the index: %v", err)
	}
	if _, _, err := ReadIndex(bytes.NewReader(stored), Footer{}); firn.KindOf(err) != firn.Corrupt {
		t.Errorf("no footer: %v", err)
	}
	f.Sum[0]++
	if _, _, err := ReadIndex(bytes.NewReader(stored), f); firn.KindOf(err) != firn.Corrupt {
		t.Errorf("another index: %v", err)
	}
}

// FuzzRead: whatever the end of an archive is, reading it ends, and what comes
// out of it can be written again. The sums are made right, since no fuzzer
// guesses them.
func FuzzRead(f *testing.F) {
	data := sample(f)
	good, err := ParseFooter(data, int64(len(data)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[good.Offset:good.Offset+good.Size], data[len(data)-FooterSize:], good.Offset)
	for _, text := range []string{head + `{"path":"a","size":3,"offset":512,` + hash + `,` + rest + "}\n", head, "{}\n{}\n", "\n"} {
		stored, foot := indexOf(f, text, 1, 4096)
		b := foot.append(nil)
		f.Add(stored, b[len(b)-FooterSize:], int64(4096))
	}
	f.Fuzz(func(t *testing.T, stored, last []byte, offset int64) {
		if _, err := ParseFooter(last, offset); err != nil && firn.KindOf(err) == firn.Other {
			t.Fatal(err)
		}
		if len(last) < FooterSize {
			return
		}
		sum := sha256.Sum256(stored)
		last = foot(Footer{Version: Version}, func(b []byte) {
			copy(b[membersAt:], last[membersAt:indexSumAt])
			copy(b[indexSumAt:], sum[:])
			binary.BigEndian.PutUint64(b[offsetAt:], uint64(offset))
			binary.BigEndian.PutUint64(b[indexSizeAt:], uint64(len(stored)))
		})
		end := Footer{Offset: offset, Size: int64(len(stored))}.end()
		foot, err := ParseFooter(last, end)
		if err != nil {
			return
		}
		checkAgain(t, stored, foot)
	})
}

// FuzzIndex: the same of what stands in an index.
func FuzzIndex(f *testing.F) {
	shared := `{"path":"a","size":3,"offset":512,"uid":1,"gid":2,"group":4,` + hash + `,` + rest + "}\n"
	f.Add([]byte(head+shared+shared), uint16(2))
	f.Add([]byte(head+`{"path_b64":"/w==","type":"link","target":"a",`+rest+"}\n"), uint16(1))
	f.Add([]byte(`{"v":1,"tree_b64":"/w==","sec":-1}`+"\n"+`{"path":"","type":"dir","mode":"7777","sec":9e9}`+"\n"), uint16(1))
	f.Fuzz(func(t *testing.T, text []byte, members uint16) {
		stored := appendRawFrame(nil, text)
		checkAgain(t, stored, Footer{
			Version: Version, Members: int(members), Offset: 8*blockSize + zeroes,
			Size: int64(len(stored)), Raw: int64(len(text)), Sum: sha256.Sum256(stored),
		})
	})
}

// checkAgain reads an index and, if it can be read, writes and reads it again.
func checkAgain(t *testing.T, stored []byte, f Footer) {
	info, seq, err := ReadIndex(bytes.NewReader(stored), f)
	if err != nil {
		return
	}
	members, err := collect(seq)
	if err != nil {
		return
	}
	for _, m := range members {
		if m.hasContent() && m.Offset+m.Content.Size > f.Offset-zeroes {
			t.Fatalf("%+v lies beyond the tar of %+v", m, f)
		}
	}
	var again bytes.Buffer
	g, err := writeIndex(&again, info, members)
	if err != nil {
		t.Fatal(err)
	}
	g.Offset = f.Offset
	if g.Raw > MaxIndex {
		return
	}
	info2, seq, err := ReadIndex(&again, g)
	if err != nil {
		t.Fatal(err)
	}
	members2, err := collect(seq)
	if err != nil || info2 != info || len(members) != len(members2) {
		t.Fatalf("%+v, %v, want %+v", info2, err, info)
	}
	for i := range members {
		if members[i] != members2[i] {
			t.Fatalf("%+v became %+v", members[i], members2[i])
		}
	}
}

// TestEmptyContent: the hash of nothing is that of the developer guide's rule.
func TestEmptyContent(t *testing.T) {
	if got := emptyContent().Tree; got != treehash.Sum(nil) {
		t.Errorf("%v", got)
	}
}
