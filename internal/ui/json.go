package ui

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/firn-archive/firn"
)

// jsonVersion is the value of "v" in each object. A field may be added under
// one version, but never change its meaning or go; docs/json.md has them all.
const jsonVersion = 1

// jsonProgressEvery is the time between two progress objects.
const jsonProgressEvery = 5 * time.Second

// A Path is a path in a JSON object: as text, and where the text can't hold its
// bytes also exactly. Embed it in records.
type Path struct {
	Path string `json:"path"`
	// Base64 is the path's bytes in standard base64, where they are no UTF-8;
	// Path then has U+FFFD for what doesn't fit.
	Base64 string `json:"path_b64,omitempty"`
}

// NewPath gives the fields for a path.
func NewPath(path string) Path {
	p := Path{Path: path}
	if !utf8.ValidString(path) {
		p.Base64 = base64.StdEncoding.EncodeToString([]byte(path))
	}
	return p
}

// The objects that events become.
type (
	jsonFile struct {
		Time   string      `json:"time"`
		Action firn.Action `json:"action"`
		DryRun bool        `json:"dry_run,omitempty"`
		Tree   string      `json:"tree,omitempty"`
		Path
		Size    int64          `json:"size"`
		Archive firn.ArchiveID `json:"archive,omitempty"`
		Reason  string         `json:"reason,omitempty"`
		Error   *jsonError     `json:"error,omitempty"`
	}
	jsonProgress struct {
		Time         string `json:"time"`
		ScannedFiles int64  `json:"scanned_files"`
		ScannedBytes int64  `json:"scanned_bytes"`
		ScanDone     bool   `json:"scan_done"`
		PlannedFiles int64  `json:"planned_files"`
		PlannedBytes int64  `json:"planned_bytes"`
		DoneFiles    int64  `json:"done_files"`
		DoneBytes    int64  `json:"done_bytes"`
		Rate         int64  `json:"rate"`
		SecondsLeft  int64  `json:"seconds_left,omitempty"`
	}
	jsonWait struct {
		Time  string `json:"time"`
		What  string `json:"what"`
		Until string `json:"until"`
	}
	jsonNotice struct {
		Time    string `json:"time"`
		Text    string `json:"text"`
		Warning bool   `json:"warning"`
	}
	jsonSnapshot struct {
		Time    string         `json:"time"`
		Store   string         `json:"store"`
		Seq     int64          `json:"seq"`
		Base    int64          `json:"base,omitempty"`
		Archive firn.ArchiveID `json:"archive"`
		Size    int64          `json:"size"`
	}
	jsonCompare struct {
		Time          string `json:"time"`
		Tree          string `json:"tree"`
		DryRun        bool   `json:"dry_run,omitempty"`
		Files         int64  `json:"files"`
		Bytes         int64  `json:"bytes"`
		HashlessFiles int64  `json:"hashless_files,omitempty"`
		HashlessBytes int64  `json:"hashless_bytes,omitempty"`
	}
	jsonSummary struct {
		Time      string                    `json:"time"`
		Command   string                    `json:"command"`
		Store     string                    `json:"store"`
		Tree      string                    `json:"tree,omitempty"`
		DryRun    bool                      `json:"dry_run"`
		Stopped   bool                      `json:"stopped"`
		Counts    map[firn.Action]jsonCount `json:"counts"`
		Excluded  map[string]int64          `json:"excluded,omitempty"`
		ElapsedMS int64                     `json:"elapsed_ms"`
	}
	jsonCount struct {
		Files int64 `json:"files"`
		Bytes int64 `json:"bytes"`
	}
	jsonFailure struct {
		Time string `json:"time"`
		Exit int    `json:"exit"`
		jsonError
	}
	jsonError struct {
		Message   string `json:"message"`
		Kind      string `json:"kind"`
		Operation string `json:"operation,omitempty"`
		Subject   string `json:"subject,omitempty"`
		Hint      string `json:"hint,omitempty"`
	}
)

// A jsonView shows each event as one JSON object on stdout.
type jsonView struct {
	u    *UI
	next time.Time
}

func newJSONView(u *UI) *jsonView {
	return &jsonView{u: u, next: u.tally.start.Add(jsonProgressEvery)}
}

