package main

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/firn-archive/firn/treehash"
)

// leanSize is larger than a leaf: the number is in the second.
const leanSize = treehash.LeafSize + 1000

func newLeanServer(t *testing.T) *leanServer {
	t.Helper()
	s, err := newLean(3, leanSize)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// brought gives what the source sends of a job.
func brought(t *testing.T, s *leanServer, archive string) []byte {
	t.Helper()
	asked := httptest.NewRecorder()
	s.handler().ServeHTTP(asked, httptest.NewRequest("POST", "/-/vaults/old/jobs", strings.NewReader(`{"Type":"archive-retrieval","ArchiveId":"`+archive+`"}`)))
	got := httptest.NewRecorder()
	s.handler().ServeHTTP(got, httptest.NewRequest("GET", "/-/vaults/old/jobs/"+asked.Header().Get("x-amz-job-id")+"/output", nil))
	data := got.Body.Bytes()
	if tree := treehash.Sum(data).String(); len(data) != leanSize || got.Header().Get("x-amz-sha256-tree-hash") != tree || !strings.Contains(string(s.list), tree) {
		t.Errorf("archive %s: %d bytes of the tree hash %s, which is not what was said", archive, len(data), tree)
	}
	return data
}

// given stores data, said to have the hashes of promised.
func given(s *leanServer, data, promised []byte) (id string) {
	d := treehash.NewDouble()
	d.Write(promised)
	r := httptest.NewRequest("POST", "/-/vaults/new/archives", bytes.NewReader(data))
	linear := d.Sums().Linear
	r.Header.Set("x-amz-sha256-tree-hash", d.Sums().Tree.String())
	r.Header.Set("x-amz-content-sha256", hex.EncodeToString(linear[:]))
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, r)
	return w.Header().Get("x-amz-archive-id")
}

// TestLean: what came whole and once counts, and what didn't is a failure.
func TestLean(t *testing.T) {
	for name, c := range map[string]struct {
		give  func(s *leanServer, a, b, c []byte)
		wrong string
		count string
	}{
		"all":     {func(s *leanServer, a, b, c []byte) { given(s, b, b); given(s, a, a); given(s, c, c) }, "", ""},
		"a stray": {func(s *leanServer, a, b, c []byte) { given(s, a, a); given(s, b, b); given(s, a[1:], a[1:]) }, "", "2 of 3 archives"},
		"twice":   {func(s *leanServer, a, b, c []byte) { given(s, a, a); given(s, a, a) }, "archive 0 came twice", ""},
		"damaged": {func(s *leanServer, a, b, c []byte) { given(s, a, b) }, "of an archive that has", ""},
		"unknown": {func(s *leanServer, a, b, c []byte) {
			s.handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("DELETE", "/-/vaults/old", nil))
		}, "don't know DELETE /-/vaults/old", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newLeanServer(t)
			c.give(s, brought(t, s, "0"), brought(t, s, "1"), brought(t, s, "2"))
			said := &server{}
			if err := s.say(&said.said); err != nil {
				t.Fatal(err)
			}
			want := c.wrong + c.count
			if err := checkLean(said, 3); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

// TestLeanStrays: what only begins like an archive of the source is none, and is hashed
// all the same.
func TestLeanStrays(t *testing.T) {
	s := newLeanServer(t)
	data := brought(t, s, "0")
	for name, stray := range map[string][]byte{
		"longer": append(bytes.Clone(data), 0), "shorter": data[:len(data)-1], "without a number": data[:len(data)-leastSize],
		"of another number": append(bytes.Clone(data[:len(data)-leastSize]), end(3)...), "empty": nil,
	} {
		if id := given(s, stray, stray); !strings.HasPrefix(id, "other-") {
			t.Errorf("%s: it is %q", name, id)
		}
		if id := given(s, stray, data); id != "" {
			t.Errorf("%s: it is %q, and has not the hashes that were promised", name, id)
		}
	}
}

// TestLeanIDs: no two things in the target have one id.
func TestLeanIDs(t *testing.T) {
	s, ids := newLeanServer(t), map[string]bool{}
	for _, archive := range []string{"0", "1", "2"} {
		data := brought(t, s, archive)
		ids[given(s, data, data)] = true
		ids[given(s, data[1:], data[1:])] = true
	}
	if len(ids) != 6 || ids[""] {
		t.Errorf("ids %v", ids)
	}
}

// TestLeanArguments: what makes no sense serves nothing.
func TestLeanArguments(t *testing.T) {
	for _, args := range [][2]string{{"x", "8"}, {"1", "x"}} {
		if err := serveLean(args[0], args[1], io.Discard); err == nil {
			t.Errorf("%q are taken", args)
		}
	}
}

// TestFloor: what is moved as plainly as can be arrives whole, and what isn't what it
// should be is noticed.
func TestFloor(t *testing.T) {
	s := newLeanServer(t)
	web := httptest.NewServer(s.handler())
	defer web.Close()
	size := strconv.Itoa(s.size())
	if err := moveAll(web.URL, []string{"3", size, "2"}); err != nil {
		t.Fatal(err)
	}
	said := &server{}
	if err := s.say(&said.said); err != nil {
		t.Fatal(err)
	}
	if err := checkLean(said, 3); err != nil {
		t.Error(err)
	}
	for name, numbers := range map[string][]string{"unknown archive": {"4", size, "1"}, "another size": {"1", strconv.Itoa(s.size() - 1), "1"}, "no number": {"1", size, "x"}} {
		if err := moveAll(web.URL, numbers); err == nil {
			t.Errorf("%s: moved", name)
		}
	}
}
