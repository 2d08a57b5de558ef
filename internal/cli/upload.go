package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

func newUploadCmd(a *app) *cobra.Command {
	return group("upload", "the open multipart uploads of a store",
		newUploadListCmd(a, runUploadList),
		newUploadPartsCmd(a, runUploadParts),
		newUploadVerifyCmd(a, runUploadVerify),
		newUploadResumeCmd(a, runUploadResume),
		newUploadAbortCmd(a, runUploadAbort),
		newUploadCleanCmd(a, runUploadClean),
	)
}

type uploadOptions struct {
	app    *app
	Store  string
	Upload firn.UploadID
	File   string // as given; may be empty

	Common storeOptions
}

// newUploadVerb gives a command on the uploads of a store: names are those of its
// arguments.
func newUploadVerb(a *app, o *uploadOptions, use string, run func(context.Context) error) *cobra.Command {
	o.app = a
	cmd := &cobra.Command{Use: use, Args: takes(strings.Fields(use)[1:]...)}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return a.completeStore(word)
		case 2:
			return nil, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cmd.Flags().SortFlags = false
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store = args[0]
		if len(args) > 1 {
			o.Upload = firn.UploadID(args[1])
		}
		if len(args) > 2 {
			o.File = args[2]
		}
		if len(args) > 1 && o.Upload == "" {
			return wrongUsage("look up the upload", "its id is empty; see the ids with: firn upload list %s", o.Store)
		}
		if err := a.useProfile(cmd.Flags(), o.Store); err != nil {
			return err
		}
		return run(ctx)
	})
	return cmd
}

// An uploadDesk is where the open uploads of a store are looked at, beside what
// the catalog knows of them.
type uploadDesk struct {
	*session
	row     catalog.Store
	intents []catalog.Intent
	trees   map[int64]catalog.Tree
}

