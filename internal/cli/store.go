package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

// storeRun is what the commands on a store itself run.
type storeRun func(context.Context, *storeCmdOptions) error

type storeCmdOptions struct {
	app    *app
	Store  string // of list: a region; may be empty
	Yes    bool
	Class  string // of create: the storage class of S3; may be empty
	Common storeOptions
}

func newStoreCmd(a *app) *cobra.Command {
	g := group("store", "make, list, show and delete stores",
		newStoreCreateCmd(a),
		newStoreListCmd(a, runStoreList),
		newStoreVerb(a, "show STORE", "show what a store says of itself", `Ask STORE what it is: its address, when it was made, and how much it held at its
last inventory, which for a vault of the service is up to a day old.`, runStoreShow),
		newStoreRefreshCmd(a, runStoreRefresh),
		newStoreEmptyCmd(a, runStoreEmpty),
		newStoreSureCmd(a, "delete STORE", "delete an empty store", `Delete a vault that is empty: the service refuses while its last inventory shows
archives, or while it was written to since. It asks for the name first.`, runStoreDelete),
		newStoreSureCmd(a, "forget STORE", "forget a store that is gone", `Take leave of a store that does not exist any more: a vault that was deleted, a
disk that broke. The catalog's rows stay, as history, but its name is free for
another store. The store itself is not touched. It asks for the name first.`, runStoreForget),
		newStoreTagCmd(a, runStoreTag),
		newStoreNotifyCmd(a, runStoreNotify),
		newStorePolicyCmd(a, runStorePolicy),
		newStoreLockCmd(a),
		newRetrievalPolicyCmd(a, runRetrievalPolicy),
	)
	g.Aliases = []string{"vault"}
	return g
}

// newStoreVerb gives a command that takes a store and nothing else.
func newStoreVerb(a *app, use, short, long string, run storeRun) *cobra.Command {
	return (&storeCmdOptions{app: a}).verb(use, short, long, run)
}

// verb is newStoreVerb with these options.
func (o *storeCmdOptions) verb(use, short, long string, run storeRun) *cobra.Command {
	a := o.app
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: takes("STORE"), ValidArgsFunction: a.completeOneStore}
	o.Common.addFlags(cmd.Flags(), false, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store = args[0]
		return run(ctx, o)
	})
	return cmd
}

func newStoreCreateCmd(a *app) *cobra.Command {
	o := &storeCmdOptions{app: a}
	cmd := o.verb("create STORE", "make a vault, or a store in a bucket", `Make a vault: glacier:VAULT in the service, or local:DIR in an empty or new folder.
Or make a store below a prefix of a bucket that is there: s3:BUCKET/PREFIX, with
--class as the storage class of what will be stored there, DEEP_ARCHIVE if nothing
is said. What exists already is left as it is. A store itself costs nothing.`, runStoreCreate)
	cmd.Flags().StringVar(&o.Class, "class", "", "storage `CLASS` of S3: DEEP_ARCHIVE, GLACIER, GLACIER_IR or STANDARD")
	return cmd
}

func newStoreListCmd(a *app, run storeRun) *cobra.Command {
	o := &storeCmdOptions{app: a}
	cmd := &cobra.Command{
		Use:   "list [REGION]",
		Short: "list the vaults of the account",
		Long: `List the vaults of the account in REGION, or in the region that the environment
says. Local vaults are listed by firn status.`,
		Args:              takes("[REGION]"),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.Common.Endpoint.addFlag(cmd.Flags())
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			o.Store = args[0]
		}
		return run(ctx, o)
	})
	return cmd
}

// newStoreSureCmd gives a command that takes a store and can't be taken back.
func newStoreSureCmd(a *app, use, short, long string, run storeRun) *cobra.Command {
	o := &storeCmdOptions{app: a}
	cmd := o.verb(use, short, long, run)
	cmd.Flags().BoolVar(&o.Yes, "yes", false, "do not ask")
	return cmd
}

// completeOneStore completes a command's only argument.
func (a *app) completeOneStore(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeStore(word)
}

func runStoreCreate(ctx context.Context, o *storeCmdOptions) error {
	with := o.Common.wire()
	with.Class = o.Class
	s, err := o.app.openStore(ctx, o.Store, with)
	if err != nil {
		return err
	}
	defer s.close()
	if o.Class != "" && s.loc.Scheme != config.S3 {
		return wrongUsage("create "+s.loc.String(), "only stores in S3 have a class")
	}
	if err := s.store.Create(ctx); err != nil {
		return err
	}
	if _, err := s.store.Check(ctx, s.catalog); err != nil {
		return err
	}
	return showStore(s, s.store.Info)
}

