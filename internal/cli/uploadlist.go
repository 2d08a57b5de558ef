package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/ui"
)

func newUploadListCmd(a *app, run func(context.Context, *uploadOptions) error) *cobra.Command {
	o := &uploadOptions{}
	cmd := newUploadVerb(a, o, "list STORE", func(ctx context.Context) error { return run(ctx, o) })
	cmd.Short = "list the open multipart uploads"
	cmd.Long = `List the multipart uploads that STORE has open, whoever began them: how much of each
is there, and whether this machine's firn is working on it, has been interrupted, or
knows nothing of it.

An open upload costs nothing to begin and to end, but the parts that are there are
charged for like archives. Vaults end an upload by themselves after a day or so
without a part.`
	o.Common.addFlags(cmd.Flags(), false, false)
	return cmd
}

func runUploadList(ctx context.Context, o *uploadOptions) error {
	d, err := o.openUploads(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	list := ui.NewList(d.ui, "open_upload",
		ui.Column[uploadRecord]{Head: "upload", Cell: func(r uploadRecord) string { return string(r.Upload) }},
		ui.Column[uploadRecord]{Head: "started", Cell: func(r uploadRecord) string { return r.Started }},
		ui.Column[uploadRecord]{Head: "parts", Right: true, Cell: func(r uploadRecord) string { return ui.Count(r.Parts) }, Plain: func(r uploadRecord) string { return exact(r.Parts) }},
		ui.Column[uploadRecord]{Head: "there", Right: true, Cell: uploadRecord.there, Plain: func(r uploadRecord) string { return exact(r.Bytes) }},
		ui.Column[uploadRecord]{Head: "state", Cell: uploadRecord.whose},
		ui.Column[uploadRecord]{Head: "holds", Cell: func(r uploadRecord) string { return r.text }},
	)
	defer list.Close()
	for u, err := range d.store.Uploads(ctx) {
		if err != nil {
			return err
		}
		one := d.identify(u)
		if err := d.look(ctx, one); firn.KindOf(err) == firn.NotFound {
			continue // it ended meanwhile
		} else if err != nil {
			return err
		}
		list.Add(d.record(ctx, one))
	}
	return nil
}
