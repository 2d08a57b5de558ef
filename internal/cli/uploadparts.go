package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/ui"
)

func newUploadPartsCmd(a *app, run func(context.Context, *uploadOptions) error) *cobra.Command {
	o := &uploadOptions{}
	cmd := newUploadVerb(a, o, "parts STORE ID", func(ctx context.Context) error { return run(ctx, o) })
	cmd.Short = "list the parts of an upload"
	cmd.Long = `List the parts that STORE has of the upload ID, with their tree hashes. Of an upload
that this machine's firn began, and whose size is known, those that are missing are
listed too. An ID that begins with - goes behind --.`
	o.Common.addFlags(cmd.Flags(), false, false)
	return cmd
}

// The states of parts.
const (
	partThere   = "there"
	partMissing = "missing"
	partDiffers = "differs"
)

// A partRecord is a part of an open upload.
type partRecord struct {
	Store    string        `json:"store"`
	Upload   firn.UploadID `json:"upload"`
	Offset   int64         `json:"offset"`
	Size     int64         `json:"size"`
	State    string        `json:"state"`
	TreeHash string        `json:"tree_hash,omitempty"` // absent where it is missing
}

func (d *uploadDesk) partRecord(u *openUpload, p firn.Part, state string) partRecord {
	r := partRecord{Store: d.loc.String(), Upload: u.ID, Offset: p.Offset, Size: p.Size, State: state}
	if state != partMissing {
		r.TreeHash = p.Tree.String()
	}
	return r
}

// missing gives the parts that the store lacks of an upload of size bytes.
func (u *openUpload) missing(size int64) (lacks []firn.Part) {
	have := map[int64]int64{}
	for _, p := range u.parts {
		have[p.Offset] = p.Size
	}
	for off := int64(0); off < size && u.PartSize > 0; off += u.PartSize {
		if n := min(u.PartSize, size-off); have[off] != n {
			lacks = append(lacks, firn.Part{Offset: off, Size: n})
		}
	}
	return lacks
}

func runUploadParts(ctx context.Context, o *uploadOptions) error {
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
	var all []partRecord
	for _, p := range u.parts {
		all = append(all, d.partRecord(u, p, partThere))
	}
	lacks := u.missing(u.size())
	for _, p := range lacks {
		all = append(all, d.partRecord(u, p, partMissing))
	}
	slices.SortStableFunc(all, func(a, b partRecord) int { return int(min(1, max(-1, a.Offset-b.Offset))) })
	list := ui.NewList(d.ui, "part",
		ui.Column[partRecord]{Head: "from", Right: true, Cell: func(r partRecord) string { return exact(r.Offset) }},
		ui.Column[partRecord]{Head: "size", Right: true, Cell: func(r partRecord) string { return ui.Bytes(r.Size) }, Plain: func(r partRecord) string { return exact(r.Size) }},
		ui.Column[partRecord]{Head: "state", Cell: func(r partRecord) string { return r.State }},
		ui.Column[partRecord]{Head: "tree hash", Cell: func(r partRecord) string { return r.TreeHash }},
	)
	for _, r := range all {
		list.Add(r)
	}
	list.Close()
	text := fmt.Sprintf("%s: %s are there in parts of %s", d.holds(u), ui.Bytes(u.bytes()), ui.Bytes(u.PartSize))
	switch {
	case u.size() > 0:
		text += fmt.Sprintf(", %s missing of %s", counted(int64(len(lacks)), "part"), ui.Bytes(u.size()))
	default:
		text += "; how large it is to be isn't known"
	}
	d.ui.Notice(text)
	return nil
}
