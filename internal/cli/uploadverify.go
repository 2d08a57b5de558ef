package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/ui"
)

func newUploadVerifyCmd(a *app, run func(context.Context, *uploadOptions) error) *cobra.Command {
	o := &uploadOptions{}
	cmd := newUploadVerb(a, o, "verify STORE ID [FILE]", func(ctx context.Context) error { return run(ctx, o) })
	cmd.Short = "compare the parts of an upload with the file that it is of"
	cmd.Long = `Compare the tree hash of each part that STORE has of the upload ID with what FILE
holds at its place. Nothing is downloaded. Without FILE, an upload that this machine's
firn began is compared with the file that it is of, or, where that has changed, is
encrypted or can't be read, with the hashes that were recorded when the parts were sent.

The status is 3 where any part differs. Parts that are missing are no difference. An ID
that begins with - goes behind --.`
	o.Common.addFlags(cmd.Flags(), false, false)
	return cmd
}

// What parts were compared with.
const (
	againstFile   = "file"
	againstRecord = "record"
)

// An uploadCheckRecord is what a comparison came to.
type uploadCheckRecord struct {
	Store   string        `json:"store"`
	Upload  firn.UploadID `json:"upload"`
	Against string        `json:"against"`
	Path    *ui.Path      `json:"path,omitempty"`
	Parts   int64         `json:"parts"`
	Bytes   int64         `json:"bytes"`
	Differ  int64         `json:"differ"`
	Missing int64         `json:"missing"`
	Unknown int64         `json:"unknown,omitempty"` // of record: nothing is recorded of them
}

func runUploadVerify(ctx context.Context, o *uploadOptions) error {
	d, err := o.openUploads(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	u, err := d.find(ctx, o.Upload)
	if err == nil {
		err = d.look(ctx, u)
	}
	if err != nil {
		return err
	}
	r := uploadCheckRecord{Store: d.loc.String(), Upload: u.ID, Parts: int64(len(u.parts)), Bytes: u.bytes()}
	f, why := o.fileOf(d, u)
	if f == nil && o.File != "" {
		return why
	}
	var differ []bool
	if f != nil {
		defer f.Close()
		differ, err = compareFile(ctx, d, u, f, &r)
	} else {
		if u.owner != ownUpload {
			return wrongUsage("verify the upload", "this machine's catalog knows nothing of it: give the file that it is of")
		}
		d.ui.Notice("compared with the record of what was sent: " + why.Error())
		differ = compareRecord(u, &r)
	}
	if err != nil {
		return err
	}
	return d.reportVerify(u, r, differ)
}

// fileOf opens the file that an upload is of: the one that is given, or the one
// that the catalog knows, as long as it is what it was. Else it gives why not.
func (o *uploadOptions) fileOf(d *uploadDesk, u *openUpload) (*scan.File, error) {
	in := u.intent
	path := ""
	switch tree := d.trees[in.Tree]; {
	case o.File != "":
		path = o.app.env.Path(o.File)
	case in.Seal != nil:
		return nil, errors.New("it is encrypted")
	case in.Spool != "":
		path = in.Spool
	case tree.Root != "" && in.File.Path != "":
		path = filepath.Join(tree.Root, filepath.FromSlash(in.File.Path))
	default:
		return nil, errors.New("where the file is wasn't recorded")
	}
	f, err := openRegular(path, "verify the upload")
	if err != nil {
		return nil, err
	}
	if o.File != "" {
		return f, nil
	}
	if now, err := f.Stamp(); err != nil || !now.Equal(in.File.Stamp) {
		f.Close()
		return nil, fmt.Errorf("%s has changed since", ui.Text(path))
	}
	return f, nil
}

// openRegular opens a file that has a size.
func openRegular(path, op string) (*scan.File, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, &firn.Error{Op: op, Subject: path, Kind: firn.Local, Err: cause(err)}
	}
	return &scan.File{File: f}, nil
}

// compareFile compares the parts with a file.
func compareFile(ctx context.Context, d *uploadDesk, u *openUpload, f *scan.File, r *uploadCheckRecord) ([]bool, error) {
	stamp, err := f.Stamp()
	if err != nil {
		return nil, err
	}
	path := ui.NewPath(f.Name())
	r.Against, r.Path = againstFile, &path
	if u.intent.Seal == nil {
		r.Missing = int64(len(u.missing(stamp.Size)))
	}
	d.env.Events(firn.PlanEvent{Files: 1, Bytes: r.Bytes})
	return transfer.Differing(ctx, f, stamp.Size, u.parts, func(n int64) { d.env.Events(firn.TransferEvent{Path: f.Name(), Bytes: n}) })
}

// compareRecord compares the parts with what was recorded when they were sent.
func compareRecord(u *openUpload, r *uploadCheckRecord) []bool {
	r.Against, r.Missing = againstRecord, int64(len(u.missing(u.size())))
	recorded := map[int64]firn.Part{}
	for _, p := range u.intent.Parts {
		recorded[p.Offset] = p
	}
	differ := make([]bool, len(u.parts))
	for i, p := range u.parts {
		was, ok := recorded[p.Offset]
		if !ok {
			r.Unknown++ // sent by a run that was killed before it recorded it
		}
		differ[i] = ok && was != p
	}
	return differ
}

// reportVerify tells which parts differ, and what it all came to.
func (d *uploadDesk) reportVerify(u *openUpload, r uploadCheckRecord, differ []bool) error {
	for i, p := range u.parts {
		if differ[i] {
			r.Differ++
			d.ui.Record("part", d.partRecord(u, p, partDiffers))
			d.ui.Print(fmt.Sprintf("differs: %d to %d, %s", p.Offset, p.Offset+p.Size-1, p.Tree))
		}
	}
	d.ui.Record("upload_check", r)
	text := fmt.Sprintf("%s are there (%s): ", counted(r.Parts, "part"), ui.Bytes(r.Bytes))
	switch r.Differ {
	case 0:
		text += "none differs"
	case 1:
		text += "1 part differs"
	default:
		text += counted(r.Differ, "part") + " differ"
	}
	if r.Unknown > 0 {
		text += fmt.Sprintf("; of %s nothing is recorded", counted(r.Unknown, "part"))
	}
	if r.Missing > 0 {
		text += fmt.Sprintf("; %s missing", counted(r.Missing, "part"))
	}
	d.ui.Print(text)
	if r.Differ > 0 {
		return ErrPartial
	}
	return nil
}
