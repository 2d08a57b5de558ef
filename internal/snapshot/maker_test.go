package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/rows"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
)

// A day is how far apart the commands of most tests are.
const day = 24 * time.Hour

// A bench is one whose syncs end as commands do: with a snapshot.
type bench struct {
	*worktest.Bench
	ids *seal.Identities // that open the snapshots; nil: they are not sealed
}

func newBench(t *testing.T, o storetest.MemoryOptions, faults ...storetest.Fault) *bench {
	t.Helper()
	return &bench{Bench: worktest.New(t, o, faults...)}
}

// sync syncs the tree, and gives what makes the snapshot at the command's end.
func (b *bench) sync() (*snapshot.Maker, catalog.Run) {
	b.T.Helper()
	m := b.Snapshots()
	return m, b.Sync().Run
}

// save makes a snapshot, which must go well.
func (b *bench) save(m *snapshot.Maker, run catalog.Run) {
	b.T.Helper()
	if err := m.Make(b.T.Context(), run); err != nil {
		b.T.Fatal(err)
	}
}

// change makes a version of a file, syncs, and makes a snapshot.
func (b *bench) change(path, content string) {
	b.T.Helper()
	b.Write(path, content)
	b.save(b.sync())
}

// snapshots gives the descriptions of those in the store, the oldest first.
func (b *bench) snapshots() (found []describe.Archive) {
	for _, a := range b.Memory.Archives() {
		if d := describe.Decode(a.Description); d.Kind == describe.Snapshot {
			found = append(found, d)
		}
	}
	return found
}

// chain writes the snapshots in the store by number and base: "1 2>1 3>1".
func (b *bench) chain() string {
	var all []string
	for _, d := range b.snapshots() {
		all = append(all, snapshotText(d.Seq, d.Base))
	}
	return strings.Join(all, " ")
}

func snapshotText(seq, base int64) string {
	if base == 0 {
		return fmtInt(seq)
	}
	return fmtInt(seq) + ">" + fmtInt(base)
}

// read gives what is in the snapshot of a number.
func (b *bench) read(seq int64) (content snapshotContent) {
	b.T.Helper()
	for _, a := range b.Memory.Archives() {
		d := describe.Decode(a.Description)
		if d.Kind != describe.Snapshot || d.Seq != seq {
			continue
		}
		identities := func() (seal.Identities, error) { return *b.ids, nil }
		for row, err := range snapshot.Open(bytes.NewReader(b.Memory.Content(a.ID)), a.Size, identities) {
			if err != nil {
				b.T.Fatal(err)
			}
			content.add(row)
		}
		return content
	}
	b.T.Fatalf("the store has no snapshot %d, but %s", seq, b.chain())
	return content
}

// A snapshotContent is what a test looks at.
type snapshotContent struct {
	header   rows.Header
	files    []string // paths, sorted
	archives int
	known    []string // snapshots
	ended    bool

	dir string
}

func (c *snapshotContent) add(row rows.Row) {
	switch r := row.(type) {
	case *rows.Header:
		c.header = *r
	case *rows.Snapshot:
		c.known = append(c.known, snapshotText(r.Seq, r.Base))
	case *rows.Archive:
		c.archives++
	case *rows.Dir:
		c.dir = r.Path
	case *rows.Entry:
		if r.Name != "" {
			c.files = append(c.files, strings.TrimPrefix(c.dir+"/"+r.Name, "/"))
			slices.Sort(c.files)
		}
	case *rows.End:
		c.ended = true
	}
}

