package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// vault is a store in memory, which keeps hashes and no bytes. It checks what
// it is given as strictly as the service, and can be told to fail.
type vault struct {
	firn.Retriever // for what is not asked here

	// fail is asked twice at each call: before it has its effect and after.
	fail func(op string, done bool) error
	wire *wire // nil: as fast as memory
	// trusting stores read bodies and do not hash them, to save time.
	trusting bool

	mu       sync.Mutex
	serial   int
	archives []firn.Archive
	open     map[firn.UploadID]*open
	done     map[firn.UploadID]firn.ArchiveID
	calls    map[string]int
	puts     map[int64]int // parts stored, by offset, over all uploads
	bodies   []time.Duration
	inFlight int
	most     int // bodies in flight at a time
	broken   int // bodies given up
}

type open struct {
	description string
	part        int64
	parts       map[int64]firn.Part
}

func newVault() *vault {
	return &vault{
		open: map[firn.UploadID]*open{}, done: map[firn.UploadID]firn.ArchiveID{},
		calls: map[string]int{}, puts: map[int64]int{},
	}
}

var traits = firn.Traits{
	FreshInventory: true, MaxArchive: 10000 * 4096 * mib, MaxSingle: 4096 * mib,
	MinPart: mib, MaxPart: 4096 * mib, MaxParts: 10000,
}

// tinySingle makes all files above 1 MiB go up in parts.
func tinySingle() firn.Traits {
	tr := traits
	tr.MaxSingle = mib
	return tr
}

// anyPart is tinySingle where parts have any number of MiB.
func anyPart() firn.Traits {
	tr := tinySingle()
	tr.AnyPart = true
	return tr
}

func kind(k firn.Kind) error {
	return &firn.Error{Op: "test", Kind: k, Err: errors.New("injected " + k.String())}
}

// call counts a call, and lets it fail.
func (v *vault) call(ctx context.Context, op string) error {
	v.mu.Lock()
	v.calls[op]++
	v.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if v.fail != nil {
		return v.fail(op, false)
	}
	return nil
}

func (v *vault) after(op string) error {
	if v.fail != nil {
		return v.fail(op, true)
	}
	return nil
}

// receive reads a body as the wire lets it and compares it with sums.
func (v *vault) receive(ctx context.Context, body *io.SectionReader, sums treehash.Sums) error {
	v.mu.Lock()
	v.inFlight++
	v.most = max(v.most, v.inFlight)
	v.mu.Unlock()
	start := time.Now()
	err := v.read(ctx, body, sums)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.inFlight--
	if err != nil {
		v.broken++
		return err
	}
	v.bodies = append(v.bodies, time.Since(start))
	return nil
}

func (v *vault) read(ctx context.Context, body *io.SectionReader, sums treehash.Sums) error {
	if v.trusting {
		return v.wire.carry(ctx, io.Discard, body)
	}
	d := treehash.NewDouble()
	if err := v.wire.carry(ctx, d, body); err != nil {
		return err
	}
	switch got := d.Sums(); {
	case d.Written() != body.Size():
		return &firn.Error{Op: "receive", Kind: firn.Lost, Err: io.ErrUnexpectedEOF}
	case got != sums:
		return &firn.Error{Op: "receive", Kind: firn.Corrupt, Err: fmt.Errorf("%s came, %s was announced", got.Tree, sums.Tree)}
	}
	return nil
}

func (v *vault) next(prefix string) string {
	v.serial++
	return fmt.Sprintf("%s-%d", prefix, v.serial)
}

func (v *vault) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	if err := v.call(ctx, "UploadArchive"); err != nil {
		return "", err
	}
	if err := v.receive(ctx, body, sums); err != nil {
		return "", err
	}
	v.mu.Lock()
	id := v.keep(description, body.Size(), sums.Tree)
	v.mu.Unlock()
	return id, v.after("UploadArchive")
}

func (v *vault) keep(description string, size int64, tree treehash.Hash) firn.ArchiveID {
	id := firn.ArchiveID(v.next("archive"))
	v.archives = append(v.archives, firn.Archive{ID: id, Description: description, Size: size, Tree: tree})
	return id
}

