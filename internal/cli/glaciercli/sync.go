package glaciercli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/retrieval"
)

// The ages of inventories that will do without --max-age. Source:
// github.com/basak/glacier-cli.
const (
	syncAge         = 24 // hours
	checkPresentAge = 80
)

// inventoryLag is how much older than its job an inventory may be, though it is
// right: those of vaults that don't change are not made anew. Source:
// github.com/basak/glacier-cli.
const inventoryLag = 72 * time.Hour

// vaultSync brings the cache up to the vault's inventory.
func (p *program) vaultSync(ctx context.Context, c *call) error {
	return p.sync(ctx, c.words[0], c.hours("--max-age", syncAge), c.given("--fix"), c.given("--wait"))
}

// hours gives the age that an option says, at most what a Duration holds.
func (c *call) hours(key string, otherwise int64) time.Duration {
	const most = int64(math.MaxInt64 / time.Hour)
	return time.Duration(max(0, min(most, c.number(key, otherwise)))) * time.Hour
}

func (p *program) sync(ctx context.Context, vault string, maxAge time.Duration, fix, wait bool) error {
	s, err := p.openChecked(ctx, vault, false)
	if err != nil {
		return err
	}
	defer s.close()
	job, err := s.inventoryJob(ctx, maxAge)
	if err != nil {
		return err
	}
	text := "job still pending for inventory on " + repr(vault)
	if job.ID == "" {
		if job, err = p.startInventory(ctx, s); err != nil {
			return err
		}
		text = "queued inventory job for " + repr(vault)
		if !wait {
			return &retryError{text}
		}
	}
	for tries := 0; job.State == firn.JobRunning; tries++ {
		switch {
		case !wait:
			return &retryError{text}
		case tries > pollTimes:
			return errTimeout
		case tries > 0:
			if err := p.Clock.Sleep(ctx, pollEvery); err != nil {
				return err
			}
		}
		if job, err = s.Job(ctx, job.ID); err != nil {
			return err
		}
	}
	if job.State == firn.JobFailed {
		return fmt.Errorf("the inventory job for %s failed: %s", repr(vault), job.Message)
	}
	return p.reconcile(ctx, s, vault, job, fix)
}

// inventoryJob gives the newest inventory of all archives that is not older than
// age; where there is none, one that runs; else nothing.
func (s *session) inventoryJob(ctx context.Context, age time.Duration) (best firn.Job, err error) {
	for job, err := range s.Jobs(ctx) {
		if err != nil {
			return best, err
		}
		if job.Kind != firn.InventoryJob || job.Partial || job.Format == firn.InventoryCSV || job.State == firn.JobFailed {
			continue
		}
		isReady := job.State == firn.JobReady
		switch {
		case isReady && s.Info.Now.Sub(job.Completed) >= age:
		case best.ID == "", isReady && best.State != firn.JobReady, isReady && job.Completed.After(best.Completed):
			best = job
		}
	}
	return best, nil
}

// startInventory asks for an inventory, and records that before.
func (p *program) startInventory(ctx context.Context, s *session) (firn.Job, error) {
	run, err := s.catalog.BeginRun(ctx, s.entry.ID, 0, "glacier vault sync")
	if err != nil {
		return firn.Job{}, err
	}
	asker := retrieval.New(retrieval.Options{Catalog: s.catalog, Row: s.entry.ID, Store: s, Clock: p.Clock, Events: p.env().Events, Run: run})
	job, _, err := asker.Inventory(ctx, s.Info.Now.Add(time.Second))
	if firn.KindOf(err) == firn.NotReady {
		err = fmt.Errorf("the service has no inventory of the vault yet; it makes the first within a day or so: %w", err)
	}
	return job, errors.Join(err, s.catalog.EndRun(context.WithoutCancel(ctx), run, completeIf(err)))
}

// reconcile compares the cache with an inventory.
func (p *program) reconcile(ctx context.Context, s *session, vault string, job firn.Job, fix bool) error {
	var info firn.InventoryInfo
	u := foreign.Upstream{
		Region: p.region, Vault: vault, Key: s.key, Created: p.Clock.Now(), Fix: fix,
		NameOf: nameOf, IsName: isDescribed,
		Tell: func(f foreign.Finding, r foreign.CacheRow, what string) { p.tell(f, r, what, fix) },
	}
	return p.cache.Compare(ctx, u, func(each func(firn.Archive) error) (foreign.Dates, error) {
		var err error
		info, err = s.Inventory(ctx, job.ID, each)
		seen := job.Created.Add(-inventoryLag)
		if seen.Before(info.Date) {
			seen = info.Date
		}
		return foreign.Dates{Inventory: info.Date, LastSeen: seen}, err
	})
}

