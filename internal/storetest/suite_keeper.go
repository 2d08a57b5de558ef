package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

func (t *suiteTest) describe() {
	info, err := t.Store.Describe(t.ctx)
	t.must(err)
	if info.Name == "" || info.Identity == "" || info.Address == "" || info.Created.IsZero() {
		t.Errorf("something is missing: %+v", info)
	}
	if info.Now.Before(info.Created.Truncate(time.Second)) {
		t.Errorf("made at %v, by a clock that shows %v", info.Created, info.Now)
	}
	if !info.LastInventory.IsZero() || info.Archives != 0 || info.Bytes != 0 {
		t.Errorf("a new store knows of an inventory: %+v", info)
	}
	t.upload("x", Data(1, 100))
	later, err := t.Store.Describe(t.ctx)
	t.must(err)
	if later.Identity != info.Identity || !later.Created.Equal(info.Created) {
		t.Errorf("the identity was %q, is %q", info.Identity, later.Identity)
	}
}

func (t *suiteTest) createTwice() {
	before, err := t.Store.Describe(t.ctx)
	t.must(err)
	t.must(t.Store.Create(t.ctx))
	after, err := t.Store.Describe(t.ctx)
	t.must(err)
	if before.Identity != after.Identity {
		t.Errorf("creating it again made another store: %q, %q", before.Identity, after.Identity)
	}
}

// missing: every call but Create and Delete says that there is no store.
func (t *suiteTest) missing() {
	s := t.Missing
	for name, err := range calls(t.ctx, s) {
		if name == "Create" || name == "Delete" {
			continue
		}
		t.wants(name, err, firn.NotFound)
	}
	if err := s.Delete(t.ctx); err != nil {
		t.Errorf("Delete: %v", err)
	}
	t.must(s.Create(t.ctx))
	if _, err := s.Describe(t.ctx); err != nil {
		t.Errorf("after Create: %v", err)
	}
}

// calls makes every call once, with arguments that a store has no reason to
// refuse but that the things they name may not be there.
func calls(ctx context.Context, s firn.Store) map[string]error {
	body, sums := Body([]byte("x"))
	_, uploads := Collect(s.Uploads(ctx))
	_, parts := Collect(s.Parts(ctx, "nothing"))
	_, jobs := Collect(s.Jobs(ctx))
	_, archive := s.UploadArchive(ctx, "x", body, sums)
	_, start := s.StartUpload(ctx, "x", max(treehash.LeafSize, s.Traits().MinPart))
	_, complete := s.CompleteUpload(ctx, "nothing", 1, sums.Tree)
	_, retrieval := s.StartRetrieval(ctx, firn.RetrievalSpec{Archive: "nothing", Tier: firn.Bulk})
	_, inventory := s.StartInventory(ctx, firn.InventorySpec{Description: "x"})
	_, job := s.Job(ctx, "nothing")
	_, output := s.Output(ctx, "nothing", firn.Range{End: 1})
	_, read := s.Inventory(ctx, "nothing", func(firn.Archive) error { return nil })
	_, describe := s.Describe(ctx)
	_, tags := s.Tags(ctx)
	return map[string]error{
		"UploadArchive": archive, "StartUpload": start, "CompleteUpload": complete,
		"UploadPart":  s.UploadPart(ctx, "nothing", 0, body, sums),
		"AbortUpload": s.AbortUpload(ctx, "nothing"),
		"Uploads":     uploads, "Parts": parts, "Jobs": jobs,
		"StartRetrieval": retrieval, "StartInventory": inventory, "Job": job, "Output": output, "Inventory": read,
		"DeleteArchive": s.DeleteArchive(ctx, "nothing"),
		"Describe":      describe, "Tags": tags,
		"SetTags":    s.SetTags(ctx, map[string]string{"k": "v"}),
		"RemoveTags": s.RemoveTags(ctx, "k"),
		"Create":     s.Create(ctx), "Delete": s.Delete(ctx),
	}
}

