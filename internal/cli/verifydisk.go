package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/filter"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/upkeep"
)

// A verifyPlace is a directory that is compared with a tree.
type verifyPlace struct {
	tree   catalog.Tree
	root   string
	filter *filter.Filter
	round  catalog.Round
	// believe is since when what was read is believed.
	believe time.Time
	done    bool // all of it was compared
	cut     bool // time was up
	res     upkeep.VerifyResult
}

// A hashesRecord tells when the files of a directory were read.
type hashesRecord struct {
	Tree      string  `json:"tree"`
	Root      ui.Path `json:"root"`
	Part      string  `json:"part,omitempty"` // 3/30
	Began     string  `json:"began"`          // RFC 3339, of the round
	Complete  bool    `json:"complete"`
	Read      int64   `json:"read"`
	ReadBytes int64   `json:"read_bytes"`
	Believed  int64   `json:"believed"`
	Bytes     int64   `json:"believed_bytes"`
	Never     int64   `json:"never_read"`
	Oldest    string  `json:"oldest,omitempty"` // RFC 3339
}

// choose finds the directories, with their trees and filters.
func (v *verification) choose(ctx context.Context) error {
	if v.StoreOnly {
		return nil
	}
	if v.Dir != "" {
		tree, err := v.chooseTree(ctx, v.s, v.row)
		if err != nil {
			return err
		}
		return v.add(tree, v.Dir)
	}
	host, err := v.app.hostname()
	if err != nil {
		return err
	}
	trees, err := v.s.trees(ctx, v.row.ID, v.Tree)
	if err != nil {
		return err
	}
	var others []string
	for _, t := range trees {
		if t.Host != host || t.Root == "" {
			others = append(others, t.Name)
		} else if err := v.add(t, t.Root); err != nil {
			return err
		}
	}
	if len(v.places) == 0 {
		return &firn.Error{Op: "verify", Subject: v.s.loc.String(), Kind: firn.NotFound, Err: fmt.Errorf("it has no tree of a directory of this machine, %s", host),
			Hint: "compare a directory with a tree: firn verify DIR STORE --tree NAME; or the store alone, with --store-only"}
	}
	if len(others) > 0 {
		v.s.ui.Notice("no directories of this machine, and left out: " + strings.Join(others, ", "))
	}
	return nil
}

// useProfile sets what the profile says, but for the filters of its trees.
func (v *verification) useProfile() error {
	if v.Dir != "" {
		return v.app.useProfile(v.flags, v.With, v.Dir)
	}
	own := v.Filter
	own.Rules, own.Regexps.list, own.From = slices.Clip(own.Rules), slices.Clip(own.Regexps.list), slices.Clip(own.From)
	err := v.app.useProfile(v.flags, v.With)
	v.Filter = own
	return err
}

// add adds a directory. What the profile says of it counts, where it has one.
func (v *verification) add(tree catalog.Tree, root string) error {
	own := v.Filter
	if p := v.s.profile; p != nil && v.Dir == "" {
		file, _, err := v.app.profileOf(v.With)
		if err != nil {
			return err
		}
		s := v.app.newSettings(file, v.flags)
		for _, t := range p.Trees {
			if t.Path == root {
				err = errors.Join(err, s.add(t.Options))
			}
		}
		if err = errors.Join(err, s.add(filters(p.Options, v.app))); err != nil {
			return err
		}
	}
	left, err := v.Filter.read(v.app)
	v.Filter = own
	v.places = append(v.places, &verifyPlace{tree: tree, root: root, filter: v.app.filterOf(left, root)})
	return err
}

// disk compares the directories.
func (v *verification) disk(ctx context.Context) error {
	var errs []error
	for _, p := range v.places {
		err := v.compare(ctx, p, v.s.env.Events)
		errs = append(errs, err)
		if ctx.Err() != nil || p.cut {
			break
		}
	}
	return errors.Join(errs...)
}

// isCut reports whether time was up before all was compared.
func (v *verification) isCut() bool {
	return slices.ContainsFunc(v.places, func(p *verifyPlace) bool { return p.cut })
}