func (v *vault) StartUpload(ctx context.Context, description string, partSize int64) (firn.UploadID, error) {
	if err := v.call(ctx, "StartUpload"); err != nil {
		return "", err
	}
	v.mu.Lock()
	id := firn.UploadID(v.next("upload"))
	v.open[id] = &open{description, partSize, map[int64]firn.Part{}}
	v.mu.Unlock()
	if err := v.after("StartUpload"); err != nil {
		return "", err
	}
	return id, nil
}

func (v *vault) get(id firn.UploadID) (*open, error) {
	if o := v.open[id]; o != nil {
		return o, nil
	}
	return nil, &firn.Error{Op: "find upload", Subject: string(id), Kind: firn.NotFound}
}

func (v *vault) UploadPart(ctx context.Context, id firn.UploadID, offset int64, body *io.SectionReader, sums treehash.Sums) error {
	if err := v.call(ctx, "UploadPart"); err != nil {
		return err
	}
	v.mu.Lock()
	o, err := v.get(id)
	v.mu.Unlock()
	if err != nil {
		return err
	}
	if offset%o.part != 0 || body.Size() > o.part {
		return kind(firn.Invalid)
	}
	if err := v.receive(ctx, body, sums); err != nil {
		return err
	}
	v.mu.Lock()
	o.parts[offset] = firn.Part{Offset: offset, Size: body.Size(), Tree: sums.Tree}
	v.puts[offset]++
	v.mu.Unlock()
	return v.after("UploadPart")
}

func (v *vault) CompleteUpload(ctx context.Context, id firn.UploadID, size int64, tree treehash.Hash) (firn.ArchiveID, error) {
	if err := v.call(ctx, "CompleteUpload"); err != nil {
		return "", err
	}
	archive, err := v.complete(id, size, tree)
	if err == nil {
		err = v.after("CompleteUpload")
	}
	return archive, err
}

func (v *vault) complete(id firn.UploadID, size int64, tree treehash.Hash) (firn.ArchiveID, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if a, ok := v.done[id]; ok {
		return a, nil
	}
	o, err := v.get(id)
	if err != nil {
		return "", err
	}
	var total int64
	var trees []treehash.Hash
	for _, p := range o.sorted() {
		if p.Offset != total || p.Size != o.part && p.Offset+p.Size != size {
			return "", kind(firn.Invalid)
		}
		total += p.Size
		trees = append(trees, p.Tree)
	}
	if checked := isPower(o.part); total != size || checked && treehash.Combine(trees) != tree {
		return "", kind(firn.Invalid)
	}
	delete(v.open, id)
	v.done[id] = v.keep(o.description, size, tree)
	return v.done[id], nil
}

func (o *open) sorted() []firn.Part {
	var all []firn.Part
	for _, p := range o.parts {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b firn.Part) int { return cmp.Compare(a.Offset, b.Offset) })
	return all
}

func (v *vault) AbortUpload(ctx context.Context, id firn.UploadID) error {
	if err := v.call(ctx, "AbortUpload"); err != nil {
		return err
	}
	v.mu.Lock()
	delete(v.open, id)
	v.mu.Unlock()
	return v.after("AbortUpload")
}

func (v *vault) Uploads(ctx context.Context) iter.Seq2[firn.Upload, error] {
	return func(yield func(firn.Upload, error) bool) {
		if err := v.call(ctx, "Uploads"); err != nil {
			yield(firn.Upload{}, err)
			return
		}
		v.mu.Lock()
		var all []firn.Upload
		for id, o := range v.open {
			all = append(all, firn.Upload{ID: id, Description: o.description, PartSize: o.part})
		}
		v.mu.Unlock()
		for _, u := range all {
			if !yield(u, nil) {
				return
			}
		}
	}
}