func (t *suiteTest) deleteStore() {
	before, err := t.Store.Describe(t.ctx)
	t.must(err)
	id := t.upload("x", Data(2, 100))
	t.Advance(t.Lag)
	t.wants("with an archive", t.Store.Delete(t.ctx), firn.NotEmpty)
	t.Advance(time.Second)
	t.must(t.Store.DeleteArchive(t.ctx, id))
	if t.Lag > 0 {
		t.wants("before an inventory shows it empty", t.Store.Delete(t.ctx), firn.NotEmpty)
	}
	t.Advance(t.Lag)
	t.must(t.Store.Delete(t.ctx))
	_, err = t.Store.Describe(t.ctx)
	t.wants("Describe", err, firn.NotFound)
	if err := t.Store.Delete(t.ctx); err != nil {
		t.Errorf("once more: %v", err)
	}
	t.Advance(time.Second)
	t.must(t.Store.Create(t.ctx))
	after, err := t.Store.Describe(t.ctx)
	t.must(err)
	if before.Identity == after.Identity {
		t.Errorf("made anew it has the same identity: %q", after.Identity)
	}
}

func (t *suiteTest) tags() {
	check := func(want map[string]string) {
		t.Helper()
		got, err := t.Store.Tags(t.ctx)
		t.must(err)
		if got == nil || !maps.Equal(got, want) {
			t.Errorf("got %#v, want %v", got, want)
		}
	}
	check(map[string]string{})
	want := map[string]string{"empty": ""}
	for i := range 23 { // more than a request may carry
		want[fmt.Sprintf("key %d _./=+-@", i)] = strings.Repeat("v", i)
	}
	t.must(t.Store.SetTags(t.ctx, want))
	check(want)
	want["key 3 _./=+-@"] = "another"
	want["Case"] = "counts"
	want["case"] = "so"
	t.must(t.Store.SetTags(t.ctx, map[string]string{"key 3 _./=+-@": "another", "Case": "counts", "case": "so"}))
	check(want)
	gone := []string{"unknown", "case"}
	for i := range 20 {
		gone = append(gone, fmt.Sprintf("key %d _./=+-@", i))
	}
	t.must(t.Store.RemoveTags(t.ctx, gone...))
	for _, k := range gone {
		delete(want, k)
	}
	check(want)
	t.must(errors.Join(t.Store.SetTags(t.ctx, nil), t.Store.RemoveTags(t.ctx)))
	check(want)
}

func (t *suiteTest) badTags() {
	many := map[string]string{}
	for i := range 51 {
		many[fmt.Sprint("k", i)] = "v"
	}
	for name, tags := range map[string]map[string]string{
		"too many":        many,
		"an empty key":    {"": "v"},
		"a long key":      {strings.Repeat("k", 129): "v"},
		"a long value":    {"k": strings.Repeat("v", 256)},
		"a reserved name": {"aws:k": "v"},
	} {
		t.wants(name, t.Store.SetTags(t.ctx, tags), firn.Invalid)
	}
}

// endedContext: a call whose context has ended gives the cause, and does
// nothing.
func (t *suiteTest) endedContext() {
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(t.ctx)
	cancel(because)
	for name, err := range calls(ctx, t.Store) {
		if !errors.Is(err, because) {
			t.Errorf("%s: %v, want the context's cause", name, err)
		}
	}
	if uploads, err := Collect(t.Store.Uploads(t.ctx)); err != nil || len(uploads) > 0 {
		t.Errorf("%d uploads, %v", len(uploads), err)
	}
	if jobs, err := Collect(t.Store.Jobs(t.ctx)); err != nil || len(jobs) > 0 {
		t.Errorf("%d jobs, %v", len(jobs), err)
	}
	t.nothing("no call was to be made")
}

// iterators: a loop over a listing may end early, and a listing may be looped
// over again.
func (t *suiteTest) iterators() {
	for i := range 3 {
		t.multi(label(i), Data(uint64(i), 1), t.partSize())
	}
	uploads := t.Store.Uploads(t.ctx)
	for _, err := range uploads {
		t.must(err)
		break
	}
	all, err := Collect(uploads)
	t.must(err)
	if len(all) != 3 {
		t.Errorf("%d uploads at the second look", len(all))
	}
}

// concurrent: many calls at the same time don't disturb one another.
func (t *suiteTest) concurrent() {
	const n = 24
	ids := make([]firn.ArchiveID, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			body, sums := Body(Data(uint64(i), 1000+i))
			ids[i], errs[i] = t.Store.UploadArchive(t.ctx, label(i), body, sums)
		})
	}
	wg.Wait()
	t.must(errors.Join(errs...))
	found := map[firn.ArchiveID]firn.Archive{}
	for _, a := range t.listed() {
		found[a.ID] = a
	}
	if len(found) != n {
		t.Errorf("%d archives, want %d", len(found), n)
	}
	for i, id := range ids {
		t.describes(found[id], id, label(i), Data(uint64(i), 1000+i))
	}
}
