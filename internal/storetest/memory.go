package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/treehash"
)

// MemoryOptions shape a store in memory. The zero value is a store named
// "memory" that exists, does everything at once and has the limits of a vault.
type MemoryOptions struct {
	Name string
	// Clock is the store's; nil is a manual one, which Memory.Clock gives.
	Clock *clock.Manual
	// Missing: the store isn't there until Create.
	Missing bool
	// JobDelay is how long every job takes.
	JobDelay time.Duration
	// InventoryEvery is the time between inventories, the first of which comes
	// so long after the store was made; 0: each inventory job makes one.
	InventoryEvery time.Duration
	// MinDuration is as in firn.Traits.
	MinDuration time.Duration
	// OutputLife is how long outputs can be read; 0 means 24 hours.
	OutputLife time.Duration
}

// The limits of Memory, which are a vault's. Source: Amazon Glacier developer
// guide, "Quotas".
const (
	maxDescription = 1024
	maxSingle      = 4 << 30
	maxPart        = 4 << 30
	maxParts       = 10_000
	maxTags        = 50
)

// Memory is a store that keeps all in memory: the contract of firn.Store in as
// few lines as it takes. It is safe for concurrent use.
type Memory struct {
	o MemoryOptions

	mu       sync.Mutex
	serial   int // of ids
	exists   bool
	created  time.Time
	written  time.Time // last time an archive came or went
	tags     map[string]string
	archives []*memoryArchive // the oldest first; deleted ones too
	uploads  []*memoryUpload
	done     map[firn.UploadID]firn.ArchiveID
	jobs     []*memoryJob
	notify   firn.Notifications
}

type memoryArchive struct {
	firn.Archive
	data    []byte
	deleted time.Time // zero: it is there
}

func (a *memoryArchive) thereAt(t time.Time) bool {
	return !a.Created.After(t) && (a.deleted.IsZero() || a.deleted.After(t))
}

type memoryUpload struct {
	firn.Upload
	parts map[int64][]byte
}

type memoryJob struct {
	firn.Job
	archive *memoryArchive

	// Of inventories:
	boundary time.Time // what was there then
	output   []byte    // once it is ready
	next     string    // the marker of what a limit left out
}

var errMissing = errors.New("the store does not exist")

// NewMemory gives a store in memory.
func NewMemory(o MemoryOptions) *Memory {
	if o.Name == "" {
		o.Name = "memory"
	}
	if o.Clock == nil {
		o.Clock = clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	}
	if o.OutputLife == 0 {
		o.OutputLife = 24 * time.Hour
	}
	m := &Memory{o: o}
	if !o.Missing {
		m.create()
	}
	return m
}

// Clock is the store's clock.
func (m *Memory) Clock() *clock.Manual { return m.o.Clock }

// Archives gives the archives that are there now, the oldest first: what no
// client of a real store can know at once.
func (m *Memory) Archives() []firn.Archive {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []firn.Archive
	for _, a := range m.archives {
		if a.deleted.IsZero() {
			all = append(all, a.Archive)
		}
	}
	return all
}

// Content gives the bytes of an archive that is there, else nil.
func (m *Memory) Content(id firn.ArchiveID) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.archive(id); a != nil {
		return a.data
	}
	return nil
}

// DropUpload forgets an upload, as a store may after a day without a part.
func (m *Memory) DropUpload(id firn.UploadID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uploads = slices.DeleteFunc(m.uploads, func(u *memoryUpload) bool { return u.ID == id })
}

// Traits are those of a vault, and what the options say.
func (m *Memory) Traits() firn.Traits {
	return firn.Traits{
		FreshInventory: m.o.InventoryEvery == 0,
		InstantJobs:    m.o.JobDelay == 0,
		MaxArchive:     maxParts * maxPart,
		MaxSingle:      maxSingle,
		MinPart:        treehash.LeafSize,
		MaxPart:        maxPart,
		MaxParts:       maxParts,
		MinDuration:    m.o.MinDuration,
	}
}

