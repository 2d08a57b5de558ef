package mtglacier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/wire"
)

// A session is the vault, open, and what firn's catalog knows of it.
type session struct {
	*runner
	wire  wire.Env
	store *wire.Store
	// catalog keeps what is under way. It is nil where the vault may not be
	// described: mt-aws-glacier never does that, and whoever wrote a policy for it
	// may not have allowed it. Then an upload that is killed begins anew.
	catalog *catalog.Catalog
	row     catalog.Store
	work    *catalog.Run
	lock    *wire.RunLock
	gone    bool // the vault is no more: all its archives were moved
}

// wireEnv is the environment that stores and the catalog are opened in.
func (r *runner) wireEnv() wire.Env {
	return wire.Env{Getenv: r.env.Getenv, Dir: r.env.Dir, Clock: r.env.Clock, Events: r.events}
}

// wireOptions say how to reach the service: as the keys say, and at the address
// that was given, or that the environment has for any program.
func (r *runner) wireOptions() wire.Options {
	return wire.Options{
		Keys:  &wire.Keys{ID: r.Key, Secret: r.Secret, Session: r.Token},
		Stall: r.Timeout,
		// A journal that isn't the vault's must not lose its lines.
		StrictDelete: true,
		Endpoint:     cmp.Or(r.Endpoint, r.env.Getenv("AWS_ENDPOINT_URL_GLACIER"), r.env.Getenv("AWS_ENDPOINT_URL")),
	}
}

func (r *runner) location() config.Location {
	return config.Location{Scheme: config.Glacier, Region: r.Region, Vault: r.Vault}
}

// vault opens the vault, and nothing else.
func (r *runner) vault(ctx context.Context) (*session, error) {
	s := &session{runner: r, wire: r.wireEnv()}
	var err error
	s.store, err = wire.Open(ctx, s.wire, r.location(), r.wireOptions())
	return s, err
}

// open opens the vault and the catalog.
func (r *runner) open(ctx context.Context) (s *session, err error) {
	if s, err = r.vault(ctx); err != nil {
		return nil, err
	}
	cat, err := wire.OpenCatalog(ctx, s.wire)
	if err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	row, err := s.store.Check(ctx, cat)
	switch {
	case err == nil:
		s.catalog, s.row = cat, row
	case firn.KindOf(err) == firn.Denied:
		err = cat.Close()
	}
	if err != nil {
		return nil, errors.Join(err, cat.Close(), s.store.Close())
	}
	return s, nil
}

func (s *session) close() {
	if s.lock != nil {
		s.lock.Unlock()
	}
	if s.catalog != nil {
		s.catalog.Close()
	}
	s.store.Close()
}

// begin begins a run in the catalog, which records what is under way. Its name
// has the journal's, so that another run with the same journal can tell what it
// has to take up.
func (s *session) begin(ctx context.Context) error {
	if s.catalog == nil {
		return nil
	}
	name, err := s.runName()
	if err != nil {
		return err
	}
	run, lock, err := wire.BeginRun(ctx, s.wire, s.catalog, s.row.ID, name)
	if err != nil {
		return err
	}
	s.work, s.lock = &run, lock
	return nil
}

// end ends the run.
func (s *session) end(ctx context.Context, err error) error {
	if s.work == nil {
		return err
	}
	ended := s.catalog.EndRun(context.WithoutCancel(ctx), *s.work, catalog.Outcome{Complete: err == nil && !s.failed})
	return errors.Join(err, ended)
}

// asRun does work in a vault as a run, from its opening to its close.
func (r *runner) asRun(ctx context.Context, open func(context.Context) (*session, error), work func(*session) error) error {
	s, err := open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.begin(ctx); err != nil {
		return err
	}
	return s.end(ctx, work(s))
}

// openTarget is open for a command that adds to the vault.
func (r *runner) openTarget(ctx context.Context) (*session, error) {
	s, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.stays(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// runName is what the catalog calls the runs that keep one journal.
func (r *runner) runName() (string, error) {
	real, err := filepath.EvalSymlinks(r.at(r.Journal))
	if err != nil {
		return "", problemf("Cannot open journal %s: %v", r.Journal, reason(err))
	}
	return "mtglacier " + real, nil
}

// stays gives an error where the vault's archives were moved: what is stored
// here now would be left behind, or lost.
func (s *session) stays(ctx context.Context) error {
	to := ""
	if s.catalog != nil {
		moved, ok, err := s.catalog.MovedTo(ctx, s.row.Identity)
		if err != nil {
			return err
		}
		if ok && moved.Only == "" {
			to = moved.URL
		}
	}
	if to == "" {
		tags, err := s.store.Tags(ctx)
		if err != nil && firn.KindOf(err) != firn.Denied {
			return err
		}
		to = snapshot.Moved(tags)
	}
	if to == "" {
		return nil
	}
	return fmt.Errorf("the archives of vault %s were moved to %s, by firn migrate: nothing is changed here any more; use firn sync %s %[2]s, or another vault", s.Vault, to, cmp.Or(s.Dir, "DIR"))
}
