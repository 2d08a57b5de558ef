package cli

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/ui"
)

type lsOptions struct {
	app   *app
	Store string
	Path  string
	Tree  string
	At    atValue
}

func newLsCmd(a *app, run func(context.Context, *lsOptions) error) *cobra.Command {
	o := &lsOptions{app: a}
	cmd := &cobra.Command{
		Use:   "ls STORE [PATH]",
		Short: "list the files in a store",
		Long: `List the files in STORE, from the catalog: all, or those at and below PATH, which
is relative to the directory that was synced. With --at they are those that were
there at a time in the past.

` + atHelp,
		Example: `  firn ls local:/mnt/usb/vault
  firn ls glacier:photos 2019/summer --json
  firn ls glacier:photos 2019/summer --at 2w`,
		Args: takes("STORE", "[PATH]"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeStore(word)
		},
	}
	cmd.Flags().SortFlags = false
	o.At.addFlag(cmd.Flags(), a, "list what was there at `TIME`")
	cmd.Flags().StringVar(&o.Tree, "tree", "", "list only the tree `NAME`")
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store = args[0]
		if len(args) > 1 {
			o.Path = treePath(args[1])
		}
		return run(ctx, o)
	})
	return cmd
}

// A lsRecord is one entry as ls shows it.
type lsRecord struct {
	Tree string        `json:"tree"`
	Kind firn.FileKind `json:"kind"`
	ui.Path
	Size    int64          `json:"size"`
	ModTime time.Time      `json:"mtime,omitzero"`
	Mode    string         `json:"mode"`
	Target  string         `json:"target,omitempty"`
	Tree256 string         `json:"tree_hash,omitempty"`
	Archive firn.ArchiveID `json:"archive,omitempty"`
	Stored  bool           `json:"stored"`

	raw string // the path's bytes
}

// treePath is a path as a tree has it: a/b for /a/b/ and ./a/b; "" is the tree.
func treePath(arg string) string {
	if p := path.Clean(strings.Trim(arg, "/")); p != "." {
		return p
	}
	return ""
}

func runLs(ctx context.Context, o *lsOptions) error {
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return err
	}
	defer s.close()
	trees, err := s.treesAt(ctx, o.Tree, o.At.moment)
	if err != nil {
		return err
	}
	list := ui.NewList(s.ui, "entry", lsColumns(len(trees.all) > 1)...)
	defer list.Close()
	found := o.Path == ""
	for tree, run := range trees.then {
		for e, err := range s.catalog.Files(ctx, catalog.ListQuery{Tree: tree.ID, Path: o.Path, At: run}) {
			if err != nil {
				return err
			}
			found = true
			if e.Path != "" {
				list.Add(newLsRecord(tree.Name, e))
			}
		}
	}
	if !found {
		return s.notListed(o)
	}
	return nil
}

// notListed says that a store has no such path, or had none then.
func (s *session) notListed(o *lsOptions) error {
	e := &firn.Error{Op: "list", Subject: o.Path, Kind: firn.NotFound, Err: fs.ErrNotExist,
		Hint: "list all with: firn ls " + s.loc.String() + "; what was removed or came later, with: firn history " + s.loc.String()}
	if !o.At.isNow() {
		e.Err = errors.New("there was none at " + o.At.text)
	}
	return e
}

func newLsRecord(tree string, e catalog.Entry) lsRecord {
	r := lsRecord{
		Tree: tree, Kind: e.Kind, Path: ui.NewPath(e.Path), Size: e.Content.Size, ModTime: e.Stamp.ModTime.UTC(),
		Mode: modeText(e.File), Target: e.Target, Archive: e.Location.Remote, raw: e.Path,
		Stored: e.Location.State == catalog.Stored || e.Location.State == catalog.NoArchive,
	}
	if e.Kind == firn.Regular {
		r.Tree256 = e.Content.Tree.String()
	}
	return r
}

// modeText is a file's kind and mode as ls -l writes it (POSIX, "ls").
func modeText(f firn.File) string {
	text := []byte("----------")
	switch f.Kind {
	case firn.Directory:
		text[0] = 'd'
	case firn.Symlink:
		text[0] = 'l'
	}
	const letters = "rwxrwxrwx"
	for i := range letters {
		if f.Mode&(1<<(8-i)) != 0 {
			text[1+i] = letters[i]
		}
	}
	for _, special := range []struct {
		bit  fs.FileMode
		at   int
		char byte
	}{{fs.ModeSetuid, 3, 's'}, {fs.ModeSetgid, 6, 's'}, {fs.ModeSticky, 9, 't'}} {
		switch {
		case f.Mode&special.bit == 0:
		case text[special.at] == 'x':
			text[special.at] = special.char
		default: // without the right to execute, a capital
			text[special.at] = special.char - 'a' + 'A'
		}
	}
	return string(text)
}

func lsColumns(withTree bool) []ui.Column[lsRecord] {
	cols := []ui.Column[lsRecord]{
		{Head: "mode", Cell: func(r lsRecord) string { return r.Mode }},
		{Head: "size", Right: true, Cell: func(r lsRecord) string { return ui.Bytes(r.Size) }, Plain: func(r lsRecord) string { return exact(r.Size) }},
		{Head: "modified", Cell: func(r lsRecord) string { return fileTime(r.ModTime.Local(), time.DateTime) }, Plain: func(r lsRecord) string { return fileTime(r.ModTime, time.RFC3339Nano) }},
	}
	if withTree {
		cols = append(cols, ui.Column[lsRecord]{Head: "tree", Cell: func(r lsRecord) string { return r.Tree }})
	}
	return append(cols, ui.Column[lsRecord]{Head: "path", Cell: lsPath})
}

// lsPath shows that a file is not in the store.
func lsPath(r lsRecord) string {
	if r.Kind == firn.Regular && !r.Stored {
		return r.raw + " (not stored)"
	}
	return r.shown()
}

// shown is the path, with where a link leads, and a slash behind a folder's.
func (r lsRecord) shown() string {
	switch r.Kind {
	case firn.Symlink:
		return r.raw + " -> " + r.Target
	case firn.Directory:
		return r.raw + "/"
	}
	return r.raw
}

// fileTime is a file's time; - where nobody recorded it.
func fileTime(t time.Time, layout string) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(layout)
}
