package storetest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

const mib = 1 << 20

func (t *suiteTest) uploadSizes() {
	sizes := []int{1, 999, mib - 1, mib, mib + 1, 3*mib + mib/2}
	before, err := t.Store.Describe(t.ctx)
	t.must(err)
	ids := make([]firn.ArchiveID, len(sizes))
	for i, size := range sizes {
		ids[i] = t.upload(label(i), Data(uint64(i), size))
	}
	all := t.inOrder(t.listed(), ids)
	if len(all) != len(sizes) {
		t.Fatalf("%d archives are listed, want %d", len(all), len(sizes))
	}
	for i, a := range all {
		t.describes(a, ids[i], label(i), Data(uint64(i), sizes[i]))
		if a.Created.Before(before.Created) {
			t.Errorf("created at %v, before the store was", a.Created)
		}
	}
}

func (t *suiteTest) uploadTwice() {
	data := Data(3, 100)
	a, b := t.upload("same", data), t.upload("same", data)
	if a == b {
		t.Error("two uploads gave one archive")
	}
	if all := t.listed(); len(all) != 2 {
		t.Errorf("%d archives are listed, want 2", len(all))
	}
}

// uploadFromStart: where the body's own position stands means nothing.
func (t *suiteTest) uploadFromStart() {
	data := Data(4, 5000)
	body, sums := Body(data)
	_, err := body.Seek(0, io.SeekEnd)
	t.must(err)
	id, err := t.Store.UploadArchive(t.ctx, "moved", body, sums)
	t.must(err)
	all := t.listed()
	if len(all) != 1 {
		t.Fatalf("%d archives", len(all))
	}
	t.describes(all[0], id, "moved", data)
}

func (t *suiteTest) uploadCorrupt() {
	data := Data(5, mib+100)
	body, sums := Body(data)
	if !t.Store.Traits().UncheckedTrees {
		wrong := sums
		wrong.Tree[0] ^= 1
		_, err := t.Store.UploadArchive(t.ctx, "x", body, wrong)
		t.wants("wrong tree hash", err, firn.Corrupt)
	}
	wrong := sums
	wrong.Linear[0] ^= 1
	_, err := t.Store.UploadArchive(t.ctx, "x", body, wrong)
	t.wants("wrong linear hash", err, firn.Corrupt)
	upload, err := t.Store.StartUpload(t.ctx, "x", int64(2*t.partSize()))
	t.must(err)
	t.wants("part with wrong hash", t.Store.UploadPart(t.ctx, upload, 0, body, wrong), firn.Corrupt)
	parts, err := Collect(t.Store.Parts(t.ctx, upload))
	t.must(err)
	if len(parts) > 0 {
		t.Error("the part was kept")
	}
	t.nothing("every upload was refused")
}

func (t *suiteTest) uploadInvalid() {
	if !t.Store.Traits().EmptyArchives {
		body, sums := Body(nil)
		_, err := t.Store.UploadArchive(t.ctx, "x", body, sums)
		t.wants("an empty archive", err, firn.Invalid)
	}
	for _, s := range []string{"\n", "a\tb", "caf\u00e9", "\x7f", strings.Repeat("x", 1025)} {
		body, sums := Body([]byte("x"))
		_, err := t.Store.UploadArchive(t.ctx, s, body, sums)
		t.wants("an archive's description", err, firn.Invalid)
		_, err = t.Store.StartUpload(t.ctx, s, int64(t.partSize()))
		t.wants("an upload's description", err, firn.Invalid)
		_, err = t.Store.StartInventory(t.ctx, firn.InventorySpec{Description: s})
		t.wants("a job's description", err, firn.Invalid)
	}
	t.nothing("every upload was refused")
}

