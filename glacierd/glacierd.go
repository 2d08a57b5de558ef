// Package glacierd is a server that speaks Amazon Glacier's vault API (REST,
// version 2012-06-01) and keeps vaults in ordinary folders: for programs that
// want a vault without an account, and for tests of programs that have one.
//
// All 33 operations are there, with the service's status codes, headers, JSON
// shapes, messages, paging and limits. It checks signatures and hashes, makes
// jobs wait and inventories lag as the service does, on a clock that a test
// may wind, and can be told to fail in the ways that the service and the
// network do (see Faults). Select jobs are refused, as the service refuses them.
//
// # On disk
//
// With Config.Root each vault is a folder below it, named as the vault:
//
//	ROOT/photos/vault.db          all that is known of the vault (SQLite)
//	ROOT/photos/archives/         the bodies of its archives
//	ROOT/photos/writers/          one lock file for each process that writes
//	ROOT/+account/                what belongs to the account; made when needed
//
// With Config.Vault one folder is the only vault, and the files of the account
// lie beside vault.db.
//
// Bodies have numbers for names: archive 12345 is archives/000/012/345. An
// archive that came in parts is a folder of that name which holds the parts,
// numbered with leading zeros, so that "cat archives/000/012/345/*" is the
// archive. Completing an upload copies nothing.
//
// An upload is answered once its bytes and its row are on disk. A process that
// is killed in the middle leaves nothing that can be seen; what it leaves on
// disk is removed by the next one that opens the vault. Several processes may
// serve one folder at the same time.
//
// # Policies
//
// Access policies and vault locks are kept and given back as they came. Of
// what they say, statements that deny an operation to everybody or to the
// account are carried out, with conditions on the age of an archive or on tags
// of the vault, which is what locks are used for; see policy.go for the exact
// list. Nothing needs to be allowed.
//
// # Time
//
// Nothing works in the background. Whether a job is done, what an inventory
// lists, what has expired: all follow from what is stored and the time of the
// request. Config.Clock gives that time; signatures are judged by AuthClock.
package glacierd

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Config says what a server serves, and how. Either Root or Vault must be set.
type Config struct {
	// Root is the folder whose sub-folders are the vaults. It must exist.
	Root string
	// Vault is a folder that is the server's one vault, named VaultName(Vault).
	// CreateVault makes it; nothing beside it is touched.
	Vault string

	// Credentials finds the key pair of an access key id. Nil means that
	// requests need not be signed, and that signatures are not looked at.
	Credentials func(accessKeyID string) (KeyPair, bool)
	// Account is the account id, 12 digits; empty means "000000000000".
	Account string
	// Region is the only region that signatures may be made for, and the one
	// in ARNs. Empty takes any, and gives each client its own in ARNs.
	Region string

	// Clock is the service's clock; nil is the real one.
	Clock Clock
	// AuthClock judges how old signatures are and sets the Date header; nil is
	// the real clock.
	AuthClock Clock
	// Timing says how long jobs and inventories take; nil means ServiceTiming.
	Timing *Timing
	// BodyTimeout is how long the server waits for the next byte of a body
	// before it answers 408; 0 means two minutes.
	BodyTimeout time.Duration

	// Faults are failures to act out; nil means none.
	Faults *Faults
	// Log is called once for each request, with a line that says what was
	// asked and answered, from many goroutines at once. Nil logs nothing.
	Log func(line string)
}

// A Clock tells the time. It may stand still, and may be moved forward while
// the server runs.
type Clock interface {
	Now() time.Time
}

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

// Timing says how long the service takes. Its zero value does everything at
// once: jobs are done when they are asked for, and each inventory job lists all
// that was stored before it was started.
type Timing struct {
	// Expedited, Standard and Bulk are the delays of archive retrievals.
	Expedited, Standard, Bulk time.Duration
	// Inventory is the delay of inventory retrievals.
	Inventory time.Duration
	// InventoryEvery is the time between two inventories of a vault, at most
	// MaxInventoryEvery. What changes shows in the next one only.
	InventoryEvery time.Duration
}

// MaxInventoryEvery is the longest Timing.InventoryEvery.
const MaxInventoryEvery = 30 * 24 * time.Hour

// ServiceTiming is the service's own pace, at the slow end of what is
// documented. Source: Amazon Glacier developer guide, "Archive retrieval
// options" (1-5 minutes, 3-5 hours, 5-12 hours), "Vault inventory" (a day).
// That inventory jobs take some four hours is seen, not documented.
func ServiceTiming() Timing {
	return Timing{
		Expedited:      5 * time.Minute,
		Standard:       5 * time.Hour,
		Bulk:           12 * time.Hour,
		Inventory:      4 * time.Hour,
		InventoryEvery: 24 * time.Hour,
	}
}

