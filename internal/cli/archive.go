package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/ui"
)

func newArchiveCmd(a *app) *cobra.Command {
	return group("archive", "upload single archives, and list what a store holds",
		newArchiveUploadCmd(a, runArchiveUpload),
		newArchiveListCmd(a, runArchiveList),
	)
}

type archiveListOptions struct {
	app   *app
	Store string
}

func newArchiveListCmd(a *app, run func(context.Context, *archiveListOptions) error) *cobra.Command {
	o := &archiveListOptions{app: a}
	cmd := &cobra.Command{
		Use:   "list STORE",
		Short: "list the archives in a store",
		Long: `List the archives that STORE holds, from the catalog, in the order in which they
were recorded: those that firn archive upload made, those in which firn sync keeps
files, alone or many together, and snapshots of the catalog. It asks no store. Which archive a file of a
tree is in is told by firn ls --json.`,
		Example: `  firn archive list glacier:photos
  firn archive list local:/mnt/usb/vault --json`,
		Args:              takes("STORE"),
		ValidArgsFunction: a.completeOneStore,
	}
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store = args[0]
		return run(ctx, o)
	})
	return cmd
}

// An archiveRecord is one archive, as list and upload show it.
type archiveRecord struct {
	Store    string              `json:"store"`
	Archive  firn.ArchiveID      `json:"archive"`
	Kind     catalog.ArchiveKind `json:"kind"`
	Size     int64               `json:"size"`
	TreeHash string              `json:"tree_hash"`
	Created  string              `json:"created,omitempty"` // by the store's clock
	Recorded string              `json:"recorded"`          // by this machine's
	Tree     string              `json:"tree,omitempty"`
	Contents int64               `json:"contents,omitempty"` // files of the tree in it
	Snapshot int64               `json:"snapshot,omitempty"` // number of the snapshot that it is
	*ui.Path                     // of what is of no tree: its name, where it has one
	// Description is that of what is of no tree.
	Description string `json:"description,omitempty"`
}

func runArchiveList(ctx context.Context, o *archiveListOptions) error {
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return err
	}
	defer s.close()
	row, err := s.row(ctx)
	if err != nil {
		return err
	}
	list := ui.NewList(s.ui, "archive",
		ui.Column[archiveRecord]{Head: "archive", Cell: func(r archiveRecord) string { return string(r.Archive) }},
		ui.Column[archiveRecord]{Head: "size", Right: true, Cell: func(r archiveRecord) string { return ui.Bytes(r.Size) }, Plain: func(r archiveRecord) string { return exact(r.Size) }},
		ui.Column[archiveRecord]{Head: "stored", Cell: func(r archiveRecord) string { return r.stored() }},
		ui.Column[archiveRecord]{Head: "kind", Cell: func(r archiveRecord) string { return string(r.Kind) }},
		ui.Column[archiveRecord]{Head: "holds", Cell: func(r archiveRecord) string { return r.holds() }},
	)
	defer list.Close()
	snapshots, err := s.catalog.Snapshots(ctx, row.ID)
	if err != nil {
		return err
	}
	seqs := map[int64]int64{} // by their archives
	for _, one := range snapshots {
		seqs[one.Archive] = one.Seq
	}
	for h, err := range s.catalog.Archives(ctx, row.ID) {
		if err != nil {
			return err
		}
		r := newArchiveRecord(s.loc.String(), h)
		if r.Snapshot = seqs[h.ID]; r.Snapshot != 0 {
			r.Tree = "" // its run was that of a tree, and it is of all of them
		}
		list.Add(r)
	}
	return nil
}

func newArchiveRecord(store string, h catalog.Holding) archiveRecord {
	r := archiveRecord{
		Store: store, Archive: h.Remote, Kind: h.Kind, Size: h.Size, TreeHash: h.TreeHash.String(),
		Created: timeText(h.Created), Recorded: timeText(h.Recorded),
		Tree: h.Tree, Contents: h.Contents, Description: h.Description,
	}
	if name := describe.Decode(h.Description).Path; name != "" {
		path := ui.NewPath(name)
		r.Path = &path
	}
	return r
}

// stored is when it was stored, as well as that is known.
func (r archiveRecord) stored() string {
	if r.Created != "" {
		return r.Created
	}
	return r.Recorded
}

// holds says what is in it.
func (r archiveRecord) holds() string {
	switch {
	case r.Path != nil:
		return r.Path.Path
	case r.Snapshot != 0:
		return fmt.Sprintf("snapshot %d of the catalog", r.Snapshot)
	case r.Description != "":
		return r.Description
	case r.Tree != "":
		return fmt.Sprintf("%s of %s", ui.Files(r.Contents), r.Tree)
	}
	return ""
}