// descriptions come back as they were given.
func (t *suiteTest) descriptions() {
	given := []string{
		"", "plain", `{"json":"with \"quotes\" and \\"}`, "<xml>&amp;</xml>", "comma, semicolon; colon: percent%20 plus+ hash#",
		"two  blanks", strings.Repeat("x", 1024), "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
	}
	ids := make([]firn.ArchiveID, len(given))
	for i, s := range given {
		ids[i] = t.upload(s, Data(uint64(i), 10))
	}
	all := t.inOrder(t.listed(), ids)
	if len(all) != len(given) {
		t.Fatalf("%d archives", len(all))
	}
	for i, a := range all {
		if a.Description != given[i] {
			t.Errorf("%q came back as %q", given[i], a.Description)
		}
	}
	id, err := t.Store.StartUpload(t.ctx, given[2], int64(t.partSize()))
	t.must(err)
	uploads, err := Collect(t.Store.Uploads(t.ctx))
	t.must(err)
	if len(uploads) != 1 || uploads[0].ID != id || uploads[0].Description != given[2] {
		t.Errorf("got %+v", uploads)
	}
}

// multipart: parts come in any order and at the same time.
func (t *suiteTest) multipart() {
	part := t.partSize()
	size := int64(3*part + 12345)
	data := Data(6, int(size))
	id, err := t.Store.StartUpload(t.ctx, "large", int64(part))
	t.must(err)
	uploads, err := Collect(t.Store.Uploads(t.ctx))
	t.must(err)
	if len(uploads) != 1 || uploads[0].ID != id || uploads[0].Description != "large" || uploads[0].PartSize != int64(part) || uploads[0].Created.IsZero() {
		t.Errorf("listed as %+v", uploads)
	}
	pieces := slices.Collect(slices.Chunk(data, part))
	errs := make([]error, len(pieces))
	var wg sync.WaitGroup
	for i := range pieces {
		wg.Go(func() {
			body, sums := Body(pieces[i])
			errs[i] = t.Store.UploadPart(t.ctx, id, int64(i*part), body, sums)
		})
	}
	wg.Wait()
	t.must(errors.Join(errs...))
	parts, err := Collect(t.Store.Parts(t.ctx, id))
	t.must(err)
	var want []firn.Part
	for i, p := range pieces {
		want = append(want, firn.Part{Offset: int64(i * part), Size: int64(len(p)), Tree: t.partTree(p)})
	}
	if !slices.Equal(parts, want) {
		t.Errorf("parts %v, want %v", parts, want)
	}
	archive, err := t.Store.CompleteUpload(t.ctx, id, size, treehash.Sum(data))
	t.must(err)
	all := t.listed()
	if len(all) != 1 {
		t.Fatalf("%d archives", len(all))
	}
	t.describes(all[0], archive, "large", data)
	job := t.retrieve(firn.RetrievalSpec{Archive: archive})
	if got, _ := t.download(job.ID, firn.Range{End: size}); !bytes.Equal(got, data) {
		t.Error("other bytes come back")
	}
}

// partTree is what the store says of the tree hash of a part.
func (t *suiteTest) partTree(data []byte) treehash.Hash {
	if t.Store.Traits().UncheckedTrees {
		return treehash.Hash{}
	}
	return treehash.Sum(data)
}

func (t *suiteTest) multipartInvalid() {
	part := int64(t.partSize())
	for _, size := range []int64{0, -1, 1, mib - 1, 3 * mib, 8 << 30} {
		_, err := t.Store.StartUpload(t.ctx, "x", size)
		t.wants("part size", err, firn.Invalid)
	}
	id, err := t.Store.StartUpload(t.ctx, "x", part)
	t.must(err)
	body, sums := Body(Data(7, 10))
	t.wants("an offset inside a part", t.Store.UploadPart(t.ctx, id, 5, body, sums), firn.Invalid)
	t.wants("part number 10,001", t.Store.UploadPart(t.ctx, id, 10_000*part, body, sums), firn.Invalid)
	body, sums = Body(Data(7, int(part)+1))
	t.wants("a part too large", t.Store.UploadPart(t.ctx, id, 0, body, sums), firn.Invalid)
	body, sums = Body(nil)
	t.wants("an empty part", t.Store.UploadPart(t.ctx, id, 0, body, sums), firn.Invalid)
	parts, err := Collect(t.Store.Parts(t.ctx, id))
	t.must(err)
	if len(parts) > 0 {
		t.Errorf("refused parts were kept: %v", parts)
	}
}

