package scan

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/firn-archive/firn"
)

// A memory is a volume without a disk: a map of paths, on which anything can
// be made to fail or to take time.
type memory struct {
	mu     sync.Mutex
	files  map[string]*firn.File // "" is the root
	below  map[string][]string   // names in each directory, in no order
	device map[string]uint64     // volumes other than 1
	// fail answers a call ("open", "self", "list", "stat") on a path.
	fail func(call, path string) error
	// slow calls take this long and that, so that workers overtake each other.
	slow   bool
	looked atomic.Int64 // entries that were asked for
	closed bool
}

// plant makes a volume of files, given by path; a path that ends in a slash is
// an empty directory, one that ends in = a socket.
func plant(paths ...string) *memory {
	m := &memory{files: map[string]*firn.File{}, below: map[string][]string{}, device: map[string]uint64{}}
	m.add("", firn.Directory)
	for _, p := range paths {
		dir, isDir := strings.CutSuffix(p, "/")
		switch {
		case isDir:
			m.add(dir, firn.Directory)
		case strings.HasSuffix(p, "="):
			m.add(p, "")
		default:
			m.add(p, firn.Regular)
		}
	}
	return m
}

func (m *memory) add(p string, kind firn.FileKind) {
	if m.files[p] != nil {
		return
	}
	m.files[p] = &firn.File{Kind: kind, Stamp: firn.Stamp{Size: int64(len(p))}}
	if p != "" {
		dir, name := split(p)
		m.add(dir, firn.Directory)
		m.below[dir] = append(m.below[dir], name)
	}
}

// call lets time pass, and fails where it should.
func (m *memory) call(name, p string) error {
	if m.slow {
		for range rand.N(50) {
			runtime.Gosched()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errors.New(name + " after close")
	}
	if m.fail != nil {
		return m.fail(name, p)
	}
	return nil
}

func (m *memory) stat(p string, f *firn.File) (string, error) {
	known := m.files[p]
	if known == nil {
		return "", fs.ErrNotExist
	}
	*f = firn.File{Path: f.Path, Kind: known.Kind, Stamp: known.Stamp, UID: 7, GID: 7, Links: 1}
	f.Stamp.Device = 1
	for dir := p; dir != "."; dir = path.Dir(dir) {
		if d := m.device[dir]; d != 0 {
			f.Stamp.Device = d
			break
		}
	}
	if f.Kind == "" {
		return "a socket", nil
	}
	return "", nil
}

func (m *memory) open(p string) (folder, error) {
	if err := m.call("open", p); err != nil {
		return nil, err
	}
	return memoryFolder{m, p}, nil
}

func (m *memory) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

type memoryFolder struct {
	m    *memory
	path string
}

func (d memoryFolder) close() error { return nil }

func (d memoryFolder) self(f *firn.File) error {
	if err := d.m.call("self", d.path); err != nil {
		return err
	}
	_, err := d.m.stat(d.path, f)
	return err
}

func (d memoryFolder) list(into *names) error {
	all := slices.Clone(d.m.below[d.path])
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	err := d.m.call("list", d.path)
	if err != nil {
		all = all[:len(all)/2]
	}
	for _, name := range all {
		into.add(name)
	}
	return err
}

func (d memoryFolder) stat(name string, f *firn.File) (string, error) {
	d.m.looked.Add(1)
	p := join(d.path, []byte(name))
	if err := d.m.call("stat", p); err != nil {
		return "", err
	}
	return d.m.stat(p, f)
}
