package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

// shells are those that have a completion script.
var shells = []string{"bash", "zsh", "fish", "powershell"}

type completionOptions struct {
	ui    *ui.UI
	root  *cobra.Command
	shell string
}

func newCompletionCmd(a *app, run func(context.Context, *completionOptions) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion SHELL",
		Short: "write a completion script for a shell",
		Long: `Write a script that completes firn's command line: for bash, zsh, fish or
powershell.`,
		Example: `  source <(firn completion bash)
  firn completion zsh > "${fpath[1]}/_firn"
  firn completion fish > ~/.config/fish/completions/firn.fish
  firn completion powershell | Out-String | Invoke-Expression`,
		Args:      takes("SHELL"),
		ValidArgs: shells,
	}
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		return run(ctx, &completionOptions{ui: a.ui, root: cmd.Root(), shell: args[0]})
	})
	return cmd
}

func runCompletion(_ context.Context, o *completionOptions) error {
	var script bytes.Buffer
	var err error
	switch o.shell {
	case "bash":
		err = o.root.GenBashCompletionV2(&script, true)
	case "zsh":
		err = o.root.GenZshCompletion(&script)
	case "fish":
		err = o.root.GenFishCompletion(&script, true)
	case "powershell":
		err = o.root.GenPowerShellCompletionWithDesc(&script)
	default:
		err = wrongUsage("complete", "there is no script for %q; there are %s", o.shell, strings.Join(shells, ", "))
	}
	if err != nil {
		return err
	}
	o.ui.Raw(script.Bytes())
	return nil
}

// completeStore completes the name of a store: those that the catalog knows, the
// kinds there are, and behind local: the folders there are.
func (a *app) completeStore(word string) ([]string, cobra.ShellCompDirective) {
	candidates := append(a.knownStores(), "glacier:", "local:")
	candidates = append(candidates, a.profileNames()...)
	if dir, isLocal := strings.CutPrefix(word, "local:"); isLocal {
		candidates = append(candidates, a.completeFolder("local:", dir)...)
	}
	var found []string
	for _, c := range candidates {
		if strings.HasPrefix(c, word) && c != word && ui.Text(c) == c {
			found = append(found, c)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// knownStores gives the stores of the catalog. Where there is none, a completion
// makes none; what goes wrong is for the command itself to say.
func (a *app) knownStores() []string {
	dir, err := config.DataDir(a.env.Getenv)
	if err != nil {
		return nil
	}
	if _, err := os.Stat(dir); err != nil {
		return nil
	}
	ctx := context.Background() // a short read; the shell waits for it
	c, err := wire.OpenCatalog(ctx, wire.Env{Getenv: a.env.Getenv, Dir: a.env.Dir, Clock: a.env.Clock, Events: firn.Discard})
	if err != nil {
		return nil
	}
	defer c.Close()
	stores, err := c.Stores(ctx)
	if err != nil {
		return nil
	}
	names := make([]string, len(stores))
	for i, s := range stores {
		names[i] = s.URL
	}
	return names
}

// completeFolder gives the folders that typed is the beginning of, behind
// prefix, each with a slash at its end so that one can go on.
func (a *app) completeFolder(prefix, typed string) []string {
	parent, base := filepath.Split(typed)
	entries, err := os.ReadDir(a.env.Path(parent))
	if err != nil {
		return nil // nothing to offer; the command itself will say why
	}
	var found []string
	for _, e := range entries {
		name := e.Name()
		hidden := strings.HasPrefix(name, ".") && !strings.HasPrefix(base, ".")
		if e.IsDir() && strings.HasPrefix(name, base) && !hidden && ui.Text(name) == name {
			found = append(found, prefix+parent+name+"/")
		}
	}
	return found
}