// anyPart: a store that takes parts of any number of MiB makes them into what was
// sent, and lists them where they are.
func (t *suiteTest) anyPart() {
	traits := t.Store.Traits()
	if !traits.AnyPart {
		_, err := t.Store.StartUpload(t.ctx, "x", 3*mib)
		t.wants("parts of 3 MiB", err, firn.Invalid)
		return
	}
	part := int(max(traits.MinPart, 3*mib))
	if part&(part-1) == 0 {
		part += mib
	}
	data := Data(60, 2*part+mib/2)
	id := t.multi("odd", data, part)
	uploads, err := Collect(t.Store.Uploads(t.ctx))
	t.must(err)
	if len(uploads) != 1 || uploads[0].PartSize != int64(part) {
		t.Errorf("listed as %+v", uploads)
	}
	parts, err := Collect(t.Store.Parts(t.ctx, id))
	t.must(err)
	for i, p := range parts {
		if p.Offset != int64(i*part) || p.Size != int64(min(part, len(data)-i*part)) {
			t.Errorf("part %d: %+v", i, p)
		}
	}
	archive, err := t.Store.CompleteUpload(t.ctx, id, int64(len(data)), treehash.Sum(data))
	t.must(err)
	job := t.retrieve(firn.RetrievalSpec{Archive: archive})
	if got, _ := t.download(job.ID, firn.Range{End: int64(len(data))}); len(parts) != 3 || !bytes.Equal(got, data) {
		t.Errorf("of %d parts other bytes come back", len(parts))
	}
}

func (t *suiteTest) replacePart() {
	size := t.partSize()
	data := Data(8, size+77)
	id := t.multi("x", Data(9, size+33), size)
	t.part(id, int64(size), data[size:])
	t.part(id, 0, data[:size])
	parts, err := Collect(t.Store.Parts(t.ctx, id))
	t.must(err)
	if len(parts) != 2 || parts[1].Size != 77 || parts[1].Tree != t.partTree(data[size:]) {
		t.Errorf("parts %+v", parts)
	}
	archive, err := t.Store.CompleteUpload(t.ctx, id, int64(len(data)), treehash.Sum(data))
	t.must(err)
	job := t.retrieve(firn.RetrievalSpec{Archive: archive})
	if got, _ := t.download(job.ID, firn.Range{End: int64(len(data))}); !bytes.Equal(got, data) {
		t.Error("other bytes come back")
	}
}

// more is a number of things that needs three pages of 50.
const more = 103

// pageParts uses parts of one byte: that they don't join shows at completion
// only.
func (t *suiteTest) pageParts() {
	size := t.partSize()
	id, err := t.Store.StartUpload(t.ctx, "x", int64(size))
	t.must(err)
	for i := range more {
		t.part(id, int64((i*7%more)*size), []byte{byte(i)})
	}
	parts, err := Collect(t.Store.Parts(t.ctx, id))
	t.must(err)
	if len(parts) != more {
		t.Fatalf("%d parts, want %d", len(parts), more)
	}
	for i, p := range parts {
		if p.Offset != int64(i*size) || p.Size != 1 {
			t.Fatalf("part %d is %+v", i, p)
		}
	}
}

func (t *suiteTest) pageUploads() {
	want := map[firn.UploadID]string{}
	for i := range more {
		id, err := t.Store.StartUpload(t.ctx, label(i), int64(t.partSize()))
		t.must(err)
		want[id] = label(i)
	}
	uploads, err := Collect(t.Store.Uploads(t.ctx))
	t.must(err)
	for _, u := range uploads {
		if want[u.ID] != u.Description {
			t.Errorf("%q is %q", u.ID, u.Description)
		}
		delete(want, u.ID)
	}
	if len(uploads) != more || len(want) > 0 {
		t.Errorf("%d uploads, %d are missing", len(uploads), len(want))
	}
}