// TestFullAndAdded: the first snapshot has everything, the next one what is
// newer, and the tags say where they are.
func TestFullAndAdded(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{})
	for i := range 200 { // so that what is added to them is little
		b.Write("old/"+fmtInt(int64(i)), "content "+fmtInt(int64(i)))
	}
	b.change("a", "1")
	b.Clock.Advance(day)
	b.change("sub/b", "2")
	if got := b.chain(); got != "1 2>1" {
		t.Fatalf("snapshots: %s", got)
	}
	first, second := b.read(1), b.read(2)
	if len(first.files) != 201 || first.archives != 201 || !first.ended || first.header.Base != 0 || first.header.Through == 0 {
		t.Errorf("the first one: %+v", first)
	}
	if diff := cmp.Diff([]string{"sub/b"}, second.files); diff != "" || second.header.Base != 1 || !second.ended {
		t.Errorf("the second one: %+v", second)
	}
	if h := second.header; h.Catalog != b.Catalog.ID() || h.Host != "here" || h.Store.URL != "memory:" || !h.Made.Equal(b.Clock.Now()) {
		t.Errorf("its header: %+v", h)
	}
	if diff := cmp.Diff([]string{"1"}, second.known); diff != "" {
		t.Errorf("it knows the snapshots %q", second.known)
	}
	b.tagged("1+2 1")
}

// tagged checks which chains the tags name, by numbers, and that what they name
// is in the store.
func (b *bench) tagged(want string) {
	b.T.Helper()
	tags, err := b.Memory.Tags(b.T.Context())
	if err != nil {
		b.T.Fatal(err)
	}
	var all []string
	for _, chain := range snapshot.Chains(snapshot.Candidates(tags)) {
		if chain[0].Catalog != b.Catalog.ID() {
			continue
		}
		var seqs []string
		for _, c := range chain {
			if b.Memory.Content(c.Archive) == nil {
				b.T.Errorf("the tag for %d names %s, which is not there", c.Seq, c.Archive)
			}
			seqs = append(seqs, fmtInt(c.Seq))
		}
		all = append(all, strings.Join(seqs, "+"))
	}
	if got := strings.Join(all, " "); got != want {
		b.T.Errorf("tagged: %q, want %q", got, want)
	}
}

// TestNothingNew: what is saved is not saved again.
func TestNothingNew(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{})
	b.change("a", "1")
	for range 3 {
		b.Clock.Advance(2 * day)
		m, run := b.sync()
		if due, err := m.Due(t.Context()); due || err != nil {
			t.Errorf("due: %t, %v", due, err)
		}
		b.save(m, run)
	}
	if got := b.chain(); got != "1" {
		t.Errorf("snapshots: %s", got)
	}
}

// TestDue: a command ends with a snapshot once a day, whatever it made while it
// went on.
func TestDue(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{})
	due := func(m *snapshot.Maker, want bool) {
		t.Helper()
		got, err := m.Due(t.Context())
		if err != nil || got != want {
			t.Errorf("due: %t, %v", got, err)
		}
	}
	due(b.Snapshots(), false) // the catalog knows nothing of the store
	b.Write("a", "1")
	m, run := b.sync()
	due(m, true)
	b.save(m, run)
	b.Write("b", "2")
	b.Sync() // another tree of the same command
	due(m, true)
	m, run = b.sync()
	due(m, false) // it was today
	b.Clock.Advance(19 * time.Hour)
	due(b.Snapshots(), false)
	due(m, false)
	b.Clock.Advance(2 * time.Hour)
	due(m, true)
	b.save(m, run)
	due(m, false)
	b.Write("c", "3")
	b.Sync()
	b.Clock.Advance(-3 * day) // it was wrong when that one was made
	due(b.Snapshots(), true)
}

// TestMidway: while a command goes on it is time after a day or 100 GB, and
// that is said once.
func TestMidway(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{})
	m := b.Snapshots()
	for i, step := range []struct {
		bytes int64
		after time.Duration
		want  bool
	}{
		{60e9, 0, false}, {60e9, 0, true}, {60e9, 0, false}, {0, 23 * time.Hour, false}, {60e9, 0, true},
		{1, 23 * time.Hour, false}, {1, time.Hour, true}, {1, 23 * time.Hour, false}, {100e9, 0, true},
	} {
		b.Clock.Advance(step.after)
		if got := m.Sent(step.bytes); got != step.want {
			t.Errorf("step %d: %t", i, got)
		}
	}
}

