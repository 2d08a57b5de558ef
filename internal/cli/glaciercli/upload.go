package glaciercli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/loose"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

// uploadCommand is what an upload is called in the catalog.
const uploadCommand = "glacier archive upload"

// stdinName is what standard input is called without --name.
const stdinName = "<stdin>"

// archiveUpload stores a file, or standard input, as one archive.
func (p *program) archiveUpload(ctx context.Context, c *call) error {
	vault, file := c.words[0], c.words[1]
	name := filepath.Base(file)
	if file == "-" {
		name = stdinName
	} else if err := p.checkFile(c.parser, file); err != nil {
		return err
	}
	if c.given("--name") {
		name = c.values["--name"]
	}
	if err := checkName(name); err != nil {
		return err
	}
	u, err := p.newUploads(ctx, c, vault)
	if err != nil {
		return err
	}
	defer u.close()
	if file == "-" {
		return u.end(ctx, u.stream(ctx, name))
	}
	return u.end(ctx, u.file(ctx, name, p.path(file)))
}

// checkFile says of a file that can't be read what argparse does, before anything is
// asked for.
func (p *program) checkFile(parser *parser, file string) error {
	f, err := os.Open(p.path(file))
	if err == nil {
		defer f.Close()
		var info os.FileInfo
		if info, err = f.Stat(); err == nil && info.IsDir() {
			err = syscall.EISDIR
		}
	}
	if err == nil {
		return nil
	}
	var number syscall.Errno
	text := err.Error()
	if errors.As(err, &number) {
		text = pythonErrors[number]
		if said := number.Error(); text == "" && said != "" {
			text = strings.ToUpper(said[:1]) + said[1:]
		}
		text = fmt.Sprintf("[Errno %d] %s: %s", number, text, repr(file))
	}
	return &usageError{parser, fmt.Sprintf("argument file: can't open %s: %s", repr(file), text)}
}

// pythonErrors are the system's words for errors, where Go's are others in more than
// the first letter, on any system.
var pythonErrors = map[syscall.Errno]string{
	syscall.ENOENT: "No such file or directory",
	syscall.EISDIR: "Is a directory",
	syscall.EACCES: "Permission denied",
}

// checkName finds what the service would refuse as a description. Source: Amazon
// Glacier API reference, "Upload Archive".
func checkName(name string) error {
	if n := len(described(name)); n > describe.MaxLen {
		return fmt.Errorf("the name %.40s... takes %d characters as a description, and the service takes %d", repr(name), n, describe.MaxLen)
	}
	return nil
}

// uploads are what one run stores in a vault.
type uploads struct {
	*program
	*session
	vault    string
	run      catalog.Run
	lock     *wire.RunLock
	uploader *transfer.Uploader
	left     []catalog.Intent // that killed runs began, and that can be gone on with
	release  func()           // gives them back
	done     firn.Count
	// The cache lacks an archive that was stored.
	unrecorded bool
}

