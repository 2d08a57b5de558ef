package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/ui"
)

type uploadAbortOptions struct {
	uploadOptions
	Uploads []string
	DryRun  bool

	// Of clean:
	OlderThan   age
	IncludeFirn bool
	Yes         bool
}

func newUploadAbortCmd(a *app, run func(context.Context, *uploadAbortOptions) error) *cobra.Command {
	o := &uploadAbortOptions{}
	cmd := newUploadVerb(a, &o.uploadOptions, "abort STORE ID...", nil)
	cmd.Short = "end uploads, and free their parts"
	cmd.Long = `End the uploads with these IDs, whoever began them. What the store has of them is
lost, and is told. An upload of this machine's firn is taken out of the catalog as well,
so that the next firn sync sends the file from its start; while its sync runs it is left
alone, and so is one whose completion was asked for, since it may be an archive already:
firn store refresh settles that. An ID that begins with - goes behind --.`
	o.addDryRun(cmd.Flags())
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store, o.Uploads = args[0], args[1:]
		if slices.Contains(o.Uploads, "") {
			return wrongUsage("abort", "an upload's id is empty; see the ids with: firn upload list %s", o.Store)
		}
		if err := a.useProfile(cmd.Flags(), o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

func newUploadCleanCmd(a *app, run func(context.Context, *uploadAbortOptions) error) *cobra.Command {
	o := &uploadAbortOptions{OlderThan: age(7 * 24 * time.Hour)}
	cmd := newUploadVerb(a, &o.uploadOptions, "clean STORE", func(ctx context.Context) error { return run(ctx, o) })
	cmd.Short = "end the uploads that other programs have left"
	cmd.Long = `End the uploads of STORE that this machine's firn did not begin and that were begun
longer than --older-than ago, after a question. Its own stay: firn sync goes on with
them. Those of firn on other machines stay too, unless --include-firn says that there is
no such machine any more.

Whether another program still works on an upload the store doesn't say. Vaults end an
upload by themselves after a day or so without a part: one that is there after a week
may well be under way, so look at the list twice.`
	f := cmd.Flags()
	f.Var(&o.OlderThan, "older-than", "leave alone what was begun less than `AGE` ago, such as 12h, 7d or 2w")
	f.BoolVar(&o.IncludeFirn, "include-firn", false, "also those that firn began on another machine, or whose catalog is lost")
	notOfProfile(f, "older-than", "include-firn")
	f.BoolVar(&o.Yes, "yes", false, "do not ask")
	o.addDryRun(f)
	return cmd
}

func (o *uploadAbortOptions) addDryRun(f *pflag.FlagSet) {
	f.BoolVarP(&o.DryRun, "dry-run", "n", false, "show what would be aborted")
	o.Common.addFlags(f, false, false)
}

// An age is a duration in hours, days or weeks. It is a pflag.Value.
type age time.Duration

// Set reads 12h, 7d or 2w.
func (g *age) Set(s string) error {
	units := map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if s != "" {
		n, err := strconv.ParseUint(s[:len(s)-1], 10, 16)
		if unit := units[s[len(s)-1]]; err == nil && unit > 0 {
			*g = age(time.Duration(n) * unit)
			return nil
		}
	}
	return fmt.Errorf("%q is no age; write for example 12h, 7d or 2w", s)
}

// String gives the age in the largest unit that fits.
func (g *age) String() string {
	switch hours := int64(time.Duration(*g) / time.Hour); {
	case hours%(7*24) == 0 && hours > 7*24:
		return fmt.Sprintf("%dw", hours/(7*24))
	case hours%24 == 0 && hours > 0:
		return fmt.Sprintf("%dd", hours/24)
	default:
		return fmt.Sprintf("%dh", hours)
	}
}

// Type names the value in help.
func (g *age) Type() string { return "age" }

// An abortRecord is what became of an upload that was to be aborted.
type abortRecord struct {
	Store   string        `json:"store"`
	Upload  firn.UploadID `json:"upload"`
	Aborted bool          `json:"aborted"`
	DryRun  bool          `json:"dry_run,omitempty"`
	Owner   string        `json:"owner,omitempty"`
	Parts   int64         `json:"parts"` // that are lost
	Bytes   int64         `json:"bytes"` // in them
	Error   string        `json:"error,omitempty"`
}

func runUploadAbort(ctx context.Context, o *uploadAbortOptions) error {
	d, err := o.openUploads(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	slices.Sort(o.Uploads)
	ids := slices.Compact(o.Uploads)
	listed := map[firn.UploadID]*openUpload{}
	for u, err := range d.store.Uploads(ctx) {
		if err != nil {
			return err
		}
		if slices.Contains(ids, string(u.ID)) {
			listed[u.ID] = d.identify(u)
		}
	}
	var errs []error
	for _, id := range ids {
		u := listed[firn.UploadID(id)]
		if u == nil {
			errs = append(errs, d.abortGone(ctx, o, firn.UploadID(id)))
			continue
		}
		errs = append(errs, d.abort(ctx, o, u))
	}
	return d.endAbort(ctx, errs)
}

// endAbort gives the error for all: of a single upload its own, of several, each of
// which was told, that not all was done.
func (d *uploadDesk) endAbort(ctx context.Context, errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	var status error
	for _, err := range errs {
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return err
		default:
			d.ui.Warn(err.Error())
			status = ErrPartial
		}
	}
	return status
}

// abort ends one upload.
func (d *uploadDesk) abort(ctx context.Context, o *uploadAbortOptions, u *openUpload) error {
	err := d.look(ctx, u)
	if firn.KindOf(err) == firn.NotFound {
		return d.abortGone(ctx, o, u.ID) // it ended between the two
	}
	r := abortRecord{Store: d.loc.String(), Upload: u.ID, DryRun: o.DryRun, Owner: u.owner, Parts: int64(len(u.parts)), Bytes: u.bytes()}
	if err == nil {
		err = d.abortHeld(ctx, o, u)
	}
	lost := fmt.Sprintf("%s, of %s: %s in %s", u.ID, d.holds(u), ui.Bytes(r.Bytes), counted(r.Parts, "part"))
	if err != nil {
		r.Error = err.Error()
	} else if r.Aborted = !o.DryRun; r.Aborted {
		d.ui.Print("aborted " + lost + " are lost")
	} else {
		d.ui.Print("would abort " + lost + " would be lost")
	}
	d.ui.Record("aborted_upload", r)
	return err
}

// abortHeld ends an upload, and takes an own one out of the catalog: under its
// lock, since whoever works on it would begin it anew.
func (d *uploadDesk) abortHeld(ctx context.Context, o *uploadAbortOptions, u *openUpload) error {
	refuse := func(why, hint string) error {
		return &firn.Error{Op: "abort the upload", Subject: string(u.ID), Kind: firn.Conflict, Err: errors.New(why), Hint: hint}
	}
	if u.owner != ownUpload {
		if err := d.reload(ctx); err != nil { // a question may have been open for hours
			return err
		}
		switch {
		case d.identify(u.Upload).owner == ownUpload:
			return refuse("firn upload resume goes on with it since", "")
		case o.DryRun:
			return nil
		}
		return d.store.AbortUpload(ctx, u.ID)
	}
	release, err := d.hold(ctx, u.intent)
	if err != nil {
		return err
	}
	defer release()
	if err := d.reload(ctx); err != nil { // it may have gone on until just now
		return err
	}
	now := d.identify(u.Upload)
	switch {
	case now.owner != ownUpload:
		return refuse("it has just come to its end", "")
	case now.intent.Kind == catalog.CatalogArchive:
		return refuse("it is a snapshot of the catalog", "the next firn sync to this store settles it")
	case now.intent.State == catalog.Completing || now.intent.State == catalog.Doubt:
		return refuse("all of it was sent and it may be an archive already", "settle that first with: firn store refresh "+d.loc.String())
	case o.DryRun:
		return nil
	}
	if err := d.store.AbortUpload(ctx, u.ID); err != nil {
		return err
	}
	return d.catalog.Drop(context.WithoutCancel(ctx), now.intent.ID, "its upload was aborted by firn upload abort")
}

// abortGone is about an upload that the store doesn't have: one of which the
// catalog waits in vain is taken out of it.
func (d *uploadDesk) abortGone(ctx context.Context, o *uploadAbortOptions, id firn.UploadID) error {
	for _, in := range d.intents {
		if in.Upload != id || in.Kind == catalog.CatalogArchive || in.State != catalog.Uploading {
			continue
		}
		release, err := d.hold(ctx, in)
		if err != nil {
			return err
		}
		defer release()
		if !o.DryRun {
			if err := d.catalog.Drop(context.WithoutCancel(ctx), in.ID, "the store does not have the upload any more"); err != nil {
				return err
			}
		}
		d.ui.Record("aborted_upload", abortRecord{Store: d.loc.String(), Upload: id, Aborted: !o.DryRun, DryRun: o.DryRun, Owner: ownUpload})
		d.ui.Print(fmt.Sprintf("%s had ended already; the catalog waits for it no more", id))
		return nil
	}
	_, err := d.find(ctx, id)
	if err != nil {
		d.ui.Record("aborted_upload", abortRecord{Store: d.loc.String(), Upload: id, DryRun: o.DryRun, Error: err.Error()})
	}
	return err
}

func runUploadClean(ctx context.Context, o *uploadAbortOptions) error {
	d, err := o.openUploads(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	left, kept, err := d.leftovers(ctx, o)
	if err == nil {
		err = d.tidy(ctx, o)
	}
	if err != nil {
		return err
	}
	if kept > 0 {
		d.ui.Notice(fmt.Sprintf("%s of firn on other machines, or of a lost catalog, stay; --include-firn ends them too", counted(kept, "upload")))
	}
	if len(left) == 0 {
		d.ui.Print("nothing to clean: no upload of another program is older than " + o.OlderThan.String())
		return nil
	}
	var bytes int64
	for _, u := range left {
		if err := d.look(ctx, u); err != nil && firn.KindOf(err) != firn.NotFound {
			return err
		}
		bytes += u.bytes()
		d.ui.Notice(fmt.Sprintf("%s, begun %s: %s in %s", d.holds(u), timeText(u.Created), ui.Bytes(u.bytes()), counted(int64(len(u.parts)), "part")))
	}
	if !o.Yes && !o.DryRun {
		question := fmt.Sprintf("abort %s, of which %s are there?", counted(int64(len(left)), "upload"), ui.Bytes(bytes))
		yes, err := d.ui.Confirm(ctx, question, "--yes")
		if err != nil {
			return err
		}
		if !yes {
			d.ui.Print("nothing was aborted")
			return nil
		}
	}
	var errs []error
	for _, u := range left {
		errs = append(errs, d.abort(ctx, o, u))
	}
	return d.endAbort(ctx, errs)
}

// tidy removes the notes that firn keeps in S3 about uploads which are over: nobody is
// asked, since nobody can miss one.
func (d *uploadDesk) tidy(ctx context.Context, o *uploadAbortOptions) error {
	n, err := firn.Tidy(ctx, d.store.Store, max(strayAge, time.Duration(o.OlderThan)), o.DryRun)
	switch {
	case n > 0 && o.DryRun:
		d.ui.Notice("would remove " + counted(int64(n), "note") + " about uploads that are over")
	case n > 0:
		d.ui.Notice("removed " + counted(int64(n), "note") + " about uploads that are over")
	case firn.KindOf(err) == firn.Denied:
		return nil // who may only add
	}
	return err
}

// leftovers gives the uploads that are to be cleaned, and how many stay for being
// firn's alone. Ages are by the store's own clock.
func (d *uploadDesk) leftovers(ctx context.Context, o *uploadAbortOptions) (left []*openUpload, kept int64, err error) {
	before := d.store.Info.Now.Add(-time.Duration(o.OlderThan))
	for one, err := range d.store.Uploads(ctx) {
		if err != nil {
			return nil, 0, err
		}
		switch u := d.identify(one); {
		case u.owner == ownUpload, o.OlderThan > 0 && u.Created.After(before): // before is of whole seconds
		case u.owner == firnUpload && !o.IncludeFirn:
			kept++
		default:
			left = append(left, u)
		}
	}
	return left, kept, nil
}
