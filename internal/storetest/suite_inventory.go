package storetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

func (t *suiteTest) inventory() {
	info, err := t.Store.Describe(t.ctx)
	t.must(err)
	id := t.upload("kept", Data(27, 100))
	gone := t.upload("gone", Data(28, 100))
	t.must(t.Store.DeleteArchive(t.ctx, gone))
	t.Advance(t.Lag)
	job, err := t.Store.StartInventory(t.ctx, firn.InventorySpec{Description: "token"})
	t.must(err)
	all, got := t.readInventory(job)
	if len(all) != 1 {
		t.Fatalf("%d archives", len(all))
	}
	t.describes(all[0], id, "kept", Data(27, 100))
	if got.Subject != info.Address || got.Date.IsZero() {
		t.Errorf("an inventory of %q at %v, want of %q", got.Subject, got.Date, info.Address)
	}
	described, err := t.Store.Job(t.ctx, job)
	t.must(err)
	if described.Kind != firn.InventoryJob || described.State != firn.JobReady || described.Partial ||
		described.Description != "token" || described.InventorySize < 1 && !t.Store.Traits().LiveInventory || described.Tier != "" ||
		described.Format != firn.InventoryJSON || described.Listing != (firn.Listing{}) {
		t.Errorf("%+v", described)
	}
	again, _ := t.readInventory(job)
	if !slices.Equal(again, all) {
		t.Errorf("read once more: %v", again)
	}
}

// lag: what is stored or deleted after an inventory was cut isn't in it.
func (t *suiteTest) lag() {
	if fresh := t.Store.Traits().FreshInventory; fresh != (t.Lag == 0) {
		t.Fatalf("FreshInventory is %v with a lag of %v", fresh, t.Lag)
	}
	first := t.upload("first", Data(29, 100))
	if t.Lag > 0 {
		_, err := t.Store.StartInventory(t.ctx, firn.InventorySpec{})
		t.wants("before the first inventory", err, firn.NotReady)
	}
	t.Advance(t.Lag)
	job, err := t.Store.StartInventory(t.ctx, firn.InventorySpec{})
	t.must(err)
	t.Advance(time.Second)
	t.upload("second", Data(30, 100))
	t.must(t.Store.DeleteArchive(t.ctx, first))
	if all, _ := t.readInventory(job); !t.Store.Traits().LiveInventory && (len(all) != 1 || all[0].ID != first) {
		t.Errorf("an inventory shows what came after it: %v", all)
	}
	if t.Lag > 0 {
		job, err := t.Store.StartInventory(t.ctx, firn.InventorySpec{})
		t.must(err)
		if all, _ := t.readInventory(job); len(all) != 1 || all[0].ID != first {
			t.Errorf("an inventory is fresher than the last day's: %v", all)
		}
		info, err := t.Store.Describe(t.ctx)
		t.must(err)
		if info.LastInventory.IsZero() || info.Archives != 1 || info.Bytes < 100 {
			t.Errorf("described as %+v", info)
		}
	}
	if all := t.listed(); len(all) != 1 || all[0].Description != "second" {
		t.Errorf("in the end there are %v", all)
	}
}