// newUploads opens a vault to store archives in, and settles what was left open.
func (p *program) newUploads(ctx context.Context, c *call, vault string) (*uploads, error) {
	s, err := p.openChecked(ctx, vault, true)
	if err != nil {
		return nil, err
	}
	u := &uploads{program: p, session: s, vault: vault}
	if err := u.begin(ctx, c); err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

func (u *uploads) begin(ctx context.Context, c *call) (err error) {
	const mib = 1 << 20
	partSize := c.number("--part-size", 0) * mib
	if c.given("--part-size") {
		if err := transfer.CheckPartSize(partSize); err != nil {
			return err
		}
	}
	u.uploader, err = transfer.NewUploader(u.session, u.Traits(), transfer.UploadOptions{
		PartSize: partSize, Clock: u.Clock, Events: u.env().Events, TokenOf: describe.TokenOf,
	})
	if err != nil {
		return err
	}
	if u.run, u.lock, err = wire.BeginRun(ctx, u.env(), u.catalog, u.entry.ID, uploadCommand); err != nil {
		return err
	}
	res, release, err := loose.Settle(ctx, u.settling(), func(catalog.Intent) bool { return true }, func(run int64) (func() error, error) {
		l, err := wire.LockRun(u.env(), run, "settle")
		if err != nil {
			return nil, err
		}
		return l.Unlock, nil
	})
	u.left, u.release = res.Resumable, release
	if err == nil {
		err = u.recall(ctx, u.session) // of what is settled now
	}
	return err
}

func (u *uploads) settling() reconcile.Options {
	return reconcile.Options{
		Catalog: u.catalog, Row: u.entry.ID, Store: u.session, Run: u.run, Clock: u.Clock, Events: u.env().Events, Single: transfer.MaxSingle,
	}
}

// end records how the run ended: not where the cache lacks what it stored, so that
// this is put right later.
func (u *uploads) end(ctx context.Context, err error) error {
	if u.unrecorded {
		return err
	}
	out := catalog.Outcome{Complete: err == nil, Counts: map[firn.Action]firn.Count{firn.Sent: u.done}}
	return errors.Join(err, u.catalog.EndRun(context.WithoutCancel(ctx), u.run, out))
}

func (u *uploads) close() error {
	var err error
	if u.release != nil {
		u.release()
	}
	if u.lock != nil {
		err = u.lock.Unlock()
	}
	return errors.Join(err, u.session.close())
}

func (u *uploads) journal(name string, again bool) *loose.Journal {
	return &loose.Journal{Catalog: u.catalog, Run: u.run, Clock: u.Clock, Name: name, Description: described(name), Verbatim: true, Again: again}
}

// file stores a file, and goes on with an upload of it that was cut short.
func (u *uploads) file(ctx context.Context, name, path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() { // a pipe, say: it can be read once
		return u.pipe(ctx, name, path)
	}
	if err == nil && info.Size() == 0 {
		return fmt.Errorf("upload %s: it is empty, and the service takes no empty archives", repr(name))
	}
	open := func() (transfer.File, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return &scan.File{File: f}, nil
	}
	var stamp firn.Stamp
	if err == nil {
		stamp, err = stampOf(open)
	}
	if err != nil {
		return fmt.Errorf("upload %s: %w", repr(name), err)
	}
	j := u.journal(name, true)
	task := transfer.Task{Source: transfer.Source{Path: name, Open: open}, Journal: j}
	for _, in := range u.left {
		if j.IsOf(in) && in.File.Stamp.Equal(stamp) {
			task.Resume = j.Take(in)
			break
		}
	}
	res, err := u.uploader.Upload(ctx, task)
	return u.record(ctx, j, res, err)
}

func stampOf(open func() (transfer.File, error)) (firn.Stamp, error) {
	f, err := open()
	if err != nil {
		return firn.Stamp{}, err
	}
	defer f.Close()
	return f.Stamp()
}

func (u *uploads) pipe(ctx context.Context, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return u.pour(ctx, name, f, u.journal(name, false), 0)
}

// stream stores standard input. That of git-annex has the size in its name.
func (u *uploads) stream(ctx context.Context, name string) error {
	feed := newFeed(ctx, u.program, name)
	return u.pour(ctx, name, feed, &watchedJournal{u.journal(name, false), feed}, feed.size)
}

func (u *uploads) pour(ctx context.Context, name string, r io.Reader, j transfer.Journal, size int64) error {
	spool, err := wire.SpoolDir(u.env())
	if err == nil {
		err = os.MkdirAll(spool, 0o700)
	}
	if err != nil {
		return err
	}
	res, err := u.uploader.UploadStream(ctx, transfer.Stream{Path: name, Body: r, Journal: j, Expect: size, Spool: spool})
	own, ok := j.(*loose.Journal)
	if !ok {
		own = j.(*watchedJournal).Journal
	}
	return u.record(ctx, own, res, err)
}

// record puts an archive that was stored into the cache.
func (u *uploads) record(ctx context.Context, j *loose.Journal, res transfer.Result, err error) error {
	if firn.KindOf(err) == firn.InDoubt {
		res, err = j.Resolve(ctx, u.settling(), err)
	}
	if err != nil {
		return err
	}
	u.done.Files++
	u.done.Bytes += res.Content.Size
	err = u.cache.Add(context.WithoutCancel(ctx), foreign.CacheRow{
		ID: res.Archive, Name: j.Name, Vault: u.vault, Region: u.region, Key: u.key, Created: u.Clock.Now(), Tree: res.Content.Tree,
	})
	if err != nil {
		u.unrecorded = true
		return fmt.Errorf("archive %s is stored, with the id %s, and the cache doesn't know: %w\nto bring it there: glacier --region=%s vault sync %s", repr(j.Name), res.Archive, err, u.region, u.vault)
	}
	return nil
}

// orphanWait is how long a process that ends may take from the end of its pipe to
// its own.
const orphanWait = 200 * time.Millisecond