// TestFullAgain: when what was added to a full one comes to a quarter of it, the
// next one is full.
func TestFullAgain(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{})
	for i := range 200 {
		b.Write("old/"+fmtInt(int64(i)), "content "+fmtInt(int64(i)))
	}
	b.change("a", "1")
	for i := range 25 {
		b.Clock.Advance(day)
		b.change("new/"+fmtInt(int64(i)), "more "+fmtInt(int64(i)))
	}
	known, err := b.Catalog.Snapshots(t.Context(), b.Row.ID)
	if err != nil {
		t.Fatal(err)
	}
	fulls, added := 0, int64(0)
	var full catalog.Snapshot
	for _, s := range known {
		if s.Base == 0 {
			if fulls++; fulls > 1 && added <= full.Size/4 {
				t.Errorf("snapshot %d is full, though %d of %d bytes were added", s.Seq, added, full.Size)
			}
			full, added = s, 0
			continue
		}
		if added > full.Size/4 || s.Base != full.Seq {
			t.Errorf("snapshot %d adds to %d, after %d of %d bytes", s.Seq, s.Base, added, full.Size)
		}
		added += s.Size
	}
	if fulls < 2 || fulls > 12 {
		t.Errorf("%d full ones of %d", fulls, len(known))
	}
}

// TestSealed: where a tree is encrypted, the snapshot is, for its recipients.
func TestSealed(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{})
	b.ids = b.Seal()
	b.change("hidden-name", "1")
	a := b.Memory.Archives()
	last := a[len(a)-1]
	data := b.Memory.Content(last.ID)
	if d := describe.Decode(last.Description); !seal.IsSealed(data) || !d.Made.Equal(d.Made.Truncate(day)) || d.Seq != 1 || d.Catalog != b.Catalog.ID() {
		t.Errorf("%+v, which begins with %q", d, data[:20])
	}
	if got := b.read(1); len(got.files) != 1 || got.files[0] != "hidden-name" {
		t.Errorf("%+v", got)
	}
	for row, err := range snapshot.Open(bytes.NewReader(data), last.Size, nil) {
		if firn.KindOf(err) != firn.Denied {
			t.Errorf("without identity: %v, %v", row, err)
		}
	}
	// In the clear from now on: but the names of before stay hidden.
	o := b.Options()
	o.Recipients, o.Unencrypted, o.Snapshots = nil, true, nil
	b.Write("clear", "2")
	res, err := b.SyncWith(o)
	if err != nil {
		t.Fatal(err)
	}
	b.save(b.Snapshots(), res.Run)
	a = b.Memory.Archives()
	if !seal.IsSealed(b.Memory.Content(a[len(a)-1].ID)) {
		t.Error("anybody can read the snapshot, and the next full one would have the hidden name")
	}
}

// TestCheck: what the tags tell of the store and of the catalog.
func TestCheck(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{})
	b.change("a", "1")
	newest := "firn-catalog-" + b.Catalog.ID().String()
	good, err := b.Memory.Tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tags map[string]string
		kind firn.Kind
		says string
	}{
		"as they are":         {nil, firn.Other, ""},
		"of another store":    {map[string]string{"firn-store": "0123456789abcdef"}, firn.Conflict, "another store"},
		"ahead":               {map[string]string{newest: "2/later"}, firn.Conflict, "firn recover memory:"},
		"the same number":     {map[string]string{newest: "1/other"}, firn.Conflict, "both are in use"},
		"nonsense":            {map[string]string{newest: "what"}, firn.Other, ""},
		"of another catalog":  {map[string]string{"firn-catalog-" + one.String(): "9/x"}, firn.Other, ""},
		"gone":                {map[string]string{newest: ""}, firn.Other, ""},
		"of somebody's owner": {map[string]string{"Owner": "me"}, firn.Other, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tags := maps.Clone(good)
			maps.Copy(tags, c.tags)
			b.setTags(tags)
			err := b.Snapshots().Check(t.Context())
			if firn.KindOf(err) != c.kind || (err == nil) != (c.kind == firn.Other) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatal(err)
			}
			if err == nil {
				b.tagged("1") // it is set where it was not
			}
		})
	}
}

