package scan

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/firn-archive/firn"
)

// A windowsVolume is a tree below a folder. Windows has neither inodes, nor
// owners by number, nor a time of change that can be had without opening each
// file.
type windowsVolume struct{ root *os.Root }

func openVolume(root string) (volume, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, syscall.ENOTDIR
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	return windowsVolume{r}, nil
}

func parentOf(root string) string { return filepath.Dir(root) }

func (v windowsVolume) close() error { return v.root.Close() }

// name is how the system spells a path.
func (v windowsVolume) name(path string) string {
	if path == "" {
		return "."
	}
	return filepath.FromSlash(path)
}

func (v windowsVolume) open(path string) (folder, error) {
	name := v.name(path)
	info, err := v.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, syscall.ENOTDIR
	}
	f, err := v.root.Open(name)
	if err != nil {
		return nil, err
	}
	return &windowsFolder{v, path, f, map[string]fs.FileInfo{}}, nil
}

func (v windowsVolume) stat(path string, f *firn.File) (string, error) {
	info, err := v.root.Lstat(v.name(path))
	if err != nil {
		return "", err
	}
	return v.fill(path, f, info)
}

// fill takes over what the system says.
func (v windowsVolume) fill(path string, f *firn.File, info fs.FileInfo) (special string, err error) {
	f.Stamp = firn.Stamp{Size: info.Size(), ModTime: info.ModTime()}
	f.Mode = info.Mode() & fs.ModePerm
	f.UID, f.GID, f.Links, f.Target = -1, -1, 1, ""
	switch info.Mode().Type() {
	case 0:
		f.Kind = firn.Regular
	case fs.ModeDir:
		f.Kind = firn.Directory
	case fs.ModeSymlink:
		f.Kind = firn.Symlink
		f.Target, err = v.root.Readlink(v.name(path))
	default:
		f.Kind, special = "", "neither a file nor a directory"
	}
	if isPlaceholder(info) {
		// The cloud's reparse points are no kind of file to the library.
		if f.Kind == "" {
			f.Kind = firn.Regular
		}
		return placeholder, nil
	}
	return special, err
}

// A windowsFolder keeps what the list says of each entry: to ask for them one
// by one would open each of them.
type windowsFolder struct {
	volume windowsVolume
	path   string
	dir    *os.File
	infos  map[string]fs.FileInfo
}

func (d *windowsFolder) close() error { return d.dir.Close() }

func (d *windowsFolder) self(f *firn.File) error {
	info, err := d.dir.Stat()
	if err != nil {
		return err
	}
	_, err = d.volume.fill(d.path, f, info)
	return err
}

// listed is how many entries are asked for at a time.
const listed = 1024

func (d *windowsFolder) list(into *names) error {
	for {
		entries, err := d.dir.ReadDir(listed)
		for _, e := range entries {
			into.add(e.Name())
			if info, err := e.Info(); err == nil {
				d.infos[e.Name()] = info
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (d *windowsFolder) stat(name string, f *firn.File) (string, error) {
	path := join(d.path, []byte(name))
	if info, ok := d.infos[name]; ok {
		return d.volume.fill(path, f, info)
	}
	return d.volume.stat(path, f)
}