// openUploads opens the store, and reads what the catalog knows.
func (o *uploadOptions) openUploads(ctx context.Context) (*uploadDesk, error) {
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return nil, err
	}
	d := &uploadDesk{session: s, trees: map[int64]catalog.Tree{}}
	if d.row, err = s.store.Check(ctx, s.catalog); err == nil {
		err = d.reload(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return d, nil
}

// reload reads anew what the catalog knows.
func (d *uploadDesk) reload(ctx context.Context) (err error) {
	if d.intents, err = d.catalog.OpenIntents(ctx, d.row.ID); err != nil {
		return err
	}
	trees, err := d.catalog.Trees(ctx, d.row.ID)
	for _, t := range trees {
		d.trees[t.ID] = t
	}
	return err
}

// Whose an upload is.
const (
	ownUpload   = "own"   // this machine's catalog knows it
	firnUpload  = "firn"  // firn's, on another machine, or of a catalog that is lost
	otherUpload = "other" // another program's
)

// An openUpload is one that the store has open.
type openUpload struct {
	firn.Upload
	owner  string
	intent catalog.Intent // of an own one; else zero
	parts  []firn.Part    // that the store has, where they were asked for
}

// bytes is how many the store has.
func (u *openUpload) bytes() (n int64) {
	for _, p := range u.parts {
		n += p.Size
	}
	return n
}

// identify says whose an upload is: by its id, or where that was not recorded by
// the token in its description.
func (d *uploadDesk) identify(u firn.Upload) *openUpload {
	token, ours := describe.TokenOf(u.Description)
	for _, in := range d.intents {
		if in.Upload == u.ID || ours && in.Upload == "" && in.Token == token {
			return &openUpload{Upload: u, owner: ownUpload, intent: in}
		}
	}
	if ours {
		return &openUpload{Upload: u, owner: firnUpload}
	}
	return &openUpload{Upload: u, owner: otherUpload}
}

// find looks an upload up in the store's list. Errors: NotFound.
func (d *uploadDesk) find(ctx context.Context, id firn.UploadID) (*openUpload, error) {
	for u, err := range d.store.Uploads(ctx) {
		if err != nil {
			return nil, err
		}
		if u.ID == id {
			return d.identify(u), nil
		}
	}
	return nil, &firn.Error{Op: "look up the upload", Subject: string(id), Kind: firn.NotFound,
		Err:  fmt.Errorf("%s has no such upload open: it may be completed, aborted, or was ended by the store, which does so after a day or so without a part", d.loc),
		Hint: "see those that there are with: firn upload list " + d.loc.String()}
}

// look asks the store which parts it has of an upload.
func (d *uploadDesk) look(ctx context.Context, u *openUpload) error {
	u.parts = nil
	for p, err := range d.store.Parts(ctx, u.ID) {
		if err != nil {
			return err
		}
		u.parts = append(u.parts, p)
	}
	return nil
}

// isLoose reports whether an upload is one of firn archive upload, which is of no
// tree.
func (u *openUpload) isLoose() bool {
	return u.owner == ownUpload && u.intent.Kind == catalog.LooseArchive
}

// size is how many bytes the archive is to have; 0 where nobody knows.
func (u *openUpload) size() int64 {
	if u.owner != ownUpload || u.isLoose() && u.intent.File.Stamp.ModTime.IsZero() && u.intent.TreeHash.IsZero() {
		return 0 // of a stream it isn't known yet
	}
	return u.intent.Size
}

// holds says what an upload is of, as well as that is known.
func (d *uploadDesk) holds(u *openUpload) string {
	in := u.intent
	switch tree := d.trees[in.Tree].Name; {
	case in.Kind == catalog.CatalogArchive:
		return "a snapshot of the catalog"
	case u.owner == ownUpload && tree != "":
		return tree + ": " + what(in.File.Path)
	case u.owner == ownUpload && in.File.Path != "":
		return in.File.Path
	}
	said := describe.Decode(u.Description)
	switch {
	case said.Path != "" && said.Tree != "":
		return said.Tree + ": " + said.Path
	case said.Path != "":
		return said.Path
	case u.Description != "":
		return u.Description
	}
	return "no description"
}

// hold takes the lock under which an own upload is worked on, so that nobody else
// goes on with it. Errors: Conflict (it is under way).
func (d *uploadDesk) hold(ctx context.Context, in catalog.Intent) (release func(), err error) {
	if in.Kind == catalog.CatalogArchive {
		l, err := wire.LockSnapshots(d.env, d.row)
		return func() { l.Unlock() }, err
	}
	if tree, ok := d.trees[in.Tree]; ok {
		l, err := wire.LockTree(ctx, d.env, d.row, tree.Name, 0)
		return func() { l.Unlock() }, err
	}
	l, err := wire.LockRun(d.env, in.Run, "upload")
	return func() { l.Unlock() }, err
}

// alive reports whether somebody on this machine works on an own upload.
func (d *uploadDesk) alive(ctx context.Context, in catalog.Intent) bool {
	release, err := d.hold(ctx, in)
	if err != nil {
		return true // or it can't be told, which is no reason to say that nobody does
	}
	release()
	return false
}

// An uploadRecord is an open upload of a store.
type uploadRecord struct {
	Store       string              `json:"store"`
	Upload      firn.UploadID       `json:"upload"`
	Owner       string              `json:"owner"`
	Running     bool                `json:"running,omitempty"` // of an own one
	Kind        catalog.ArchiveKind `json:"kind,omitempty"`    // likewise
	Tree        string              `json:"tree,omitempty"`    // likewise
	Path        *ui.Path            `json:"path,omitempty"`
	Description string              `json:"description,omitempty"`
	Started     string              `json:"started"`
	PartSize    int64               `json:"part_size"`
	Parts       int64               `json:"parts"` // that the store has
	Bytes       int64               `json:"bytes"` // in them
	Size        int64               `json:"size,omitempty"`

	text string // what it is of
}

// record is what to show of an upload that was looked at.
func (d *uploadDesk) record(ctx context.Context, u *openUpload) uploadRecord {
	r := uploadRecord{
		Store: d.loc.String(), Upload: u.ID, Owner: u.owner, Description: u.Description, Started: timeText(u.Created),
		PartSize: u.PartSize, Parts: int64(len(u.parts)), Bytes: u.bytes(), Size: u.size(), text: d.holds(u),
	}
	name := describe.Decode(u.Description).Path
	if u.owner == ownUpload {
		r.Running, r.Kind, r.Tree = d.alive(ctx, u.intent), u.intent.Kind, d.trees[u.intent.Tree].Name
		name = u.intent.File.Path
	}
	if name != "" {
		path := ui.NewPath(name)
		r.Path = &path
	}
	return r
}

// whose says in words whose it is.
func (r uploadRecord) whose() string {
	switch {
	case r.Running:
		return "under way"
	case r.Owner == ownUpload:
		return "interrupted"
	case r.Owner == firnUpload:
		return "firn elsewhere"
	}
	return "another program"
}

// there says how much of it the store has.
func (r uploadRecord) there() string {
	if r.Size > 0 {
		return ui.Bytes(r.Bytes) + " of " + ui.Bytes(r.Size)
	}
	return ui.Bytes(r.Bytes)
}

// owned says what goes on with an upload that a sync has begun; empty where
// firn upload does.
func (d *uploadDesk) owned(u *openUpload) string {
	switch tree, ok := d.trees[u.intent.Tree]; {
	case u.owner != ownUpload || u.isLoose():
		return ""
	case u.intent.Kind == catalog.CatalogArchive:
		return "it is a snapshot of the catalog: the next firn sync to this store settles it"
	case ok && tree.Root != "":
		return fmt.Sprintf("it is of the tree %s: firn sync %s %s goes on with it", tree.Name, ui.Text(filepath.Clean(tree.Root)), d.loc)
	}
	return "it is of a tree: firn sync goes on with it"
}
