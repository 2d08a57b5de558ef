package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/ui"
)

type archiveShowOptions struct {
	app            *app
	Store, Archive string
}

func newArchiveShowCmd(a *app, run func(context.Context, *archiveShowOptions) error) *cobra.Command {
	o := &archiveShowOptions{app: a}
	cmd := &cobra.Command{
		Use:   "show STORE ID",
		Short: "show all that is known of an archive",
		Long: `Show all that the catalog knows of the archive with this ID: how large it is, when it
was stored, and the files in it, with where in it they begin; older versions too. It
asks no store, and works for archives that are gone as well. An ID that begins with -
goes behind --.`,
		Example: `  firn archive show glacier:photos NkbByEejwEggmBz2fTHgJrg0XBoDfjP4q6iu87
  firn archive show local:/mnt/usb/vault --json -- -kbByEejwEggmBz2fTHgJrg0XBoDfjP4q6iu87`,
		Args:              takes("STORE", "ID"),
		ValidArgsFunction: a.completeOneStore,
	}
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store, o.Archive = args[0], args[1]
		return run(ctx, o)
	})
	return cmd
}

// An accountRecord is all that is known of an archive, but for the files in it.
type accountRecord struct {
	Store       string              `json:"store"`
	Archive     firn.ArchiveID      `json:"archive"`
	Kind        catalog.ArchiveKind `json:"kind"`
	State       string              `json:"state"`
	Size        int64               `json:"size"`
	TreeHash    string              `json:"tree_hash,omitempty"`
	Created     string              `json:"created,omitempty"` // by the store's clock
	Recorded    string              `json:"recorded,omitempty"`
	Tree        string              `json:"tree,omitempty"`
	Contents    int64               `json:"contents,omitempty"`
	Bytes       int64               `json:"content_bytes,omitempty"`
	Snapshot    int64               `json:"snapshot,omitempty"`
	Encrypted   bool                `json:"encrypted,omitempty"`
	Description string              `json:"description,omitempty"`
	Format      string              `json:"format,omitempty"` // whose description it is
	Packed      string              `json:"packed,omitempty"`
	Doubted     bool                `json:"in_doubt,omitempty"`
	Wanted      bool                `json:"wanted,omitempty"`
	Leaving     bool                `json:"leaving,omitempty"`
	LeavesAt    string              `json:"leaves_at,omitempty"`
	Why         string              `json:"why,omitempty"`
}

// A referenceRecord is a file version that is in an archive.
type referenceRecord struct {
	Archive firn.ArchiveID `json:"archive"`
	Tree    string         `json:"tree"`
	ui.Path
	Size     int64  `json:"size"`
	TreeHash string `json:"tree_hash,omitempty"`
	Member   int64  `json:"member"`
	Offset   int64  `json:"offset"`
	Current  bool   `json:"current"`
	Since    int64  `json:"since"`           // run
	Until    int64  `json:"until,omitempty"` // run

	raw string
}

func newReferenceRecord(id firn.ArchiveID, r catalog.Reference) referenceRecord {
	rec := referenceRecord{
		Archive: id, Tree: r.Tree, Path: ui.NewPath(r.Path), Size: r.Size, Member: r.Member, Offset: r.Offset,
		Current: r.Until == 0, Since: r.Since, Until: r.Until, raw: r.Path,
	}
	if !r.Content.IsZero() {
		rec.TreeHash = r.Content.String()
	}
	return rec
}

func runArchiveShow(ctx context.Context, o *archiveShowOptions) error {
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return err
	}
	defer s.close()
	row, err := s.row(ctx)
	if err != nil {
		return err
	}
	id := firn.ArchiveID(o.Archive)
	known, err := s.catalog.AccountOf(ctx, row.ID, id)
	if err == nil && !known.HasAccount {
		err = &firn.Error{Op: "show archive", Subject: o.Archive, Kind: firn.NotFound, Err: errors.New("this machine's catalog knows no such archive"),
			Hint: "it is in the store all the same if an inventory lists it: firn adopt takes it in, firn archive retrieve fetches it"}
	}
	if err != nil {
		return err
	}
	snapshots, err := s.catalog.Snapshots(ctx, row.ID)
	if err != nil {
		return err
	}
	r := newAccountRecord(s.loc.String(), known)
	for _, one := range snapshots {
		if one.Archive == known.ID {
			r.Snapshot, r.Tree = one.Seq, ""
		}
	}
	showAccount(s, r, known)
	return s.showReferences(ctx, known)
}

