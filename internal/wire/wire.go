// Package wire opens what the works need: the catalog, and stores with their
// decorators on. It is the only place that knows every adapter.
package wire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/glacier"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/s3cold"
)

// Env is what the machine and the user gave.
type Env struct {
	Getenv func(string) string
	Dir    string // that relative paths start from
	Clock  clock.Clock
	Events firn.Sink
	Prices price.Tables // what vaults charge; nil: what firn comes with
}

// OpenCatalog opens this user's catalog, and makes it at the first time.
// Errors: those of catalog.Open; Corrupt too where there must have been one,
// and is none.
func OpenCatalog(ctx context.Context, env Env) (*catalog.Catalog, error) {
	path, err := catalogPath(env)
	if err != nil {
		return nil, err
	}
	if err := checkNotLost(path); err != nil {
		return nil, err
	}
	return catalog.Open(ctx, path, env.Clock)
}

// NewCatalog is OpenCatalog for a recovery: where there is no catalog it makes
// one, also where there must have been one before.
func NewCatalog(ctx context.Context, env Env) (*catalog.Catalog, error) {
	path, err := catalogPath(env)
	if err != nil {
		return nil, err
	}
	return catalog.Open(ctx, path, env.Clock)
}

// catalogPath is where the catalog lies. It makes the folder.
func catalogPath(env Env) (string, error) {
	dir, err := config.DataDir(env.Getenv)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", &firn.Error{Op: "make the data folder", Subject: dir, Kind: firn.Local, Err: err, Hint: "set FIRN_HOME to a folder that you can write to"}
	}
	return filepath.Join(dir, "catalog.db"), nil
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
	known                string // where the store was seen: what is asked where nothing says an address
	unmet                bool   // it was never reached from here
	// Keys, unless nil, sign the requests to a vault; then neither the environment
	// nor the AWS configuration is read at all.
	Keys *Keys
	// Stall is how long a vault of the service may be silent; 0: two minutes.
	Stall time.Duration
	// StrictDelete makes it an error of a vault to delete what was never in it.
	StrictDelete bool
	// Class is the storage class of what is stored in S3; empty: the store's own.
	Class string
	// MakeVault lets CheckOrCreate make a vault of the service that is not
	// there, and that the catalog has never seen.
	MakeVault bool
}

// Keys are a key pair of AWS.
type Keys struct {
	ID, Secret string
	Session    string // the token of keys that last for hours; empty without one
}

// A Store is an open store, with its decorators on.
type Store struct {
	firn.Store
	Location config.Location
	Info     firn.StoreInfo // as Check or Create saw it
	Counter  *guard.Counter // of the requests that really went out
	env      Env
	options  Options
	region   string              // that the vault is looked for in
	class    func() s3cold.Class // of what is stored in S3; nil elsewhere
	own      func() s3cold.Class // that the store in S3 was made with
	cold     *s3cold.Store       // below the decorators, of a store in S3
	catalog  *catalog.Catalog    // nil: none was given yet
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
	if loc.Scheme == config.S3 {
		return s.bucket(ctx, loc)
	}
	cfg := glacier.Config{
		Vault: loc.Vault, Region: loc.Region, Profile: s.options.AWSProfile, Endpoint: s.options.Endpoint, Known: s.options.known, Unmet: s.options.unmet,
		Stall: s.options.Stall, StrictDelete: s.options.StrictDelete,
	}
	if loc.Scheme == config.Local {
		var err error
		if cfg, err = s.serve(loc); err != nil {
			return nil, err
		}
	}
	if k := s.options.Keys; k != nil && loc.Scheme == config.Glacier {
		cfg.Credentials = glacier.StaticCredentials(k.ID, k.Secret, k.Session)
	}
	vault, err := glacier.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, vault.Close)
	s.region = vault.Region()
	return vault, nil
}

// bucket opens a store in S3.
func (s *Store) bucket(ctx context.Context, loc config.Location) (firn.Store, error) {
	store, err := s3cold.Open(ctx, s3cold.Config{
		Bucket: loc.Bucket, Prefix: loc.Prefix, Region: loc.Region, Class: s3cold.Class(s.options.Class),
		Profile: s.options.AWSProfile, Endpoint: s.options.Endpoint, Known: s.options.known, Unmet: s.options.unmet, Label: loc.String(),
	})
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, store.Close)
	s.region, s.class, s.own, s.cold = store.Region(), store.Class, store.OwnClass, store
	return store, nil
}

