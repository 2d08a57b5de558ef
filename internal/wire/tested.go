package wire

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/config"
)

// testedPath is the file whose existence says that what is encrypted for a set
// of recipients was opened once.
func testedPath(env Env, id [32]byte) (string, error) {
	dir, err := config.DataDir(env.Getenv)
	return filepath.Join(dir, "recipients", hex.EncodeToString(id[:])), err
}

// RecipientsTested reports whether it was ever shown, on this machine, that what
// is encrypted for recipients can be opened: see SetRecipientsTested.
func RecipientsTested(env Env, id [32]byte) (bool, error) {
	path, err := testedPath(env, id)
	if err != nil {
		return false, err
	}
	_, err = os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, testedError(path, err)
}

// SetRecipientsTested records that an identity has opened what was encrypted
// for the recipients.
func SetRecipientsTested(env Env, id [32]byte) error {
	path, err := testedPath(env, id)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return testedError(path, err)
	}
	return testedError(path, atomicfile.Write(path, []byte("opened with an identity on "+env.Clock.Now().UTC().Format("2006-01-02")+"\n"), 0o600))
}

func testedError(path string, err error) error {
	if err == nil {
		return nil
	}
	return &firn.Error{Op: "remember that the recipients were tested", Subject: path, Kind: firn.Local, Err: err}
}
