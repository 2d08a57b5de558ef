package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn/internal/cli/glaciercli"
	"github.com/firn-archive/firn/internal/cli/mtglacier"
)

// dropIn gives the older program that is called, and the arguments behind its
// name: by the program's own name, as a link gives it, or by the first argument.
// It comes before anything is made of firn's own commands, so that these programs
// start as fast as they can. Nil: firn is called.
func dropIn(args []string) (run func(context.Context, []string, Env) int, rest []string) {
	if len(args) == 0 {
		return nil, nil
	}
	name := strings.ToLower(filepath.Base(args[0]))
	if run := dropIns(strings.TrimSuffix(name, ".exe")); run != nil {
		return run, args[1:]
	}
	if len(args) > 1 {
		return dropIns(args[1]), args[2:]
	}
	return nil, nil
}

// dropIns gives the program of that name; nil: there is none.
func dropIns(name string) func(context.Context, []string, Env) int {
	switch name {
	case "glacier":
		return runGlacier
	case "mtglacier":
		return runMtglacier
	}
	return nil
}

func runGlacier(ctx context.Context, args []string, env Env) int {
	if env.KeepPipes != nil {
		env.KeepPipes() // a listing that is cut short has its own exit code
	}
	return glaciercli.Main(ctx, args, glaciercli.Env{
		Stdin: env.Stdin, Stdout: env.Stdout, Stderr: env.Stderr,
		Terminal: env.Terminal.Stdout, Getenv: env.Getenv, Dir: env.Dir, Clock: env.Clock, Parent: os.Getppid,
	})
}

func runMtglacier(ctx context.Context, args []string, env Env) int {
	return mtglacier.Main(ctx, args, mtglacier.Env{
		Stdin: env.Stdin, Stdout: env.Stdout, Stderr: env.Stderr,
		Getenv: env.Getenv, Dir: env.Dir, Clock: env.Clock,
	})
}

// newDropInCmds gives the older programs as commands, so that help, completion and
// manual know them: their arguments are their own, and mostly never come here, since
// dropIn is faster.
func newDropInCmds(a *app) []*cobra.Command {
	return []*cobra.Command{
		newDropInCmd(a, runGlacier, glaciercli.Commands, &cobra.Command{
			Use:   "glacier ARGUMENT...",
			Short: "be glacier-cli, for scripts and git-annex",
			Long: `Run as glacier-cli's program glacier, with its arguments, output and exit codes: what
scripts, cron jobs and git-annex call goes on as it is. A link to firn that is named
glacier is the same. "firn glacier -h" shows its own help.

Exit codes: 0 done; 75 queued or pending, run it again; 1 failed; 2 wrong usage. The
options of firn's other commands are none of its own.`,
			Example: `  firn glacier vault list
  firn glacier --region eu-west-1 archive upload photos 2019.tar
  firn glacier archive retrieve --wait photos 2019.tar
  ln -s "$(command -v firn)" ~/bin/glacier`,
		}),
		newDropInCmd(a, runMtglacier, mtglacier.Commands, &cobra.Command{
			Use:   "mtglacier ARGUMENT...",
			Short: "be mt-aws-glacier, for its journals and cron jobs",
			Long: `Run as mt-aws-glacier's program mtglacier, with its commands, options, config files,
journals, output and exit codes. A link to firn that is named mtglacier is the same.
"firn mtglacier help" shows its own help.

Exit codes: 0 done; 1 failed, or something to be told. The options of firn's other
commands are none of its own.`,
			Example: `  firn mtglacier sync --config glacier.cfg --dir photos --vault photos --journal photos.log
  ln -s "$(command -v firn)" ~/bin/mtglacier`,
		}),
	}
}

func newDropInCmd(a *app, run func(context.Context, []string, Env) int, words func(before []string) []string, cmd *cobra.Command) *cobra.Command {
	cmd.DisableFlagParsing = true
	cmd.DisableFlagsInUseLine = true
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return toldError(Status(run(cmd.Context(), args, a.env)))
	}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		found := slices.DeleteFunc(words(args), func(w string) bool { return !strings.HasPrefix(w, word) })
		if len(found) > 0 {
			return found, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
	return cmd
}
