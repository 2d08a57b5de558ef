package glaciercli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/treehash"
)

// archiveMultiUpload stores all files below a folder, each called by its base name.
func (p *program) archiveMultiUpload(ctx context.Context, c *call) error {
	vault := c.words[0]
	files, err := p.files(c.words[1])
	if err != nil {
		return err
	}
	if c.given("--resume") {
		there, err := p.byNames(ctx, vault)
		if err != nil {
			return err
		}
		files = slices.DeleteFunc(files, func(f string) bool { return len(there[filepath.Base(f)]) > 0 })
	}
	if len(files) > 0 {
		u, err := p.newUploads(ctx, c, vault)
		if err != nil {
			return err
		}
		defer u.close()
		if err := u.end(ctx, u.all(ctx, files, func(string) error { return nil })); err != nil {
			return err
		}
	}
	p.info("%d archives uploaded", len(files))
	return nil
}

// all stores files, and stops at the first that can't be. Each that is stored is
// handed to then.
func (u *uploads) all(ctx context.Context, files []string, then func(file string) error) error {
	for _, f := range files {
		name := filepath.Base(f)
		u.info("Uploading archive %s", name)
		u.uploading = name
		err := checkName(name)
		if err == nil {
			err = u.file(ctx, name, u.path(f))
		}
		if err != nil {
			return told(fmt.Sprintf("Failed upload for archive %s\n%v", name, err))
		}
		u.uploading = ""
		if err := then(f); err != nil {
			return err
		}
	}
	return nil
}

// A told is an error in the fork's own words.
type told string

func (t told) Error() string { return string(t) }

// files lists the files below a folder, but those that are hidden, or in hidden
// folders. Links to files are files, links to folders are not followed.
func (p *program) files(dir string) (all []string, err error) {
	top, err := filepath.EvalSymlinks(p.path(dir)) // a link to the folder will do
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		within, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		hidden := within != "." && strings.HasPrefix(d.Name(), ".")
		if d.IsDir() {
			if hidden {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(path)
		if hidden || errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			return nil
		}
		all = append(all, filepath.Join(dir, within))
		return err
	})
	return all, err
}

// byNames gives all archives of a vault in the cache, by their names.
func (p *program) byNames(ctx context.Context, vault string) (map[string][]foreign.CacheRow, error) {
	cache, err := p.openCache(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string][]foreign.CacheRow{}
	return all, cache.List(ctx, p.region, vault, func(r foreign.CacheRow) error {
		if r.Name != "" {
			all[r.Name] = append(all[r.Name], r)
		}
		return nil
	})
}

// archiveMultiDelete deletes archives, and stops at the first that isn't there.
func (p *program) archiveMultiDelete(ctx context.Context, c *call) error {
	vault, names := c.words[0], c.words[1:]
	d, err := p.newDeletions(ctx, vault)
	if err != nil {
		return err
	}
	defer d.close()
	for _, name := range names {
		rows, err := p.rows(ctx, vault, name)
		if err == nil && len(rows) == 0 {
			err = fmt.Errorf("archive %s not found", name)
		}
		var row foreign.CacheRow
		if err == nil {
			row, err = p.row(ctx, vault, name)
		}
		if err == nil {
			p.info("Deleting archive %s", name)
			err = d.delete(ctx, row)
		}
		if err != nil {
			return d.end(ctx, err)
		}
	}
	p.info("%d archives deleted", len(names))
	return d.end(ctx, nil)
}

// hashesAtOnce is how many files are hashed at a time.
const hashesAtOnce = 2

// A reconciliation is what it takes to make a vault what a folder is.
type reconciliation struct {
	deletes []foreign.CacheRow // each after its replacement is stored
	uploads []string           // files
	only    []string           // names of archives that no file has
	unknown []string           // names of archives whose hash nobody knows
}

// replacedBy gives the archive that goes when a file is stored, if one does.
func (r *reconciliation) replacedBy(file string) (foreign.CacheRow, bool) {
	i := slices.IndexFunc(r.deletes, func(d foreign.CacheRow) bool { return d.Name == filepath.Base(file) })
	if i < 0 {
		return foreign.CacheRow{}, false
	}
	return r.deletes[i], true
}

