package cli

import (
	"context"
	"sync"

	"github.com/firn-archive/firn/internal/config"
)

// A reload reads the configuration again when it is asked to, and lets the sync
// that runs follow the limit in it. All else holds from the next run on.
type reload struct {
	app  *app
	stop func()

	mu      sync.Mutex
	profile string // that is synced; empty for none
	fixed   bool   // the command line gave a limit, which stays
	rate    *config.Rate
}

// startReload begins to listen. Stop it.
func (a *app) startReload(ctx context.Context) *reload {
	r := &reload{app: a}
	if a.env.Hangups == nil {
		r.stop = func() {}
		return r
	}
	asked, quit := a.env.Hangups()
	ctx, cancel := context.WithCancel(ctx)
	var listening sync.WaitGroup
	listening.Go(func() {
		for {
			select {
			case <-asked:
				r.read()
			case <-ctx.Done():
				return
			}
		}
	})
	r.stop = func() {
		cancel()
		listening.Wait()
		quit()
	}
	return r
}

// follow lets the rate of uploads be what a profile says, until the function it
// gives is called; fixed means that the command line says what it is.
func (r *reload) follow(profile string, fixed bool, rate *config.Rate) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.profile, r.fixed, r.rate = profile, fixed, rate
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.profile = ""
	}
}

// read reads the configuration, and says what comes of it. One with anything
// wrong changes nothing.
func (r *reload) read() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.profile == "" {
		return
	}
	limit, err := r.limit()
	if err != nil {
		r.app.ui.Warn("the configuration was read again, and can't be used, so all stays as it was: " + err.Error())
		return
	}
	const again = "the configuration was read again: "
	switch {
	case r.fixed:
		r.app.ui.Notice(again + "--limit-upload was given, and stays as it is")
		return
	case limit.String() == r.rate.Get().String():
		r.app.ui.Notice(again + "the limit of uploads is the same")
	case limit.String() == "":
		r.app.ui.Notice(again + "uploads have no limit from now on")
	default:
		r.app.ui.Notice(again + "the limit of uploads is " + limit.String() + " from now on")
	}
	r.rate.Set(limit)
}

// limit reads the limit that the profile has now.
func (r *reload) limit() (limit config.Timetable, err error) {
	file, err := r.app.profiles()
	if err != nil {
		return limit, err
	}
	p, err := file.Profile(r.profile)
	if err != nil {
		return limit, err
	}
	if err := r.app.checkProfile(file, p); err != nil {
		return limit, err
	}
	for _, o := range p.Options {
		if o.Flag() == "limit-upload" {
			return config.ParseTimetable(o.Values[0])
		}
	}
	return limit, nil
}