// compare compares one directory.
func (v *verification) compare(ctx context.Context, p *verifyPlace, events firn.Sink) error {
	if v.Dir == "" {
		if _, err := os.Stat(p.root); errors.Is(err, fs.ErrNotExist) {
			v.s.ui.Warn(fmt.Sprintf("the directory of the tree %s is not there, and was not compared: %s", p.tree.Name, p.root))
			return ErrPartial
		}
	}
	start := v.s.env.Clock.Now()
	o, err := v.options(ctx, p)
	if err != nil {
		return err
	}
	o.Events = events
	p.res, err = upkeep.Verify(ctx, o)
	p.cut, p.done = p.res.Stopped && err == nil, err == nil && !p.res.Stopped
	if p.res.Counts == nil {
		return err
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	events(firn.SummaryEvent{
		Command: "verify", Store: v.s.loc.String(), Tree: p.tree.Name, Stopped: p.res.Stopped,
		Counts: p.res.Counts, Excluded: p.res.Excluded, Elapsed: v.s.env.Clock.Now().Sub(start),
	})
	v.tellHashes(p)
	if !p.res.Clean() {
		err = errors.Join(err, ErrPartial)
	}
	if p.cut {
		err = errors.Join(err, ErrNotYet)
	}
	return err
}

// options are those of comparing a directory. They begin a round of it, or go on
// with the one that is open.
func (v *verification) options(ctx context.Context, p *verifyPlace) (upkeep.VerifyOptions, error) {
	p.round = catalog.Round{Tree: p.tree.ID, Part: max(1, v.Part.part), Parts: max(1, v.Part.of)}
	o := upkeep.VerifyOptions{
		Catalog: v.s.catalog, Tree: p.tree, Root: p.root, Events: v.s.env.Events, Clock: v.s.env.Clock, Filter: p.filter,
		Quick: v.Quick, Concurrency: int(v.Concurrency), Until: v.until,
	}
	if !v.Quick {
		var err error
		if p.round, err = v.s.catalog.BeginRound(ctx, p.tree.ID, p.root, p.round.Part, p.round.Parts); err != nil {
			return o, err
		}
		p.believe = p.round.Began
		// A round that takes longer than that would never end if it didn't believe itself.
		if since := v.s.env.Clock.Now().Add(-v.MaxAge.Duration); v.MaxAge.Duration > 0 && since.Before(p.believe) {
			p.believe = since
		} else if p.round.Resumed {
			v.s.ui.Notice(fmt.Sprintf("%s: going on with the verification that began %s", p.tree.Name, ui.Time(p.round.Began)))
		}
	}
	o.Round, o.Believe = p.round, p.believe
	return o, nil
}

// tellHashes tells what was read, and when the rest was.
func (v *verification) tellHashes(p *verifyPlace) {
	h := p.res.Hashes
	if v.Quick {
		return
	}
	v.s.ui.Record("hashes", hashesRecord{
		Tree: p.tree.Name, Root: ui.NewPath(p.root), Part: v.Part.String(), Began: timeText(p.round.Began), Complete: p.done,
		Read: h.Read.Files, ReadBytes: h.Read.Bytes, Believed: h.Believed.Files, Bytes: h.Believed.Bytes, Never: h.Never, Oldest: timeText(h.Oldest),
	})
	if h.Believed.Files == 0 && v.Part.of == 0 && !p.cut {
		return // everything was read just now
	}
	text := fmt.Sprintf("%s: read %s, %s, now", p.tree.Name, ui.Files(h.Read.Files), ui.Bytes(h.Read.Bytes))
	if h.Believed.Files > 0 {
		text += fmt.Sprintf("; believed what was read of %s before", ui.Files(h.Believed.Files))
	}
	if !h.Oldest.IsZero() {
		text += "; the oldest reading is of " + ui.Time(h.Oldest)
	}
	if h.Never > 0 {
		text += fmt.Sprintf("; %s of other parts never read", ui.Files(h.Never))
	}
	if p.cut {
		text += "; time is up: run the same command again, or firn resume, to go on"
	}
	v.s.ui.Notice(text)
}

// endRounds says that all is done, so that the next verification reads everything
// again.
func (v *verification) endRounds(ctx context.Context) error {
	var errs []error
	for _, p := range v.places {
		if !p.done || p.round.Place == 0 {
			continue
		}
		// Nothing is forgotten of files that somebody may miss: a disk may be away.
		var before time.Time
		if c := p.res.Counts; c[firn.Missing].Files+c[firn.Failed].Files == 0 {
			if before = p.round.Began; !p.res.Hashes.Oldest.IsZero() && p.res.Hashes.Oldest.Before(before) {
				before = p.res.Hashes.Oldest
			}
		}
		errs = append(errs, v.s.catalog.EndRound(context.WithoutCancel(ctx), p.round, before))
	}
	return errors.Join(errs...)
}