// enter begins a call: it locks the store, which leave unlocks, and fails
// where the caller has gone or the store isn't there.
func (m *Memory) enter(ctx context.Context, op string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	if !m.exists {
		m.mu.Unlock()
		return m.fail(op, firn.NotFound, errMissing)
	}
	return nil
}

func (m *Memory) fail(op string, kind firn.Kind, err error) error {
	return &firn.Error{Op: op, Subject: m.o.Name, Kind: kind, Err: err}
}

// id makes an identifier. Memory numbers them, but nobody should rely on it.
func (m *Memory) id(kind string) string {
	m.serial++
	return fmt.Sprintf("%s-%d", kind, m.serial)
}

func checkDescription(s string) error {
	if len(s) > maxDescription || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("a description has at most %d printable ASCII characters", maxDescription)
	}
	return nil
}

// read reads a body whole, in the chunks in which a connection takes it, and
// says what is wrong with it.
func read(ctx context.Context, body *io.SectionReader, sums treehash.Sums) ([]byte, firn.Kind, error) {
	const chunk = 32 << 10
	r := io.NewSectionReader(body, 0, body.Size())
	data := make([]byte, 0, min(body.Size(), 64<<20)+chunk) // growing as it comes, it would be copied many times
	for {
		data = slices.Grow(data, chunk)
		n, err := r.Read(data[len(data) : len(data)+chunk])
		data = data[:len(data)+n]
		if ctx.Err() != nil {
			return nil, firn.Other, context.Cause(ctx)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, firn.Local, err
		}
	}
	if int64(len(data)) < body.Size() {
		return nil, firn.Changed, fmt.Errorf("the body ended after %d of %d bytes", len(data), body.Size())
	}
	d := treehash.NewDouble()
	d.Write(data)
	if got := d.Sums(); got != sums {
		return nil, firn.Corrupt, fmt.Errorf("the bytes have the hashes %v", got)
	}
	return data, firn.Other, nil
}

// UploadArchive stores an archive.
func (m *Memory) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	const op = "upload"
	if err := checkDescription(description); err != nil {
		return "", m.fail(op, firn.Invalid, err)
	}
	if body.Size() == 0 || body.Size() > maxSingle {
		return "", m.fail(op, firn.Invalid, fmt.Errorf("an archive of %d bytes", body.Size()))
	}
	if err := m.enter(ctx, op); err != nil {
		return "", err
	}
	m.mu.Unlock()
	data, kind, err := read(ctx, body, sums)
	if err != nil {
		return "", m.fail(op, kind, err)
	}
	if err := m.enter(ctx, op); err != nil {
		return "", err
	}
	defer m.mu.Unlock()
	return m.store(description, data), nil
}

func (m *Memory) store(description string, data []byte) firn.ArchiveID {
	a := &memoryArchive{data: data, Archive: firn.Archive{
		ID:          firn.ArchiveID(m.id("archive")),
		Description: description,
		Created:     m.o.Clock.Now(),
		Size:        int64(len(data)),
		Tree:        treehash.Sum(data),
	}}
	m.archives = append(m.archives, a)
	m.written = a.Created
	return a.ID
}

// StartUpload opens an upload.
func (m *Memory) StartUpload(ctx context.Context, description string, partSize int64) (firn.UploadID, error) {
	const op = "start upload"
	if err := m.enter(ctx, op); err != nil {
		return "", err
	}
	defer m.mu.Unlock()
	if err := checkDescription(description); err != nil {
		return "", m.fail(op, firn.Invalid, err)
	}
	if partSize < treehash.LeafSize || partSize > maxPart || partSize&(partSize-1) != 0 {
		return "", m.fail(op, firn.Invalid, fmt.Errorf("a part size of %d bytes", partSize))
	}
	u := &memoryUpload{parts: map[int64][]byte{}, Upload: firn.Upload{
		ID:          firn.UploadID(m.id("upload")),
		Description: description,
		Created:     m.o.Clock.Now(),
		PartSize:    partSize,
	}}
	m.uploads = append(m.uploads, u)
	return u.ID, nil
}

