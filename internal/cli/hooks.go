package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/notify"
	"github.com/firn-archive/firn/internal/ui"
)

// before calls the hook before a tree. Where it fails, the tree is not synced: a
// dump that was not made, a disk that was not mounted.
func (r *profileRun) before(ctx context.Context, t config.Tree) error {
	m := r.message(notify.Before, t)
	m.Status = notify.Started
	err := r.call(ctx, r.profile.HooksOf(t).Before, m)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return &firn.Error{Op: "sync", Subject: profileTreeName(t), Kind: firn.Local, Err: err}
}

// after calls the hook after a tree whose other hook went well, also after an
// interrupt: it may be what sets free again what the first one held.
func (r *profileRun) after(ctx context.Context, t config.Tree, err error) {
	m := r.message(notify.After, t)
	tellOutcome(&m, StatusOf(ctx, err), err)
	m.Counts = notify.Counts(r.tree)
	if err := r.call(context.WithoutCancel(ctx), r.profile.HooksOf(t).After, m); err != nil {
		r.app.ui.Warn(profileTreeName(t) + ": " + err.Error())
	}
}

// ended calls the hook for how the whole run went.
func (r *profileRun) ended(ctx context.Context, err error) {
	m := r.message("", config.Tree{})
	tellOutcome(&m, StatusOf(ctx, err), err)
	m.Counts = notify.Counts(r.counts)
	hook := r.profile.Hooks.OnFailure
	m.Event = notify.OnFailure
	switch m.Status {
	case notify.Done:
		hook, m.Event = r.profile.Hooks.OnSuccess, notify.OnSuccess
	case notify.Partial, notify.NotYet:
		hook, m.Event = r.profile.Hooks.OnPartial, notify.OnPartial
	}
	if err := r.call(ctx, hook, m); err != nil {
		r.app.ui.Warn(r.profile.Name + ": " + err.Error())
	}
}

// call calls a hook, unless nothing is to be done.
func (r *profileRun) call(ctx context.Context, h config.Hook, m notify.Message) error {
	if r.DryRun {
		return nil
	}
	return r.app.callHook(ctx, r.file.Path, r.profile, h, m)
}

// callHook calls a hook of a profile, whose file lies at path.
func (a *app) callHook(ctx context.Context, path string, p *config.Profile, h config.Hook, m notify.Message) error {
	c := notify.Caller{Dir: filepath.Dir(path), Timeout: p.Hooks.Timeout, Clock: a.env.Clock, Events: a.ui.Sink()}
	return c.Call(ctx, h, m)
}

func (r *profileRun) message(event string, t config.Tree) notify.Message {
	m := r.app.newMessage(event, r.profile)
	m.Path = t.Path
	if t.Path != "" {
		m.Tree = profileTreeName(t)
	}
	return m
}

// newMessage begins a message about a profile.
func (a *app) newMessage(event string, p *config.Profile) notify.Message {
	host, _ := a.hostname() // without one the command itself fails
	return notify.Message{Event: event, Host: host, Profile: p.Name, Store: p.Store}
}

// tellOutcome puts an exit status into words.
func tellOutcome(m *notify.Message, status Status, err error) {
	m.Exit, m.Error = int(status), spoken(err)
	switch status {
	case Done:
		m.Status = notify.Done
	case Partial:
		m.Status = notify.Partial
	case NotYet:
		m.Status = notify.NotYet
	case Interrupted:
		m.Status, m.Error = notify.Interrupted, "interrupted"
	default:
		m.Status = notify.Failed
	}
}

// spoken gives the text of an error, without those that only stand for a status.
func spoken(err error) string {
	if err == nil || silent(err) {
		return ""
	}
	var texts []string
	for _, e := range ui.Joined(err) {
		if text := spoken(e); text != "" {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return err.Error()
	}
	return strings.Join(texts, "; ")
}
