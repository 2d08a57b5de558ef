package ui

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// item is what the lists of these tests hold.
type item struct {
	Path
	Size int64 `json:"size"`
}

func listItems(r *recorder, items ...item) {
	l := NewList(r.UI, "item",
		Column[item]{Head: "size", Right: true, Cell: func(i item) string { return Bytes(i.Size) }, Plain: func(i item) string { return fmt.Sprint(i.Size) }},
		Column[item]{Head: "path", Cell: func(i item) string { return i.Path.Path }},
		Column[item]{Head: "kind", Cell: func(item) string { return "file" }},
	)
	for _, i := range items {
		l.Add(i)
	}
	l.Close()
}

func TestList(t *testing.T) {
	items := []item{{NewPath("a\tb"), 3}, {NewPath("日本"), 1536}, {NewPath("photos/long name"), 0}}
	terminal := func(o *Options) { o.StdoutTerminal = true }
	tests := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"pipe", func(*Options) {}, "3\ta\\tb\tfile\n1536\t日本\tfile\n0\tphotos/long name\tfile\n"},
		{"terminal", terminal, `    size  path              kind
     3 B  a\tb              file
1.50 KiB  日本              file
     0 B  photos/long name  file
`},
		{"json", asJSON, `{"v":1,"type":"item","path":"a\tb","size":3}
{"v":1,"type":"item","path":"日本","size":1536}
{"v":1,"type":"item","path":"photos/long name","size":0}
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := record(tt.change)
			listItems(r, items...)
			r.check(t, tt.want, "")
		})
		t.Run(tt.name+", empty", func(t *testing.T) {
			r := record(tt.change)
			listItems(r)
			r.check(t, "", "")
		})
	}
}

func TestListWritesInBatches(t *testing.T) {
	for name, change := range map[string]func(*Options){"pipe": func(*Options) {}, "json": asJSON} {
		t.Run(name, func(t *testing.T) {
			writes := &countingWriter{}
			r := record(change, func(o *Options) { o.Stdout = writes })
			l := NewList(r.UI, "item", Column[item]{Head: "path", Cell: func(i item) string { return i.Path.Path }})
			const rows = 100_000
			for range rows {
				l.Add(item{Path: NewPath("photos/2024/a.jpg")})
			}
			if writes.lines == 0 {
				t.Error("everything is held back")
			}
			l.Close()
			if writes.lines != rows || writes.calls > rows/100 {
				t.Errorf("%d lines in %d writes", writes.lines, writes.calls)
			}
		})
	}
}

// A countingWriter counts what it is given.
type countingWriter struct{ calls, lines int }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.calls++
	w.lines += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

func TestListOfWhatIsNoRecord(t *testing.T) {
	r := record(asJSON)
	l := NewList(r.UI, "n", Column[int]{Head: "n"})
	l.Add(1)
	l.Close()
	if err := r.Close(); err == nil || r.out.Len() > 0 {
		t.Errorf("a number became %q, %v", r.out.String(), err)
	}
}

func TestListStreams(t *testing.T) {
	r := record(func(o *Options) { o.StdoutTerminal = true })
	l := NewList(r.UI, "n", Column[int]{Head: "n", Cell: func(n int) string { return strings.Repeat("x", n%7) }}, Column[int]{Head: "end", Cell: func(int) string { return "." }})
	for n := range listBatch {
		if r.out.Len() > 0 {
			t.Fatalf("shown after %d rows, before widths are known", n)
		}
		l.Add(n)
	}
	if r.out.Len() == 0 {
		t.Fatalf("%d rows are held back", listBatch)
	}
	l.Add(10)
	l.Close()
	lines := strings.Split(strings.TrimSpace(r.out.String()), "\n")
	if len(lines) != listBatch+2 {
		t.Errorf("%d lines", len(lines))
	}
	if d := cmp.Diff("xxx     .", lines[len(lines)-1]); d != "" {
		t.Errorf("the last batch is not aligned as the first:\n%s", d)
	}
}
