package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// helpWidth is how wide descriptions are at most: terminals of 80 columns are
// still common, and a manual page has margins of its own.
const helpWidth = 80

// newHelpCmd gives "firn help COMMAND". Unlike cobra's own it fails where there
// is no such command.
func newHelpCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND...]",
		Short: "show the help of a command",
		Args:  takes("[COMMAND...]"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if of, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, c := range of.Commands() {
					if c.IsAvailableCommand() {
						names = append(names, c.Name())
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return &usageError{cmd, fmt.Errorf("there is no command %q", strings.Join(args, " "))}
			}
			return of.Help()
		},
	}
}

// The groups that the help shows commands in.
const (
	forFiles  = "files"
	forStores = "stores"
	forOlder  = "older"
)

// addGroup adds commands to root under a heading.
func addGroup(root *cobra.Command, id, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title + ":"})
	for _, c := range commands {
		c.GroupID = id
		root.AddCommand(c)
	}
}

// finishHelp gives the help of cmd, and of all commands below it, its last
// touches.
func finishHelp(cmd *cobra.Command) {
	cmd.Long = fill(cmd.Long, helpWidth)
	for _, c := range cmd.Commands() {
		finishHelp(c)
	}
}

// fill breaks the lines of paragraphs at the width. Lines that begin with a
// space stay as they are.
func fill(text string, width int) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if !strings.HasPrefix(p, " ") && !strings.Contains(p, "\n ") {
			paragraphs[i] = fillOne(strings.Fields(p), width)
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

func fillOne(words []string, width int) string {
	var b strings.Builder
	column := 0
	for _, word := range words {
		switch {
		case column > 0 && column+1+len(word) > width:
			b.WriteByte('\n')
			column = 0
		case column > 0:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
