package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
)

// newRootCmd gives the command line: all commands, and the options that they
// share.
func newRootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "firn",
		Short: "archive directory trees in cold storage, and bring them back",
		Long: `firn archives directory trees in cold storage and brings them back: in Amazon
Glacier vaults (glacier:VAULT), in S3 (s3:BUCKET/PREFIX), or in a folder of this machine (local:DIR), for
which no account is needed.`,
		Example: `  firn sync docs local:/tmp/my-vault
  firn restore local:/tmp/my-vault --to /tmp/back --wait`,
		Version:       buildVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // so that the error is ours
		RunE:          needCommand,
		// Completion scripts have a command of their own here.
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetIn(a.env.Stdin)
	root.SetOut(a.env.Stdout)
	root.SetErr(a.env.Stderr)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetHelpTemplate(root.HelpTemplate() + "{{if not .HasParent}}\n" + exitHelp() + "{{end}}")
	f := root.PersistentFlags()
	f.SortFlags = false
	f.BoolVar(&a.global.JSON, "json", false, "write one JSON object a line on stdout instead of text")
	f.BoolVarP(&a.global.Quiet, "quiet", "q", false, "only results, warnings and errors")
	f.BoolVarP(&a.global.Verbose, "verbose", "v", false, "tell of each file")
	f.Func("state", "keep the catalog, and all else that must last, in the folder `DIR` (default: FIRN_HOME, or that of the user's data)", a.setState)
	f.StringVar(&a.global.Log, "log", "", "append a line with a time for each event to `FILE`")
	f.BoolP("help", "h", false, "show help")
	root.Flags().Bool("version", false, "show the version")
	addGroup(root, forFiles, "Archive and restore",
		newSyncCmd(a, runSync),
		newRestoreCmd(a, runRestore),
		newVerifyCmd(a, runVerify),
		newRecoverCmd(a, runRecover),
		newAdoptCmd(a, runAdopt),
		newPruneCmd(a, runPrune),
		newMigrateCmd(a, runMigrate),
		newLsCmd(a, runLs),
		newFindCmd(a, runFind),
		newHistoryCmd(a, runHistory),
		newStatusCmd(a, runStatus),
		newCostCmd(a, runCost),
		newResumeCmd(a, runResume),
	)
	addGroup(root, forStores, "Stores",
		newStoreCmd(a),
		newArchiveCmd(a),
		newUploadCmd(a),
		newJobCmd(a),
		newQueueCmd(a),
		newCatalogCmd(a),
		newRecoverySheetCmd(a, runRecoverySheet),
		newProfileCmd(a),
		newPolicyCmd(a, runPolicy),
		newKeyCmd(a),
		newServeCmd(a, runServe),
	)
	addGroup(root, forOlder, "Older programs", newDropInCmds(a)...)
	root.AddCommand(newVersionCmd(a, runVersion), newCompletionCmd(a, runCompletion))
	root.SetHelpCommand(newHelpCmd())
	finishHelp(root)
	return root
}

// group gives a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: needCommand}
	g.AddCommand(commands...)
	return g
}

// needCommand is what runs when a command that only holds others is called:
// without a command it shows the help, which is no result here.
func needCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		cmd.SetOut(cmd.ErrOrStderr())
		return errors.Join(cmd.Help(), errNoCommand)
	}
	text := fmt.Sprintf("%s has no command %q", cmd.CommandPath(), args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %s?", near[0])
	}
	return &usageError{cmd, errors.New(text)}
}

// runner makes a run function into what cobra calls: it opens the UI first. A
// command with an option --dry-run has its files told of as what would happen.
func (a *app) runner(run func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if a.global.Quiet && a.global.Verbose {
			return &usageError{cmd, errors.New("give --quiet or --verbose, not both")}
		}
		a.started, a.command = true, strings.TrimPrefix(cmd.CommandPath(), "firn ")
		if f := cmd.Flags().Lookup("dry-run"); f != nil {
			a.dryRun = f.Value.String() == "true"
		}
		if err := a.openUI(a.command, a.dryRun); err != nil {
			return &firn.Error{Op: "open log", Subject: a.global.Log, Kind: firn.Local, Err: cause(err), Hint: "give another file with --log"}
		}
		err := run(cmd.Context(), args)
		a.end(cmd.Context(), err)
		if firn.KindOf(err) == firn.Usage {
			return &usageError{cmd, err}
		}
		return err
	}
}
