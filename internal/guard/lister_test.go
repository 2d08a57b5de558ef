package guard_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/storetest"
)

// A live is a store whose inventories are made while they are read: each reading has
// a list of its own, and breaks off behind it unless it is the last.
type live struct {
	firn.Store
	lists   [][]firn.ArchiveID
	reading int
	recall  firn.Recall // that came
}

func (l *live) Traits() firn.Traits {
	t := l.Store.Traits()
	t.LiveInventory = true
	return t
}

func (l *live) InventoryBut(_ context.Context, _ firn.JobID, recall firn.Recall, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	l.recall = recall
	list := l.lists[min(l.reading, len(l.lists)-1)]
	l.reading++
	info := firn.InventoryInfo{Date: time.Unix(int64(l.reading), 0), Archives: int64(len(list))}
	for _, id := range list {
		if err := each(firn.Archive{ID: id}); err != nil {
			return info, err
		}
	}
	if l.reading < len(l.lists) {
		return info, &firn.Error{Op: "list", Kind: firn.Lost, Err: errors.New("it broke off")}
	}
	return info, nil
}

func ids(s ...string) (all []firn.ArchiveID) {
	for _, id := range s {
		all = append(all, firn.ArchiveID(id))
	}
	return all
}

// TestLiveInventory: what changes while a list breaks off and is read again does no
// harm, and the list is of the time of its first reading.
func TestLiveInventory(t *testing.T) {
	var thousand []firn.ArchiveID
	for i := range 2500 {
		thousand = append(thousand, firn.ArchiveID(fmt.Sprintf("%05d", i)))
	}
	for name, c := range map[string]struct {
		lists [][]firn.ArchiveID
		want  []firn.ArchiveID
		kind  firn.Kind
	}{
		"whole at once":           {lists: [][]firn.ArchiveID{ids("a", "b")}, want: ids("a", "b")},
		"nothing changed":         {lists: [][]firn.ArchiveID{ids("a", "b"), ids("a"), ids("a", "b", "c")}, want: ids("a", "b", "c")},
		"it broke at the start":   {lists: [][]firn.ArchiveID{nil, ids("b", "c")}, want: ids("b", "c")},
		"the last one went":       {lists: [][]firn.ArchiveID{ids("a", "b"), ids("a", "c")}, want: ids("a", "b", "c")},
		"one came before":         {lists: [][]firn.ArchiveID{ids("b", "c"), ids("a", "b", "c", "d")}, want: ids("b", "c", "d")},
		"one came amid":           {lists: [][]firn.ArchiveID{ids("b", "d"), ids("b", "c", "d", "e")}, want: ids("b", "d", "c", "e")},
		"longer than is kept":     {lists: [][]firn.ArchiveID{thousand[:2400], thousand}, want: thousand},
		"all of them went":        {lists: [][]firn.ArchiveID{ids("a", "b"), ids("c")}, want: ids("a", "b"), kind: firn.Corrupt},
		"it broke before the end": {lists: [][]firn.ArchiveID{ids("a", "b", "c"), ids("a"), ids("a", "b"), ids("a", "b", "c", "d")}, want: ids("a", "b", "c", "d")},
	} {
		below := &live{Store: storetest.NewMemory(storetest.MemoryOptions{}), lists: c.lists}
		s := guard.Retry(below, guard.RetryOptions{Clock: clock.NewManual(time.Unix(0, 0))})
		var got []firn.ArchiveID
		info, err := s.Inventory(t.Context(), "x", func(a firn.Archive) error {
			got = append(got, a.ID)
			return nil
		})
		if !slices.Equal(got, c.want) || info.Archives != int64(len(got)) || !info.Date.Equal(time.Unix(1, 0)) {
			t.Errorf("%s: %q of %+v", name, got, info)
		}
		if c.kind != firn.Other && firn.KindOf(err) != c.kind || c.kind == firn.Other && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLiveInventoryStops: an error of each ends the reading, whatever it is like.
func TestLiveInventoryStops(t *testing.T) {
	below := &live{Store: storetest.NewMemory(storetest.MemoryOptions{}), lists: [][]firn.ArchiveID{ids("a", "b")}}
	enough := &firn.Error{Op: "take", Kind: firn.Network, Err: errors.New("enough")}
	_, err := guard.Retry(below, guard.RetryOptions{Clock: clock.NewManual(time.Unix(0, 0))}).Inventory(t.Context(), "x", func(firn.Archive) error { return enough })
	if !errors.Is(err, enough) || below.reading != 1 {
		t.Errorf("%v after %d readings", err, below.reading)
	}
}

// TestRecallPasses: what is known reaches the store through all decorators.
func TestRecallPasses(t *testing.T) {
	below := &live{Store: storetest.NewMemory(storetest.MemoryOptions{}), lists: [][]firn.ArchiveID{ids("a")}}
	counter := guard.NewCounter()
	s := guard.DryRun(guard.Retry(guard.Limit(guard.Count(below, counter), guard.LimitOptions{Upload: steady(1 << 20)}), guard.RetryOptions{}))
	called := false
	recall := func(context.Context, []firn.Archive) ([]bool, error) {
		called = true
		return nil, nil
	}
	if _, err := firn.InventoryBut(t.Context(), s, "x", recall, func(firn.Archive) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if below.recall == nil || counter.Of(guard.OpInventory).Calls != 1 {
		t.Fatalf("it didn't come through; %+v", counter.All())
	}
	if below.recall(t.Context(), nil); !called {
		t.Error("another one came through")
	}
}

// steady is a rate that never changes.
type steady int64

func (s steady) At(time.Time) (int64, time.Time) { return int64(s), time.Time{} }
