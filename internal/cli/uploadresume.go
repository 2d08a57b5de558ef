package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/loose"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

type uploadResumeOptions struct {
	uploadOptions
	Concurrency count
	Force       bool
}

func newUploadResumeCmd(a *app, run func(context.Context, *uploadResumeOptions) error) *cobra.Command {
	o := &uploadResumeOptions{Concurrency: transfer.DefaultConcurrency}
	cmd := newUploadVerb(a, &o.uploadOptions, "resume STORE ID FILE", func(ctx context.Context) error { return run(ctx, o) })
	cmd.Short = "go on with an upload, whoever began it"
	cmd.Long = `Go on with the upload ID of STORE, which is of FILE, and print the id of the archive that
it becomes. The part size is the upload's own. Each part that is there is compared with
FILE first: where one differs nothing is sent, and the upload stays as it is. The
archive keeps the description that the upload was begun with, and is listed by firn
archive list.

It is for the uploads of other programs, and for those of firn archive upload. What a
firn sync has begun the same firn sync goes on with. Interrupted, it goes on when the
same command is run again. An ID that begins with - goes behind --.`
	f := cmd.Flags()
	f.Var(&o.Concurrency, "concurrency", "send so many parts at a time")
	f.BoolVar(&o.Force, "force", false, "also where firn on another machine began it, which then sends its file again")
	notOfProfile(f, "force")
	o.Common.addFlags(f, true, false)
	return cmd
}

// uploadResume is what the command is called in the catalog and in summaries.
const uploadResume = "upload resume"

func runUploadResume(ctx context.Context, o *uploadResumeOptions) error {
	path := o.app.env.Path(o.File)
	f, err := openRegular(path, "resume the upload")
	if err != nil {
		return err
	}
	stamp, err := f.Stamp()
	f.Close()
	if err != nil {
		return err
	}
	d, err := o.openUploads(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	if err := errors.Join(d.mayStorePlain("upload"), wire.CheckDataDir(d.env)); err != nil {
		return err
	}
	u, err := d.find(ctx, o.Upload)
	if err == nil {
		err = o.mayResume(d, u)
	}
	if err != nil {
		return err
	}
	uploader, err := transfer.NewUploader(d.store, d.store.Traits(), transfer.UploadOptions{
		Concurrency: int(o.Concurrency), Limit: o.Common.LimitUpload.Slowest(),
		Clock: d.env.Clock, Events: d.env.Events, TokenOf: describe.TokenOf,
	})
	if err != nil {
		return err
	}
	run, lock, err := wire.BeginRun(ctx, d.env, d.catalog, d.row.ID, uploadResume)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	in, release, err := d.take(ctx, u, run, filepath.Base(path), stamp)
	if err == nil {
		defer release()
		err = o.resume(ctx, d, in, run, uploader, path, stamp)
	}
	out := catalog.Outcome{Complete: err == nil}
	if err == nil {
		out.Counts = map[firn.Action]firn.Count{firn.Sent: {Files: 1, Bytes: stamp.Size}}
	}
	if endErr := d.catalog.EndRun(context.WithoutCancel(ctx), run, out); err == nil {
		err = endErr
	}
	return err
}

// mayResume says why an upload is not for this command.
func (o *uploadResumeOptions) mayResume(d *uploadDesk, u *openUpload) error {
	refuse := func(why, hint string) error {
		return &firn.Error{Op: "resume the upload", Subject: string(u.ID), Kind: firn.Conflict, Err: errors.New(why), Hint: hint}
	}
	if why := d.owned(u); why != "" {
		return refuse(why, "")
	}
	if u.owner == firnUpload && !o.Force {
		return refuse("firn began it, on another machine or with a catalog that is lost", "if no machine goes on with it any more, give --force")
	}
	return nil
}

// take makes an upload this run's: an own one by the lock of the run that began it,
// another one by an intent in the catalog, from which it is gone on with after a
// kill. Errors: Conflict (somebody works on it).
func (d *uploadDesk) take(ctx context.Context, u *openUpload, run catalog.Run, name string, stamp firn.Stamp) (in catalog.Intent, release func(), err error) {
	// One at a time: two would take the same upload.
	lock, err := wire.LockStore(d.env, d.row, uploadResume)
	if err != nil {
		return in, nil, err
	}
	defer lock.Unlock()
	if err := d.reload(ctx); err != nil {
		return in, nil, err
	}
	if now := d.identify(u.Upload); now.owner == ownUpload {
		release, err := d.hold(ctx, now.intent)
		return now.intent, release, err
	}
	token, ours := describe.TokenOf(u.Description)
	if !ours {
		token = firn.NewToken()
	}
	intents := []catalog.Intent{{
		Store: d.row.ID, Run: run.ID, Token: token, Kind: catalog.LooseArchive, Description: u.Description,
		File: firn.File{Path: name, Kind: firn.Regular, Stamp: stamp}, Size: stamp.Size,
	}}
	if err := d.catalog.Intend(ctx, intents); err != nil {
		return in, nil, err
	}
	in = intents[0]
	if err := d.catalog.UploadOpened(ctx, in.ID, u.ID, u.PartSize); err != nil {
		return in, nil, err
	}
	in.State, in.Upload, in.PartSize = catalog.Uploading, u.ID, u.PartSize
	return in, func() {}, nil
}

// resume goes on with an upload that was taken, and tells what became of it.
func (o *uploadResumeOptions) resume(ctx context.Context, d *uploadDesk, in catalog.Intent, run catalog.Run, uploader *transfer.Uploader, path string, stamp firn.Stamp) error {
	fresh := in.Run == run.ID
	u := &archiveUploader{
		options: &archiveUploadOptions{app: o.app, Description: in.Description},
		cargo:   cargo{name: in.File.Path, file: path, size: stamp.Size},
		session: d.session, row: d.row, run: run, uploader: uploader, start: d.env.Clock.Now(),
	}
	u.journal = &loose.Journal{Catalog: d.catalog, Run: run, Clock: d.env.Clock, Name: in.File.Path, Description: in.Description, Again: true}
	r := u.journal.Take(in)
	// What was recorded is of the file as it was then, which FILE need not be.
	r.Upload, r.PartSize, r.Parts, r.Stamp, r.Only = o.Upload, in.PartSize, nil, stamp, true
	d.env.Events(firn.PlanEvent{Files: 1, Bytes: stamp.Size})
	task := transfer.Task{Journal: u.journal, Resume: r}
	task.Path = u.name
	task.Open = func() (transfer.File, error) {
		f, err := openRegular(path, "resume the upload")
		if err != nil {
			return nil, err
		}
		return &scan.File{File: f.File}, nil
	}
	res, err := uploader.Upload(ctx, task)
	switch firn.KindOf(err) {
	case firn.InDoubt:
		res, err = u.journal.Resolve(ctx, u.settling(u.row, u.run), err)
	case firn.Invalid:
		if fresh { // it is as much somebody else's as before
			err = errors.Join(err, d.catalog.Drop(context.WithoutCancel(ctx), in.ID, "the upload is one of another file"))
		}
		err = fmt.Errorf("%w; which parts differ tells: firn upload verify %s %s %s", err, d.loc, o.Upload, o.File)
	case firn.NotFound:
		err = errors.Join(err, d.catalog.Drop(context.WithoutCancel(ctx), in.ID, "the store does not have the upload any more"))
	}
	if err != nil {
		return err
	}
	u.tell(res)
	return nil
}
