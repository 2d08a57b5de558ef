package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/upkeep"
)

// The records of what the store's inventory comes to, and of a file that is safe
// to delete.
type (
	storeCheckRecord struct {
		Store     string           `json:"store"`
		Pending   bool             `json:"pending"`
		Ready     string           `json:"ready,omitempty"`     // RFC 3339
		Inventory string           `json:"inventory,omitempty"` // RFC 3339
		Believed  bool             `json:"believed"`
		Archives  int64            `json:"archives"` // as recorded
		Bytes     int64            `json:"bytes"`
		New       int64            `json:"new"`
		Differ    map[string]int64 `json:"differ"`
		Files     int64            `json:"files"`
	}
	safeRecord struct {
		ui.Path
		Tree    string `json:"tree"`
		Size    int64  `json:"size"`
		Archive string `json:"archive"`
		Read    string `json:"read"` // RFC 3339
	}
	safeSumRecord struct {
		Tree  string           `json:"tree"`
		Files int64            `json:"files"`
		Bytes int64            `json:"bytes"`
		Not   map[string]int64 `json:"not"` // files, by the reason
	}
)

// store compares the catalog with the store's inventory.
func (v *verification) store(ctx context.Context) error {
	if err := v.check(ctx); err != nil {
		return err
	}
	if believed, err := v.believesInventory(ctx); believed || err != nil {
		return err
	}
	res, err := v.inventory(ctx, v.s.env.Events, false)
	if err != nil {
		return err
	}
	if err := v.tellStore(res); err != nil {
		return err
	}
	if !res.Clean() {
		return errors.Join(v.s.catalog.Disagreed(ctx, v.row.ID), ErrPartial)
	}
	return v.s.catalog.SetAgreed(ctx, v.row.ID, res.Dated, false)
}

// check finds whether the store is the one whose row is compared with it: all that is
// known of another one would be missing in it.
func (v *verification) check(ctx context.Context) error {
	row, err := v.s.store.Check(ctx, v.s.catalog)
	if err == nil && row.ID != v.row.ID {
		err = &firn.Error{Op: "verify", Subject: v.s.loc.String(), Kind: firn.Conflict, Err: fmt.Errorf("it is not the store that is known as %s", v.row.URL),
			Hint: "check account, region and endpoint, or name the store as it is known"}
	}
	return err
}

// believesInventory reports whether one of lately had everything as recorded.
func (v *verification) believesInventory(ctx context.Context) (bool, error) {
	if v.MaxAge.Duration == 0 {
		return false, nil
	}
	agreed, err := v.s.catalog.Agreed(ctx, v.row.ID)
	dated := agreed.Recorded
	if err != nil || dated.IsZero() || v.s.store.Info.Now.Sub(dated) > v.MaxAge.Duration { // both by the store's clock
		return false, err
	}
	if lost, err := upkeep.AnyLost(ctx, v.s.catalog, v.row.ID); err != nil || lost {
		return false, err
	}
	v.s.ui.Record("store_check", storeCheckRecord{Store: v.s.loc.String(), Inventory: timeText(dated), Believed: true, Differ: map[string]int64{}})
	v.s.ui.Notice("the inventory of " + ui.Time(dated) + " agreed with the catalog; no newer one is asked for")
	return true, nil
}

// inventory compares with the newest one.
func (v *verification) inventory(ctx context.Context, events firn.Sink, strict bool) (upkeep.StoreResult, error) {
	waker, err := v.s.store.Waker(ctx, v.s.catalog, v.row)
	if err != nil {
		return upkeep.StoreResult{}, err
	}
	asker := retrieval.New(retrieval.Options{
		Catalog: v.s.catalog, Row: v.row.ID, Store: v.s.store, Clock: v.s.env.Clock, Events: v.s.env.Events,
		Run: catalog.Run{Store: v.row.ID}, Waker: waker,
	})
	return upkeep.VerifyStore(ctx, upkeep.StoreOptions{
		Catalog: v.s.catalog, Row: v.row.ID, Store: v.s.store, Asker: asker, Events: events, Wait: v.Wait && !v.app.once, Strict: strict,
	})
}

// tellStore tells how the comparison ended.
func (v *verification) tellStore(res upkeep.StoreResult) error {
	rec := storeCheckRecord{
		Store: v.s.loc.String(), Pending: res.Pending, Inventory: timeText(res.Dated), Archives: res.Same.Files, Bytes: res.Same.Bytes,
		New: res.TooNew.Files, Differ: map[string]int64{}, Files: res.Files,
	}
	if res.Pending {
		rec.Ready = timeText(res.Ready)
		v.s.ui.Record("store_check", rec)
		v.app.expect(res.Ready)
		v.s.ui.Notice(inventoryText(res.Ready, v.s.env.Clock.Now()))
		return ErrNotYet
	}
	text := fmt.Sprintf("the inventory of %s: %s, %s, as recorded", ui.Time(res.Dated), counted(res.Same.Files, "archive"), ui.Bytes(res.Same.Bytes))
	if n := res.TooNew.Files; n > 0 {
		text += fmt.Sprintf("; %s too new to be in it", ui.Count(n))
	}
	var differ int64
	for verdict, n := range res.Differ {
		rec.Differ[verdict.String()] = n.Files
		differ += n.Files
	}
	if differ > 0 {
		text += fmt.Sprintf("; %s not, with %s; see more, and what to do, with: firn store refresh %s", ui.Count(differ), counted(res.Files, "file version"), v.s.loc)
	}
	v.s.ui.Record("store_check", rec)
	if differ > 0 {
		v.s.ui.Warn(text)
	} else {
		v.s.ui.Notice(text)
	}
	return nil
}

