package mtglacier

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
)

// printHelp shows all commands and options.
func printHelp(w io.Writer) {
	fmt.Fprint(w, "Usage: mtglacier COMMAND [VAULT-NAME] [OPTION]...\n\nCommands, with the options that they need, and [those that they take]:\n")
	for _, u := range usages() {
		words := []string{string(u.command)}
		if u.takesName() {
			words = append(words, "VAULT-NAME")
		}
		for _, name := range u.needs {
			words = append(words, "--"+name)
		}
		for _, name := range u.takes {
			words = append(words, "[--"+name+"]")
		}
		fmt.Fprintf(w, "  %s\n      %s\n", strings.Join(words, " "), u.about)
	}
	fmt.Fprintf(w, "\nAll commands need --%s, and take --%s.\n\nOptions:\n",
		strings.Join(commonNeeds(), " --"), strings.Join(commonTakes(), " --"))
	for _, d := range definitions() {
		initial := ""
		if d.initial != "" {
			initial = " [" + d.initial + "]"
		}
		fmt.Fprintf(w, "  --%-26s%s%s\n", d.name, d.about, initial)
	}
	fmt.Fprint(w, "\nMTGLACIER_FAKE_HOST names a host to ask in the place of Amazon's.\n\n")
}

// printVersion shows which mtglacier this is, and which firn.
func printVersion(w io.Writer) {
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	fmt.Fprintf(w, "mt-aws-glacier version: 1.120\nfirn version: %s\nGo version: %s\n\n", version, runtime.Version())
}
