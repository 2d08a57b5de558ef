package scan

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
)

// cloud is a volume on which some paths are placeholders. It fails a test that
// opens one.
type cloud struct {
	*memory
	away []string
	t    *testing.T
}

func (c *cloud) mark(path, special string, err error) (string, error) {
	if err == nil && slices.Contains(c.away, path) {
		return placeholder, nil
	}
	return special, err
}

func (c *cloud) stat(path string, f *firn.File) (string, error) {
	special, err := c.memory.stat(path, f)
	return c.mark(path, special, err)
}

func (c *cloud) open(path string) (folder, error) {
	if slices.Contains(c.away, path) {
		c.t.Errorf("the placeholder %s was opened", path)
	}
	inner, err := c.memory.open(path)
	if err != nil {
		return nil, err
	}
	return &cloudFolder{memoryFolder: inner.(memoryFolder), c: c}, nil
}

type cloudFolder struct {
	memoryFolder
	c *cloud
}

func (d *cloudFolder) stat(name string, f *firn.File) (string, error) {
	special, err := d.memoryFolder.stat(name, f)
	return d.c.mark(join(d.path, []byte(name)), special, err)
}

// TestPlaceholdersAreNotOpened: neither files nor folders, nor what is below
// those; they are told of as what could not be read, and hide what is known.
func TestPlaceholdersAreNotOpened(t *testing.T) {
	c := &cloud{plant("here", "away", "folder/x", "cold/a", "cold/b/c", "folder/away", "left/away"), []string{"away", "cold", "folder/away", "left/away"}, t}
	opts := Options{Filter: func(f *firn.File) Verdict {
		return Verdict{Leave: strings.HasPrefix(f.Path, "left/"), Reason: "left out"}
	}}
	var files, failed []string
	for _, d := range gather(t, c, opts, tiny) {
		for _, f := range d.Files {
			files = append(files, f.Path)
		}
		for _, s := range d.Skipped {
			if !s.Unseen {
				t.Errorf("%+v hides nothing", s)
			}
			if s.Err != nil {
				failed = append(failed, s.Path)
				if firn.KindOf(s.Err) != firn.Local || !errors.Is(s.Err, errContent) || !strings.Contains(s.Err.Error(), s.Path) {
					t.Errorf("%s: %v", s.Path, s.Err)
				}
			}
		}
	}
	if want := []string{"here", "folder/x"}; !slices.Equal(files, want) {
		t.Errorf("files %q, want %q", files, want)
	}
	if want := []string{"away", "cold", "folder/away"}; !slices.Equal(failed, want) {
		t.Errorf("placeholders %q, want %q: one that a filter leaves out is none", failed, want)
	}
}

// TestElsewhere: marks that the system doesn't know of, on a real disk.
func TestElsewhere(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "stub", "folder/stub"} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var files, failed []string
	opts := Options{Elsewhere: func(f *firn.File) bool { return strings.HasSuffix(f.Path, "stub") }}
	for d, err := range Walk(t.Context(), dir, opts) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range d.Files {
			files = append(files, f.Path)
		}
		for _, s := range d.Skipped {
			failed = append(failed, s.Path)
		}
	}
	if want := []string{"a"}; !slices.Equal(files, want) {
		t.Errorf("files %q, want %q", files, want)
	}
	if want := []string{"stub", "folder/stub"}; !slices.Equal(failed, want) {
		t.Errorf("placeholders %q, want %q", failed, want)
	}
}