// completeChecks: a completion that is refused leaves the upload open.
func (t *suiteTest) completeChecks() {
	part := int64(t.partSize())
	data := Data(10, int(2*part)+5)
	size, tree := int64(len(data)), treehash.Sum(data)
	id, err := t.Store.StartUpload(t.ctx, "x", part)
	t.must(err)
	refused := func(what string, size int64, tree treehash.Hash) {
		t.Helper()
		_, err := t.Store.CompleteUpload(t.ctx, id, size, tree)
		t.wants(what, err, firn.Invalid)
	}
	refused("no parts", size, tree)
	t.part(id, 0, data[:part])
	t.part(id, 2*part, data[2*part:])
	refused("a part is missing", size, tree)
	t.part(id, part, data[part:2*part-1])
	refused("a part is short", size, tree)
	t.part(id, part, data[part:2*part])
	refused("another size", size-1, tree)
	if !t.Store.Traits().UncheckedTrees {
		refused("another hash", size, treehash.Sum(data[1:]))
	}
	t.nothing("nothing was completed")
	if _, err := t.Store.CompleteUpload(t.ctx, id, size, tree); err != nil {
		t.Errorf("once all is right: %v", err)
	}
}

func (t *suiteTest) completeTwice() {
	part := t.partSize()
	data := Data(11, part+1)
	id := t.multi("x", data, part)
	first, err := t.Store.CompleteUpload(t.ctx, id, int64(len(data)), treehash.Sum(data))
	t.must(err)
	second, err := t.Store.CompleteUpload(t.ctx, id, int64(len(data)), treehash.Sum(data))
	t.must(err)
	if first != second {
		t.Errorf("two archives: %q, %q", first, second)
	}
	if uploads, err := Collect(t.Store.Uploads(t.ctx)); err != nil || len(uploads) > 0 {
		t.Errorf("%d uploads are still open, %v", len(uploads), err)
	}
	_, err = Collect(t.Store.Parts(t.ctx, id))
	t.wants("Parts", err, firn.NotFound)
	body, sums := Body(data[part:])
	t.wants("UploadPart", t.Store.UploadPart(t.ctx, id, int64(part), body, sums), firn.NotFound)
	if all := t.listed(); len(all) != 1 || all[0].ID != first {
		t.Errorf("listed: %v", all)
	}
}

func (t *suiteTest) abort() {
	part := t.partSize()
	data := Data(12, part+1)
	id := t.multi("x", data, part)
	t.must(t.Store.AbortUpload(t.ctx, id))
	t.must(t.Store.AbortUpload(t.ctx, id))
	_, err := t.Store.CompleteUpload(t.ctx, id, int64(len(data)), treehash.Sum(data))
	t.wants("CompleteUpload", err, firn.NotFound)
	_, err = Collect(t.Store.Parts(t.ctx, id))
	t.wants("Parts", err, firn.NotFound)
	body, sums := Body(data[part:])
	t.wants("UploadPart", t.Store.UploadPart(t.ctx, id, int64(part), body, sums), firn.NotFound)
	if uploads, err := Collect(t.Store.Uploads(t.ctx)); err != nil || len(uploads) > 0 {
		t.Errorf("%d uploads are still open, %v", len(uploads), err)
	}
	t.nothing("it was aborted")
}

func (t *suiteTest) unknownUpload() {
	body, sums := Body([]byte("x"))
	_, err := t.Store.CompleteUpload(t.ctx, "nonsense", 1, sums.Tree)
	t.wants("CompleteUpload", err, firn.NotFound)
	t.wants("UploadPart", t.Store.UploadPart(t.ctx, "nonsense", 0, body, sums), firn.NotFound)
	_, err = Collect(t.Store.Parts(t.ctx, "nonsense"))
	t.wants("Parts", err, firn.NotFound)
	if err := t.Store.AbortUpload(t.ctx, "nonsense"); err != nil {
		t.Errorf("AbortUpload: %v", err)
	}
}