// tell shows how the cache and the inventory differ in one archive.
func (p *program) tell(f foreign.Finding, r foreign.CacheRow, what string, fix bool) {
	ref := repr(reference(&r))
	fixed := func(text, done string) string {
		if fix {
			return text + done
		}
		return text
	}
	switch f {
	case foreign.Renamed:
		p.warn("%s", fixed(fmt.Sprintf("archive %s appears to have changed name from %s to %s", repr(string(r.ID)), repr(r.Name), repr(what)), " (fixed)"))
	case foreign.StillPresent:
		p.warn("archive %s marked deleted but still present", ref)
	case foreign.NotYetGone:
		p.warn("archive %s deletion not yet in inventory", ref)
	case foreign.LeftUpstream:
		p.info("deleted archive %s has left inventory; removed from cache", ref)
	case foreign.Disappeared:
		p.warn("%s", fixed("archive disappeared: "+ref, " (removed from cache)"))
	case foreign.NotYetListed:
		p.warn("new archive not yet in inventory: %s", ref)
	case foreign.HashDiffers:
		p.warn("archive %s upstream hash does not match cache hash", ref)
	}
}

// archiveCheckPresent prints the name of an archive that is there, and else nothing:
// the exit code is no answer.
func (p *program) archiveCheckPresent(ctx context.Context, c *call) error {
	vault, name := c.words[0], c.words[1]
	age := c.hours("--max-age", checkPresentAge)
	present, why, err := p.isPresent(ctx, vault, name, age)
	if err != nil {
		return err
	}
	if present {
		return p.print(name)
	}
	if why == notFound && !c.given("--wait") {
		p.absent(c, fmt.Sprintf("archive %s not found", repr(name)))
		return nil
	}
	if moved, err := p.isCopied(ctx, vault, name); moved || err != nil {
		if err == nil {
			err = p.print(name)
		}
		return err
	}
	var retry *retryError
	err = p.sync(ctx, vault, age, false, c.given("--wait"))
	if err != nil && !errors.As(err, &retry) {
		return err
	}
	if present, why, err = p.isPresent(ctx, vault, name, age); err != nil {
		return err
	}
	switch {
	case present:
		return p.print(name)
	case why == notFound:
		p.absent(c, fmt.Sprintf("archive %s not found, but it may not be in the inventory yet", repr(name)))
	default:
		p.absent(c, fmt.Sprintf("archive %s found, but has not been seen recently enough to consider it present", repr(name)))
	}
	return nil
}

// absent says why an archive counts as absent, without the program's name.
func (p *program) absent(c *call, text string) {
	if !c.given("--quiet") {
		say(p.Stderr, "", text)
	}
}

// Why an archive may count as absent.
type absence int

const (
	notFound absence = iota
	notSeen          // recently enough
)

// isPresent looks an archive up in the cache. Of several of one name one will do.
func (p *program) isPresent(ctx context.Context, vault, name string, age time.Duration) (bool, absence, error) {
	rows, err := p.rows(ctx, vault, name)
	if err != nil || len(rows) == 0 {
		return false, notFound, err
	}
	oldest := p.Clock.Now().Add(-age)
	for _, r := range rows {
		if seen := r.Seen(); age > 0 && !seen.IsZero() && !seen.Before(oldest) {
			return true, 0, nil
		}
	}
	return false, notSeen, nil
}

// isCopied reports whether firn has moved an archive, and finished that: then no
// inventory will list it any more.
func (p *program) isCopied(ctx context.Context, vault, name string) (bool, error) {
	rows, err := p.rows(ctx, vault, name)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	s, err := p.open(ctx, vault)
	if err != nil {
		return false, err
	}
	defer s.close()
	if s.known(ctx) != nil {
		return false, nil
	}
	for _, r := range rows {
		if _, ok, err := s.copyOf(ctx, r.ID); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}