// setTags makes the store's tags these.
func (b *bench) setTags(tags map[string]string) {
	b.T.Helper()
	ctx := b.T.Context()
	old, err := b.Memory.Tags(ctx)
	if err != nil {
		b.T.Fatal(err)
	}
	if err := b.Memory.RemoveTags(ctx, slices.Collect(maps.Keys(old))...); err != nil {
		b.T.Fatal(err)
	}
	if err := b.Memory.SetTags(ctx, tags); err != nil {
		b.T.Fatal(err)
	}
}

// TestTagsAreAHint: who may not read or set them makes snapshots all the same,
// and hears of it once.
func TestTagsAreAHint(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{}, storetest.Fault{Op: "Tags", Kind: firn.Denied}, storetest.Fault{Op: "SetTags", Times: -1, Kind: firn.Denied})
	m := b.Snapshots()
	if err := m.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for i := range 3 {
		b.Write(fmtInt(int64(i)), fmtInt(int64(i)))
		b.save(m, b.Sync().Run)
	}
	if got := len(b.snapshots()); got != 3 {
		t.Errorf("%d snapshots", got)
	}
	if said := b.Notices(); len(said) != 1 || !strings.HasPrefix(said[0], "the tags of memory: could not be set") {
		t.Errorf("said %q", said)
	}
	if err := m.Check(t.Context()); err != nil { // it finds that they lag, and can't set them
		t.Error(err)
	}
}

// TestTooManyTags: a store that has as many as it may is one without.
func TestTooManyTags(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{})
	tags := map[string]string{}
	for i := range 50 {
		tags["Tag"+fmtInt(int64(i))] = "x"
	}
	b.setTags(tags)
	b.change("a", "1")
	if said := b.Notices(); len(said) != 1 || !strings.Contains(said[0], "53 tags") {
		t.Errorf("said %q", said)
	}
}

// TestThin: what is not needed any more goes when it was paid for, and never
// what something adds to.
func TestThin(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{MinDuration: 90 * day})
	for i := range 200 {
		b.Write("old/"+fmtInt(int64(i)), "content "+fmtInt(int64(i)))
	}
	all := map[string]bool{}
	for i := range 30 {
		b.change(fmtInt(int64(i)), "more "+fmtInt(int64(i)))
		for _, s := range strings.Fields(b.chain()) {
			all[s] = true
		}
		b.checkThinned()
		b.Clock.Advance(10 * day)
	}
	left := strings.Fields(b.chain())
	if len(all) != 30 || len(left) > 20 || len(left) < 9 {
		t.Errorf("%d of %d are left: %s", len(left), len(all), left)
	}
	known, err := b.Catalog.Snapshots(t.Context(), b.Row.ID)
	if err != nil {
		t.Fatal(err)
	}
	deleted := 0
	for _, s := range known {
		if s.State == catalog.Deleted {
			deleted++
		}
	}
	if deleted != 30-len(left) {
		t.Errorf("%d are recorded as deleted, %d are gone", deleted, 30-len(left))
	}
}

// TestThinInS3: there snapshots are of STANDARD, whatever the store's class is, and
// cost nothing more when they are deleted soon.
func TestThinInS3(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{MinDuration: 180 * day})
	b.Row.Kind = "s3"
	for i := range 8 {
		b.change("f", fmtInt(int64(i)))
		b.Clock.Advance(10 * day)
	}
	if left := strings.Fields(b.chain()); len(left) > 3 {
		t.Errorf("%d are left: %s", len(left), left)
	}
}

// checkThinned checks the snapshots in the store: none was deleted before 90
// days, nor was what another one adds to.
func (b *bench) checkThinned() {
	b.T.Helper()
	there := map[int64]bool{}
	for _, d := range b.snapshots() {
		there[d.Seq] = true
	}
	for _, d := range b.snapshots() {
		if d.Base != 0 && !there[d.Base] {
			b.T.Errorf("%d adds to %d, which is gone", d.Seq, d.Base)
		}
	}
	known, err := b.Catalog.Snapshots(b.T.Context(), b.Row.ID)
	if err != nil {
		b.T.Fatal(err)
	}
	for _, s := range known {
		if !there[s.Seq] && b.Clock.Now().Sub(s.Made) < 90*day {
			b.T.Errorf("%d was deleted early", s.Seq)
		}
	}
}

