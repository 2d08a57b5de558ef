// Package wire opens what the works need: the catalog, and stores with their
// decorators on. It is the only place that knows every adapter.
package wire

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/glacier"
	"github.com/firn-archive/firn/internal/guard"
)

// Env is what the machine and the user gave.
type Env struct {
	Getenv func(string) string
	Dir    string // that relative paths start from
	Clock  clock.Clock
	Events firn.Sink
}

// OpenCatalog opens this user's catalog, and makes it at the first time.
func OpenCatalog(ctx context.Context, env Env) (*catalog.Catalog, error) {
	dir, err := config.DataDir(env.Getenv)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &firn.Error{Op: "make the data folder", Subject: dir, Kind: firn.Local, Err: err, Hint: "set FIRN_HOME to a folder that you can write to"}
	}
	path := filepath.Join(dir, "catalog.db")
	if err := checkNotLost(dir, path); err != nil {
		return nil, err
	}
	return catalog.Open(ctx, path, env.Clock)
}

// checkNotLost refuses to begin a new catalog where an old one must have been:
// everything would be sent again. Locks of trees outlive it.
func checkNotLost(dir, path string) error {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		return nil
	}
	locks := filepath.Join(dir, "locks")
	names, err := os.ReadDir(locks)
	if err != nil || len(names) == 0 {
		return nil // the first time
	}
	return &firn.Error{Op: "open catalog", Subject: path, Kind: firn.Corrupt, Err: errors.New("it is missing or empty, though trees were synced from here"),
		Hint: "put it back from a backup; to begin anew, and send everything again, remove " + locks}
}

// SpoolDir is the folder where bundles are until they are stored. It need not
// exist yet.
func SpoolDir(env Env) (string, error) {
	dir, err := config.DataDir(env.Getenv)
	return filepath.Join(dir, "spool"), err
}

// Options say how a store is to be opened.
type Options struct {
	// Limits over all bodies, in bytes/s; nil: none. They may be set anew while
	// the store is open.
	LimitUpload, LimitDownload *config.Rate
	// Outage is how long a broken network is waited for; 0: a day, below 0:
	// not at all. A local store has no network, and is never waited for long.
	Outage time.Duration
	// AWSProfile is a profile of the AWS configuration, Endpoint the address of
	// the service; empty: as the environment says.
	AWSProfile, Endpoint string
	// MakeVault lets CheckOrCreate make a vault of the service that is not
	// there, and that the catalog has never seen.
	MakeVault bool
}

// A Store is an open store, with its decorators on.
type Store struct {
	firn.Store
	Location config.Location
	Info     firn.StoreInfo // as Check or Create saw it
	Counter  *guard.Counter // of the requests that really went out
	env      Env
	options  Options
	region   string // that the vault is looked for in
	close    []func() error
}

// localOutage is how long a local vault that fails is waited for.
const localOutage = 30 * time.Second

// Open opens the store that a location names. Nothing is sent yet.
func Open(ctx context.Context, env Env, loc config.Location, o Options) (*Store, error) {
	s := &Store{Location: loc, env: env, options: o}
	if loc.Scheme == config.Local {
		// There is no network: what doesn't pass soon is the disk.
		if o.Outage == 0 || o.Outage > localOutage {
			o.Outage = localOutage
		}
	}
	base, err := s.adapter(ctx, loc)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.decorate(base, env, o)
	return s, nil
}

// decorate stacks what stands between the works and the adapter. From the
// wire up:
//
//	count   sees each request that goes out, repeats too: they are billed
//	limit   slows the bodies, so that repeats are slowed as well
//	retry   repeats what may be repeated
func (s *Store) decorate(base firn.Store, env Env, o Options) {
	s.Counter = guard.NewCounter()
	limits := guard.LimitOptions{Clock: env.Clock}
	if o.LimitUpload != nil {
		limits.Upload = o.LimitUpload
	}
	if o.LimitDownload != nil {
		limits.Download = o.LimitDownload
	}
	stack := guard.Limit(guard.Count(base, s.Counter), limits)
	s.Store = guard.Retry(stack, guard.RetryOptions{Clock: env.Clock, Events: env.Events, Outage: o.Outage})
}

func (s *Store) adapter(ctx context.Context, loc config.Location) (firn.Store, error) {
	cfg := glacier.Config{Vault: loc.Vault, Region: loc.Region, Profile: s.options.AWSProfile, Endpoint: s.options.Endpoint}
	if loc.Scheme == config.Local {
		var err error
		if cfg, err = s.serve(loc); err != nil {
			return nil, err
		}
	}
	vault, err := glacier.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, vault.Close)
	s.region = vault.Region()
	return vault, nil
}

