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
files, alone or many together, those that firn adopt took in, and snapshots of the
catalog. Of an archive with one file its path is shown; the files of one that holds
many are shown by firn archive show. It asks no store: what nobody recorded here is
not listed, and is told by an inventory (firn job start --inventory).`,
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
	*ui.Path                     // of the one file in it; of what is of no tree: its name, where it has one
	Paths    int64               `json:"paths,omitempty"`   // that have the one file now, where there are several
	Earlier  bool                `json:"earlier,omitempty"` // only earlier versions of the path are in it
	Leaving  bool                `json:"leaving,omitempty"` // nothing needs it, and it is to be deleted
	// Description is that of what is of no tree.
	Description string `json:"description,omitempty"`

	raw string // the path's bytes
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
	for h, err := range s.catalog.NamedArchives(ctx, row.ID) {
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

func newArchiveRecord(store string, h catalog.Named) archiveRecord {
	r := archiveRecord{
		Store: store, Archive: h.Remote, Kind: h.Kind, Size: h.Size, TreeHash: h.TreeHash.String(),
		Created: timeText(h.Created), Recorded: timeText(h.Recorded),
		Tree: h.Tree, Contents: h.Contents, Description: h.Description, Leaving: h.Leaving,
	}
	if h.Path != "" {
		path := ui.NewPath(h.Path)
		r.Path, r.Earlier, r.raw = &path, h.Paths == 0, h.Path
		if h.Paths > 1 {
			r.Paths = h.Paths
		}
		return r
	}
	if name := describe.Decode(h.Description).Path; name != "" {
		path := ui.NewPath(name)
		r.Path, r.raw = &path, name
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
	case r.Path != nil && r.Tree != "":
		text := r.Tree + ": " + r.raw
		if r.Paths > 1 {
			text += fmt.Sprintf(" and %d more", r.Paths-1)
		}
		if r.Earlier {
			text += " (an earlier version)"
		}
		return text
	case r.Path != nil:
		return r.raw
	case r.Snapshot != 0:
		return fmt.Sprintf("snapshot %d of the catalog", r.Snapshot)
	case r.Description != "":
		return r.Description
	case r.Tree != "":
		return fmt.Sprintf("%s of %s", ui.Files(r.Contents), r.Tree)
	}
	return ""
}