// A Server is the service. It is an http.Handler; Transport reaches it without
// a network.
type Server struct {
	cfg      Config
	timing   Timing
	oneVault string // name of the only vault, or empty
	ops      []operation
	buffers  sync.Pool // of *[]byte, bufferSize long
	faults   *Faults
	memory   *memoryNet
	account  account
	opening  chan struct{} // holds a token while somebody has the lock of lockFolders

	mu     sync.Mutex
	vaults map[string]*vault // open ones
	uses   int64             // of vaults, in all
	closed bool
}

var accountPattern = regexp.MustCompile(`^[0-9]{12}$`)

// New gives a server for cfg. It opens no vault yet, and makes no file.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("glacierd: %w", err)
	}
	s := &Server{
		cfg:    cfg,
		timing: *cfg.Timing,
		ops:    operations(),
		faults: cfg.Faults,
		vaults: map[string]*vault{},
		// A channel, so that waiting for it lets time go on in a bubble of
		// testing/synctest.
		opening: make(chan struct{}, 1),
	}
	s.account.dir = filepath.Join(cfg.Root, accountFolder)
	if cfg.Vault != "" {
		s.oneVault = VaultName(cfg.Vault)
		s.account.dir = cfg.Vault
	}
	s.buffers.New = func() any { b := make([]byte, bufferSize); return &b }
	s.memory = newMemoryNet(s)
	return s, nil
}

// complete checks the settings and fills in the defaults.
func (cfg Config) complete() (Config, error) {
	if (cfg.Root == "") == (cfg.Vault == "") {
		return cfg, errors.New("set either Root or Vault")
	}
	if cfg.Account == "" {
		cfg.Account = "000000000000"
	}
	if !accountPattern.MatchString(cfg.Account) {
		return cfg, fmt.Errorf("account %q: an account id has 12 digits", cfg.Account)
	}
	if cfg.Timing == nil {
		t := ServiceTiming()
		cfg.Timing = &t
	}
	if err := cfg.Timing.check(); err != nil {
		return cfg, err
	}
	if cfg.Clock == nil {
		cfg.Clock = realClock{}
	}
	if cfg.AuthClock == nil {
		cfg.AuthClock = realClock{}
	}
	if cfg.BodyTimeout == 0 {
		cfg.BodyTimeout = 2 * time.Minute
	}
	if cfg.Faults == nil {
		cfg.Faults = NewFaults(0)
	}
	return cfg, cfg.folder()
}

// folder makes the path absolute, so that a later change of the working folder
// means nothing.
func (cfg *Config) folder() error {
	if cfg.Vault != "" {
		abs, err := filepath.Abs(cfg.Vault)
		cfg.Vault = abs
		return err
	}
	abs, err := filepath.Abs(cfg.Root)
	if err != nil {
		return err
	}
	cfg.Root = abs
	info, err := os.Stat(abs)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", abs)
	}
	return err
}

func (t Timing) check() error {
	for _, d := range []time.Duration{t.Expedited, t.Standard, t.Bulk, t.Inventory, t.InventoryEvery} {
		if d < 0 {
			return fmt.Errorf("a delay of %v: it can't be negative", d)
		}
	}
	if e := t.InventoryEvery; e > MaxInventoryEvery || e > 0 && e < time.Second {
		return fmt.Errorf("an inventory every %v: between 1s and %v, or 0 for one at each job", e, MaxInventoryEvery)
	}
	return nil
}

// Close ends all connections of Transport, waits for the requests that they
// carried, and closes the vaults. Requests of other connections that are still
// being served fail.
func (s *Server) Close() error {
	s.memory.close()
	s.mu.Lock()
	s.closed = true
	open := s.vaults
	s.vaults = map[string]*vault{}
	s.mu.Unlock()
	var errs []error
	for _, v := range open {
		errs = append(errs, s.retire(v))
	}
	return errors.Join(append(errs, s.account.close())...)
}

// Transport reaches the server over connections in memory, speaking the same
// HTTP/1.1 as a network would carry. Any host and either scheme will do; no TLS
// is spoken. It may be used by many goroutines, and ends with the server.
func (s *Server) Transport() http.RoundTripper { return s.memory.transport }

// VaultName is the name of the vault that is kept in the folder dir: the
// folder's own, where that can be the name of a vault, else with a hyphen for
// each character that can't be.
func VaultName(dir string) string {
	base := []byte(filepath.Base(filepath.Clean(dir)))
	for i, c := range base {
		if !vaultNameByte(c) {
			base[i] = '-'
		}
	}
	name := string(base[:min(len(base), maxVaultName)])
	if strings.Trim(name, ".-") == "" {
		return "vault"
	}
	return name
}