// TestThinFails: old snapshots that can't be deleted harm nobody.
func TestThinFails(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{}, storetest.Fault{Op: "DeleteArchive", Kind: firn.Denied})
	b.change("a", "1")
	b.Clock.Advance(day)
	b.change("b", "2")
	if said := b.Notices(); len(said) != 0 {
		t.Errorf("nothing is old enough, and yet: %q", said)
	}
	b.Clock.Advance(10 * day)
	b.change("c", "3")
	if said := b.Notices(); len(said) != 1 || !strings.HasPrefix(said[0], "old snapshots of the catalog stay") {
		t.Errorf("said %q", said)
	}
	before := len(b.snapshots())
	b.Clock.Advance(10 * day)
	b.change("d", "4")
	if got := len(b.snapshots()); got > before {
		t.Errorf("they stay for ever: %s", b.chain())
	}
}

// TestLostAnswer: nobody knows whether it arrived; another one does, under a
// number of its own.
func TestLostAnswer(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadArchive", Nth: 2, Kind: firn.Lost, Late: true})
	b.change("a", "1")
	if got := b.chain(); got != "1 2" {
		t.Errorf("snapshots: %s", got)
	}
	b.tagged("2")
	b.nothingLeft()
	b.change("b", "2")
	if got := b.snapshots(); got[len(got)-1].Seq != 3 {
		t.Errorf("snapshots: %s", b.chain())
	}
}

// nothingLeft checks that nothing of an upload is open or in the way.
func (b *bench) nothingLeft() {
	b.T.Helper()
	intents, err := b.Catalog.OpenIntents(b.T.Context(), b.Row.ID)
	if err != nil || len(intents) != 0 {
		b.T.Errorf("open: %+v, %v", intents, err)
	}
	b.Stored() // which complains of open uploads
	left, err := os.ReadDir(b.SnapshotOptions().Spool)
	if err != nil && !errors.Is(err, os.ErrNotExist) || len(left) != 0 {
		b.T.Errorf("in the spool: %v, %v", left, err)
	}
}

// TestFailures: what keeps a snapshot from being made is said, and costs nothing
// but that.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		fault   storetest.Fault
		kind    firn.Kind
		arrived string // all the same
	}{
		"refused":        {storetest.Fault{Op: "UploadArchive", Nth: 2, Kind: firn.Denied}, firn.Denied, ""},
		"answers lost":   {storetest.Fault{Op: "UploadArchive", Nth: 2, Times: 2, Kind: firn.Lost, Late: true}, firn.InDoubt, "1 2"},
		"no network":     {storetest.Fault{Op: "UploadArchive", Nth: 2, Times: 1000, Kind: firn.Network}, firn.Network, ""},
		"no space there": {storetest.Fault{Op: "UploadArchive", Nth: 2, Kind: firn.Full}, firn.Full, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, storetest.MemoryOptions{}, c.fault)
			b.Write("a", "1")
			m, run := b.sync()
			err := m.Make(t.Context(), run)
			if firn.KindOf(err) != c.kind || !strings.HasPrefix(err.Error(), "save the catalog in memory:: ") || !strings.Contains(err.Error(), "the next sync tries again") {
				t.Fatal(err)
			}
			if got := b.chain(); got != c.arrived {
				t.Errorf("snapshots: %s", got)
			}
			if due, err := m.Due(t.Context()); !due || err != nil {
				t.Errorf("due: %t, %v", due, err)
			}
			b.healed(t)
		})
	}
}

// healed does what the next command does.
func (b *bench) healed(t *testing.T) {
	t.Helper()
	b.Store = b.Memory
	before := len(b.snapshots())
	m, run := b.sync()
	if err := m.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.nothingLeft()
	b.save(m, run)
	if got := b.snapshots(); len(got) != before+1 {
		t.Errorf("snapshots: %s", b.chain())
	}
	b.nothingLeft()
}