// safeToDelete reads what is on disk, asks for the inventory, and then says which
// files the store has.
func (v *verification) safeToDelete(ctx context.Context) error {
	var errs []error
	for _, p := range v.places {
		err := v.compare(ctx, p, v.failuresOnly)
		if ctx.Err() != nil || StatusOf(ctx, err) == Failed {
			return err
		}
		if p.res.Counts == nil || p.res.Counts[firn.Failed].Files > 0 {
			errs = append(errs, ErrPartial)
		}
		if p.cut {
			errs = append(errs, ErrNotYet)
			break
		}
	}
	if err := v.check(ctx); err != nil {
		return err
	}
	res, err := v.inventory(ctx, firn.Discard, true)
	if err == nil {
		err = v.tellStore(res)
	}
	if err != nil || v.isCut() {
		return errors.Join(append(errs, err)...)
	}
	for _, p := range v.places {
		if !p.done {
			continue
		}
		if err := v.list(ctx, p, &res); err != nil {
			return err
		}
	}
	return errors.Join(append(errs, v.endRounds(ctx))...)
}

// failuresOnly passes on what went wrong, since stdout is for the list.
func (v *verification) failuresOnly(e firn.Event) {
	switch e := e.(type) {
	case firn.FileEvent:
		if e.Action == firn.Failed {
			v.s.env.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("%s: %v", e.Path, e.Err)})
		}
	case firn.SummaryEvent:
	default:
		v.s.env.Events(e)
	}
}

// list prints the files of a directory that are safe to delete.
func (v *verification) list(ctx context.Context, p *verifyPlace, store *upkeep.StoreResult) error {
	o := upkeep.VerifyOptions{
		Catalog: v.s.catalog, Tree: p.tree, Root: p.root, Clock: v.s.env.Clock, Filter: p.filter, Round: p.round, Believe: p.believe,
	}
	own, err := v.ownFiles(p.root)
	if err != nil {
		return err
	}
	var odd, needed firn.Count
	res, err := upkeep.SafeToDelete(ctx, o, store, func(f upkeep.SafeFile) error {
		path := filepath.Join(p.root, filepath.FromSlash(f.Path))
		switch u := v.s.ui; {
		case isAtOrBelow(own, f.Path):
			needed.Files++
			needed.Bytes += f.Size
		case u.IsJSON():
			u.Record("safe", safeRecord{Path: ui.NewPath(path), Tree: p.tree.Name, Size: f.Size, Archive: string(f.Archive), Read: timeText(f.Read)})
		case v.Print0:
			u.Raw([]byte(path + "\x00"))
		case ui.Text(path) != path:
			odd.Files++
			odd.Bytes += f.Size
		default:
			u.Raw([]byte(path + "\n"))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for why, n := range map[string]firn.Count{
		// Whoever reads lines would take one for the path of another file.
		"the path is not plain text: give --print0 or --json":         odd,
		"firn's own: what is encrypted may be opened by nothing else": needed,
	} {
		if n.Files > 0 {
			res.Safe = firn.Count{Files: res.Safe.Files - n.Files, Bytes: res.Safe.Bytes - n.Bytes}
			res.Not[why] = n
		}
	}
	v.tellSafe(p, res)
	return nil
}

// ownFiles gives the paths, in the tree of a directory, of firn's configuration,
// where the identity is, and of the identity that is named: an archive of it that is
// encrypted for it is no copy.
func (v *verification) ownFiles(root string) (own []string, err error) {
	dir, err := config.ConfigDir(v.app.env.Getenv)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{dir, v.Seal.Identity} {
		path := v.app.env.Path(name)
		switch {
		case name == "":
		case within(root, path):
			own = append(own, "")
		case within(path, root):
			rel, err := filepath.Rel(resolved(root), resolved(path))
			if err != nil {
				return nil, err
			}
			own = append(own, filepath.ToSlash(rel))
		}
	}
	return own, nil
}

func (v *verification) tellSafe(p *verifyPlace, res upkeep.SafeResult) {
	rec := safeSumRecord{Tree: p.tree.Name, Files: res.Safe.Files, Bytes: res.Safe.Bytes, Not: map[string]int64{}}
	var reasons []string
	for why, n := range res.Not {
		rec.Not[why] = n.Files
		reasons = append(reasons, why)
	}
	v.s.ui.Record("safe_summary", rec)
	v.s.ui.Notice(fmt.Sprintf("%s: the store has the content of %s, %s", p.tree.Name, ui.Files(res.Safe.Files), ui.Bytes(res.Safe.Bytes)))
	slices.Sort(reasons)
	for _, why := range reasons {
		v.s.ui.Notice(fmt.Sprintf("  not listed: %s, %s", ui.Files(res.Not[why].Files), why))
	}
}
