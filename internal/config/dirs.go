package config

import (
	"errors"
	"path/filepath"
	"runtime"

	"github.com/firn-archive/firn"
)

// DataDir is the folder of what must last: the catalog. $XDG_DATA_HOME/firn,
// by default ~/.local/share/firn; ~/Library/Application Support/firn on macOS;
// %LOCALAPPDATA%\firn on Windows. FIRN_DATA_DIR wins over all of them.
func DataDir(getenv func(string) string) (string, error) {
	if dir := getenv("FIRN_DATA_DIR"); dir != "" {
		return dir, nil
	}
	if dir := getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "firn"), nil
	}
	home := getenv("HOME")
	switch runtime.GOOS {
	case "windows":
		if dir := getenv("LOCALAPPDATA"); dir != "" {
			return filepath.Join(dir, "firn"), nil
		}
	case "darwin":
		if home != "" {
			return filepath.Join(home, "Library", "Application Support", "firn"), nil
		}
	default:
		if home != "" {
			return filepath.Join(home, ".local", "share", "firn"), nil
		}
	}
	return "", &firn.Error{Op: "find the data folder", Kind: firn.Usage, Err: errors.New("the environment names no home directory"), Hint: "set HOME or FIRN_DATA_DIR"}
}
