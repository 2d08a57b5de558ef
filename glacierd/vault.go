package glacierd

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/lockfile"
	"github.com/firn-archive/firn/internal/sqldb"
)

// Names inside a vault's folder.
const (
	vaultFile     = "vault.db"
	vaultCopy     = vaultFile + ".schema" // begins the names of copies from before a migration
	archiveFolder = "archives"
	writerFolder  = "writers"
	lockName      = "lock" // taken to make and to remove vaults
)

// maxOpen is how many vaults are kept open while nobody asks for them.
const maxOpen = 16

// tidyEvery is how often an open vault is rid of what has expired.
const tidyEvery = time.Hour

// A vault is an open vault. It is shared by the requests that use it.
type vault struct {
	identity
	name   string
	dir    string
	db     *sqldb.DB
	file   os.FileInfo // of vault.db: another file there is another vault
	writer writer
	tidied atomic.Int64 // when tidy last ran

	// under Server.mu:
	users  int
	retire bool  // to be closed by its last user
	used   int64 // Server.uses at its last use
}

// errNoVault says that there is no such vault (any more).
var errNoVault = errors.New("no such vault")

// VaultID is the random number, 32 hex digits, that the vault was given when
// it was made. It stays when the folder is moved or renamed.
func (s *Server) VaultID(name string) (string, error) {
	v, err := s.vault(name)
	if err != nil {
		return "", fmt.Errorf("vault %q: %w", name, err)
	}
	defer s.release(v)
	return hex.EncodeToString(v.id[:]), nil
}

// folder is where the named vault is, or would be.
func (s *Server) folder(name string) string {
	if s.oneVault != "" {
		return s.cfg.Vault
	}
	return filepath.Join(s.cfg.Root, name)
}

// vault finds a vault; the caller releases it. Each time it looks whether the
// one on disk is still the one that is open: other processes make and remove
// vaults too.
func (s *Server) vault(name string) (*vault, error) {
	if !validVaultName(name) || s.oneVault != "" && name != s.oneVault {
		return nil, errNoVault
	}
	info, err := os.Stat(filepath.Join(s.folder(name), vaultFile))
	if err != nil {
		s.forget(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errNoVault
		}
		return nil, err
	}
	if v := s.opened(name, info); v != nil {
		return v, nil
	}
	unlock, err := s.lockFolders()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.vaultUnderLock(name)
}

// vaultUnderLock is vault for those who hold the lock: until they give it back
// nobody makes or removes a vault, so that what is opened is what was found.
func (s *Server) vaultUnderLock(name string) (*vault, error) {
	info, err := os.Stat(filepath.Join(s.folder(name), vaultFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoVault
	}
	if err != nil {
		return nil, err
	}
	if v := s.opened(name, info); v != nil {
		return v, nil
	}
	v, err := s.openVault(name, info)
	if err != nil {
		return nil, err
	}
	return v, s.remember(v)
}

// stands reports whether the vault on disk is still this one, whose file is
// open, so that no other can have its number.
func (s *Server) stands(v *vault) bool {
	info, err := os.Stat(filepath.Join(s.folder(v.name), vaultFile))
	return err == nil && os.SameFile(info, v.file)
}

// opened gives the open vault of that name, if it is the one on disk.
func (s *Server) opened(name string, info os.FileInfo) *vault {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.vaults[name]
	if v == nil || !os.SameFile(v.file, info) {
		return nil
	}
	s.use(v)
	return v
}

// use notes one more user of a vault, under s.mu.
func (s *Server) use(v *vault) {
	v.users++
	s.uses++
	v.used = s.uses
}

// openVault opens what is on disk. A database without the vault's row is one
// that is being made, or being removed.
func (s *Server) openVault(name string, info os.FileInfo) (*vault, error) {
	if err := s.exactName(name); err != nil {
		return nil, err
	}
	ctx := context.Background()
	dir := s.folder(name)
	db, err := sqldb.Open(ctx, filepath.Join(dir, vaultFile), vaultOptions())
	if err != nil {
		return nil, err
	}
	v := &vault{name: name, dir: dir, db: db, file: info}
	err = db.Read(ctx, func(t *sqldb.Tx) error {
		var id, key []byte
		var created int64
		err := t.QueryRow(ctx, "SELECT id, key, created FROM vault").Scan(&id, &key, &created)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoVault
		}
		if err == nil {
			v.identity, err = newIdentity(id, key, created)
		}
		return err
	})
	if err == nil {
		err = v.sweep(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return v, nil
}

// exactName makes sure that the folder is named as the vault is, where the
// file system takes "Photos" for "photos".
func (s *Server) exactName(name string) error {
	if s.oneVault != "" {
		return nil
	}
	entries, err := os.ReadDir(s.cfg.Root)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name }) {
		return errNoVault
	}
	return nil
}

// remember keeps an open vault for later requests.
func (s *Server) remember(v *vault) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(errors.New("the server is closed"), v.close())
	}
	var gone []*vault
	if old := s.vaults[v.name]; old != nil {
		gone = append(gone, old)
	}
	s.use(v)
	s.vaults[v.name] = v
	if len(s.vaults) > maxOpen {
		if idle := s.longestIdle(); idle != nil {
			delete(s.vaults, idle.name)
			gone = append(gone, idle)
		}
	}
	s.mu.Unlock()
	for _, old := range gone {
		s.retire(old)
	}
	return nil
}

// longestIdle gives the open vault that nobody has used for longest, or nil.
func (s *Server) longestIdle() *vault {
	var longest *vault
	for _, v := range s.vaults {
		if v.users == 0 && (longest == nil || v.used < longest.used) {
			longest = v
		}
	}
	return longest
}