// serve starts the embedded server on a folder, in this process, and gives the
// way to reach it.
func (s *Store) serve(loc config.Location) (glacier.Config, error) {
	keys := glacierd.KeyPair{AccessKeyID: "local", SecretAccessKey: firn.NewToken().String()}
	server, err := glacierd.New(glacierd.Config{
		Vault:       loc.Dir,
		Timing:      new(glacierd.Timing{}),
		Credentials: func(id string) (glacierd.KeyPair, bool) { return keys, id == keys.AccessKeyID },
	})
	if err != nil {
		return glacier.Config{}, &firn.Error{Op: "open", Subject: loc.String(), Kind: firn.Local, Err: err}
	}
	s.close = append(s.close, server.Close)
	name := glacierd.VaultName(loc.Dir)
	return glacier.Config{
		Vault:       name,
		Region:      "local",
		Endpoint:    "http://localhost",
		Credentials: glacier.StaticCredentials(keys.AccessKeyID, keys.SecretAccessKey, ""),
		Transport:   server.Transport(),
		Label:       loc.String(),
		Identify: func(firn.StoreInfo) (string, error) {
			id, err := server.VaultID(name)
			return "local:" + id, err
		},
		InProcess:      true,
		FreshInventory: true,
		InstantJobs:    true,
	}, nil
}

// Close closes the store.
func (s *Store) Close() error {
	var errs []error
	for i := len(s.close) - 1; i >= 0; i-- {
		errs = append(errs, s.close[i]())
	}
	return errors.Join(errs...)
}

// Check asks the store what it is, and compares that with what the catalog
// knows of its name: another vault, or another disk in the same place, is an
// error of kind Conflict. Every command that writes to a store comes here.
func (s *Store) Check(ctx context.Context, cat *catalog.Catalog) (catalog.Store, error) {
	if _, err := s.Look(ctx); err != nil {
		return catalog.Store{}, err
	}
	return cat.Register(ctx, s.spec())
}

// Look asks the store what it is, and compares that with nothing.
func (s *Store) Look(ctx context.Context) (firn.StoreInfo, error) {
	info, err := s.Describe(ctx)
	s.Info = info
	return info, s.explain(err)
}

func (s *Store) spec() catalog.StoreSpec {
	return catalog.StoreSpec{
		URL: s.Location.String(), Kind: string(s.Location.Scheme), Identity: s.Info.Identity,
		Name: s.Info.Name, Region: s.Info.Region, Address: s.Info.Address,
	}
}

// CheckOrCreate is Check for a command that fills a store. A local vault that
// nobody has seen before is made; a vault of the service only where Options say
// so. One that was seen before and is gone is a disk that is not there, or a
// vault that somebody has deleted: that is an error.
func (s *Store) CheckOrCreate(ctx context.Context, cat *catalog.Catalog) (catalog.Store, error) {
	create := s.createVault
	if s.Location.Scheme == config.Local {
		create = s.createLocal
	} else if !s.options.MakeVault {
		return s.Check(ctx, cat)
	}
	_, err := cat.StoreByURL(ctx, s.Location.String())
	switch {
	case firn.KindOf(err) == firn.NotFound:
		if err := create(ctx); err != nil {
			return catalog.Store{}, err
		}
	case err != nil:
		return catalog.Store{}, err
	}
	return s.Check(ctx, cat)
}

// createVault makes a vault of the service, and says so.
func (s *Store) createVault(ctx context.Context) error {
	if _, err := s.Describe(ctx); firn.KindOf(err) != firn.NotFound {
		return nil // there already; or not to be had, which Check will say
	}
	if err := s.Create(ctx); err != nil {
		return err
	}
	s.env.Events(firn.NoticeEvent{Text: fmt.Sprintf("made the vault %s in %s, which was not there", s.Location.Vault, s.region)})
	return nil
}

// createLocal makes a vault in a folder that is empty or does not exist. The
// server refuses folders that hold other things, and clears away what a kill
// left of its own.
func (s *Store) createLocal(ctx context.Context) error {
	if _, err := s.Describe(ctx); firn.KindOf(err) != firn.NotFound {
		return err // there already, or not to be had
	}
	err := s.Create(ctx)
	if firn.KindOf(err) == firn.Invalid {
		return &firn.Error{Op: "make", Subject: s.Location.String(), Kind: firn.Conflict, Err: err}
	}
	return err
}

// explain adds what to do about a missing store.
func (s *Store) explain(err error) error {
	if firn.KindOf(err) != firn.NotFound {
		return err
	}
	hint := "is the region right? The vault is made with: firn store create " + s.Location.String()
	what := "there is no such vault in " + s.region
	if s.Location.Scheme == config.Local {
		what = "there is no vault in this folder"
		hint = "is its disk mounted? A new vault is made with: firn store create " + s.Location.String()
	}
	return &firn.Error{Op: "open", Subject: s.Location.String(), Kind: firn.NotFound, Err: errors.New(what), Hint: hint}
}

// Vaults lists the vaults of the account in a region; empty: the environment's.
func Vaults(ctx context.Context, region string) iter.Seq2[firn.StoreInfo, error] {
	return glacier.Vaults(ctx, glacier.Config{Region: region})
}
