package cli

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

// A session is what a command on a store works with: the catalog, and the
// store where it needs one.
type session struct {
	env     wire.Env
	ui      *ui.UI
	catalog *catalog.Catalog
	store   *wire.Store // nil where the command needs only the catalog
	loc     config.Location
	profile *config.Profile // that the store was named by; nil: by its location
	limit   *config.Rate    // of uploads to the store; may be set anew
	moved   bool            // loc is where the store that was named was moved to
}

// storeOptions are those of every command that talks to a store.
type storeOptions struct {
	LimitUpload, LimitDownload rateLimit
	Outage                     time.Duration
	Endpoint                   endpoint
}

func (o *storeOptions) addFlags(f *pflag.FlagSet, upload, download bool) {
	if upload {
		f.Var(&o.LimitUpload, "limit-upload", "send at most `RATE` bytes a second, such as 500K, or by a timetable: '08:00,500K 23:00,off'")
	}
	if download {
		f.Var(&o.LimitDownload, "limit-download", "receive at most `RATE` bytes a second, such as 500K, or by a timetable")
	}
	f.DurationVar(&o.Outage, "outage", 24*time.Hour, "wait so long for a network or a service that is down")
	o.Endpoint.addFlag(f)
}

func (o *storeOptions) wire() wire.Options {
	outage := o.Outage
	if outage == 0 {
		outage = -1 // guard takes 0 for its default
	}
	return wire.Options{LimitUpload: o.LimitUpload.live(), LimitDownload: o.LimitDownload.live(), Outage: outage, Endpoint: string(o.Endpoint)}
}

func (a *app) wireEnv() wire.Env {
	return wire.Env{Getenv: a.env.Getenv, Dir: a.env.Dir, Clock: a.env.Clock, Events: a.ui.Sink()}
}

// openCatalog opens the catalog alone, for commands that ask no store.
// location names a store, or is a profile; empty where the command needs none.
func (a *app) openCatalog(ctx context.Context, location string) (*session, error) {
	s := &session{env: a.wireEnv(), ui: a.ui}
	var err error
	if location != "" {
		if s.loc, s.profile, err = a.resolve(location); err != nil {
			return nil, err
		}
	}
	if s.catalog, err = wire.OpenCatalog(ctx, s.env); err != nil || location == "" {
		return s, err
	}
	if err := a.followMove(ctx, s); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// openStore opens the catalog and the store.
func (a *app) openStore(ctx context.Context, location string, o wire.Options) (*session, error) {
	s, err := a.openCatalog(ctx, location)
	if err != nil {
		return nil, err
	}
	if o, err = a.reach(s, o); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if p := s.profile; p != nil {
		// Who has written down a vault wants it.
		o.AWSProfile = p.AWSProfile
		if !s.moved {
			o.Class, o.MakeVault = cmp.Or(o.Class, p.Class), true
		}
	}
	if a.once && (o.Outage == 0 || o.Outage > outageOnce) {
		o.Outage = outageOnce
	}
	if s.env.Prices, err = wire.ReadPrices(s.env, ""); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.limit = o.LimitUpload
	s.store, err = wire.OpenKnown(ctx, s.env, s.catalog, s.loc, o)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.store.KeepLedger(s.catalog)
	if err := a.checkMovedTag(ctx, s); err != nil {
		return nil, errors.Join(err, s.close())
	}
	a.opened = s
	return s, nil
}

// lookAt opens the catalog and the store, and asks the store what it is, without
// comparing that with the catalog: for what has nothing to do with that.
func (a *app) lookAt(ctx context.Context, location string, o wire.Options) (*session, error) {
	s, err := a.openStore(ctx, location, o)
	if err != nil {
		return nil, err
	}
	if _, err := s.store.Look(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *session) close() error {
	var errs []error
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(append(errs, s.catalog.Close())...)
}

// row finds the store in the catalog, without asking the store. A vault that is known
// with its region may be named without, and the other way round, as long as no other
// one is called so: glacier and mtglacier always say the region. Where the store is to be
// asked it is that of the region in which it is; whether it is the same one Check tells.
func (s *session) row(ctx context.Context) (catalog.Store, error) {
	row, err := s.rowOfURL(ctx)
	if firn.KindOf(err) != firn.NotFound || s.loc.Scheme != config.Glacier {
		return row, err
	}
	all, listErr := s.catalog.Stores(ctx)
	if listErr != nil {
		return row, listErr
	}
	all = slices.DeleteFunc(all, func(r catalog.Store) bool {
		return r.Kind != string(config.Glacier) || r.Name != s.loc.Vault || s.loc.Region != "" && r.Region != s.loc.Region || s.store != nil && r.Region != s.store.Region()
	})
	if len(all) != 1 {
		return row, err
	}
	return all[0], nil
}

// rowOfURL finds a store that was called just so.
func (s *session) rowOfURL(ctx context.Context) (catalog.Store, error) {
	row, err := s.catalog.StoreByURL(ctx, s.loc.String())
	if firn.KindOf(err) == firn.NotFound {
		return row, &firn.Error{Op: "look up", Subject: s.loc.String(), Kind: firn.NotFound,
			Err:  errors.New("this machine's catalog knows no such store"),
			Hint: "see what it knows with: firn status"}
	}
	return row, err
}

// trees gives the tree of that name, or all trees of the store.
func (s *session) trees(ctx context.Context, store int64, name string) ([]catalog.Tree, error) {
	if name == "" {
		return s.catalog.Trees(ctx, store)
	}
	tree, err := s.catalog.Tree(ctx, store, name)
	if err != nil {
		return nil, err
	}
	return []catalog.Tree{tree}, nil
}

// hostname is this machine's name, to which trees are bound. FIRN_HOST wins,
// for machines whose name changes.
func (a *app) hostname() (string, error) {
	if name := a.env.Getenv("FIRN_HOST"); name != "" {
		return name, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", &firn.Error{Op: "find out this machine's name", Kind: firn.Local, Err: err, Hint: "set FIRN_HOST"}
	}
	return name, nil
}