// release ends a request's use of a vault.
func (s *Server) release(v *vault) {
	s.mu.Lock()
	v.users--
	last := v.users == 0 && v.retire
	s.mu.Unlock()
	if last {
		v.close()
	}
}

// forget retires the open vault of that name, if there is one.
func (s *Server) forget(name string) {
	s.mu.Lock()
	v := s.vaults[name]
	delete(s.vaults, name)
	s.mu.Unlock()
	if v != nil {
		s.retire(v)
	}
}

// retire closes a vault that is in nobody's reach any more, now or with its
// last user.
func (s *Server) retire(v *vault) error {
	s.mu.Lock()
	now := v.users == 0 && !v.retire
	v.retire = true
	s.mu.Unlock()
	if now {
		return v.close()
	}
	return nil
}

func (v *vault) close() error {
	return errors.Join(v.giveBack(), v.db.Close())
}

// makeVault makes the vault unless it is there. Makers and removers of all
// processes take turns.
func (s *Server) makeVault(name string, now int64) error {
	dir := s.folder(name)
	if err := s.vacant(name, dir); err != nil {
		return err
	}
	unlock, err := s.lockFolders()
	if err != nil {
		return err
	}
	defer unlock()
	v, err := s.vaultUnderLock(name)
	if err == nil {
		s.release(v)
		return nil
	}
	if !errors.Is(err, errNoVault) {
		return err
	}
	if err := removeVaultFiles(dir); err != nil {
		return err
	}
	return s.layVault(dir, now)
}

// vacant makes sure that a folder holds nothing but what a vault that was
// never finished, or not wholly removed, has left there.
func (s *Server) vacant(name, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !ownName(e.Name()) {
			return invalid("the folder of vault %s, %s, holds %q, which is no part of a vault; name an empty folder, or one that isn't there yet", name, dir, e.Name())
		}
	}
	if s.exactName(name) != nil {
		return invalid("this file system can't tell the vault %s from one whose name differs only in upper and lower case", name)
	}
	return nil
}

// layVault writes a new vault into a folder.
func (s *Server) layVault(dir string, now int64) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ctx := context.Background()
	db, err := sqldb.Open(ctx, filepath.Join(dir, vaultFile), vaultOptions())
	if err != nil {
		return err
	}
	id, key := newVaultID(), make([]byte, 32)
	rand.Read(key)
	err = db.Write(ctx, func(t *sqldb.Tx) error {
		_, err := t.Exec(ctx, "INSERT INTO vault (one, id, key, created, next_number) VALUES (1, ?, ?, ?, 1)", id, key, now)
		if err == nil {
			_, err = t.Exec(ctx, "INSERT INTO change VALUES (?, 0, 0, 0, 0, 0)", now)
		}
		return err
	})
	parent := atomicfile.SyncDir(filepath.Dir(dir))
	if errors.Is(parent, fs.ErrPermission) {
		parent = nil // then somebody else made the folder, and has answered for it
	}
	return errors.Join(err, db.Close(), atomicfile.SyncDir(dir), parent)
}

// newVaultID draws the vault's random number. All ids of the vault begin with
// it, and none of them should begin with a hyphen, which programs take for an
// option.
func newVaultID() []byte {
	id := make([]byte, 16)
	for {
		rand.Read(id)
		if base64.RawURLEncoding.EncodeToString(id)[0] != '-' {
			return id
		}
	}
}

// removeVault removes what layVault and writers made, and the folder with it
// where that is the server's own and nothing else is in it. The vault's row is
// gone by then.
func (s *Server) removeVault(name string) error {
	s.forget(name)
	dir := s.folder(name)
	if err := os.Remove(filepath.Join(dir, vaultFile)); err != nil {
		return err
	}
	// That was the vault. What else can't be removed, because an upload is being
	// refused this moment, is cleared away by the next maker.
	removeVaultFiles(dir)
	if s.oneVault == "" {
		os.Remove(dir) // stays where somebody put other files into it
		return atomicfile.SyncDir(s.cfg.Root)
	}
	return atomicfile.SyncDir(dir)
}

// removeVaultFiles removes the database first: without it the folder is no
// vault.
func removeVaultFiles(dir string) error {
	for _, name := range []string{vaultFile, vaultFile + "-wal", vaultFile + "-shm", vaultFile + "-journal", archiveFolder, writerFolder} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), vaultCopy) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// ownName reports whether a name in a vault's folder is one that servers make.
func ownName(name string) bool {
	switch name {
	case archiveFolder, writerFolder, vaultFile, vaultFile + "-wal", vaultFile + "-shm", vaultFile + "-journal",
		lockName, accountFile, accountFile + "-wal", accountFile + "-shm", credentialFile:
		return true
	}
	return strings.HasPrefix(name, vaultCopy)
}

// lockFolders takes the lock under which vaults are made, removed and opened,
// in this process and in others.
func (s *Server) lockFolders() (unlock func(), err error) {
	s.opening <- struct{}{}
	l, err := s.lockFile()
	if err != nil {
		<-s.opening
		return nil, err
	}
	return func() {
		l.Unlock()
		<-s.opening
	}, nil
}

// lockFile waits for other processes; they never hold the lock for long.
func (s *Server) lockFile() (*lockfile.Lock, error) {
	if err := os.MkdirAll(s.account.dir, 0o700); err != nil {
		return nil, err
	}
	for range 1000 {
		l, err := lockfile.Acquire(filepath.Join(s.account.dir, lockName), "making, removing or opening a vault")
		if !errors.Is(err, lockfile.ErrHeld) {
			return l, err
		}
		if err := sleep(context.Background(), 10*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("another process has been making or removing a vault for ten seconds; is it stopped?")
}
