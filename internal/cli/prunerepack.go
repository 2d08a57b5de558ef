package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/lockfile"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/wire"
)

// The records of prune --repack.
type (
	repackRecord struct {
		Bundles   int64      `json:"bundles"`  // that go
		Size      int64      `json:"size"`     // of those
		Contents  int64      `json:"contents"` // in them that are needed
		Bytes     int64      `json:"bytes"`    // of these
		Dead      int64      `json:"dead"`     // bytes that are freed
		Sent      int64      `json:"sent"`     // contents
		SentBytes int64      `json:"sent_bytes"`
		Versions  int64      `json:"versions"` // that were moved
		Changed   int64      `json:"changed"`  // contents whose file was another
		Pending   int64      `json:"pending"`
		Failed    int64      `json:"failed"`
		Cost      string     `json:"cost,omitempty"`  // absent where it is unknown, and so below
		Early     string     `json:"early,omitempty"` // what is left of their shortest time
		Month     string     `json:"month,omitempty"` // saved each month
		Kept      keptRecord `json:"kept"`
	}
	keptRecord struct {
		Held   int64 `json:"held"`
		Old    int64 `json:"old"`
		Away   int64 `json:"away"`
		Gone   int64 `json:"gone"`
		Sealed int64 `json:"sealed"`
	}
)

func newRepackRecord(r upkeep.Repacking) *repackRecord {
	out := &repackRecord{
		Bundles: r.Bundles.Files, Size: r.Bundles.Bytes, Contents: r.Live.Files, Bytes: r.Live.Bytes, Dead: r.Dead,
		Sent: r.Sent.Files, SentBytes: r.Sent.Bytes, Versions: r.Versions, Changed: r.Changed, Pending: r.Pending, Failed: r.Failed,
		Kept: keptRecord(r.Kept),
	}
	if r.Upload.Known {
		out.Cost = r.Upload.String()
	}
	if r.Early.Known {
		out.Early = r.Early.String()
	}
	if r.Month.Known {
		out.Month = r.Month.String()
	}
	return out
}

// lines say what was done, or would be.
func (r *repackRecord) lines(dry bool) (lines []string) {
	what := fmt.Sprintf("%s (%s), of which %s are needed by no version", counted(r.Bundles, "bundle"), ui.Bytes(r.Size), ui.Bytes(r.Dead))
	switch {
	case r.Bundles == 0 && dry:
		lines = append(lines, "would repack 0 bundles")
	case r.Bundles == 0:
		lines = append(lines, "repacked 0 bundles")
	case dry:
		text := fmt.Sprintf("would repack %s, and send %s of %s from disk", what, ui.Bytes(r.Bytes), counted(r.Contents, "file"))
		if r.Cost != "" && r.Month != "" && r.Month != (price.Sum{Known: true}).String() {
			text += fmt.Sprintf("; that costs $%s, and saves $%s a month", r.Cost, r.Month)
		}
		lines = append(lines, text)
	default:
		lines = append(lines, fmt.Sprintf("repacked %s: sent %s of %s from disk, and moved %s", what, ui.Bytes(r.SentBytes), counted(r.Sent, "file"), counted(r.Versions, "version")))
	}
	if r.Changed > 0 {
		lines = append(lines, fmt.Sprintf("%s turned out to be another than the one that was stored: the bundles with them stay; sync first", counted(r.Changed, "file")))
	}
	if r.Pending > 0 {
		lines = append(lines, fmt.Sprintf("of %s it isn't known yet whether they arrived: run it again", counted(r.Pending, "file")))
	}
	if kept := r.Kept.String(); kept != "" {
		lines = append(lines, "not repacked, though that would pay: "+kept)
	}
	return lines
}

// String says why bundles stay; empty where none does.
func (k keptRecord) String() string {
	var parts []string
	for _, one := range []struct {
		n   int64
		why string
	}{
		{k.Old, "with old versions, which aren't on disk"},
		{k.Gone, "with files that aren't on disk as they were stored"},
		{k.Away, "with files of trees of other machines, or that are being synced"},
		{k.Sealed, "encrypted for others than the files are now"},
		{k.Held, "that a restore waits for, or that are in doubt"},
	} {
		if one.n > 0 {
			parts = append(parts, counted(one.n, "bundle")+" "+one.why)
		}
	}
	return strings.Join(parts, ", ")
}

