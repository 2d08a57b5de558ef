package plan

import (
	"math"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// unread is what is known of a file from the store alone: formats of other
// programs have no owner, mostly no mode, and whole seconds.
func unread(f firn.File, at time.Time) Entry {
	e := entry(f)
	e.File.Stamp = firn.Stamp{Size: f.Stamp.Size, ModTime: at}
	e.File.UID, e.File.GID, e.File.Mode, e.Read = -1, -1, 0o600, time.Time{}
	return e
}

// inFloat is what a database keeps of a time that it has as a number of seconds.
func inFloat(t time.Time) time.Time {
	sec, part := math.Modf(float64(t.Unix()) + float64(t.Nanosecond())/1e9)
	return time.Unix(int64(sec), int64(math.Round(part*1e9)))
}

// TestUnread: what was never read here is hashed once, or taken for stored by
// size and time, as exactly as that was recorded.
func TestUnread(t *testing.T) {
	second := day.Truncate(time.Second)
	old := time.Date(1969, 12, 31, 23, 59, 58, 0, time.UTC)
	hashless := func(e *Entry) { e.Content.Tree = treehash.Hash{} }
	tests := []struct {
		name          string
		now           time.Time // of the file on the disk
		then          time.Time // as recorded
		know          func(*Entry)
		plain, trusts Action
	}{
		{name: "to the nanosecond", now: day, then: day, plain: Hash, trusts: Trust},
		{name: "as a floating-point number", now: day, then: inFloat(day), plain: Hash, trusts: Trust},
		{name: "a microsecond later", now: day.Add(time.Microsecond), then: day, plain: Hash, trusts: Hash},
		{name: "a microsecond earlier", now: day.Add(-time.Microsecond), then: day, plain: Hash, trusts: Hash},
		{name: "within the second", now: day, then: second, plain: Hash, trusts: Trust},
		{name: "at the second's end", now: second.Add(time.Second - 1), then: second, plain: Hash, trusts: Trust},
		{name: "the second after", now: second.Add(time.Second), then: second, plain: Hash, trusts: Hash},
		{name: "the second before", now: second.Add(-1), then: second, plain: Hash, trusts: Hash},
		{name: "before 1970", now: old.Add(5), then: old, plain: Hash, trusts: Trust},
		{name: "no time recorded", now: day, plain: Hash, trusts: Hash},
		{name: "no time anywhere", plain: Hash, trusts: Hash},
		{name: "no hash", now: day, then: second, know: hashless, plain: Changed, trusts: Trust},
		{name: "no hash, another time", now: day, then: old, know: hashless, plain: Changed, trusts: Changed},
		{name: "another size", now: day, then: day, know: func(e *Entry) { e.Content.Size++ }, plain: Changed, trusts: Changed},
		{name: "lost", now: day, then: day, know: func(e *Entry) { e.Stored, e.Lost = false, true }, plain: Changed, trusts: Changed},
	}
	for _, tt := range tests {
		f := file("a")
		f.Stamp.ModTime = tt.now
		k := unread(f, tt.then)
		if tt.know != nil {
			tt.know(&k)
		}
		for _, d := range []Detect{ByTime, ByHash, ByTimeAndHash, ByTimeOrHash} {
			for trust, want := range map[bool]Action{false: tt.plain, true: tt.trusts} {
				opts := Options{Detect: d, TrustTimes: trust}
				if got, why := opts.Judge(&f, &k); got != want || why == "" {
					t.Errorf("%s, %v, trusting %v: %v (%s), want %v", tt.name, d, trust, got, why, want)
				}
			}
		}
	}
}

// TestUnreadBySize: who believes sizes has nothing hashed, and gets the metadata
// that nobody recorded.
func TestUnreadBySize(t *testing.T) {
	f := file("a")
	k := unread(f, day.AddDate(0, 0, -1))
	opts := Options{Detect: BySize}
	if got, why := opts.Judge(&f, &k); got != Record || why != "mode" {
		t.Errorf("%v (%s)", got, why)
	}
	opts.Detect = Always
	if got, why := opts.Judge(&f, &k); got != Again {
		t.Errorf("always: %v (%s)", got, why)
	}
}

func TestIsUnread(t *testing.T) {
	empty := file("a")
	empty.Stamp.Size = 0
	link := firn.File{Path: "a", Kind: firn.Symlink, Target: "b"}
	lost := unread(file("a"), day)
	lost.Stored = false
	for i, tt := range []struct {
		entry Entry
		want  bool
	}{{unread(file("a"), day), true}, {entry(file("a")), false}, {unread(empty, day), false}, {unread(link, day), false}, {lost, false}} {
		if tt.entry.IsUnread() != tt.want {
			t.Errorf("entry %d: %v", i, !tt.want)
		}
	}
}
