package transfer

import (
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// TestUnproven: bytes whose hash nobody knows come all the same, verified as far
// as the store gives hashes of them; and it is told whether that was all.
func TestUnproven(t *testing.T) {
	for name, c := range map[string]struct {
		silent bool
		spoil  func(int, firn.Range) flaw
		done   bool // the first piece is there already
		proven bool
		kind   firn.Kind
	}{
		"the store gives hashes":       {proven: true},
		"it gives none":                {silent: true},
		"a wrong byte is fetched anew": {spoil: once(2, flaw{after: 5, flip: true}), proven: true},
		"its hashes are wrong":         {spoil: func(int, firn.Range) flaw { return flaw{liar: treehash.Hash{1}} }, kind: firn.Corrupt},
		"a piece is there already":     {done: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := &shelf{file: newFile(5*mib+7, 1), silent: c.silent, spoil: c.spoil}, &disk{}
			dl, task := fetching(t, s, d, &tally{})
			if c.done {
				head := make([]byte, mib)
				s.file.ReadAt(head, 0)
				d.WriteAt(head, 0)
				task.Done = []Piece{{Offset: 0, Size: mib, Tree: treehash.Sum(head)}}
			}
			task.Tree, task.Unproven = treehash.Hash{}, true
			r, err := dl.Download(t.Context(), task)
			if c.kind != firn.Other {
				if firn.KindOf(err) != c.kind {
					t.Errorf("%v, want %v", err, c.kind)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			d.holds(t, s.file)
			if r.Proven != c.proven || c.done && r.Resumed != mib {
				t.Errorf("%+v", r)
			}
		})
	}
	dl, task := fetching(t, &shelf{file: newFile(1, 1)}, &disk{}, &tally{})
	task.Unproven = true // and yet it has a hash
	if _, err := dl.Download(t.Context(), task); firn.KindOf(err) != firn.Usage {
		t.Error(err)
	}
}