func (v *vault) Parts(ctx context.Context, id firn.UploadID) iter.Seq2[firn.Part, error] {
	return func(yield func(firn.Part, error) bool) {
		err := v.call(ctx, "Parts")
		v.mu.Lock()
		o, gone := v.get(id)
		var all []firn.Part
		if gone == nil {
			all = o.sorted()
		}
		v.mu.Unlock()
		if err = cmp.Or(err, gone); err != nil {
			yield(firn.Part{}, err)
			return
		}
		for _, p := range all {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// only checks that the vault holds one archive, of these bytes, and no upload.
func (v *vault) only(t *testing.T, description string, want firn.Content) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	var of []firn.Archive
	for _, a := range v.archives {
		if a.Description == description {
			of = append(of, a)
		}
	}
	if len(of) != 1 || of[0].Size != want.Size || of[0].Tree != want.Tree {
		t.Errorf("the vault holds %d archives of %q: %v, want one with %v", len(of), description, of, want)
	}
	if len(v.open) != 0 {
		t.Errorf("%d uploads are left open", len(v.open))
	}
}

// A wire carries bodies at a rate that they share, chunk by chunk, behind a
// buffer that each connection fills at once.
type wire struct {
	rate   func() float64 // bytes/s
	buffer int64          // bytes of each body

	mu   sync.Mutex
	free time.Time // when the wire has carried all that it was given
}

func steady(rate float64) *wire { return &wire{rate: func() float64 { return rate }} }

// carry moves body to w in the time that takes.
func (l *wire) carry(ctx context.Context, w io.Writer, body io.Reader) error {
	buf := make([]byte, 32<<10)
	for sent := int64(0); ; {
		n, err := body.Read(buf)
		w.Write(buf[:n])
		sent += int64(n)
		if l != nil && sent > l.buffer {
			if err := l.wait(ctx, int64(n)); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch {
		case err == io.EOF && l != nil:
			return l.wait(ctx, min(sent, l.buffer))
		case err == io.EOF:
			return nil
		case err != nil:
			return &firn.Error{Op: "receive", Kind: firn.Lost, Err: err}
		}
	}
}

func (l *wire) wait(ctx context.Context, n int64) error {
	l.mu.Lock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(took(n, l.rate()))
	timer := time.NewTimer(l.free.Sub(now))
	l.mu.Unlock()
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// virtual is a file whose bytes are a function of their place, so that a test
// may have one of any size.
type virtual struct {
	mu     sync.Mutex
	size   int64
	seed   byte
	stamp  firn.Stamp
	reads  int64 // bytes
	opens  int
	open   int
	onRead func(off int64) // may change the file
	err    error           // of reads
}

func newFile(size int64, seed byte) *virtual {
	return &virtual{size: size, seed: seed, stamp: firn.Stamp{Size: size, ModTime: time.Unix(1e9, 0), Inode: uint64(seed)}}
}

// write makes the file another one, as any writer would.
func (f *virtual) write(size int64, seed byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size, f.seed = size, seed
	f.stamp.Size, f.stamp.ModTime = size, f.stamp.ModTime.Add(time.Second)
}

func (f *virtual) Stamp() (firn.Stamp, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stamp, nil
}

func (f *virtual) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	hook := f.onRead
	f.mu.Unlock()
	if hook != nil {
		hook(off)
	}
	f.mu.Lock()
	size, seed, err := f.size, f.seed, f.err
	n := int(max(0, min(int64(len(p)), size-off)))
	f.reads += int64(n)
	f.mu.Unlock()
	if err != nil {
		return 0, err
	}
	fill(p[:n], off, seed)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// fill gives each MiB a byte of its own.
func fill(p []byte, off int64, seed byte) {
	for len(p) > 0 {
		n := min(int64(len(p)), mib-off%mib)
		c := seed + byte(off/mib)
		p[0] = c
		for k := int64(1); k < n; k *= 2 { // byte by byte the race detector takes long
			copy(p[k:n], p[:k])
		}
		p, off = p[n:], off+n
	}
}

// content is what the file holds.
func (f *virtual) content() firn.Content { return contentOf(f.size, f.seed) }

func contentOf(size int64, seed byte) firn.Content {
	h := treehash.New()
	f := &virtual{size: size, seed: seed}
	io.Copy(h, io.NewSectionReader(f, 0, size))
	return firn.Content{Size: size, Tree: h.Sum()}
}

func (f *virtual) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open--
	return nil
}

// source opens f.
func (f *virtual) source(path string) Source {
	return Source{Path: path, Open: func() (File, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.opens++
		f.open++
		return f, nil
	}}
}

// journal keeps its record in memory, checks the order in which it is told
// things, and can be told to fail.
type journal struct {
	fail func(op string, done bool) error

	mu     sync.Mutex
	log    []string
	begun  *Begun
	token  firn.Token // one for all attempts
	resume Resume
	result *Result
	doubt  bool
	wrong  []string
}

func (j *journal) step(op string, change func()) error {
	if j.fail != nil {
		if err := j.fail("journal "+op, false); err != nil {
			return err
		}
	}
	j.mu.Lock()
	j.log = append(j.log, op)
	change()
	j.mu.Unlock()
	if j.fail != nil {
		return j.fail("journal "+op, true)
	}
	return nil
}

func (j *journal) expect(ok bool, what string) {
	if !ok {
		j.wrong = append(j.wrong, fmt.Sprintf("%s after %v", what, j.log))
	}
}

func (j *journal) Begin(_ context.Context, b Begun) (Name, error) {
	err := j.step("Begin", func() {
		j.expect(j.result == nil && j.begun == nil && !j.doubt, "Begin")
		j.begun, j.resume = &b, Resume{Stamp: b.Stamp, Token: j.name().Token}
	})
	return j.name(), err
}

// name is what the journal calls its archive, in all attempts.
func (j *journal) name() Name {
	if j.token.IsZero() {
		j.token = firn.NewToken()
	}
	return Name{j.token, describe(j.token)}
}

// described is the description of a job's archive.
func described(job Task) string { return job.Journal.(*journal).name().Description }

func (j *journal) Opened(_ context.Context, id firn.UploadID, part int64) error {
	return j.step("Opened", func() {
		j.expect(j.begun != nil && j.begun.Multipart && j.resume.Upload == "", "Opened")
		j.resume.Upload, j.resume.PartSize = id, part
	})
}

func (j *journal) Part(_ context.Context, p firn.Part) error {
	return j.step("Part", func() {
		j.expect(j.resume.Upload != "", "Part")
		j.resume.Parts = append(j.resume.Parts, p)
	})
}

func (j *journal) Completing(_ context.Context, c firn.Content) error {
	return j.step("Completing", func() {
		j.expect(j.resume.Upload != "", "Completing")
		j.resume.Completing, j.resume.Content = true, c
	})
}

func (j *journal) Stored(_ context.Context, r Result) error {
	return j.step("Stored", func() {
		j.expect(j.begun != nil && (!j.begun.Multipart || j.resume.Completing), "Stored")
		j.result, j.begun = &r, nil
	})
}

func (j *journal) InDoubt(context.Context) error {
	return j.step("InDoubt", func() {
		j.expect(j.begun != nil, "InDoubt")
		j.doubt, j.begun = true, nil
	})
}

func (j *journal) Dropped(context.Context) error {
	return j.step("Dropped", func() {
		j.expect(j.begun != nil, "Dropped")
		j.begun, j.resume = nil, Resume{}
	})
}

// check reports calls out of order.
func (j *journal) check(t *testing.T) {
	t.Helper()
	for _, w := range j.wrong {
		t.Errorf("journal out of order: %s", w)
	}
}

// meterOf adds up transfer events.
type tally struct {
	mu      sync.Mutex
	bytes   int64
	notices []string
}

func (c *tally) sink(e firn.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := e.(type) {
	case firn.TransferEvent:
		c.bytes += e.Bytes
	case firn.NoticeEvent:
		c.notices = append(c.notices, e.Text)
	}
}

// token and describe are the simplest description that holds a token.
func describe(tok firn.Token) string { return "token " + tok.String() }

func tokenOf(description string) (firn.Token, bool) {
	if len(description) < 6 {
		return firn.Token{}, false
	}
	tok, err := firn.ParseToken(description[6:])
	return tok, err == nil
}

// uploader gives an Uploader that finds its tokens.
func uploader(t testing.TB, v *vault, tr firn.Traits, opt UploadOptions) *Uploader {
	t.Helper()
	opt.TokenOf = tokenOf
	u, err := NewUploader(v, tr, opt)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// task is a task for f.
func task(f *virtual, j Journal) Task {
	return Task{Source: f.source("file"), Journal: j}
}