// TestSpool: a disk that can't be written to is told as such.
func TestSpool(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{})
	b.Write("a", "1")
	_, run := b.sync()
	o := b.SnapshotOptions()
	if err := os.WriteFile(o.Spool, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := snapshot.NewMaker(o).Make(t.Context(), run)
	if firn.KindOf(err) != firn.Local || !strings.Contains(err.Error(), o.Spool) {
		t.Errorf("%v", err)
	}
	if err := os.Remove(o.Spool); err != nil {
		t.Fatal(err)
	}
	b.healed(t)
}

// TestInterrupted: an interrupt is no failure of the snapshot, and what it
// leaves goes away.
func TestInterrupted(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{})
	b.Write("a", "1")
	_, run := b.sync()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	o := b.SnapshotOptions()
	o.Events = func(firn.Event) { cancel(stop) } // as soon as it is to be sent
	if err := snapshot.NewMaker(o).Make(ctx, run); err != stop {
		t.Errorf("%v", err)
	}
	b.healed(t)
}

// TestKilled: whatever a killed command left of a snapshot, the next one clears
// away: its upload, also one whose id got lost, and the spool file.
func TestKilled(t *testing.T) {
	for name, recorded := range map[string]bool{"upload recorded": true, "upload not recorded": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, storetest.MemoryOptions{})
			b.Write("a", "1")
			_, run := b.sync()
			o := b.SnapshotOptions()
			spool := o.Spool + "/catalog-1-" + firn.NewToken().String()
			write(t, spool)
			write(t, o.Spool+"/catalog-2-"+firn.NewToken().String()) // another store's
			token := firn.NewToken()
			description, err := describe.Encode(describe.Archive{Token: token, Kind: describe.Snapshot, Made: b.Clock.Now(), Catalog: b.Catalog.ID(), Seq: 1})
			if err != nil {
				t.Fatal(err)
			}
			in := catalog.Intent{Store: b.Row.ID, Run: run.ID, Token: token, Kind: catalog.CatalogArchive, Description: description, Size: 1 << 30, Spool: spool}
			s := catalog.Snapshot{Store: b.Row.ID, Catalog: b.Catalog.ID(), Own: true, Seq: 1, Through: run.ID, Made: b.Clock.Now()}
			if err := b.Catalog.IntendSnapshot(t.Context(), &in, &s); err != nil {
				t.Fatal(err)
			}
			id, err := b.Memory.StartUpload(t.Context(), description, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if recorded {
				if err := b.Catalog.UploadOpened(t.Context(), in.ID, id, 1<<20); err != nil {
					t.Fatal(err)
				}
			}
			m, run := b.sync() // which leaves it alone
			if err := m.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if left, err := os.ReadDir(o.Spool); err != nil || len(left) != 1 || !strings.HasPrefix(left[0].Name(), "catalog-2-") {
				t.Errorf("in the spool: %v, %v", left, err)
			}
			os.RemoveAll(o.Spool)
			b.nothingLeft()
			b.save(m, run)
			if got := b.chain(); got != "2" { // 1 may be anywhere
				t.Errorf("snapshots: %s", got)
			}
		})
	}
}

// TestLeftoverThatStays: what can't be cleared away keeps nobody from making
// snapshots.
func TestLeftoverThatStays(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{}, storetest.Fault{Op: "AbortUpload", Kind: firn.Denied})
	b.Write("a", "1")
	m, run := b.sync()
	in := catalog.Intent{Store: b.Row.ID, Run: run.ID, Token: firn.NewToken(), Kind: catalog.CatalogArchive, Description: "x", Size: 1 << 30}
	s := catalog.Snapshot{Through: run.ID, Made: b.Clock.Now()}
	if err := b.Catalog.IntendSnapshot(t.Context(), &in, &s); err != nil {
		t.Fatal(err)
	}
	if err := b.Catalog.UploadOpened(t.Context(), in.ID, "gone", 1<<20); err != nil {
		t.Fatal(err)
	}
	b.save(m, run)
	if got := b.chain(); got != "2" {
		t.Errorf("snapshots: %s", got)
	}
	if said := b.Notices(); len(said) != 1 || !strings.HasPrefix(said[0], "warning: what an interrupted command left") {
		t.Errorf("said %q", said)
	}
	b.Write("b", "2")
	b.save(b.sync())
	b.nothingLeft()
}

