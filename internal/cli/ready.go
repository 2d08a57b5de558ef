package cli

import (
	"context"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/notify"
)

// A broughtBack is what a restore has come to, for the hook on_ready.
type broughtBack struct {
	Restore int64  // its number; 0 where it has none
	What    string // for people, such as "photos/2019 and 2 more paths"
	To      string // the folder, absolute
	Counts  map[firn.Action]firn.Count
}

// ready calls the hook on_ready of the profile that the store was named by, if
// there is one, when a restore is over: all is there, or as much of it as can be
// had. err is what the command ends with. While something is pending, and after a
// failure or an interrupt, it calls nothing; nor where p is nil. A hook that fails
// is a warning: the files are there.
func (a *app) ready(ctx context.Context, p *config.Profile, b broughtBack, err error) {
	status := StatusOf(ctx, err)
	if p == nil || status != Done && status != Partial || isPending(ctx, err) {
		return
	}
	path, pathErr := a.configPath()
	if pathErr != nil {
		a.ui.Warn(p.Name + ": " + pathErr.Error())
		return
	}
	m := a.newMessage(notify.OnReady, p)
	m.Restore, m.What, m.Path, m.Counts = b.Restore, b.What, b.To, notify.Counts(b.Counts)
	tellOutcome(&m, status, err)
	if err := a.callHook(ctx, path, p, p.Hooks.OnReady, m); err != nil {
		a.ui.Warn(p.Name + ": " + err.Error())
	}
}
