package wire

import (
	"crypto/sha256"
	"fmt"

	"github.com/firn-archive/firn/internal/lockfile"
)

// LockFile takes the lock of a file that a command fills bit by bit, so that no
// other command of this user writes to it at the same time. path is absolute.
// Errors: Conflict.
func LockFile(env Env, path, command string) (*lockfile.Lock, error) {
	return lock(env, fmt.Sprintf("file-%x", sha256.Sum256([]byte(path))), command, "write", path)
}
