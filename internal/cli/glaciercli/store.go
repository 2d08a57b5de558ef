package glaciercli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/awschain"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/wire"
)

// outage is how long a network or a service that is down is waited for: whoever
// calls the program has retries of their own.
const outage = 5 * time.Minute

// An account is what requests are signed with.
type account struct {
	id      string // of the access key
	options wire.Options
}

// account finds the keys as glacier-cli's library did: in the environment, then in
// its configuration; and where there are none as Amazon's own tools do.
func (p *program) account(ctx context.Context) (*account, error) {
	if p.keys != nil {
		return p.keys, nil
	}
	a := &account{options: wire.Options{Outage: outage}}
	if p.mayBeBoto() {
		keys, ok, err := awschain.Boto(p.Getenv)
		if err != nil {
			return nil, err
		}
		if ok {
			a.id = keys.ID
			a.options.Keys = &wire.Keys{ID: keys.ID, Secret: keys.Secret, Session: keys.Session}
			a.options.Endpoint = cmp.Or(p.Getenv("AWS_ENDPOINT_URL_GLACIER"), p.Getenv("AWS_ENDPOINT_URL"))
			p.keys = a
			return a, nil
		}
	}
	var err error
	if a.id, err = awschain.KeyID(ctx, p.region); err != nil {
		return nil, err
	}
	p.keys = a
	return a, nil
}

// mayBeBoto reports whether nothing that comes before boto's configuration says
// which keys there are.
func (p *program) mayBeBoto() bool {
	return p.Getenv("AWS_ACCESS_KEY_ID") == "" && p.Getenv("AWS_PROFILE") == "" && !awschain.HasSharedKeys(p.Getenv)
}

// keyHint gives the id of the access key where that takes no time to find out; else
// nothing. It is for telling rows of the cache apart.
func (p *program) keyHint() string {
	if id := p.Getenv("AWS_ACCESS_KEY_ID"); id != "" {
		return id
	}
	if p.mayBeBoto() {
		if keys, ok, err := awschain.Boto(p.Getenv); ok && err == nil {
			return keys.ID
		}
	}
	return ""
}

// A session is an open vault, or what it was moved to, and the catalog.
type session struct {
	*wire.Store
	catalog *catalog.Catalog
	entry   catalog.Store // of the vault
	key     string        // id of the access key
}

// open opens a vault and the catalog. The caller closes both by close.
func (p *program) open(ctx context.Context, vault string) (*session, error) {
	a, err := p.account(ctx)
	if err != nil {
		return nil, err
	}
	store, err := wire.Open(ctx, p.env(), config.Location{Scheme: config.Glacier, Region: p.region, Vault: vault}, a.options)
	if err != nil {
		return nil, err
	}
	s := &session{Store: store, key: a.id}
	if s.catalog, err = wire.OpenCatalog(ctx, p.env()); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s.KeepLedger(s.catalog)
	return s, nil
}

// check asks the vault what it is, and finds it in the catalog.
func (s *session) check(ctx context.Context) (err error) {
	s.entry, err = s.Check(ctx, s.catalog)
	return err
}

func (s *session) close() error {
	return errors.Join(s.Store.Close(), s.catalog.Close())
}

// openChecked opens a vault that must be there, and that takes archives: one that
// was moved away doesn't any more. The cache must be writable, since what becomes of
// the vault is recorded there.
func (p *program) openChecked(ctx context.Context, vault string, toWrite bool) (*session, error) {
	cache, err := p.openCache(ctx)
	if err == nil {
		err = cache.Prepare(ctx)
	}
	if err != nil {
		return nil, err
	}
	s, err := p.open(ctx, vault)
	if err != nil {
		return nil, err
	}
	moved, ok, err := s.movedTo(ctx)
	if err == nil {
		err = s.check(ctx)
	}
	// A vault that was made again is another one.
	isMoved := ok && (s.entry.ID == moved.Source || firn.KindOf(err) == firn.NotFound)
	if isMoved && (moved.Finished || toWrite && moved.Copied && moved.Only == "") {
		err = movedError(vault, moved)
	}
	if err == nil {
		err = p.recall(ctx, s)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func movedError(vault string, moved catalog.Moved) error {
	return fmt.Errorf("the vault %s was moved to %s; what it had is there, and goes on there with: firn", vault, moved.URL)
}

// movedTo says where the vault was moved to, if it was. Whoever moved it may have
// named it without its region.
func (s *session) movedTo(ctx context.Context) (catalog.Moved, bool, error) {
	for _, url := range s.urls() {
		if m, ok, err := s.catalog.MovedTo(ctx, url); ok || err != nil {
			return m, ok, err
		}
	}
	return catalog.Moved{}, false, nil
}

// copyOf says where an archive is that firn has copied out of the vault, or out of an
// earlier one of its name. It reports whether there is such a copy still.
func (s *session) copyOf(ctx context.Context, archive firn.ArchiveID) (catalog.Copy, bool, error) {
	to, ok, err := s.catalog.StandingCopyOf(ctx, s.entry.ID, archive)
	if ok || err != nil {
		return to, ok, err
	}
	moved, ok, err := s.movedTo(ctx)
	if !ok || err != nil || moved.Source == s.entry.ID {
		return to, false, err
	}
	return s.catalog.StandingCopyOf(ctx, moved.Source, archive)
}

// urls are the names by which the catalog may know the vault.
func (s *session) urls() []string {
	short := s.Location
	short.Region = ""
	return []string{s.Location.String(), short.String()}
}

// known finds the vault in the catalog without asking for it, since it may be gone.
func (s *session) known(ctx context.Context) error {
	for _, url := range s.urls() {
		row, err := s.catalog.StoreByURL(ctx, url)
		if firn.KindOf(err) == firn.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		if url == s.urls()[0] || strings.Contains(row.Region, s.Region()) {
			s.entry = row
			return nil
		}
	}
	moved, ok, err := s.movedTo(ctx)
	if err != nil {
		return err
	}
	if ok { // the catalog has let go of its name
		s.entry = catalog.Store{ID: moved.Source}
		return nil
	}
	return &firn.Error{Op: "look up", Subject: s.Location.String(), Kind: firn.NotFound, Err: errors.New("nothing is known of it")}
}
