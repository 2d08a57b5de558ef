package mtjournal

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// A model is a State, slow and plain.
type model struct {
	archives []Record
	jobs     map[string]Record
}

func (m *model) add(r Record) Reason {
	i := slices.IndexFunc(m.archives, func(a Record) bool { return a.Archive == r.Archive })
	switch {
	case r.Op == Created && i >= 0:
		return Duplicate
	case r.Op == Created:
		m.archives = append(m.archives, r)
	case r.Op == Deleted && i < 0:
		return Gone
	case r.Op == Deleted:
		m.archives = slices.Delete(m.archives, i, i+1)
	case r.Op == RetrieveJob:
		if kept, ok := m.jobs[r.Archive]; !ok || r.Time > kept.Time {
			m.jobs[r.Archive] = r
		}
	}
	return 0
}

func (m *model) versions(path string) (all []Record) {
	for _, r := range m.archives {
		if r.Path != path {
			continue
		}
		// Before the first that is newer.
		i := slices.IndexFunc(all, func(a Record) bool { return compareVersions(r, a) < 0 })
		if i < 0 {
			i = len(all)
		}
		all = slices.Insert(all, i, r)
	}
	return all
}

// same compares a state with the model of it.
func (m *model) same(t interface{ Fatalf(string, ...any) }, s *State) {
	check := func(what string, want, got any) {
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s (-want +got)\n%s", what, diff)
		}
	}
	check("Len", len(m.archives), s.Len())
	check("All", m.archives, slices.Collect(s.All()))
	files := map[string]bool{}
	for versions := range s.Files() {
		path := versions[0].Path
		if files[path] {
			t.Fatalf("Files has %q twice", path)
		}
		files[path] = true
		check("Files, "+path, m.versions(path), versions)
		latest, ok := s.Latest(path)
		if check("Latest of "+path, versions[len(versions)-1], latest); !ok {
			t.Fatalf("there is no latest %q", path)
		}
	}
	for _, r := range m.archives {
		if !files[r.Path] {
			t.Fatalf("Files has no %q", r.Path)
		}
		got, ok := s.Archive(r.Archive)
		if check("Archive", r, got); !ok {
			t.Fatalf("there is no archive %q", r.Archive)
		}
	}
	for archive, want := range m.jobs {
		got, ok := s.Job(archive)
		if check("Job", want, got); !ok {
			t.Fatalf("there is no job of %q", archive)
		}
	}
}

func reasonOf(err error) Reason {
	if bad := (*LineError)(nil); errors.As(err, &bad) {
		return bad.Reason
	}
	return 0
}

// TestStateIsTheModel: a few archives and names, any records of them.
func TestStateIsTheModel(t *testing.T) {
	small := rapid.Int64Range(0, 3)
	record := rapid.Custom(func(t *rapid.T) Record {
		r := Record{
			Line: small.Draw(t, "line"), Version: 'B', Op: rapid.SampledFrom(ops[:]).Draw(t, "op"), Time: small.Draw(t, "time"),
			Archive: rapid.SampledFrom([]string{"p", "q", "r", "s"}).Draw(t, "archive"),
		}
		switch r.Op {
		case Created:
			r.Size, r.Tree = small.Draw(t, "size"), rapid.SampledFrom([]string{treeHash, strings.ToUpper(treeHash), "h", treeHash[1:] + "g"}).Draw(t, "tree")
			if r.HasMTime = rapid.Bool().Draw(t, "has mtime"); r.HasMTime {
				r.MTime = small.Draw(t, "mtime") - 1
			}
			fallthrough
		case Deleted:
			r.Path = rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "path")
		case RetrieveJob:
			r.Job = rapid.SampledFrom([]string{"j", "k", ""}).Draw(t, "job")
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		m, s := &model{jobs: map[string]Record{}}, NewState()
		for _, r := range rapid.SliceOf(record).Draw(t, "records") {
			err := s.Add(r)
			if got, want := reasonOf(err), m.add(r); got != want || err != nil && want == 0 {
				t.Fatalf("%+v: %v", r, err)
			}
		}
		m.same(t, s)
	})
}

// loads compares Load with the model, for any journal.
func loads(t *testing.T, journal []byte) {
	t.Helper()
	m := &model{jobs: map[string]Record{}}
	var want, got []string
	for rec, err := range Records(bytes.NewReader(journal)) {
		if bad := (*LineError)(nil); errors.As(err, &bad) {
			want = append(want, fmt.Sprint(bad.Line, bad.Reason))
		} else if why := m.add(rec); why != 0 {
			want = append(want, fmt.Sprint(rec.Line, why))
		}
	}
	s, err := Load(bytes.NewReader(journal), func(bad *LineError) { got = append(got, fmt.Sprint(bad.Line, bad.Reason)) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got)\n%s", diff)
	}
	m.same(t, s)
}