func runStoreShow(ctx context.Context, o *storeCmdOptions) error {
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	info, err := s.store.Look(ctx)
	if err != nil {
		return err
	}
	return showStore(s, info)
}

// A vaultRecord is a store as it says of itself.
type vaultRecord struct {
	Store         string `json:"store,omitempty"`
	Name          string `json:"name"`
	Address       string `json:"address"`
	Region        string `json:"region"`
	Created       string `json:"created"`
	LastInventory string `json:"last_inventory,omitempty"`
	Archives      int64  `json:"archives"`
	Bytes         int64  `json:"bytes"`
}

func newVaultRecord(store string, i firn.StoreInfo) vaultRecord {
	return vaultRecord{store, i.Name, i.Address, i.Region, timeText(i.Created), timeText(i.LastInventory), i.Archives, i.Bytes}
}

func showStore(s *session, info firn.StoreInfo) error {
	r := newVaultRecord(s.loc.String(), info)
	s.ui.Record("vault", r)
	s.ui.Print(fmt.Sprintf("%s: %s", r.Store, r.Address))
	s.ui.Print("  created: " + r.Created)
	switch {
	case r.LastInventory != "":
	case s.store.Traits().FreshInventory: // it counts, and lists, what there is when it is asked
		return nil
	default:
		s.ui.Print("  no inventory yet")
		return nil
	}
	s.ui.Print(fmt.Sprintf("  at the inventory of %s: %s in %s archives", r.LastInventory, ui.Bytes(r.Bytes), ui.Count(r.Archives)))
	return nil
}

func runStoreList(ctx context.Context, o *storeCmdOptions) error {
	if strings.ContainsAny(o.Store, ":/") {
		return wrongUsage("list vaults", "%q is no region; stores in buckets and folders are listed by firn status", o.Store)
	}
	list := ui.NewList(o.app.ui, "vault",
		ui.Column[vaultRecord]{Head: "name", Cell: func(r vaultRecord) string { return r.Name }},
		ui.Column[vaultRecord]{Head: "archives", Right: true, Cell: func(r vaultRecord) string { return ui.Count(r.Archives) }, Plain: func(r vaultRecord) string { return exact(r.Archives) }},
		ui.Column[vaultRecord]{Head: "size", Right: true, Cell: func(r vaultRecord) string { return ui.Bytes(r.Bytes) }, Plain: func(r vaultRecord) string { return exact(r.Bytes) }},
		ui.Column[vaultRecord]{Head: "last inventory", Cell: func(r vaultRecord) string { return orNever(r.LastInventory) }},
	)
	defer list.Close()
	for info, err := range wire.VaultsOf(ctx, o.app.wireEnv(), o.Store, o.Common.wire()) {
		if err != nil {
			return err
		}
		list.Add(newVaultRecord("", info))
	}
	return nil
}

// openChecked opens the store, which must be the one that the catalog knows by
// its name.
func (o *storeCmdOptions) openChecked(ctx context.Context) (*session, catalog.Store, error) {
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return nil, catalog.Store{}, err
	}
	row, err := s.store.Check(ctx, s.catalog)
	if err != nil {
		return nil, catalog.Store{}, errors.Join(err, s.close())
	}
	return s, row, nil
}

func runStoreDelete(ctx context.Context, o *storeCmdOptions) error {
	s, row, err := o.openChecked(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	ok, err := o.sure(ctx, s, "this deletes "+s.store.Info.Address+" for good", s.store.Info.Name)
	if err != nil || !ok {
		return err
	}
	if err := s.store.Delete(ctx); err != nil {
		return err
	}
	if err := s.catalog.Forget(ctx, row.ID); err != nil {
		return err
	}
	s.ui.Print("deleted " + s.store.Info.Address)
	return nil
}

// sure asks for a name to be typed, unless --yes says that all is well.
func (o *storeCmdOptions) sure(ctx context.Context, s *session, warning, name string) (bool, error) {
	if o.Yes {
		return true, nil
	}
	return s.ui.ConfirmName(ctx, warning, name, "--yes")
}

func runStoreForget(ctx context.Context, o *storeCmdOptions) error {
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return err
	}
	defer s.close()
	row, err := s.rowOfURL(ctx)
	if err != nil {
		return err
	}
	warning := fmt.Sprintf("this makes the catalog forget %s: %s in %s archives", row.URL, ui.Bytes(row.Bytes), ui.Count(row.Archives))
	ok, err := o.sure(ctx, s, warning, row.URL)
	if err != nil || !ok {
		return err
	}
	if err := s.catalog.Forget(ctx, row.ID); err != nil {
		return err
	}
	s.ui.Print("forgot " + row.URL)
	return nil
}