func (v *jsonView) event(e firn.Event, now time.Time) {
	o := v.u.opts
	switch e := e.(type) {
	case firn.FileEvent:
		if w := weigh(e.Action, o.DryRun); !boring(e.Action, o.DryRun) && (!o.Quiet || w >= alarm) || o.Verbose {
			v.u.object("file", fileObject(e, o.DryRun, now))
		}
	case firn.WaitEvent:
		if !o.Quiet {
			v.u.object("wait", jsonWait{Time(now), e.What, Time(e.Until)})
		}
	case firn.NoticeEvent:
		if (!o.Quiet || e.Warn) && (!e.Detail || o.Verbose) {
			v.u.object("notice", jsonNotice{Time(now), e.Text, e.Warn})
		}
	case firn.SnapshotEvent:
		if !o.Quiet {
			v.u.object("snapshot", jsonSnapshot{Time(now), e.Store, e.Seq, e.Base, e.Archive, e.Size})
		}
	case firn.CompareEvent:
		if !o.Quiet {
			v.u.object("compare", jsonCompare{Time(now), e.Tree, o.DryRun, e.Read.Files, e.Read.Bytes, e.Hashless.Files, e.Hashless.Bytes})
		}
	case firn.SummaryEvent:
		v.u.object("summary", summaryObject(e, now))
		return
	}
	v.progress(now)
}

func (v *jsonView) progress(now time.Time) {
	if v.u.opts.Quiet || now.Before(v.next) {
		return
	}
	v.next = now.Add(jsonProgressEvery)
	r := v.u.tally.read(now, 0)
	v.u.object("progress", jsonProgress{
		Time:         Time(now),
		ScannedFiles: r.scan.Files, ScannedBytes: r.scan.Bytes, ScanDone: r.scan.Done,
		PlannedFiles: r.plan.Files, PlannedBytes: r.plan.Bytes,
		DoneFiles: r.done, DoneBytes: r.moved,
		Rate: int64(r.rate), SecondsLeft: int64(r.left / time.Second),
	})
}

// failure gives an object for programs and, on stderr, a line for people.
func (v *jsonView) failure(f Failure) {
	v.u.object("error", jsonFailure{Time(v.u.opts.Clock.Now()), f.Exit, errorObject(f.Err)})
	newTextView(v.u).failure(f)
}

func (v *jsonView) pause() {}
func (v *jsonView) close() {}

func fileObject(e firn.FileEvent, dry bool, now time.Time) jsonFile {
	f := jsonFile{
		Time: Time(now), Action: e.Action, DryRun: dry, Tree: e.Tree, Path: NewPath(e.Path),
		Size: e.Size, Archive: e.Archive, Reason: e.Reason,
	}
	if e.Err != nil {
		o := errorObject(e.Err)
		f.Error = &o
	}
	return f
}

func summaryObject(e firn.SummaryEvent, now time.Time) jsonSummary {
	counts := make(map[firn.Action]jsonCount, len(e.Counts))
	for a, c := range e.Counts {
		counts[a] = jsonCount(c)
	}
	return jsonSummary{
		Time: Time(now), Command: e.Command, Store: e.Store, Tree: e.Tree, DryRun: e.DryRun,
		Stopped: e.Stopped, Counts: counts, Excluded: e.Excluded, ElapsedMS: e.Elapsed.Milliseconds(),
	}
}

func errorObject(err error) jsonError {
	o := jsonError{Message: err.Error(), Kind: firn.KindOf(err).String()}
	var e *firn.Error
	if errors.As(err, &e) {
		o.Operation, o.Subject, o.Hint = e.Op, e.Subject, e.Hint
	}
	return o
}

// object writes fields as one line of JSON, with the version and the type of
// the object before them. fields must be a struct.
func (u *UI) object(kind string, fields any) {
	line, err := encodeObject(kind, fields)
	if err != nil {
		u.err = errors.Join(u.err, err)
		return
	}
	u.write(line)
}

func encodeObject(kind string, fields any) ([]byte, error) {
	head := fmt.Sprintf(`{"v":%d,"type":%q`, jsonVersion, kind)
	line := bytes.NewBufferString(head)
	encoder := json.NewEncoder(line)
	encoder.SetEscapeHTML(false) // a path with & is common, a browser that reads this is not
	if err := encoder.Encode(fields); err != nil {
		return nil, err
	}
	object := line.Bytes()
	if object[len(head)] != '{' {
		return nil, fmt.Errorf("a %s object is made of a %T, which has no fields", kind, fields)
	}
	if object[len(head)+1] == '}' {
		return append(object[:len(head)], "}\n"...), nil
	}
	object[len(head)] = ','
	return object, nil
}

// Record writes a command's result as one JSON object of the given type, whose
// fields are those of the struct v. Without JSON it writes nothing.
func (u *UI) Record(kind string, v any) {
	if !u.opts.JSON {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.object(kind, v)
}