// TestLoad: each way in which lines contradict each other, told with the line
// and what it says.
func TestLoad(t *testing.T) {
	journal := line(strings.Join([]string{
		"B→1→CREATED→x→5→100→<T>→a",
		"B→2→CREATED→x→6→100→<T>→b", // the first one stays
		"B→3→DELETED→y→c",
		"no record",
		"B→4→CREATED→y→7→NONE→<T>→../c",
		"B→5→DELETED→x→another name", // the id counts
		"B→6→DELETED→x→a",
		"B→7→CREATED→x→8→50→<T>→a", // again
		"B→8→CREATED→z→9→40→<T>→torn",
	}, "\n"))
	var warnings []string
	s, err := Load(strings.NewReader(journal), func(bad *LineError) {
		said := "nothing"
		if bad.Record != nil {
			said = bad.Record.Archive + " " + bad.Record.Path
		}
		warnings = append(warnings, fmt.Sprintf("%v; %s", bad, said))
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`journal line 2 ` + Duplicate.String() + `: "x"; x b`,
		`journal line 3 ` + Gone.String() + `: "y"; y c`,
		`journal line 4 ` + Unknown.String() + `: "no record"; nothing`,
		`journal line 7 ` + Gone.String() + `: "x"; x a`,
		`journal line 9 ` + Torn.String() + `: "B\t8\tCREATED\tz\t9\t40\t` + treeHash + `\ttorn"; z torn`,
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Errorf("warnings (-want +got)\n%s", diff)
	}
	got := slices.Collect(s.All())
	if len(got) != 2 || got[0].Path != "../c" || !got[0].Unsafe() || got[1].Path != "a" || got[1].Size != 8 {
		t.Errorf("got %+v", got)
	}
}

// TestVersions holds the order of lib/App/MtAws/FileVersions.pm: each row has
// versions from the oldest to the newest, "time mtime", in any order of lines.
func TestVersions(t *testing.T) {
	for _, row := range [][]string{
		{"5 1", "4 2", "3 3"},
		{"1 5", "2 5", "3 5"},          // ties by time
		{"1 NONE", "2 NONE", "3 NONE"}, // by time
		{"9 1", "2 NONE", "1 3"},       // mtime of one, time of the other
		{"3 NONE", "4 3"},
		{"3 3", "4 3"},
		{"1 -5", "1 0", "1 NONE"},
	} {
		for shift := range row {
			s := NewState()
			for i := range row {
				time, mtime, _ := strings.Cut(row[(i+shift)%len(row)], " ")
				for r, err := range Records(strings.NewReader(fmt.Sprintf("B\t%s\tCREATED\tx%d\t1\t%s\th\ta\n", time, i, mtime))) {
					if err := errors.Join(err, s.Add(r)); err != nil {
						t.Fatal(err)
					}
				}
			}
			var got []string
			for _, v := range s.Versions("a") {
				mtime := "NONE"
				if v.HasMTime {
					mtime = fmt.Sprint(v.MTime)
				}
				got = append(got, fmt.Sprintf("%d %s", v.Time, mtime))
			}
			if !slices.Equal(row, got) {
				t.Errorf("got %q, want %q", got, row)
			}
		}
	}
}

// TestEqualVersions: of those that tie wholly the last line is the latest.
func TestEqualVersions(t *testing.T) {
	s := NewState()
	for i, id := range []string{"x", "y", "z"} {
		if err := s.Add(Record{Line: int64(i), Op: Created, Time: 1, Archive: id, Path: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"z", "y", "x"} {
		if got, _ := s.Latest("a"); got.Archive != want {
			t.Errorf("latest is %s, want %s", got.Archive, want)
		}
		if err := s.Add(Record{Op: Deleted, Archive: want}); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := s.Latest("a"); ok || s.Len() != 0 {
		t.Error("something is left")
	}
}

// TestJobs holds t/unit/journal_retrieves.t: the newest counts, the first of
// equal ones.
func TestJobs(t *testing.T) {
	s := NewState()
	for _, r := range []Record{
		{Op: RetrieveJob, Time: 5, Archive: "x", Job: "a"},
		{Op: RetrieveJob, Time: 7, Archive: "x", Job: "b"},
		{Op: RetrieveJob, Time: 7, Archive: "x", Job: "c"},
		{Op: RetrieveJob, Time: 6, Archive: "x", Job: "d"},
		{Op: RetrieveJob, Time: 1, Archive: "y", Job: "e"},
	} {
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := s.Job("x"); !ok || got.Job != "b" {
		t.Errorf("got %+v, %v", got, ok)
	}
	if got, ok := s.Job("z"); ok {
		t.Errorf("got %+v", got)
	}
	if s.Len() != 0 || len(slices.Collect(s.All())) != 0 {
		t.Error("a job counts as an archive")
	}
}

func TestAddRefusesOtherOperations(t *testing.T) {
	if err := NewState().Add(Record{Op: "UPLOADED", Archive: "x"}); err == nil || reasonOf(err) != 0 {
		t.Errorf("got %v", err)
	}
}

// TestLongHistory: a name of very many versions, and their deletion, oldest or
// newest first, take about as many steps as there are lines; the square of that
// would take minutes.
func TestLongHistory(t *testing.T) {
	const n = 200_000
	for _, newestFirst := range []bool{false, true} {
		s := NewState()
		for i := range n {
			s.Add(Record{Op: Created, Time: int64(i), Archive: fmt.Sprint(i), Path: "a"})
		}
		files := 0
		for versions := range s.Files() {
			files += len(versions)
		}
		if files != n {
			t.Errorf("%d versions", files)
		}
		for i := range n {
			if newestFirst {
				i = n - 1 - i
			}
			if err := s.Add(Record{Op: Deleted, Archive: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if s.Len() != 0 {
			t.Errorf("%d left", s.Len())
		}
	}
}

// TestGiantRecord: what no line could hold is packed all the same.
func TestGiantRecord(t *testing.T) {
	s := NewState()
	var want []Record
	for i, size := range []int{1, chunkSize, 3 * chunkSize, 1, chunkSize - 100} {
		r := Record{Op: Created, Archive: fmt.Sprint(i), Path: strings.Repeat("a", size), Tree: "h", Job: "j"}
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
		want = append(want, r)
	}
	if !slices.Equal(want, slices.Collect(s.All())) {
		t.Error("they are not as they were")
	}
}
