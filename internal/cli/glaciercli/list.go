package glaciercli

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/wire"
)

// vaultList prints the names of the region's vaults.
func (p *program) vaultList(ctx context.Context, _ *call) error {
	return p.vaults(ctx, p.print)
}

// vaults hands the name of each of the region's vaults to each.
func (p *program) vaults(ctx context.Context, each func(name string) error) error {
	a, err := p.account(ctx)
	if err != nil {
		return err
	}
	for v, err := range wire.VaultsOf(ctx, p.env(), p.region, a.options) {
		if err == nil {
			err = each(v.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// vaultCreate makes a vault; one that is there is no error.
func (p *program) vaultCreate(ctx context.Context, c *call) error {
	a, err := p.account(ctx)
	if err != nil {
		return err
	}
	s, err := wire.Open(ctx, p.env(), config.Location{Scheme: config.Glacier, Region: p.region, Vault: c.words[0]}, a.options)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Create(ctx); err != nil {
		return err
	}
	_, err = s.Describe(ctx)
	return err
}

// archiveList prints what the cache has of a vault.
func (p *program) archiveList(ctx context.Context, c *call) error {
	cache, err := p.openCache(ctx)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(p.Stdout)
	ids, hashes := c.given("--force-ids"), c.given("--with-hash")
	rows := 0
	var same []foreign.CacheRow // of one name, which come one after another
	flush := func() error {
		for i := range same {
			if _, err := fmt.Fprintln(out, listed(&same[i], ids, hashes, len(same) > 1)); err != nil {
				return err
			}
		}
		same = same[:0]
		return nil
	}
	err = cache.List(ctx, p.region, c.words[0], func(r foreign.CacheRow) error {
		rows++
		r.Name = p.shown(r.Name)
		if len(same) > 0 && (same[0].Name != r.Name || same[0].Named != r.Named) {
			if err := flush(); err != nil {
				return err
			}
		}
		same = append(same, r)
		return nil
	})
	if err == nil {
		err = cmp.Or(flush(), out.Flush())
	}
	if err != nil {
		return fmt.Errorf("list the vault %s: %w", c.words[0], err)
	}
	if rows == 0 {
		p.info("the cache has no archives of the vault %s in %s; what the vault has shows after: glacier --region=%s vault sync %s", repr(c.words[0]), p.region, p.region, c.words[0])
	}
	return nil
}

// listed is a row of a list. One of several of a name is shown by its id.
func listed(r *foreign.CacheRow, ids, hashes, twin bool) string {
	name := r.Name
	if !r.Named {
		name = "None"
	}
	hash := ""
	if hashes && !r.Tree.IsZero() {
		hash = r.Tree.String()
	}
	switch {
	case ids && hashes:
		return fmt.Sprintf("%s%s\t%s\t%s", byID, r.ID, hash, name)
	case hashes:
		return reference(r) + "\t" + hash
	case ids, twin:
		return fmt.Sprintf("%s%s\t%s", byID, r.ID, name)
	}
	return reference(r)
}

// jobTime is how the service writes the times of jobs.
const jobTime = "2006-01-02T15:04:05.000Z"

// jobList prints the jobs of all of the region's vaults.
func (p *program) jobList(ctx context.Context, _ *call) error {
	cache, err := p.openCache(ctx)
	if err != nil {
		return err
	}
	return p.vaults(ctx, func(vault string) error {
		s, err := wire.Open(ctx, p.env(), config.Location{Scheme: config.Glacier, Region: p.region, Vault: vault}, p.keys.options)
		if err != nil {
			return err
		}
		defer s.Close()
		for job, err := range s.Jobs(ctx) {
			if err != nil {
				return err
			}
			line, err := p.jobLine(ctx, cache, vault, job)
			if err == nil {
				err = p.print(line)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// jobLine is a line of the list of jobs.
func (p *program) jobLine(ctx context.Context, cache *foreign.Cache, vault string, job firn.Job) (string, error) {
	kind, state, at, name := "i", "p", job.Created, ""
	if job.Kind == firn.RetrievalJob {
		kind = "a"
		rows, err := cache.ByID(ctx, p.region, vault, job.Archive)
		if err != nil {
			return "", err
		}
		name = byID + string(job.Archive)
		if len(rows) > 0 && rows[0].Named {
			name = p.shown(rows[0].Name)
		}
	}
	switch job.State {
	case firn.JobReady:
		state = "d"
	case firn.JobFailed:
		state = "e"
	}
	if !job.Completed.IsZero() {
		at = job.Completed
	}
	return fmt.Sprintf("%s/%s %s %-10s %s", kind, state, at.In(time.UTC).Format(jobTime), vault, name), nil
}