// vaultReconcile compares a folder with a vault by tree hash, and with --commit
// makes the vault what the folder is. What isn't in the folder stays in the vault.
func (p *program) vaultReconcile(ctx context.Context, c *call) error {
	vault := c.words[0]
	files, err := p.files(c.words[1])
	if err != nil {
		return err
	}
	there, err := p.byNames(ctx, vault)
	if err != nil {
		return err
	}
	p.info("Computing checksums for %d files. Please wait", len(files))
	r, err := p.compare(ctx, files, there)
	if err != nil {
		return err
	}
	for _, name := range r.unknown {
		p.warn("the checksum of %s in the vault is not known; it comes with: glacier --region=%s vault sync %s", name, p.region, vault)
	}
	commit := c.given("--commit")
	p.summarize(r, commit)
	if !commit || len(r.uploads) == 0 {
		return nil
	}
	return p.commit(ctx, c, vault, r)
}

// summarize tells what there is to do.
func (p *program) summarize(r *reconciliation, commit bool) {
	if len(r.uploads) == 0 {
		p.info("Nothing to do")
	} else {
		var deletes []string
		for _, d := range r.deletes {
			deletes = append(deletes, d.Name)
		}
		p.info("Reconciliation summary:")
		p.info("Delete:")
		say(p.Stderr, "", strings.Join(deletes, "\n"))
		p.info("Upload:")
		say(p.Stderr, "", strings.Join(r.uploads, "\n"))
		if !commit {
			p.info("use --commit to perform these changes")
		}
	}
	if len(r.only) > 0 {
		p.warn("Following files are in cache/glacier but not on disk:")
		say(p.Stderr, "", strings.Join(r.only, "\n"))
	}
}

// compare finds out what to do. Files go by their base names, so that those must
// differ.
func (p *program) compare(ctx context.Context, files []string, there map[string][]foreign.CacheRow) (*reconciliation, error) {
	hashes, err := p.hash(ctx, files)
	if err != nil {
		return nil, err
	}
	r, seen := &reconciliation{}, map[string]string{}
	for i, f := range files {
		name := filepath.Base(f)
		if other, ok := seen[name]; ok {
			return nil, told(fmt.Sprintf("%s and %s have one name, by which an archive would be known. Aborting.", other, f))
		}
		seen[name] = f
		rows := there[name]
		switch {
		case len(rows) > 1:
			text := "Multiple cache records found for " + name + ". Aborting."
			for _, row := range rows {
				text += "\n" + byID + string(row.ID)
			}
			return nil, told(text)
		case len(rows) == 0:
			r.uploads = append(r.uploads, f)
		case rows[0].Tree.IsZero():
			r.unknown = append(r.unknown, name)
		case rows[0].Tree != hashes[i]:
			r.uploads, r.deletes = append(r.uploads, f), append(r.deletes, rows[0])
		}
	}
	for name := range there {
		if seen[name] == "" {
			r.only = append(r.only, name)
		}
	}
	slices.Sort(r.only)
	return r, nil
}

// hash computes the tree hashes of files.
func (p *program) hash(ctx context.Context, files []string) ([]treehash.Hash, error) {
	hashes := make([]treehash.Hash, len(files))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(hashesAtOnce)
	for i, file := range files {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			f, err := os.Open(p.path(file))
			if err != nil {
				return err
			}
			defer f.Close()
			h := treehash.New()
			_, err = io.Copy(h, f)
			hashes[i] = h.Sum()
			return err
		})
	}
	return hashes, g.Wait()
}

// commit stores what is new or changed, and deletes what each of these replaces as
// soon as it is stored: were it done at the end, one that fails would leave two of
// each name.
func (p *program) commit(ctx context.Context, c *call, vault string, r *reconciliation) error {
	u, err := p.newUploads(ctx, c, vault)
	if err != nil {
		return err
	}
	defer u.close()
	d, err := p.newDeletions(ctx, vault)
	if err != nil {
		return u.end(ctx, err)
	}
	defer d.close()
	err = u.all(ctx, r.uploads, func(file string) error {
		old, ok := r.replacedBy(file)
		if !ok {
			return nil
		}
		p.info("Deleting archive %s", old.Name)
		return d.delete(ctx, old)
	})
	return u.end(ctx, d.end(ctx, err))
}
