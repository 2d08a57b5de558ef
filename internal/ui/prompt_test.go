package ui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/firn-archive/firn"
)

// atTerminal is a UI at a terminal where somebody types text.
func atTerminal(text string) *recorder {
	return record(func(o *Options) {
		o.Stdin, o.StdinTerminal, o.StderrTerminal = strings.NewReader(text), true, true
	})
}

func TestConfirm(t *testing.T) {
	for typed, want := range map[string]bool{
		"y\n": true, "YES\n": true, " yes \r\n": true, "y": true,
		"n\n": false, "\n": false, "": false, "yep\n": false, "no\ny\n": false,
	} {
		r := atTerminal(typed)
		got, err := r.Confirm(t.Context(), "send \x1b[2Jit?\nnow?", "--yes")
		if got != want || err != nil {
			t.Errorf("%q: got %v, %v", typed, got, err)
		}
		r.check(t, "", "send \\x1b[2Jit?\nnow? [y/N] ")
	}
}

func TestConfirmName(t *testing.T) {
	for typed, want := range map[string]bool{"photos\n": true, " photos\n": true, "Photos\n": false, "\n": false, "": false} {
		r := atTerminal(typed)
		got, err := r.ConfirmName(t.Context(), "this deletes all", "photos", "--yes")
		if got != want || err != nil {
			t.Errorf("%q: got %v, %v", typed, got, err)
		}
		r.check(t, "", "this deletes all\ntype photos to go on: ")
	}
}

func TestQuestionsNeedATerminal(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"stdin is a pipe":  func(o *Options) { o.StdinTerminal = false },
		"stderr is a file": func(o *Options) { o.StderrTerminal = false },
		"no stdin":         func(o *Options) { o.Stdin = nil },
		"json":             asJSON,
	} {
		t.Run(name, func(t *testing.T) {
			r := record(func(o *Options) {
				o.Stdin, o.StdinTerminal, o.StderrTerminal = strings.NewReader("yes\n"), true, true
				change(o)
			})
			yes, err := r.Confirm(t.Context(), "sure?", "--yes")
			if yes || firn.KindOf(err) != firn.Usage || !strings.HasSuffix(err.Error(), "; to say yes in advance, give --yes") {
				t.Errorf("got %v, %v", yes, err)
			}
			r.check(t, "", "")
		})
	}
}

func TestQuestionsReadNoFurtherThanTheLine(t *testing.T) {
	in := bytes.NewBufferString("yes\nthe next answer\n")
	r := record(func(o *Options) { o.Stdin, o.StdinTerminal, o.StderrTerminal = in, true, true })
	if yes, err := r.Confirm(t.Context(), "sure?", ""); !yes || err != nil {
		t.Fatal(yes, err)
	}
	if got := in.String(); got != "the next answer\n" {
		t.Errorf("left is %q", got)
	}
}

func TestQuestionsEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		stdin, typist := io.Pipe()
		r := record(func(o *Options) { o.Stdin, o.StdinTerminal, o.StderrTerminal = stdin, true, true })
		interrupted := errors.New("interrupted")
		go func() {
			synctest.Wait()
			cancel(interrupted)
		}()
		if _, err := r.Confirm(ctx, "sure?", ""); !errors.Is(err, interrupted) {
			t.Errorf("got %v", err)
		}
		typist.Close()
	})
}

func TestQuestionsReportABrokenTerminal(t *testing.T) {
	r := record(func(o *Options) {
		o.Stdin, o.StdinTerminal, o.StderrTerminal = brokenReader{}, true, true
	})
	if yes, err := r.Confirm(t.Context(), "sure?", ""); yes || err == nil {
		t.Errorf("got %v, %v", yes, err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("input/output error") }