// TestStoreThatIsAway: a store that can't be reached is no store whose tags are
// hidden.
func TestStoreThatIsAway(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{}, storetest.Fault{Op: "Tags", Times: -1, Kind: firn.Network})
	if err := b.Snapshots().Check(t.Context()); firn.KindOf(err) != firn.Network {
		t.Errorf("%v", err)
	}
}

// write makes a file.
func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path[:strings.LastIndexByte(path, '/')], 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("rows"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOneAtATime: of two that are asked for at once the second one finds that
// nothing is newer. Of what another process holds the end is waited for.
func TestOneAtATime(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{})
	b.Write("a", "1")
	m, run := b.sync()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := m.Make(t.Context(), run); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := b.chain(); got != "1" {
		t.Errorf("snapshots: %s", got)
	}
	b.Write("b", "2")
	run = b.Sync().Run
	held, tries := &firn.Error{Op: "lock", Kind: firn.Conflict}, 0
	o := b.SnapshotOptions()
	o.Lock = func() (func(), error) {
		if tries++; tries < 5 {
			return nil, held
		}
		return func() { tries = 0 }, nil
	}
	b.save(snapshot.NewMaker(o), run)
	if len(b.snapshots()) != 2 || tries != 0 {
		t.Errorf("snapshots: %s, and the lock is %d", b.chain(), tries)
	}
	o.Lock = func() (func(), error) { return nil, held }
	began := b.Clock.Now()
	if err := snapshot.NewMaker(o).Make(t.Context(), run); firn.KindOf(err) != firn.Conflict || b.Clock.Now().Sub(began) > time.Hour {
		t.Errorf("for ever: %v after %v", err, b.Clock.Now().Sub(began))
	}
	if err := snapshot.NewMaker(o).Settle(t.Context()); err != nil { // the other one does it
		t.Error(err)
	}
}

// TestANewTreeIsDue does not wait for the next day with a tree that no snapshot
// has.
func TestANewTreeIsDue(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "1")
	b.Sync()
	maker := b.Snapshots()
	run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, 0, "snapshot")
	if err == nil {
		err = maker.Make(t.Context(), run)
	}
	if err != nil {
		t.Fatal(err)
	}
	isDue := func() bool {
		t.Helper()
		b.Clock.Advance(time.Minute)
		due, err := b.Snapshots().Due(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return due
	}
	b.Write("a", "2")
	b.Clock.Advance(time.Minute)
	b.Sync()
	if isDue() {
		t.Error("a second sync of the day is due")
	}
	o := b.Options()
	o.Tree = "other"
	if _, err := b.SyncWith(o); err != nil {
		t.Fatal(err)
	}
	if !isDue() {
		t.Error("the first sync of a tree isn't due")
	}
}

// TestAnAdoptedTreeIsDue takes the first sync of a tree that was found in the
// store before for that of a new one: no snapshot knows its directory.
func TestAnAdoptedTreeIsDue(t *testing.T) {
	b := newBench(t, storetest.MemoryOptions{})
	made := b.Clock.Now().Add(-time.Hour)
	find := catalog.Find{Archive: firn.Archive{ID: "theirs", Size: 3, Created: made}, Kind: catalog.ForeignArchive, Members: []catalog.FoundMember{{
		Tree: "tree", File: firn.File{Path: "a", Kind: firn.Regular, Stamp: firn.Stamp{Size: 3, ModTime: made}}, Content: firn.Content{Size: 3},
	}}}
	adopted, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, 0, "adopt")
	if err == nil {
		_, err = b.Catalog.TakeIn(t.Context(), adopted, []catalog.Find{find})
	}
	if err == nil {
		err = b.Catalog.EndRun(t.Context(), adopted, catalog.Outcome{Complete: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	b.save(b.Snapshots(), adopted)
	b.Clock.Advance(time.Minute)
	b.Write("a", "one")
	m, _ := b.sync()
	if due, err := m.Due(t.Context()); !due || err != nil {
		t.Errorf("due: %t, %v", due, err)
	}
}
