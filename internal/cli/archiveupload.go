package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/loose"
	"github.com/firn-archive/firn/internal/pack"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

type archiveUploadOptions struct {
	app         *app
	Store       string
	Paths       []string // as given
	Description string
	Name        string
	Pack        packFormat
	Expect      byteSize
	PartSize    partSize
	Concurrency count
	Common      storeOptions
}

func newArchiveUploadCmd(a *app, run func(context.Context, *archiveUploadOptions) error) *cobra.Command {
	o := &archiveUploadOptions{app: a, Concurrency: transfer.DefaultConcurrency}
	cmd := &cobra.Command{
		Use:   "upload STORE PATH...",
		Short: "upload a file, standard input or a pack as one archive",
		Long: `Upload one archive to STORE, and print its id: a file as it is, standard input
where PATH is -, or a pack, which is a tar of several files and directories that
is made, compressed and sent at the same time.

The archive belongs to no tree: firn sync, ls and restore know nothing of it. It
is listed by firn archive list. Its description is firn's own, with the name of
the file, by which other programs find it too, or the one that is given.

An interrupted upload of a file goes on where it was when the same command is run
again. One of standard input or of a pack is aborted: it can't be read again.
Parts of these wait in firn's data folder until they are stored: at most
the part size times the concurrency. All parts have one size, and there are 10,000
at most, so that parts of 64 MiB hold 625 GiB: for more give --part-size or
--expect-size.`,
		Example: `  firn archive upload glacier:photos photos-2019.tar
  pg_dump shop | firn archive upload glacier:backup - --name shop.sql
  firn archive upload local:/mnt/usb/vault letters notes.txt --pack tar.zst`,
		Args: takes("STORE", "PATH..."),
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return a.completeStore(word)
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.Description, "description", "", "describe the archive as `TEXT`, at most 1,024 characters of ASCII (default: firn's own)")
	f.StringVar(&o.Name, "name", "", "call it `NAME` in firn's own description (default: that of the file, or stdin)")
	f.Var(&o.Pack, "pack", "pack as tar.xz, tar.zst or tar, a single file too (default: tar.xz, of several files or a directory)")
	f.Var(&o.Expect, "expect-size", "choose the part size for so many `BYTES` of standard input, such as 2T")
	f.Var(&o.PartSize, "part-size", "send parts of so many MiB: in vaults a power of two up to 4096, in S3 any up to 5120")
	f.Var(&o.Concurrency, "concurrency", "send so many parts at a time")
	o.Common.addFlags(f, true, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store, o.Paths = args[0], args[1:]
		if err := a.useProfile(cmd.Flags(), o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

// A packFormat is a format of packs; empty where none was chosen. It is a
// pflag.Value.
type packFormat pack.Format

// Set reads a format.
func (p *packFormat) Set(s string) error {
	f, err := pack.ParseFormat(s)
	if err != nil {
		return fmt.Errorf("%q is no format of packs; there are %v", s, pack.Formats())
	}
	*p = packFormat(f)
	return nil
}

// String gives the format's name.
func (p *packFormat) String() string { return string(*p) }

// Type names the value in help.
func (p *packFormat) Type() string { return "format" }

// A cargo is what is to be uploaded: one of a file, a stream and a pack.
type cargo struct {
	name string
	file string                        // its path: it can be read again
	open func() (io.ReadCloser, error) // of a stream
	pack []packRoot
	size int64 // expected; 0: nobody knows
}

func runArchiveUpload(ctx context.Context, o *archiveUploadOptions) error {
	cargo, err := o.cargo()
	if err != nil {
		return err
	}
	if err := o.checkNames(cargo.name); err != nil {
		return err
	}
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	if err := errors.Join(s.mayStorePlain("upload"), wire.CheckDataDir(s.env)); err != nil {
		return err
	}
	if err := o.PartSize.checkIn(s.store.Traits()); err != nil {
		return err
	}
	row, err := s.store.CheckOrCreate(ctx, s.catalog)
	if err != nil {
		return err
	}
	uploader, err := transfer.NewUploader(s.store, s.store.Traits(), transfer.UploadOptions{
		PartSize: int64(o.PartSize), Concurrency: int(o.Concurrency), Limit: o.Common.LimitUpload.Slowest(),
		Clock: s.env.Clock, Events: s.env.Events, TokenOf: describe.TokenOf,
	})
	if err != nil {
		return err
	}
	run, lock, err := wire.BeginRun(ctx, s.env, s.catalog, row.ID, archiveUpload)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	u := &archiveUploader{options: o, cargo: cargo, session: s, row: row, run: run, uploader: uploader, start: s.env.Clock.Now()}
	u.journal = &loose.Journal{Catalog: s.catalog, Run: run, Clock: s.env.Clock, Name: u.name, Description: o.Description, Again: u.file != ""}
	return u.upload(ctx)
}

// archiveUpload is what the command is called in the catalog and in summaries.
const archiveUpload = "archive upload"

// cargo finds out what the arguments are, before anything is opened.
func (o *archiveUploadOptions) cargo() (cargo, error) {
	if len(o.Paths) == 1 && o.Paths[0] == "-" {
		if o.app.env.Terminal.Stdin {
			return cargo{}, wrongUsage("upload", "standard input is a terminal; pipe what is to be archived into firn, or give a file")
		}
		stdin := func() (io.ReadCloser, error) { return io.NopCloser(o.app.env.Stdin), nil }
		return o.stream("stdin", stdin)
	}
	infos := make([]os.FileInfo, len(o.Paths))
	for i, path := range o.Paths {
		if path == "-" {
			return cargo{}, wrongUsage("upload", "standard input can't be packed with files: upload it alone, or give %s for a file of this name", filepath.Join(".", "-"))
		}
		var err error
		if infos[i], err = os.Stat(o.app.env.Path(path)); err != nil {
			return cargo{}, &firn.Error{Op: "upload", Subject: path, Kind: firn.Local, Err: cause(err)}
		}
	}
	alone := len(o.Paths) == 1 && o.Pack == ""
	switch mode := infos[0].Mode(); {
	case alone && mode.IsRegular():
		return o.file(o.Paths[0], infos[0])
	case alone && !mode.IsDir():
		path := o.app.env.Path(o.Paths[0])
		return o.stream(filepath.Base(path), func() (io.ReadCloser, error) { return os.Open(path) })
	}
	return o.packed(infos)
}

func (o *archiveUploadOptions) stream(name string, open func() (io.ReadCloser, error)) (cargo, error) {
	if o.Pack != "" {
		return cargo{}, wrongUsage("upload", "--pack is for files and directories: what comes as a stream is uploaded as it is")
	}
	return cargo{name: o.named(name), open: open, size: int64(o.Expect)}, nil
}

func (o *archiveUploadOptions) file(path string, info os.FileInfo) (cargo, error) {
	if o.Expect != 0 {
		return cargo{}, wrongUsage("upload", "--expect-size is for standard input and packs: the size of %s is known", path)
	}
	path = o.app.env.Path(path)
	return cargo{name: o.named(filepath.Base(path)), file: path, size: info.Size()}, nil
}

func (o *archiveUploadOptions) named(name string) string {
	if o.Name != "" {
		return o.Name
	}
	return name
}

// packed is the cargo of several files and directories, or one.
func (o *archiveUploadOptions) packed(infos []os.FileInfo) (cargo, error) {
	if o.Pack == "" {
		o.Pack = packFormat(pack.Formats()[0])
	}
	loc, _, err := o.app.resolve(o.Store)
	if err != nil {
		return cargo{}, err
	}
	c := cargo{name: "pack", size: int64(o.Expect)}
	for i, path := range o.Paths {
		if !infos[i].Mode().IsRegular() && !infos[i].IsDir() {
			return cargo{}, wrongUsage("upload", "%s is neither a file nor a directory, and can't be packed", path)
		}
		root := newPackRoot(path, o.app.env.Path(path), infos[i].IsDir())
		if err := root.checkApart(c.pack, loc); err != nil {
			return cargo{}, err
		}
		c.pack = append(c.pack, root)
	}
	if base := filepath.Base(c.pack[0].path); len(c.pack) == 1 && base != string(filepath.Separator) {
		c.name = base
	}
	c.name = o.named(c.name + "." + string(o.Pack))
	return c, nil
}

// checkNames finds what the store would refuse, or what would not come back as
// it was given.
func (o *archiveUploadOptions) checkNames(name string) error {
	if err := checkDescription("upload", o.Description); err != nil {
		return err
	}
	if o.Name == "" {
		return nil
	}
	if !describe.Fits("", name, time.Unix(0, 0)) || strings.HasSuffix(name, "/") {
		return wrongUsage("upload", "%q can't be a name: it is a relative path of printable UTF-8, without . and .., of some 600 bytes at most", name)
	}
	return nil
}

// checkDescription refuses what the service does, and what would not come back
// as it was given: it is sent as a header, at whose ends blanks count for
// nothing. Source: Amazon Glacier API reference, "Upload Archive": 1,024
// characters of ASCII from 32 to 126.
func checkDescription(op, s string) error {
	odd := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
	switch _, ours := describe.TokenOf(s); {
	case odd >= 0:
		return wrongUsage(op, "the description has a character other than printable ASCII, at byte %d", odd+1)
	case len(s) > describe.MaxLen:
		return wrongUsage(op, "the description has %d characters, and the service takes %d", len(s), describe.MaxLen)
	case strings.TrimSpace(s) != s:
		return wrongUsage(op, "the description begins or ends with a blank, which the service drops")
	case ours:
		return wrongUsage(op, "the description is one of firn's own: the two would be taken for one")
	}
	return nil
}

// An archiveUploader is one upload under way.
type archiveUploader struct {
	options *archiveUploadOptions
	cargo
	*session
	row      catalog.Store
	run      catalog.Run
	uploader *transfer.Uploader
	start    time.Time
	journal  *loose.Journal
}

// upload uploads the cargo, and tells what became of it.
func (u *archiveUploader) upload(ctx context.Context) error {
	left, release, err := settleLoose(ctx, u.session, u.row, u.run, u.journal.IsOf)
	defer release()
	if err != nil {
		return err
	}
	u.env.Events(firn.PlanEvent{Files: 1, Bytes: u.size})
	res, missing, err := u.send(ctx, left.Resumable)
	if firn.KindOf(err) == firn.InDoubt {
		res, err = u.journal.Resolve(ctx, u.settling(u.row, u.run), err)
	}
	out := catalog.Outcome{Complete: err == nil && missing == 0, Counts: map[firn.Action]firn.Count{}}
	if missing > 0 {
		out.Counts[firn.Failed] = firn.Count{Files: missing}
	}
	if err == nil {
		out.Counts[firn.Sent] = firn.Count{Files: 1, Bytes: res.Content.Size}
		u.tell(res)
	}
	if u.ui.IsJSON() { // as text it would stand between the ids on stdout
		u.env.Events(firn.SummaryEvent{Command: archiveUpload, Store: u.loc.String(), Stopped: err != nil, Counts: out.Counts, Elapsed: u.elapsed()})
	}
	if endErr := u.catalog.EndRun(context.WithoutCancel(ctx), u.run, out); err == nil {
		err = endErr
	}
	if err == nil && missing > 0 {
		return ErrPartial
	}
	return err
}

// send sends the cargo. It gives how many entries of a pack are missing, or not
// whole.
func (u *archiveUploader) send(ctx context.Context, left []catalog.Intent) (res transfer.Result, missing int64, err error) {
	switch {
	case u.file != "":
		res, err = u.uploadFile(ctx, left)
	case u.pack != nil:
		return u.uploadPack(ctx)
	default:
		res, err = u.uploadStream(ctx)
	}
	return res, 0, err
}

// tell shows the result: in text the archive's id alone, for scripts.
func (u *archiveUploader) tell(res transfer.Result) {
	u.env.Events(firn.FileEvent{Action: firn.Sent, Path: u.name, Size: res.Content.Size, Archive: res.Archive})
	name := ui.NewPath(u.name)
	u.ui.Record("archive", archiveRecord{
		Store: u.loc.String(), Archive: res.Archive, Kind: catalog.LooseArchive, Size: res.Content.Size, TreeHash: res.Content.Tree.String(),
		Recorded: timeText(u.run.Started), Path: &name, Description: u.journal.Told,
	})
	before := ""
	if res.Resumed > 0 {
		before = fmt.Sprintf(", of which %s were there already", ui.Bytes(res.Resumed))
	}
	u.ui.Notice(fmt.Sprintf("stored %s in %s: %s in %s%s", u.name, u.loc, ui.Bytes(res.Content.Size), ui.Duration(u.elapsed()), before))
	u.ui.Print(string(res.Archive))
}

func (u *archiveUploader) elapsed() time.Duration { return u.env.Clock.Now().Sub(u.start) }

// uploadFile uploads a file, and goes on with an upload of it that an earlier
// run began.
func (u *archiveUploader) uploadFile(ctx context.Context, left []catalog.Intent) (transfer.Result, error) {
	open := func() (transfer.File, error) {
		f, err := os.Open(u.file)
		if err != nil {
			return nil, err
		}
		return &scan.File{File: f}, nil
	}
	f, err := open()
	if err != nil {
		return transfer.Result{}, &firn.Error{Op: "open", Subject: u.file, Kind: firn.Local, Err: cause(err)}
	}
	stamp, err := f.Stamp()
	f.Close()
	if err != nil {
		return transfer.Result{}, err
	}
	task := transfer.Task{Source: transfer.Source{Path: u.name, Open: open}, Journal: u.journal}
	for _, in := range left {
		if u.journal.IsOf(in) && in.File.Stamp.Equal(stamp) {
			task.Resume = u.journal.Take(in)
		}
	}
	if stamp.Size == 0 && !u.store.Traits().EmptyArchives {
		return transfer.Result{}, &firn.Error{Op: "upload", Subject: u.name, Kind: firn.Invalid, Err: errors.New("it is empty, and the store takes no empty archives")}
	}
	return u.uploader.Upload(ctx, task)
}

// uploadStream uploads standard input, or what comes out of a pipe.
func (u *archiveUploader) uploadStream(ctx context.Context) (transfer.Result, error) {
	r, err := u.open()
	if err != nil {
		return transfer.Result{}, &firn.Error{Op: "open", Subject: u.name, Kind: firn.Local, Err: cause(err)}
	}
	defer r.Close()
	return u.sendStream(ctx, r)
}

// uploadPack uploads the pack while it is made.
func (u *archiveUploader) uploadPack(ctx context.Context) (res transfer.Result, missing int64, err error) {
	p := &packer{ctx: ctx, app: u.options.app, events: u.env.Events, roots: u.pack, format: pack.Format(u.options.Pack)}
	r := p.start()
	res, err = u.sendStream(ctx, r)
	r.Close() // where the upload failed, the packer has to stop
	<-p.done
	return res, p.failed, err
}

func (u *archiveUploader) sendStream(ctx context.Context, r io.Reader) (transfer.Result, error) {
	spool, err := wire.SpoolDir(u.env)
	if err == nil {
		err = os.MkdirAll(spool, 0o700)
	}
	if err != nil {
		return transfer.Result{}, &firn.Error{Op: "make the spool folder", Subject: spool, Kind: firn.Local, Err: cause(err)}
	}
	res, err := u.uploader.UploadStream(ctx, transfer.Stream{Path: u.name, Body: r, Journal: u.journal, Expect: u.size, Spool: spool})
	if err != nil && ctx.Err() != nil {
		return res, u.interrupted(ctx)
	}
	return res, err
}

// interrupted says what an interrupt has left of a stream.
func (u *archiveUploader) interrupted(ctx context.Context) error {
	text := fmt.Sprintf("interrupted: %s was not stored; send it again from its start", u.name)
	if u.journal.Intent != 0 {
		text = fmt.Sprintf("interrupted: whether %s was stored is not known; firn store refresh %s tells, and aborts what is left of it", u.name, u.loc)
	}
	return &interruptedError{text, context.Cause(ctx)}
}

// An interruptedError is one that says itself what an interrupt means.
type interruptedError struct {
	text  string
	cause error
}

func (e *interruptedError) Error() string { return e.text }
func (e *interruptedError) Unwrap() error { return e.cause }
