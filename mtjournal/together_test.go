package mtjournal

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestLinesGoTogether: what comes within milliseconds, or while lines are written, is
// written together, and nobody goes on before the disk has his.
func TestLinesGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		var mu sync.Mutex
		var batches []int
		written := map[string]bool{}
		write := func(records ...Record) (err error) {
			<-time.After(time.Second)
			mu.Lock()
			defer mu.Unlock()
			batches = append(batches, len(records))
			for _, r := range records {
				written[r.Path] = true
				if r.Path == "bad" {
					err = errors.New("the disk is full")
				}
			}
			return err
		}
		var group sync.WaitGroup
		add := func(path string) {
			group.Go(func() {
				err := q.add(write, []Record{{Path: path}})
				mu.Lock()
				defer mu.Unlock()
				if !written[path] || (err != nil) != (path == "bad" || path == "with it") {
					t.Errorf("%s: %v after %v", path, err, batches)
				}
			})
			synctest.Wait()
		}
		add("first")
		add("just behind it")
		<-time.After(500 * time.Millisecond) // those are under way
		for i := range 5 {
			add(fmt.Sprint(i))
		}
		<-time.After(time.Second) // and now these
		add("bad")
		add("with it")
		group.Wait()
		if fmt.Sprint(batches) != "[2 5 2]" {
			t.Errorf("written %v at a time", batches)
		}
	})
}

// TestManyLinesDontWait: for others, as one line does.
func TestManyLinesDontWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	synctest.Test(t, func(t *testing.T) {
		a, err := OpenAppend(path)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		line := Record{Op: Deleted, Archive: "A", Path: "a"}
		for n, want := range map[int]time.Duration{1: gathering, 2: 0, 1000: 0} {
			began := time.Now()
			if err := a.AppendTogether(slices.Repeat([]Record{line}, n)...); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("%d lines took %v, want %v", n, took, want)
			}
		}
	})
}
