package cli

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn/internal/ui"
)

type versionOptions struct {
	ui *ui.UI
}

func newVersionCmd(a *app, run func(context.Context, *versionOptions) error) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "show which firn this is",
		Args:  takes(),
		RunE: a.runner(func(ctx context.Context, _ []string) error {
			return run(ctx, &versionOptions{ui: a.ui})
		}),
	}
}

// versionRecord is what version shows with --json.
type versionRecord struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source, as git names it
	Modified bool   `json:"modified"`           // the source differed from the revision
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func runVersion(_ context.Context, o *versionOptions) error {
	r := versionRecord{Version: buildVersion(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				r.Revision = s.Value
			case "vcs.modified":
				r.Modified = s.Value == "true"
			}
		}
	}
	o.ui.Record("version", r)
	o.ui.Print("firn " + r.Version)
	if r.Revision != "" {
		o.ui.Print("  source: " + r.Revision + map[bool]string{true: ", modified"}[r.Modified])
	}
	o.ui.Print(fmt.Sprintf("  built by %s for %s/%s", r.Go, r.OS, r.Arch))
	return nil
}

// buildVersion is the version of the module that the program was built from:
// "(devel)" where it wasn't built from a release.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
