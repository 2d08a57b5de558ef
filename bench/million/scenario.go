package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/firn-archive/firn/bench/forest"
	"github.com/firn-archive/firn/bench/usage"
)

// perMember is what a file takes in a bundle beside its bytes: headers of a tar,
// rounded up, and its line in the index. slack is what there is to the archives of
// one sync else, with some hundred folders and links that are new.
const (
	perMember = 4 << 10
	slack     = 1 << 20
)

// A bench is one run of the scenario.
type bench struct {
	options
	dir       string
	progress  io.Writer
	recipient string // empty: nothing is encrypted
	report    report
	stock     stock // in the store after the last sync
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

func (b *bench) store() string    { return "local:" + filepath.Join(b.dir, "vault") }
func (b *bench) tree() string     { return filepath.Join(b.dir, "tree") }
func (b *bench) identity() string { return filepath.Join(b.dir, "identity.txt") }

// A moment is the tree as it was at a time.
type moment struct {
	at     time.Time
	survey forest.Survey
}

// measure is the whole scenario.
func (b *bench) measure(ctx context.Context) (err error) {
	b.report.options = b.options
	if b.encrypted {
		if b.recipient, err = b.newKey(ctx); err != nil {
			return err
		}
	}
	if err := b.syncOthers(ctx); err != nil {
		return err
	}
	first, err := b.firstSync(ctx)
	if err != nil {
		return err
	}
	if err := b.syncUnchanged(ctx, first); err != nil {
		return err
	}
	second, err := b.syncChanged(ctx, first)
	if err != nil {
		return err
	}
	// The trees stay till the end: ext4 makes files slowly for a minute after
	// many were deleted (recently_deleted in fs/ext4/ialloc.c).
	if err := b.restore(ctx, "first", first); err != nil {
		return err
	}
	return b.restore(ctx, "second", second)
}

// syncOthers fills the catalog with other trees, of as many files or less each.
func (b *bench) syncOthers(ctx context.Context) error {
	for n := 0; n < b.before; n += b.plan.Files {
		plan := b.plan
		plan.Seed += uint64(n) + 1
		plan.Files = min(plan.Files, max(b.before-n, plan.Folders))
		dir := filepath.Join(b.dir, fmt.Sprintf("other%d", n))
		b.say("another tree of %d files", plan.Files)
		if err := plan.Grow(dir); err != nil {
			return err
		}
		if _, _, err := b.sync(ctx, dir); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// sync archives a directory.
func (b *bench) sync(ctx context.Context, dir string) (usage.Usage, summary, error) {
	args := []string{"sync", dir, b.store()}
	if b.recipient != "" {
		args = append(args, "--recipient", b.recipient, "--identity", b.identity())
	}
	u, s, err := b.runFirn(ctx, args...)
	if err == nil {
		b.stock, err = b.takeStock(ctx)
	}
	return u, s, err
}

func (b *bench) firstSync(ctx context.Context) (m moment, err error) {
	b.say("growing a tree of %d files in %d folders", b.plan.Files, b.plan.Folders)
	start := time.Now()
	if err := b.plan.Grow(b.tree()); err != nil {
		return m, err
	}
	grown := usage.Usage{Wall: time.Since(start)}
	b.say("surveying it")
	if m.survey, err = forest.Look(b.tree()); err != nil {
		return m, err
	}
	b.report.files, b.report.bytes = m.survey.Files()
	b.report.add("making these files, bare", b.report.files, grown)
	b.say("first sync")
	err = b.syncOf(ctx, "first sync", &m, nil)
	return m, err
}

func (b *bench) syncUnchanged(ctx context.Context, first moment) error {
	b.say("sync, unchanged")
	if err := b.syncOf(ctx, "sync, unchanged", &first, first.survey); err != nil {
		return err
	}
	u, status, err := usage.Timed(exec.CommandContext(ctx, "find", b.tree(), "-printf", `%s %T@\n`))
	if err != nil || status != 0 {
		b.say("find can't do the same here: status %d, %v", status, err) // it is GNU's that can
		return ctx.Err()
	}
	b.report.add("`find -printf '%s %T@\\n'`", b.report.files, u)
	return nil
}

func (b *bench) syncChanged(ctx context.Context, first moment) (m moment, err error) {
	b.say("changing it")
	if err := b.plan.Change(b.tree()); err != nil {
		return m, err
	}
	if m.survey, err = forest.Look(b.tree()); err != nil {
		return m, err
	}
	b.say("sync, changed")
	err = b.syncOf(ctx, "sync, changed", &m, first.survey)
	return m, err
}

// syncOf archives the tree as the moment has it, and checks that what is sent is
// what the survey before hasn't. It notes the time at which that was done.
func (b *bench) syncOf(ctx context.Context, name string, m *moment, before forest.Survey) error {
	had := b.stock
	u, s, err := b.sync(ctx, b.tree())
	if err != nil {
		return err
	}
	m.at = time.Now()
	grown := stock{b.stock.Archives - had.Archives, b.stock.Bytes - had.Bytes}
	files, _ := m.survey.Files()
	b.report.add(name, files, u)
	b.report.sent(name, s.Counts["sent"].Files, s.Counts["sent"].Bytes, grown)
	return checkSent(name, m.survey.News(before), s.Counts["sent"].Bytes, grown.Bytes)
}

// checkSent compares what was sent, in bytes of files and of archives, with what
// was new. Of files with one new content firn may count any.
func checkSent(name string, news forest.News, sent, stored int64) error {
	if sent < news.Bytes || sent > news.AllBytes {
		return fmt.Errorf("%s: firn sent %d bytes of files, and new were %d (each content once) to %d", name, sent, news.Bytes, news.AllBytes)
	}
	if most := news.Bytes + news.Contents*perMember + slack; stored > most {
		return fmt.Errorf("%s: the store grew by %d bytes, by more than the %d new ones and what they are wrapped in", name, stored, news.Bytes)
	}
	return nil
}

// restore brings the tree back as it was, and compares.
func (b *bench) restore(ctx context.Context, which string, m moment) error {
	name, to := "restore of the "+which+" date", filepath.Join(b.dir, which)
	b.say("%s", name)
	args := []string{"restore", b.store(), "--to", to, "--wait", "--tree", "tree", "--at", m.at.UTC().Format(time.RFC3339Nano)}
	if b.recipient != "" {
		args = append(args, "--identity", b.identity())
	}
	u, s, err := b.runFirn(ctx, args...)
	if err != nil {
		return err
	}
	files, _ := m.survey.Files()
	b.report.add(name, files, u)
	b.say("comparing: %v", s.Counts)
	got, err := forest.Look(to)
	if err != nil {
		return err
	}
	if d := m.survey.Differences(got); len(d) > 0 {
		return fmt.Errorf("%s: %d differences\n%s", name, len(d), firstLines(strings.Join(d, "\n")))
	}
	return nil
}
