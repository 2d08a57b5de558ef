package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"

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
		Getenv: env.Getenv, Dir: env.Dir, Clock: env.Clock, Parent: os.Getppid,
	})
}

func runMtglacier(ctx context.Context, args []string, env Env) int {
	return mtglacier.Main(ctx, args, mtglacier.Env{
		Stdin: env.Stdin, Stdout: env.Stdout, Stderr: env.Stderr,
		Getenv: env.Getenv, Dir: env.Dir, Clock: env.Clock,
	})
}