// prepareRepack finds the trees of this machine whose files can be sent again.
func (w *pruning) prepareRepack(ctx context.Context) error {
	if !w.Repack {
		return nil
	}
	host, err := w.app.hostname()
	if err != nil {
		return err
	}
	all, err := w.catalog.Trees(ctx, w.row.ID)
	if err != nil {
		return err
	}
	r := &upkeep.RepackOptions{Send: w.resend}
	for _, t := range all {
		if t.Host == host && t.Root != "" {
			r.Trees = append(r.Trees, t)
		}
	}
	w.work.Repack = r
	return nil
}

// lockTrees takes the locks of the trees that are repacked from, until that is
// done, and passes over those that others sync.
func (w *pruning) lockTrees(ctx context.Context) (unlock func(), err error) {
	var held []*lockfile.Lock
	unlock = sync.OnceFunc(func() {
		for _, l := range held {
			l.Unlock()
		}
	})
	if w.work.Repack == nil {
		return unlock, nil
	}
	var free []catalog.Tree
	for _, t := range w.work.Repack.Trees {
		l, err := wire.LockTree(ctx, w.env, w.row, t.Name, 0)
		if wire.IsHeld(err) {
			w.ui.Notice("not repacked from " + t.Name + ": it is being synced")
			continue
		}
		if err != nil {
			unlock()
			return nil, err
		}
		held, free = append(held, l), append(free, t)
	}
	w.work.Repack.Trees, w.work.Repack.Done = free, unlock
	return unlock, nil
}

// resend sends contents of a tree again.
func (w *pruning) resend(ctx context.Context, t catalog.Tree, files []catalog.Resident, old func(int64) bool) (upkeep.Resent, error) {
	recipients, err := recipientsOfTree(t)
	if err != nil {
		return upkeep.Resent{}, err
	}
	spool, err := wire.SpoolDir(w.env)
	if err != nil {
		return upkeep.Resent{}, err
	}
	uploader, err := transfer.NewUploader(w.store, w.store.Traits(), transfer.UploadOptions{
		Limit: w.Common.LimitUpload.Slowest(), Clock: w.env.Clock, Events: w.env.Events, TokenOf: describe.TokenOf,
	})
	if err != nil {
		return upkeep.Resent{}, err
	}
	below, size := syncer.DefaultBundling(w.store.Class())
	res, err := syncer.Repack(ctx, syncer.RepackOptions{
		Options: syncer.Options{
			Catalog: w.catalog, Row: w.row, Store: w.store, Uploader: uploader, Clock: w.env.Clock, Events: w.env.Events,
			Root: t.Root, Tree: t.Name, Host: t.Host, Concurrency: transfer.DefaultConcurrency, Recipients: recipients,
			Bundling: syncer.Bundling{Below: below, Size: size, Spool: spool},
		},
		Files: files, Old: old,
	})
	return upkeep.Resent(res), err
}

// recipientsOfTree are those that the last sync of a tree encrypted for; nil for
// nobody.
func recipientsOfTree(t catalog.Tree) (*seal.Recipients, error) {
	if t.Recipients == (catalog.Recipients{}) {
		return nil, nil
	}
	all, err := seal.ParseRecipients(strings.Fields(t.Keys))
	if err == nil && all.ID() != t.Recipients {
		err = errors.New("its recipients are not those that are recorded")
	}
	if err != nil {
		return nil, &firn.Error{Op: "repack", Subject: t.Name, Kind: firn.Conflict, Err: err, Hint: "sync it once with its recipients"}
	}
	return &all, nil
}

// repackCosts are what repacking costs: the requests, and of bundles that are
// deleted before their time what is left of that.
func (w *pruning) repackCosts(r upkeep.Repacking) (items []costItem) {
	if r.Bundles.Files == 0 {
		return nil
	}
	items = append(items, costItem{What: "the requests to repack " + counted(r.Bundles.Files, "bundle"), Cost: r.Upload})
	if w.Pay && (r.Early.Amount > 0 || !r.Early.Known) {
		items = append(items, costItem{What: "what is left of their shortest time", Cost: r.Early})
	}
	return items
}
