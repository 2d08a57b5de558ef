package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/transfer"
)

type migrateOptions struct {
	app      *app
	From, To string
	Class    string
	Tree     string
	MaxAge   time.Duration

	Tiers        tierList
	RetrieveRate hourlyRate
	Bundle       bundleOptions
	Way          wayOptions
	Consent      consentOptions
	MaxFiles     fileLimit
	MaxBytes     sizeLimit
	Wait         bool
	Poll         time.Duration
	DryRun       bool
	Concurrency  count
	Common       storeOptions

	Finish  bool
	Confirm string // of Finish: the source's name
	GiveUp  bool
	Away    awayOptions
}

func newMigrateCmd(a *app, run func(context.Context, *migrateOptions) error) *cobra.Command {
	o := &migrateOptions{app: a, Concurrency: 2 * transfer.DefaultConcurrency, Tiers: tierList{firn.Bulk}}
	cmd := &cobra.Command{
		Use:   "migrate FROM TO",
		Short: "move what is in one store to another",
		Long: `Move everything that is in the store FROM to the store TO, such as from a vault to
S3: files with all their versions, what other programs left there, and archives of
which nobody knows what they are. FROM stays as it is, until the second command,
with --finish, deletes it.

First there is a plan: what is to be moved, what that costs, and what it saves;
--dry-run shows no more than that. Above 5 dollars it wants a yes. Names that only
FROM knows are taken in by an inventory, as firn adopt does. Then archives are asked
for in the order in which they were made, at --retrieve-rate, and what is ready goes
straight from store to store, verified by its tree hash from end to end. Small files
go into bundles on the way, as firn sync makes them.

A vault takes hours to get archives ready, and weeks to hand out many. Without --wait
it ends with status 75 as long as anything is missing: the same command, or firn
resume, goes on. It can be stopped and killed at any time, and nothing is there
twice. When all of a tree is there, the tree moves: from then on firn sync, ls and
restore work with TO. An archive that can't be copied is named, and keeps its tree
where it is; the next call tries it again.

With --finish the copies are looked at once more by an inventory of TO, what is free
of fees is deleted from FROM, the rest when it is, and then FROM itself. Its name has
to be typed; without a terminal it is given with --confirm. docs/moving-out.md walks
through it all.`,
		Example: `  firn migrate glacier:photos s3:my-bucket/photos --dry-run
  firn migrate glacier:photos s3:my-bucket/photos --class DEEP_ARCHIVE --retrieve-rate 20G
  firn migrate local:/mnt/old local:/mnt/new
  firn migrate glacier:photos s3:my-bucket/photos --to-go togo --for linux/arm64 --binary firn-arm64
  firn migrate --finish glacier:photos s3:my-bucket/photos`,
		Args: takes("FROM", "TO"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeStore(word)
		},
	}
	f := cmd.Flags()
	o.addFlags(f, a)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.From, o.To = args[0], args[1]
		if err := a.useProfile(f, o.From); err != nil {
			return err
		}
		if err := o.Common.Endpoint.ofTwo(a, o.From, o.To); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

func (o *migrateOptions) addFlags(f *pflag.FlagSet, a *app) {
	f.SortFlags = false
	f.BoolVarP(&o.Wait, "wait", "w", false, "wait until everything is there")
	f.BoolVarP(&o.DryRun, "dry-run", "n", false, "show what would be moved, and what it costs, and do nothing")
	f.StringVar(&o.Class, "class", "", "store it in the storage `CLASS` of S3: DEEP_ARCHIVE, GLACIER, GLACIER_IR or STANDARD")
	f.StringVar(&o.Tree, "tree", "", "move only the tree `NAME`")
	f.DurationVar(&o.MaxAge, "max-age", defaultMaxAge, "be content with an inventory of FROM that is not older")
	f.Var(&o.Tiers, "tier", "how fast, and how dear, FROM is asked: bulk, standard or expedited; or a `LIST` of which the next is asked where there is no capacity")
	f.Var(&o.RetrieveRate, "retrieve-rate", "ask FROM for at most `BYTES` an hour, such as 10G")
	o.Bundle.addFlags(f)
	o.Way.addFlags(f)
	o.Consent.addFlags(f, a)
	f.Var(&o.MaxFiles, "max-files", "move at most `N` archives now, and leave the rest for the next time")
	f.Var(&o.MaxBytes, "max-bytes", "move at most `BYTES` now, such as 500M or 2G, and leave the rest for the next time")
	addPoll(f, &o.Poll, "what is ready", "the tier's earliest time has passed")
	f.Var(&o.Concurrency, "concurrency", "move so many archives and parts at a time")
	f.BoolVar(&o.Finish, "finish", false, "delete FROM, once it was moved: what costs no fee any more, until nothing is left")
	f.StringVar(&o.Confirm, "confirm", "", "with --finish: the `NAME` of FROM, in place of typing it")
	f.BoolVar(&o.GiveUp, "give-up", false, "end a move that is not done: FROM stays, and so do the copies in TO")
	notOfProfile(f, "max-files", "max-bytes", "class", "tree", "finish", "confirm", "give-up")
	o.Away.addFlags(f)
	o.Common.addFlags(f, true, true)
}

// check finds what is wrong with the options before anything is opened.
func (o *migrateOptions) check() error {
	switch {
	case o.Confirm != "" && !o.Finish:
		return wrongUsage("migrate", "--confirm goes with --finish")
	case o.Finish && o.Tree != "":
		return wrongUsage("migrate", "--finish deletes all of FROM, and --tree names a part of it")
	case o.GiveUp && (o.Finish || o.DryRun || o.Away.asked()):
		return wrongUsage("migrate", "--give-up goes alone")
	case o.MaxAge < 0:
		return wrongUsage("migrate", "--max-age %s is below zero", o.MaxAge)
	}
	return errors.Join(o.Bundle.check(), o.Away.check(o.Finish))
}

// finishing gives the options of --finish.
func (o *migrateOptions) finishing() *finishOptions {
	return &finishOptions{
		app: o.app, From: o.From, To: o.To, Confirm: o.Confirm, Wait: o.Wait, Poll: o.Poll,
		Concurrency: o.Concurrency, DryRun: o.DryRun, Common: o.Common,
	}
}