// serve starts the embedded server on a folder, in this process, and gives the
// way to reach it.
func (s *Store) serve(loc config.Location) (glacier.Config, error) {
	keys := glacierd.KeyPair{AccessKeyID: "local", SecretAccessKey: firn.NewToken().String()}
	server, err := glacierd.New(glacierd.Config{
		Vault:       loc.Dir,
		Clock:       s.env.Clock,
		AuthClock:   s.env.Clock,
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
		Name: s.Info.Name, Region: s.Info.Region, Address: s.Info.Address, Class: s.ownClass(), Reached: true,
	}
}

// CheckOrCreate is Check for a command that fills a store. A local vault that
// nobody has seen before is made; a vault of the service only where Options say
// so, and likewise a store in a bucket that is there. One that was seen before and is gone is a disk that is not there, or a
// vault that somebody has deleted: that is an error.
func (s *Store) CheckOrCreate(ctx context.Context, cat *catalog.Catalog) (catalog.Store, error) {
	create := s.createVault
	if s.Location.Scheme == config.Local {
		create = s.createLocal
	} else if !s.options.MakeVault {
		return s.checkToFill(ctx, cat)
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
	return s.checkToFill(ctx, cat)
}

// createVault makes a vault of the service, and says so.
func (s *Store) createVault(ctx context.Context) error {
	if _, err := s.Describe(ctx); firn.KindOf(err) != firn.NotFound {
		return nil // there already; or not to be had, which Check will say
	}
	if err := s.Create(ctx); err != nil {
		return err
	}
	made := fmt.Sprintf("made the vault %s in %s, which was not there", s.Location.Vault, s.region)
	if s.Location.Scheme == config.S3 {
		made = fmt.Sprintf("made the store %s, which was not there", s.Location)
	}
	s.env.Events(firn.NoticeEvent{Text: made})
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
	if firn.KindOf(err) != firn.NotFound || s.Location.Scheme == config.S3 { // which says it itself
		return err
	}
	hint := "is the region right? The vault is made with: firn store create " + s.Location.String() + config.EndpointOption(s.options.Endpoint)
	what := "there is no such vault in " + s.region
	if s.Location.Scheme == config.Local {
		what = "there is no vault in this folder"
		hint = "is its disk mounted? A new vault is made with: firn store create " + s.Location.String()
	}
	return &firn.Error{Op: "open", Subject: s.Location.String(), Kind: firn.NotFound, Err: errors.New(what), Hint: hint}
}

// VaultsOf lists the vaults of the account in a region; empty: the environment's. The
// account is that which Options.Keys name, and the server the one at
// Options.Endpoint, where they do. What the service can't do now is asked again, for a
// minute at the most.
func VaultsOf(ctx context.Context, env Env, region string, o Options) iter.Seq2[firn.StoreInfo, error] {
	cfg := glacier.Config{Region: region, Profile: o.AWSProfile, Endpoint: o.Endpoint, Stall: o.Stall}
	if k := o.Keys; k != nil {
		cfg.Credentials = glacier.StaticCredentials(k.ID, k.Secret, k.Session)
	}
	retry := guard.RetryOptions{Clock: env.Clock, Events: env.Events, Outage: o.Outage}
	if retry.Outage == 0 || retry.Outage > listOutage {
		retry.Outage = listOutage
	}
	list := func(ctx context.Context) iter.Seq2[firn.StoreInfo, error] { return glacier.Vaults(ctx, cfg) }
	return guard.RetryVaults(ctx, list, retry)
}

// listOutage is how long a service that fails is waited for by whoever wants to see
// what there is.
const listOutage = time.Minute

// regions are those in which the service keeps vaults. Source: AWS General
// Reference, "Amazon S3 Glacier endpoints and quotas". Those of China and of the
// US government have accounts of their own.
var regions = []string{
	"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
	"eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "eu-south-1",
	"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ap-south-1", "ap-east-1",
	"af-south-1", "me-south-1",
}

// Regions gives the regions to look for vaults in: all of them, or, where Options or
// the environment name another server than the service's, that one's alone. The
// regions of accounts in China and of the US government are those of the
// environment's.
func Regions(env Env, o Options) []string {
	own := cmp.Or(env.Getenv("AWS_REGION"), env.Getenv("AWS_DEFAULT_REGION"))
	if o.Endpoint != "" || env.Getenv("AWS_ENDPOINT_URL") != "" || env.Getenv("AWS_ENDPOINT_URL_GLACIER") != "" {
		return []string{cmp.Or(own, regions[0])}
	}
	switch {
	case strings.HasPrefix(own, "cn-"):
		return []string{"cn-north-1", "cn-northwest-1"}
	case strings.HasPrefix(own, "us-gov-"):
		return []string{"us-gov-west-1", "us-gov-east-1"}
	}
	return regions
}

// noVault is named where a request is about no vault: no request sends it.
const noVault = "-"

// OpenAccount opens what belongs to an account as a whole in a region; empty: the
// environment's. Of the store that it gives, only the retrieval policy may be asked.
func OpenAccount(ctx context.Context, env Env, region string, o Options) (*Store, error) {
	return Open(ctx, env, config.Location{Scheme: config.Glacier, Region: region, Vault: noVault}, o)
}

// Region is the region that the store is in.
func (s *Store) Region() string { return s.region }

// The lists and deletions of stores in S3 pass through it.
var (
	_ firn.Lister    = (*Store)(nil)
	_ firn.Discerner = (*Store)(nil)
)

// InventoryBut is that of the store.
func (s *Store) InventoryBut(ctx context.Context, id firn.JobID, recall firn.Recall, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	return firn.InventoryBut(ctx, s.Store, id, recall, each)
}

// DeleteOnly is that of the store.
func (s *Store) DeleteOnly(ctx context.Context, a firn.Deletable) error {
	return firn.DeleteOnly(ctx, s.Store, a)
}

// Custodian is the store as one that has policies and locks.
func (s *Store) Custodian() firn.Custodian { return s.Store.(firn.Custodian) }

// Notifier is the store as one that can tell what is ready.
func (s *Store) Notifier() firn.Notifier { return s.Store.(firn.Notifier) }

// Companion is the store as one that keeps files beside archives.
func (s *Store) Companion() firn.Companion { return s.Store.(firn.Companion) }
