package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/recovery"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

type recoverOptions struct {
	app   *app
	Store string // empty: look for stores
	Tier  string

	Seal    sealOptions
	Common  storeOptions
	Consent consentOptions
	Wait    bool
	Poll    time.Duration
}

func newRecoverCmd(a *app, run func(context.Context, *recoverOptions) error) *cobra.Command {
	o := &recoverOptions{app: a}
	cmd := &cobra.Command{
		Use:   "recover [STORE]",
		Short: "rebuild the catalog from the store alone",
		Long: `Put together what is known of STORE on a machine that lost it, or never knew it:
all files of all machines that share it, with paths, times and older versions. It
takes credentials, and the identity where the store is encrypted, and no more.

It reads the newest snapshot that each catalog has left in the store, which the
vault's tags name; then, from the vault's inventory, what is newer: single files by
their descriptions, bundles by the index at their end. Where no snapshot is left,
these alone bring everything back. What this machine knows already stays.

A vault takes hours for that. Without --wait the first call asks for what is
needed and ends with status 75; the same command, called again later, goes on. It
can be killed at any time. Prices are told before anything is asked for.

A catalog that is damaged is put aside first, and nothing of it is deleted.

Without STORE it looks through the vaults of all regions for what firn has left
there, and lists what it finds.`,
		Example: `  firn recover
  firn recover glacier:eu-west-1/photos --identity key.txt
  firn recover local:/mnt/usb/vault`,
		Args:              takes("[STORE]"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&o.Wait, "wait", "w", false, "wait until everything is there")
	f.StringVar(&o.Tier, "tier", string(firn.Standard), "how fast, and how dear: bulk, standard or expedited")
	addPoll(f, &o.Poll, "what is ready", "the tier's earliest time has passed")
	o.Seal.addIdentity(f, a)
	o.Consent.addFlags(f, a)
	o.Common.addFlags(f, false, true)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		if len(args) == 0 {
			return run(ctx, o)
		}
		o.Store = args[0]
		if err := a.useProfile(f, o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

func runRecover(ctx context.Context, o *recoverOptions) error {
	if o.Store == "" {
		return o.look(ctx)
	}
	tier, err := firn.ParseTier(o.Tier)
	if err != nil {
		return err
	}
	s, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	o.app.begin(ctx, s, s.loc.String())
	row, err := s.store.Check(ctx, s.catalog)
	if err != nil {
		return err
	}
	if err := s.store.Traits().Pace.Offers(tier); err != nil {
		return err
	}
	lock, err := wire.LockStore(s.env, row, "recover")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	res, err := o.recover(ctx, s, row, tier)
	o.app.expect(res.Ready)
	return errors.Join(err, o.report(ctx, s, row, res, err))
}

// open opens the store, and the catalog, which is made anew where it is gone or
// damaged.
func (o *recoverOptions) open(ctx context.Context) (*session, error) {
	damage := o.damage(ctx)
	if damage == nil {
		return o.app.openStore(ctx, o.Store, o.Common.wire())
	}
	if firn.KindOf(damage) != firn.Corrupt {
		return nil, damage
	}
	env := o.app.wireEnv()
	o.app.ui.Warn(damage.Error())
	aside, err := wire.SetAsideCatalog(ctx, env)
	if err != nil {
		return nil, err
	}
	if aside != "" {
		o.app.ui.Notice("put the damaged catalog aside as " + aside)
		o.nameOthers(ctx, aside)
	}
	fresh, err := wire.NewCatalog(ctx, env)
	if err != nil {
		return nil, err
	}
	if err := fresh.Close(); err != nil {
		return nil, err
	}
	return o.app.openStore(ctx, o.Store, o.Common.wire())
}

// damage looks at the whole file of the catalog, and says what is wrong with it:
// what is deep inside is not noticed when it is opened.
func (o *recoverOptions) damage(ctx context.Context) (err error) {
	c, err := wire.OpenCatalog(ctx, o.app.wireEnv())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return c.CheckFile(ctx)
}

// nameOthers tells which other stores a damaged catalog knew: each is to be
// recovered.
func (o *recoverOptions) nameOthers(ctx context.Context, path string) {
	loc, _, _ := o.app.resolve(o.Store) // wrong ones are told when they are opened
	urls, err := wire.SalvageStores(ctx, path)
	for _, url := range urls {
		if url != loc.String() {
			o.app.ui.Notice("it knew the store " + url + " too; recover it with: firn recover " + url)
		}
	}
	if err != nil && len(urls) == 0 {
		o.app.ui.Notice("which stores it knew can't be read; look for vaults with: firn recover")
	}
}

func (o *recoverOptions) recover(ctx context.Context, s *session, row catalog.Store, tier firn.Tier) (recovery.Result, error) {
	downloader, err := transfer.NewDownloader(s.store, transfer.DownloadOptions{Clock: s.env.Clock, Events: s.env.Events})
	if err != nil {
		return recovery.Result{}, err
	}
	spool, err := wire.SpoolDir(s.env)
	if err != nil {
		return recovery.Result{}, err
	}
	waker, err := s.store.Waker(ctx, s.catalog, row)
	if err != nil {
		return recovery.Result{}, err
	}
	run, err := s.catalog.BeginRecovery(ctx, row.ID)
	if err != nil {
		return recovery.Result{}, err
	}
	prices := s.store.HeldPrices()
	paid, err := o.paid(ctx, s, run, prices)
	if err != nil {
		return recovery.Result{}, err
	}
	return recovery.Run(ctx, recovery.Options{
		Catalog: s.catalog, Row: row, Store: s.store, Run: run, Clock: s.env.Clock, Events: s.env.Events,
		Asker: retrieval.New(retrieval.Options{
			Catalog: s.catalog, Row: row.ID, Store: s.store, Downloader: downloader, Clock: s.env.Clock, Events: s.env.Events,
			Tier: tier, Run: run, Poll: o.Poll, Waker: waker,
		}),
		Identities: o.Seal.identities, Spool: spool, Wait: o.Wait && !o.app.once,
		Agree: func(ctx context.Context, n recovery.Need) error {
			items := retrievalItems(prices, tier, n)
			err := o.Consent.agreeMore(ctx, "the retrieval of "+n.What, prices, paid, items)
			paid = append(paid, items...)
			return err
		},
	})
}

// paid is what earlier calls have asked for that belong to the same recovery.
func (o *recoverOptions) paid(ctx context.Context, s *session, run catalog.Run, prices price.Tariff) (items []costItem, err error) {
	if prices.Free {
		return nil, nil
	}
	asked, err := s.catalog.AskedBy(ctx, run)
	for _, a := range asked {
		sum := prices.Of(a.Class).Retrieval(a.Tier, a.Requests, a.Bytes).Plus(prices.Cost(price.TransferOut, a.Bytes))
		items = append(items, costItem{counted(a.Requests, "retrieval") + " that earlier calls asked for", sum})
	}
	return items, err
}

// snapshotGuess is what a snapshot is taken to have at the most while its size
// isn't known: tags of vaults name no sizes. It is that of some four million files.
const snapshotGuess = 256 << 20

// retrievalItems is what it costs to get something out of the store.
func retrievalItems(prices price.Tariff, tier firn.Tier, n recovery.Need) []costItem {
	bytes, retrieved := n.Bytes, int64(0)
	cost := price.Sum{Known: true}
	for _, class := range slices.Sorted(maps.Keys(n.Classes)) {
		part := n.Classes[class]
		if !n.Known {
			part.Bytes = part.Requests * snapshotGuess
		}
		retrieved += part.Bytes
		cost = cost.Plus(prices.Of(class).Retrieval(tier, part.Requests, part.Bytes))
	}
	size := ui.Bytes(retrieved)
	if !n.Known {
		bytes, size = retrieved, "at most some "+size
	}
	return []costItem{
		{counted(n.Requests, "retrieval") + " of " + size, cost},
		{"their transfer", prices.Cost(price.TransferOut, bytes)},
	}
}

// The records of recover --json.
type (
	recoveredRecord struct {
		Store    string `json:"store"`
		Catalog  string `json:"catalog"`
		Host     string `json:"host"`
		Snapshot int64  `json:"snapshot"`
		Made     string `json:"made"`
		Trees    int    `json:"trees"`
		Versions int64  `json:"versions"`
	}
	recoveryRecord struct {
		Store     string `json:"store"`
		Archives  int64  `json:"archives"`
		Versions  int64  `json:"versions"`
		Files     int64  `json:"files"`
		Bundles   int64  `json:"bundles"`
		Loose     int64  `json:"loose"`
		Foreign   int64  `json:"foreign"`
		Lost      int64  `json:"lost"`
		Failed    int64  `json:"failed"`
		Pending   int64  `json:"pending"`
		Inventory string `json:"inventory,omitempty"` // RFC 3339
		Ready     string `json:"ready,omitempty"`     // RFC 3339
	}
)

// report tells what was found, and what to do next.
func (o *recoverOptions) report(ctx context.Context, s *session, row catalog.Store, res recovery.Result, failure error) error {
	for _, c := range res.Catalogs {
		s.ui.Record("snapshot", recoveredRecord{row.URL, c.Token.String(), c.Host, c.Seq, timeText(c.Made), c.Trees, c.Versions})
		s.ui.Print(fmt.Sprintf("read snapshot %d of %s, of %s: %s", c.Seq, c.Host, c.Made.Local().Format(time.DateTime), counted(int64(c.Trees), "tree")))
		if err := o.keepProfiles(c); err != nil {
			s.ui.Warn(err.Error())
		}
	}
	for from, to := range res.Renamed {
		s.ui.Notice(fmt.Sprintf("two machines have a tree called %s; one of them is called %s here", from, to))
	}
	if failure != nil {
		return nil
	}
	s.ui.Record("recovery", recoveryRecord{
		row.URL, res.Archives, res.Versions, res.Files, res.Bundles, res.Loose, res.Foreign, res.Lost, res.Failed, res.Pending, timeText(res.Inventory), timeText(res.Ready),
	})
	if res.Pending > 0 {
		s.ui.Print(pendingText(res.Ready, s.env.Clock.Now()))
		return ErrNotYet
	}
	text := "took in " + counted(res.Versions, "file version")
	if res.Files+res.Bundles > 0 {
		text += fmt.Sprintf("; what no snapshot has: %s by their descriptions, %s by their indexes", counted(res.Files, "file"), counted(res.Bundles, "bundle"))
	}
	s.ui.Print(text)
	return o.advise(ctx, s, row, res)
}

// counted is a number of things.
func counted(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return ui.Count(n) + " " + what
}

// form is the one of two forms of words that goes with a number.
func form(n int64, singular, plural string) string {
	if n == 1 {
		return singular
	}
	return plural
}

// advise says what is missing, and what can be done now.
func (o *recoverOptions) advise(ctx context.Context, s *session, row catalog.Store, res recovery.Result) error {
	if res.Foreign > 0 {
		s.ui.Notice(fmt.Sprintf("%s of other programs are left alone; take them in with: firn adopt %s", counted(res.Foreign, "archive"), o.Store))
	}
	if res.Lost > 0 {
		s.ui.Warn(fmt.Sprintf("%s that the snapshots name are not in the store's inventory: their versions are lost", counted(res.Lost, "archive")))
	}
	if !s.store.Traits().FreshInventory {
		s.ui.Notice(fmt.Sprintf("the inventory is of %s; what was stored after it shows in the next one: run this once more in two days", res.Inventory.Local().Format(time.DateTime)))
	}
	trees, err := s.catalog.Trees(ctx, row.ID)
	if err != nil {
		return err
	}
	if len(trees) == 0 {
		s.ui.Notice("no tree was found: nothing in the store was written by firn")
	} else if err := showTrees(ctx, s, row); err != nil {
		return err
	}
	if res.Failed > 0 || res.Lost > 0 {
		return ErrPartial
	}
	if len(trees) > 0 {
		s.ui.Notice("bring files back with: firn restore " + o.Store + " --to DIR")
	}
	return nil
}

// keepProfiles writes the profiles of a snapshot into a file of their own: what
// comes out of a store doesn't become what this machine does unseen.
func (o *recoverOptions) keepProfiles(c recovery.Catalog) error {
	if len(c.Profiles) == 0 {
		return nil
	}
	path, err := o.app.configPath()
	if err != nil {
		return err
	}
	text := fmt.Sprintf("# Profiles of %s, as its snapshot of %s has them. Nothing reads this file:\n# copy what you want to %s.\n", strconv.Quote(c.Host), c.Made.Format(time.DateOnly), filepath.Base(path))
	for _, p := range c.Profiles {
		// Read and written again, nothing but settings is in it.
		file, err := config.Parse([]byte(p.Text), path, o.app.env.Getenv, o.app.profileKeys())
		if err != nil {
			return &firn.Error{Op: "read the profile", Subject: p.Name, Kind: firn.Corrupt, Err: err}
		}
		for _, one := range file.Profiles {
			text += "\n" + one.Text()
		}
	}
	path = filepath.Join(filepath.Dir(path), "recovered-"+c.Token.String()+".toml")
	err = os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = atomicfile.Write(path, []byte(text), 0o600)
	}
	if err != nil {
		return &firn.Error{Op: "write the profiles", Subject: path, Kind: firn.Local, Err: cause(err)}
	}
	o.app.ui.Notice("its profiles are in " + path)
	return nil
}
