package config

import (
	"errors"
	"path/filepath"
	"runtime"

	"github.com/firn-archive/firn"
)

// The variables that name firn's own folders.
const (
	HomeVar   = "FIRN_HOME"       // of what must last
	ConfigVar = "FIRN_CONFIG_DIR" // of the configuration
)

// DataDir is the folder of what must last: the catalog. $XDG_DATA_HOME/firn,
// by default ~/.local/share/firn; ~/Library/Application Support/firn on macOS;
// %LOCALAPPDATA%\firn on Windows. FIRN_HOME wins over all of them.
func DataDir(getenv func(string) string) (string, error) {
	d := dirs{what: "data", own: HomeVar, xdg: "XDG_DATA_HOME", windows: "LOCALAPPDATA", unix: filepath.Join(".local", "share")}
	return d.find(getenv)
}

// ConfigDir is the folder of the configuration: $XDG_CONFIG_HOME/firn, by
// default ~/.config/firn; ~/Library/Application Support/firn on macOS;
// %APPDATA%\firn on Windows. FIRN_CONFIG_DIR wins over all of them.
func ConfigDir(getenv func(string) string) (string, error) {
	d := dirs{what: "configuration", own: ConfigVar, xdg: "XDG_CONFIG_HOME", windows: "APPDATA", unix: ".config"}
	return d.find(getenv)
}

// FileName is the configuration's, in ConfigDir.
const FileName = "config.toml"

// dirs says where to look for a folder.
type dirs struct{ what, own, xdg, windows, unix string }

func (d dirs) find(getenv func(string) string) (string, error) {
	if dir := getenv(d.own); dir != "" {
		return dir, nil
	}
	if dir := getenv(d.xdg); filepath.IsAbs(dir) {
		return filepath.Join(dir, "firn"), nil
	}
	home := getenv("HOME")
	switch runtime.GOOS {
	case "windows":
		if dir := getenv(d.windows); dir != "" {
			return filepath.Join(dir, "firn"), nil
		}
	case "darwin":
		if home != "" {
			return filepath.Join(home, "Library", "Application Support", "firn"), nil
		}
	default:
		if home != "" {
			return filepath.Join(home, d.unix, "firn"), nil
		}
	}
	return "", &firn.Error{Op: "find the " + d.what + " folder", Kind: firn.Usage, Err: errors.New("the environment names no home directory"), Hint: "set HOME or " + d.own}
}

// Home is the user's home folder; empty where the environment doesn't say.
func Home(getenv func(string) string) string {
	if runtime.GOOS == "windows" {
		return getenv("USERPROFILE")
	}
	return getenv("HOME")
}
