package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/wire"
)

type recoverySheetOptions struct {
	app   *app
	Store string // empty: all
	To    string // empty: stdout
}

func newRecoverySheetCmd(a *app, run func(context.Context, *recoverySheetOptions) error) *cobra.Command {
	o := &recoverySheetOptions{app: a}
	cmd := &cobra.Command{
		Use:   "recovery-sheet [STORE]",
		Short: "write a page to print: how to get everything back without this machine",
		Long: `Write a page of plain text for STORE, or for each store: what is kept there, where
that is, who can open it, and the commands that bring everything back on another
machine, with firn, and with stock tools alone. Print it, and keep it elsewhere.

No secret is on it: credentials, and the identity of what is encrypted, are needed
beside it. It asks no store.`,
		Example: `  firn recovery-sheet | lpr
  firn recovery-sheet glacier:photos --to photos.txt`,
		Args:              takes("[STORE]"),
		ValidArgsFunction: a.completeOneStore,
	}
	cmd.Flags().StringVar(&o.To, "to", "", "write to `FILE`")
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			o.Store = args[0]
		}
		return run(ctx, o)
	})
	return cmd
}

// A sheetRecord is what the sheet of a store says.
type sheetRecord struct {
	Made      string `json:"made"`
	Store     string `json:"store"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Address   string `json:"address,omitempty"`
	Account   string `json:"account,omitempty"`
	Region    string `json:"region,omitempty"`
	Endpoint  string `json:"endpoint,omitempty"`
	Archives  int64  `json:"archives"`
	Bytes     int64  `json:"bytes"`
	Profile   string `json:"profile,omitempty"`
	Encrypted bool   `json:"encrypted"`
	// Recipients are public keys, Identity the file on this machine that is to
	// open what is encrypted for them.
	Recipients []string         `json:"recipients,omitempty"`
	Identity   string           `json:"identity_file,omitempty"`
	Trees      []treeRecord     `json:"trees"`
	Snapshots  []snapshotRecord `json:"snapshots"` // to read, in this order; empty: there is none
	WithFirn   []string         `json:"with_firn"`
	WithStock  []string         `json:"with_stock_tools"`

	hasIdentity bool   // the file is there
	host        string // this machine
}

func runRecoverySheet(ctx context.Context, o *recoverySheetOptions) error {
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return err
	}
	defer s.close()
	stores, err := s.catalog.Stores(ctx)
	if o.Store != "" && err == nil {
		var row catalog.Store
		row, err = s.row(ctx)
		stores = []catalog.Store{row}
	}
	if err != nil {
		return err
	}
	if len(stores) == 0 {
		return &firn.Error{Op: "write the recovery sheet", Kind: firn.NotFound, Err: errors.New("the catalog knows no store yet")}
	}
	var pages []string
	for _, store := range stores {
		r, err := o.sheet(ctx, s, store)
		if err != nil {
			return err
		}
		s.ui.Record("recovery_sheet", r)
		if len(r.Snapshots) == 0 {
			s.ui.Warn(store.URL + " has no snapshot of the catalog yet, so that without this machine recovery has to read every index: sync once more")
		}
		pages = append(pages, sheetText(r, buildVersion()))
	}
	if o.To != "" {
		// A form feed lets a printer begin a new page.
		return writeFile(o.app.env.Path(o.To), func(w io.Writer) error {
			_, err := io.WriteString(w, strings.Join(pages, "\f"))
			return err
		})
	}
	for line := range strings.Lines(strings.Join(pages, "\n")) {
		s.ui.Print(strings.TrimRight(line, "\n"))
	}
	return nil
}

// sheet gathers what the sheet of a store says.
func (o *recoverySheetOptions) sheet(ctx context.Context, s *session, store catalog.Store) (r sheetRecord, err error) {
	r = sheetRecord{
		Made: timeText(s.env.Clock.Now()), Store: store.URL, Kind: store.Kind, Name: store.Name,
		Archives: store.Archives, Bytes: store.Bytes, Trees: []treeRecord{}, Snapshots: []snapshotRecord{},
	}
	if store.Kind != string(config.Local) { // whose address is that of a server which nobody else reaches
		r.Address, r.Account, r.Region = store.Address, accountOf(store.Address), store.Region
	}
	if r.host, err = o.app.hostname(); err != nil {
		return r, err
	}
	identity := ""
	if p := o.profile(s, store); p != nil {
		r.Profile, r.Endpoint, identity = p.Name, p.Endpoint, p.IdentityFile
	}
	r.Endpoint = cmp.Or(wire.EndpointOf(store), r.Endpoint) // where it was seen is where it is
	if err := o.addTrees(ctx, s, store, &r); err != nil {
		return r, err
	}
	if err := addSnapshots(ctx, s, store, &r); err != nil {
		return r, err
	}
	if r.Encrypted {
		if identity == "" {
			dir, err := config.ConfigDir(o.app.env.Getenv)
			if err != nil {
				return r, err
			}
			identity = filepath.Join(o.app.env.Path(dir), identityFile)
		}
		_, err := os.Stat(identity)
		r.Identity, r.hasIdentity = identity, err == nil
	}
	r.WithFirn, r.WithStock = firnCommands(r), stockCommands(r)
	return r, nil
}

// profile finds the profile that the store was named by, or else the first one
// that is about it. What is wrong with the file is for others to say.
func (o *recoverySheetOptions) profile(s *session, store catalog.Store) *config.Profile {
	if s.profile != nil {
		return s.profile
	}
	file, err := o.app.profiles()
	if err != nil {
		return nil
	}
	for _, p := range file.Profiles {
		if loc, err := p.Location(); err == nil && loc.String() == store.URL {
			return p
		}
	}
	return nil
}

func (o *recoverySheetOptions) addTrees(ctx context.Context, s *session, store catalog.Store, r *sheetRecord) error {
	trees, err := s.catalog.Trees(ctx, store.ID)
	if err != nil {
		return err
	}
	runs, err := s.catalog.LastRuns(ctx, store.ID)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, t := range trees {
		r.Trees = append(r.Trees, treeRecord{
			Store: store.URL, Tree: t.Name, Host: t.Host, Root: t.Root, Files: t.Files, Bytes: t.Bytes,
			LastSync: lastComplete(runs, t.ID),
		})
		r.Encrypted = r.Encrypted || t.Recipients != catalog.Recipients{}
		for _, key := range strings.Fields(t.Keys) {
			if !known[key] {
				known[key] = true
				r.Recipients = append(r.Recipients, key)
			}
		}
	}
	return nil
}

// addSnapshots adds the newest snapshot that this machine knows of, behind the
// full one that it adds to: its own, or else whatever catalog's, as after a
// recovery.
func addSnapshots(ctx context.Context, s *session, store catalog.Store, r *sheetRecord) error {
	all, err := s.catalog.Snapshots(ctx, store.ID)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(one catalog.Snapshot) bool { return one.State != catalog.Stored })
	if len(all) == 0 {
		return nil
	}
	newest := slices.MaxFunc(all, func(a, b catalog.Snapshot) int {
		if a.Own != b.Own {
			if a.Own {
				return 1
			}
			return -1
		}
		return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.Seq, b.Seq))
	})
	for _, one := range all {
		isBase := one.Catalog == newest.Catalog && one.Seq == newest.Base
		if one.ID == newest.ID || isBase {
			r.Snapshots = append(r.Snapshots, snapshotRecord{one.Seq, timeText(one.Made), one.Remote, one.Size})
		}
	}
	return nil
}

// accountOf takes the account out of an ARN, which is
// arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE; empty where it is none.
func accountOf(address string) string {
	parts := strings.SplitN(address, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" {
		return ""
	}
	return parts[4]
}

// day is the day of a time as results have it.
func day(text string) string {
	if len(text) < len(time.DateOnly) {
		return orNever(text)
	}
	return text[:len(time.DateOnly)]
}