func newAccountRecord(store string, a catalog.Account) accountRecord {
	r := accountRecord{
		Store: store, Archive: a.Remote, Kind: a.Kind, State: a.State.String(), Size: a.Size,
		Created: timeText(a.Created), Recorded: timeText(a.Recorded), Tree: a.Tree, Contents: a.Contents, Bytes: a.Bytes,
		Encrypted: a.Sealed, Description: a.Description, Format: a.Format, Packed: a.Packed, Doubted: a.Doubted, Wanted: a.Wanted, Leaving: a.Leaving,
	}
	if !a.TreeHash.IsZero() {
		r.TreeHash = a.TreeHash.String()
	}
	if a.Leaving {
		r.LeavesAt, r.Why = timeText(a.Leaves.NotBefore), a.Leaves.Why
	}
	return r
}

// showAccount shows what is known, a line each.
func showAccount(s *session, r accountRecord, a catalog.Account) {
	s.ui.Record("account", r)
	line := func(what, value string) {
		if value != "" {
			s.ui.Print(fmt.Sprintf("%-12s %s", what, value))
		}
	}
	line("archive", string(r.Archive))
	line("kind", string(r.Kind))
	line("state", r.State)
	line("size", fmt.Sprintf("%s (%d bytes)", ui.Bytes(r.Size), r.Size))
	line("tree hash", r.TreeHash)
	if !a.Created.IsZero() {
		line("created", localTime(a.Created))
	}
	if !a.Recorded.IsZero() {
		line("recorded", localTime(a.Recorded))
	}
	line("tree", r.Tree)
	if r.Snapshot > 0 {
		line("snapshot", fmt.Sprintf("number %d of the catalog", r.Snapshot))
	}
	if r.Contents > 0 {
		line("contents", fmt.Sprintf("%s, %s", ui.Files(r.Contents), ui.Bytes(r.Bytes)))
	}
	line("description", r.Description)
	var notes []string
	for _, note := range []struct {
		is   bool
		text string
	}{
		{r.Encrypted, "encrypted"},
		{r.Packed != "", r.Packed + " by its maker"},
		{r.Doubted, "there may be two of it, which an inventory will show"},
		{r.Wanted, "a restore or a job wants it"},
		{r.Leaving, "to be deleted from " + localTime(a.Leaves.NotBefore) + " on: " + r.Why},
	} {
		if note.is {
			notes = append(notes, note.text)
		}
	}
	line("notes", strings.Join(notes, "; "))
}

// showReferences lists the file versions that are in an archive.
func (s *session) showReferences(ctx context.Context, a catalog.Account) error {
	list := ui.NewList(s.ui, "reference",
		ui.Column[referenceRecord]{Head: "tree", Cell: func(r referenceRecord) string { return r.Tree }},
		ui.Column[referenceRecord]{Head: "size", Right: true, Cell: func(r referenceRecord) string { return ui.Bytes(r.Size) }, Plain: func(r referenceRecord) string { return exact(r.Size) }},
		ui.Column[referenceRecord]{Head: "offset", Right: true, Cell: func(r referenceRecord) string { return exact(r.Offset) }},
		ui.Column[referenceRecord]{Head: "version", Cell: func(r referenceRecord) string {
			if r.Current {
				return "current"
			}
			return fmt.Sprintf("till run %d", r.Until)
		}},
		ui.Column[referenceRecord]{Head: "path", Cell: func(r referenceRecord) string { return r.raw }},
	)
	defer list.Close()
	for ref, err := range s.catalog.References(ctx, []int64{a.ID}) {
		if err != nil {
			return err
		}
		list.Add(newReferenceRecord(a.Remote, ref))
	}
	return nil
}