// upload finds an open upload.
func (m *Memory) upload(op string, id firn.UploadID) (*memoryUpload, error) {
	i := slices.IndexFunc(m.uploads, func(u *memoryUpload) bool { return u.ID == id })
	if i < 0 {
		return nil, m.fail(op, firn.NotFound, fmt.Errorf("no upload %q", id))
	}
	return m.uploads[i], nil
}

// UploadPart stores a part.
func (m *Memory) UploadPart(ctx context.Context, id firn.UploadID, offset int64, body *io.SectionReader, sums treehash.Sums) error {
	const op = "upload part"
	check := func() (*memoryUpload, error) {
		if err := m.enter(ctx, op); err != nil {
			return nil, err
		}
		u, err := m.upload(op, id)
		if err == nil && (offset%u.PartSize != 0 || offset/u.PartSize >= maxParts || body.Size() == 0 || body.Size() > u.PartSize) {
			err = m.fail(op, firn.Invalid, fmt.Errorf("%d bytes at %d of an upload with parts of %d", body.Size(), offset, u.PartSize))
		}
		if err != nil {
			m.mu.Unlock()
		}
		return u, err
	}
	if _, err := check(); err != nil {
		return err
	}
	m.mu.Unlock() // the body may come slowly
	data, kind, err := read(ctx, body, sums)
	if err != nil {
		return m.fail(op, kind, err)
	}
	u, err := check()
	if err != nil {
		return err
	}
	defer m.mu.Unlock()
	u.parts[offset] = data
	return nil
}

// CompleteUpload makes an archive of the parts.
func (m *Memory) CompleteUpload(ctx context.Context, id firn.UploadID, size int64, tree treehash.Hash) (firn.ArchiveID, error) {
	const op = "complete upload"
	if err := m.enter(ctx, op); err != nil {
		return "", err
	}
	defer m.mu.Unlock()
	if made, ok := m.done[id]; ok {
		return made, nil
	}
	u, err := m.upload(op, id)
	if err != nil {
		return "", err
	}
	data := make([]byte, 0, min(max(size, 0), 256<<20))
	for _, offset := range slices.Sorted(maps.Keys(u.parts)) {
		if offset != int64(len(data)) {
			return "", m.fail(op, firn.Invalid, fmt.Errorf("bytes are missing at %d", len(data)))
		}
		data = append(data, u.parts[offset]...)
	}
	if len(data) == 0 || int64(len(data)) != size || treehash.Sum(data) != tree {
		return "", m.fail(op, firn.Invalid, errors.New("size or hash differ"))
	}
	made := m.store(u.Description, data)
	m.done[id] = made
	m.uploads = slices.DeleteFunc(m.uploads, func(o *memoryUpload) bool { return o == u })
	return made, nil
}

