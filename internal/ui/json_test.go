package ui

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
)

func TestJSONEvents(t *testing.T) {
	r := record(asJSON)
	sink := r.Sink()
	sink(firn.FileEvent{Action: firn.Sent, Tree: "docs", Path: "a&b", Size: 3, Archive: "id", Reason: "new"})
	sink(firn.FileEvent{Action: firn.Unchanged, Path: "b"})
	sink(firn.FileEvent{Action: firn.Failed, Path: "latin\xe9", Err: &firn.Error{Op: "read", Subject: "x", Kind: firn.Local, Err: errors.New("no"), Hint: "look"}})
	sink(firn.WaitEvent{What: "job", Until: testStart.Add(time.Hour)})
	r.Notice("hello")
	r.clock.Advance(10 * time.Second)
	sink(firn.ScanEvent{Files: 3, Bytes: 4096, Done: true})
	sink(firn.PlanEvent{Files: 2, Bytes: 4096})
	sink(firn.SummaryEvent{Command: "sync", Store: "local:v", Tree: "docs", Counts: map[firn.Action]firn.Count{firn.Sent: {Files: 1, Bytes: 3}, firn.Failed: {Files: 1}}, Elapsed: 1500 * time.Millisecond})
	r.Print("for people")
	r.Record("version", struct {
		Version string `json:"version"`
	}{"v1"})
	r.Record("empty", struct{}{})
	r.Fail(Failure{Err: errors.New("boom"), Exit: 1, Usage: "usage: firn"})
	r.check(t, `{"v":1,"type":"file","time":"2026-01-02T03:04:05Z","action":"sent","tree":"docs","path":"a&b","size":3,"archive":"id","reason":"new"}
{"v":1,"type":"file","time":"2026-01-02T03:04:05Z","action":"failed","path":"latin\ufffd","path_b64":"bGF0aW7p","size":0,"error":{"message":"read x: no; look","kind":"local","operation":"read","subject":"x","hint":"look"}}
{"v":1,"type":"wait","time":"2026-01-02T03:04:05Z","what":"job","until":"2026-01-02T04:04:05Z"}
{"v":1,"type":"notice","time":"2026-01-02T03:04:05Z","text":"hello","warning":false}
{"v":1,"type":"progress","time":"2026-01-02T03:04:15Z","scanned_files":3,"scanned_bytes":4096,"scan_done":true,"planned_files":0,"planned_bytes":0,"done_files":1,"done_bytes":0,"rate":0}
{"v":1,"type":"summary","time":"2026-01-02T03:04:15Z","command":"sync","store":"local:v","tree":"docs","dry_run":false,"stopped":false,"counts":{"failed":{"files":1,"bytes":0},"sent":{"files":1,"bytes":3}},"elapsed_ms":1500}
{"v":1,"type":"version","version":"v1"}
{"v":1,"type":"empty"}
{"v":1,"type":"error","time":"2026-01-02T03:04:15Z","exit":1,"message":"boom","kind":"error"}
`, "firn: boom\nusage: firn\n")
}

func TestJSONQuietAndVerbose(t *testing.T) {
	types := func(change ...func(*Options)) string {
		r := record(append(change, asJSON)...)
		sink := r.Sink()
		sink(firn.FileEvent{Action: firn.Unchanged})
		sink(firn.FileEvent{Action: firn.Sent})
		sink(firn.FileEvent{Action: firn.Missing})
		sink(firn.FileEvent{Action: firn.Failed})
		r.Notice("hello")
		r.Warn("beware")
		sink(firn.WaitEvent{})
		r.clock.Advance(time.Hour)
		sink(firn.ScanEvent{})
		sink(firn.SummaryEvent{})
		var all []string
		for line := range strings.Lines(r.out.String()) {
			var o struct{ Type, Action string }
			if err := json.Unmarshal([]byte(line), &o); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			all = append(all, strings.TrimSpace(o.Type+" "+o.Action))
		}
		return strings.Join(all, ", ")
	}
	for _, tt := range []struct {
		name, got, want string
	}{
		{"json", types(), "file sent, file missing, file failed, notice, notice, wait, progress, summary"},
		{"quiet", types(quiet), "file missing, file failed, notice, summary"},
		{"verbose", types(verbose), "file unchanged, file sent, file missing, file failed, notice, notice, wait, progress, summary"},
		{"quiet dry run", types(quiet, dryRun), "file sent, file missing, file failed, notice, summary"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

func TestPathKeepsEveryByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := string(rapid.SliceOf(rapid.Byte()).Draw(t, "path"))
		line, err := encodeObject("x", NewPath(path))
		if err != nil {
			t.Fatal(err)
		}
		var back Path
		if err := json.Unmarshal(line, &back); err != nil {
			t.Fatal(err)
		}
		got := back.Path
		if back.Base64 != "" {
			raw, err := base64.StdEncoding.DecodeString(back.Base64)
			if err != nil {
				t.Fatal(err)
			}
			got = string(raw)
		}
		if got != path {
			t.Fatalf("%q came back as %q", path, got)
		}
	})
}

func TestJSONErrorOfStdout(t *testing.T) {
	r := record(asJSON, func(o *Options) { o.Stdout = broken{} })
	r.Record("x", struct{}{})
	if r.Close() == nil {
		t.Error("a record that was not written is no error")
	}
	r = record(asJSON)
	r.Record("x", struct{ F func() }{})
	if r.Close() == nil {
		t.Error("a record that can't be JSON is no error")
	}
}

// TestJSONIsDocumented fails where an object or a field is missing in
// docs/json.md.
func TestJSONIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	for kind, object := range map[string]any{
		"file": jsonFile{}, "progress": jsonProgress{}, "wait": jsonWait{},
		"notice": jsonNotice{}, "compare": jsonCompare{}, "summary": jsonSummary{}, "error": jsonFailure{},
	} {
		_, section, found := strings.Cut(doc, "\n## `"+kind+"`")
		if !found {
			t.Errorf("docs/json.md has no section `%s`", kind)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		for _, name := range fieldNames(reflect.TypeOf(object)) {
			if !strings.Contains(section, "| `"+name+"` |") {
				t.Errorf("docs/json.md, section `%s`, lacks the field `%s`", kind, name)
			}
		}
	}
	for _, a := range order {
		if !strings.Contains(doc, "`"+string(a)+"`") {
			t.Errorf("docs/json.md lacks the action `%s`", a)
		}
	}
}

// fieldNames lists the fields that a struct has in JSON.
func fieldNames(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			names = append(names, fieldNames(f.Type)...)
		} else {
			names = append(names, name)
		}
	}
	return names
}

func TestFieldNames(t *testing.T) {
	want := []string{"time", "exit", "message", "kind", "operation", "subject", "hint"}
	if d := cmp.Diff(want, fieldNames(reflect.TypeOf(jsonFailure{}))); d != "" {
		t.Error(d)
	}
}