func (t *suiteTest) inventoryStops() {
	for i := range 3 {
		t.upload(label(i), Data(uint64(i), 10))
	}
	t.Advance(t.Lag)
	job, err := t.Store.StartInventory(t.ctx, firn.InventorySpec{})
	t.must(err)
	t.Advance(t.Ripe)
	// Even an error that looks like the network's ends the reading.
	enough := &firn.Error{Op: "take", Kind: firn.Network, Err: errors.New("enough")}
	n := 0
	_, err = t.Store.Inventory(t.ctx, job, func(firn.Archive) error {
		if n++; n == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 2 {
		t.Errorf("%v after %d archives", err, n)
	}
}

func (t *suiteTest) inventoryOfRetrieval() {
	archive := t.upload("x", Data(31, 100))
	job := t.retrieve(firn.RetrievalSpec{Archive: archive})
	_, err := t.Store.Inventory(t.ctx, job.ID, func(firn.Archive) error { return nil })
	t.wants("Inventory", err, firn.Corrupt)
}

// raw starts an inventory job, and reads all of its output.
func (t *suiteTest) raw(spec firn.InventorySpec) (firn.Job, []byte) {
	t.Helper()
	id, err := t.Store.StartInventory(t.ctx, spec)
	t.must(err)
	t.Advance(t.Ripe)
	job, err := t.Store.Job(t.ctx, id)
	t.must(err)
	data, _ := t.download(id, span(0, job.InventorySize))
	return job, data
}

// inventoryOutput: the bytes of an inventory come as those of an archive do.
func (t *suiteTest) inventoryOutput() {
	if t.Store.Traits().LiveInventory {
		t.inventoryWithoutOutput()
		return
	}
	const description = `a "quoted", long\ name`
	id := t.upload(description, Data(34, 100))
	t.Advance(t.Lag)
	job, data := t.raw(firn.InventorySpec{})
	if job.Format != firn.InventoryJSON || int64(len(data)) != job.InventorySize {
		t.Errorf("%d bytes of %+v", len(data), job)
	}
	var list struct {
		ArchiveList []struct {
			ArchiveID, ArchiveDescription, SHA256TreeHash string
			Size                                          int64
		}
	}
	t.must(json.Unmarshal(data, &list))
	if len(list.ArchiveList) != 1 {
		t.Fatalf("%s", data)
	}
	if e := list.ArchiveList[0]; e.ArchiveID != string(id) || e.ArchiveDescription != description || e.Size != 100 || e.SHA256TreeHash != treehash.Sum(Data(34, 100)).String() {
		t.Errorf("%+v", e)
	}
	t.checkSlices(job, data)
}

// inventoryWithoutOutput: what has no form of its own says so.
func (t *suiteTest) inventoryWithoutOutput() {
	id, err := t.Store.StartInventory(t.ctx, firn.InventorySpec{})
	t.must(err)
	_, err = t.Store.Output(t.ctx, id, span(0, 1))
	t.wants("Output", err, firn.Invalid)
	_, err = t.Store.StartInventory(t.ctx, firn.InventorySpec{Format: firn.InventoryCSV})
	t.wants("StartInventory", err, firn.Invalid)
}

// inventoryCSV: the same in CSV, which is only for others to read.
func (t *suiteTest) inventoryCSV() {
	if t.Store.Traits().LiveInventory {
		t.Skip("it writes none")
	}
	id := t.upload(`with "quotes", a comma`, Data(35, 100))
	t.Advance(t.Lag)
	job, data := t.raw(firn.InventorySpec{Format: firn.InventoryCSV, Description: "as a table"})
	if job.Format != firn.InventoryCSV || job.Partial || job.Description != "as a table" || int64(len(data)) != job.InventorySize {
		t.Errorf("%d bytes of %+v", len(data), job)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) != 2 || strings.TrimSpace(lines[0]) != csvHead || !strings.HasPrefix(lines[1], string(id)+`,"with \"quotes\", a comma",`) ||
		!strings.HasSuffix(strings.TrimSpace(lines[1]), ",100,"+treehash.Sum(Data(35, 100)).String()) {
		t.Errorf("%q", lines)
	}
	t.checkSlices(job, data)
	_, err := t.Store.Inventory(t.ctx, job.ID, func(firn.Archive) error { return nil })
	t.wants("Inventory", err, firn.Invalid)
}

// checkSlices reads parts of an inventory's output.
func (t *suiteTest) checkSlices(job firn.Job, data []byte) {
	t.Helper()
	size := int64(len(data))
	for _, at := range []firn.Range{span(0, 1), span(size-1, size), span(10, 50), span(7, size)} {
		if got, _ := t.download(job.ID, at); !bytes.Equal(got, data[at.Start:at.End]) {
			t.Errorf("%v: %q comes", at, got)
		}
	}
	for name, at := range map[string]firn.Range{
		"empty": span(5, 5), "backward": span(5, 3), "negative": span(-1, 3), "beyond the end": span(size, size+1),
	} {
		_, err := t.Store.Output(t.ctx, job.ID, at)
		t.wants(name, err, firn.Invalid)
	}
}

// inventoryPart: bounds in time, and lists that go on where one ended.
func (t *suiteTest) inventoryPart() {
	var ids []firn.ArchiveID
	var made []time.Time
	for i := range 5 {
		ids = append(ids, t.upload(label(i), Data(uint64(36+i), 100)))
		t.Advance(2 * time.Second)
	}
	byID := slices.Clone(ids) // as the list has them
	if t.Store.Traits().LiveInventory {
		slices.Sort(byID)
	}
	for _, a := range t.inOrder(t.listed(), ids) {
		made = append(made, a.Created)
	}
	if len(made) != len(ids) {
		t.Fatalf("%d archives", len(made))
	}
	for name, c := range map[string]struct {
		listing firn.Listing
		want    []firn.ArchiveID
	}{
		"from":     {firn.Listing{After: made[2]}, ids[2:]},
		"before":   {firn.Listing{Before: made[2].Add(time.Second)}, ids[:3]},
		"between":  {firn.Listing{After: made[1], Before: made[3]}, ids[1:3]},
		"no more":  {firn.Listing{Limit: 2}, byID[:2]},
		"all of 9": {firn.Listing{Limit: 9}, ids},
	} {
		job, got := t.listedBy(c.listing)
		if !job.Partial || !sameIDs(got, c.want) || job.Listing.Limit != c.listing.Limit ||
			!job.Listing.After.Equal(c.listing.After.Truncate(time.Second)) || !job.Listing.Before.Equal(c.listing.Before.Truncate(time.Second)) {
			t.Errorf("%s: %v of %+v", name, got, job)
		}
	}
	var all []firn.ArchiveID
	for l := (firn.Listing{Limit: 2}); ; {
		job, got := t.listedBy(l)
		all = append(all, got...)
		if l.Marker = job.Listing.Marker; l.Marker == "" || len(all) > len(ids) {
			break
		}
	}
	if !slices.Equal(all, byID) {
		t.Errorf("page by page: %v", all)
	}
}

// sameIDs compares without regard to the order.
func sameIDs(a, b []firn.ArchiveID) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// listedBy gives the archives of an inventory of some.
func (t *suiteTest) listedBy(l firn.Listing) (job firn.Job, ids []firn.ArchiveID) {
	t.Helper()
	id, err := t.Store.StartInventory(t.ctx, firn.InventorySpec{Listing: l})
	t.must(err)
	all, _ := t.readInventory(id)
	for _, a := range all {
		ids = append(ids, a.ID)
	}
	job, err = t.Store.Job(t.ctx, id)
	t.must(err)
	return job, ids
}

func (t *suiteTest) inventoryInvalid() {
	t.upload("x", Data(41, 100))
	t.Advance(t.Lag)
	for name, spec := range map[string]firn.InventorySpec{
		"no such format":   {Format: "xml"},
		"a negative limit": {Listing: firn.Listing{Limit: -1}},
		"a strange marker": {Listing: firn.Listing{Marker: "nonsense"}},
		"the description":  {Description: "\n"},
	} {
		_, err := t.Store.StartInventory(t.ctx, spec)
		t.wants(name, err, firn.Invalid)
	}
	if jobs, err := Collect(t.Store.Jobs(t.ctx)); err != nil || len(jobs) > 0 {
		t.Errorf("%d jobs, %v", len(jobs), err)
	}
}