// AbortUpload ends an upload.
func (m *Memory) AbortUpload(ctx context.Context, id firn.UploadID) error {
	if err := m.enter(ctx, "abort upload"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.uploads = slices.DeleteFunc(m.uploads, func(u *memoryUpload) bool { return u.ID == id })
	return nil
}

// Uploads lists the open uploads.
func (m *Memory) Uploads(ctx context.Context) iter.Seq2[firn.Upload, error] {
	return listing(m, ctx, "list uploads", func() (uploads []firn.Upload, err error) {
		for _, u := range m.uploads {
			uploads = append(uploads, u.Upload)
		}
		return uploads, nil
	})
}

// Parts lists the parts of an upload.
func (m *Memory) Parts(ctx context.Context, id firn.UploadID) iter.Seq2[firn.Part, error] {
	const op = "list parts"
	return listing(m, ctx, op, func() (parts []firn.Part, err error) {
		u, err := m.upload(op, id)
		if err != nil {
			return nil, err
		}
		for offset, data := range u.parts {
			parts = append(parts, firn.Part{Offset: offset, Size: int64(len(data)), Tree: treehash.Sum(data)})
		}
		slices.SortFunc(parts, func(a, b firn.Part) int { return cmp.Compare(a.Offset, b.Offset) })
		return parts, nil
	})
}

// listing gives what items gave at the beginning.
func listing[T any](m *Memory, ctx context.Context, op string, items func() ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		if err := m.enter(ctx, op); err != nil {
			yield(zero, err)
			return
		}
		all, err := items()
		m.mu.Unlock()
		if err != nil {
			yield(zero, err)
			return
		}
		for _, item := range all {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// archive finds an archive that is there, or nil.
func (m *Memory) archive(id firn.ArchiveID) *memoryArchive {
	for _, a := range m.archives {
		if a.ID == id && a.deleted.IsZero() {
			return a
		}
	}
	return nil
}

// DeleteArchive deletes an archive.
func (m *Memory) DeleteArchive(ctx context.Context, id firn.ArchiveID) error {
	if err := m.enter(ctx, "delete archive"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if a := m.archive(id); a != nil {
		a.deleted = m.o.Clock.Now()
		m.written = a.deleted
	}
	return nil
}

// boundary is when the newest inventory is of; zero: there is none.
func (m *Memory) boundary() time.Time {
	now, every := m.o.Clock.Now(), m.o.InventoryEvery
	if every == 0 {
		return now
	}
	n := now.Sub(m.created) / every
	if n == 0 {
		return time.Time{}
	}
	return m.created.Add(n * every)
}

// inventory lists what was there at a boundary.
func (m *Memory) inventory(at time.Time) (list []firn.Archive) {
	for _, a := range m.archives {
		if a.thereAt(at) {
			list = append(list, a.Archive)
		}
	}
	return list
}

// Describe says what the store is.
func (m *Memory) Describe(ctx context.Context) (firn.StoreInfo, error) {
	if err := m.enter(ctx, "describe"); err != nil {
		return firn.StoreInfo{}, err
	}
	defer m.mu.Unlock()
	info := firn.StoreInfo{
		Name:     m.o.Name,
		Identity: fmt.Sprintf("memory %s %s", m.o.Name, m.created.Format(time.RFC3339Nano)),
		Address:  "memory:" + m.o.Name,
		Region:   "memory",
		Created:  m.created,
		Now:      m.o.Clock.Now().Truncate(time.Second),
	}
	if at := m.boundary(); m.o.InventoryEvery > 0 && !at.IsZero() {
		info.LastInventory = at
		for _, a := range m.inventory(at) {
			info.Archives++
			info.Bytes += a.Size
		}
	}
	return info, nil
}

// Create makes the store.
func (m *Memory) Create(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.exists {
		m.create()
	}
	return nil
}

func (m *Memory) create() {
	m.exists, m.created = true, m.o.Clock.Now()
	m.tags, m.done = map[string]string{}, map[firn.UploadID]firn.ArchiveID{}
	m.archives, m.uploads, m.jobs, m.notify = nil, nil, nil, firn.Notifications{}
}

// Delete removes the store, where it is empty.
func (m *Memory) Delete(ctx context.Context) error {
	err := m.enter(ctx, "delete")
	if errors.Is(err, errMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	defer m.mu.Unlock()
	at := m.boundary()
	if len(m.inventory(at)) > 0 || m.written.After(at) {
		return m.fail("delete", firn.NotEmpty, errors.New("not empty, or written to since the last inventory"))
	}
	m.exists = false
	return nil
}

// Tags gives the tags.
func (m *Memory) Tags(ctx context.Context) (map[string]string, error) {
	if err := m.enter(ctx, "read tags"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return maps.Clone(m.tags), nil
}

// SetTags adds tags.
func (m *Memory) SetTags(ctx context.Context, tags map[string]string) error {
	if err := m.enter(ctx, "tag"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	all := maps.Clone(m.tags)
	maps.Copy(all, tags)
	for key, value := range tags {
		if key == "" || len(key) > 128 || len(value) > 255 || strings.HasPrefix(key, "aws:") {
			return m.fail("tag", firn.Invalid, fmt.Errorf("the tag %q=%q", key, value))
		}
	}
	if len(all) > maxTags {
		return m.fail("tag", firn.Invalid, fmt.Errorf("%d tags", len(all)))
	}
	m.tags = all
	return nil
}

// RemoveTags removes tags.
func (m *Memory) RemoveTags(ctx context.Context, keys ...string) error {
	if err := m.enter(ctx, "untag"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for _, key := range keys {
		delete(m.tags, key)
	}
	return nil
}
