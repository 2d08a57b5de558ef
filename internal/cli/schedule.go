package cli

import "github.com/firn-archive/firn/internal/config"

// A rateLimit is a rate in bytes a second, or a timetable of rates. It is a
// pflag.Value.
type rateLimit struct{ config.Timetable }

// Set reads a rate or a timetable.
func (l *rateLimit) Set(s string) error {
	t, err := config.ParseTimetable(s)
	if err != nil {
		return err
	}
	l.Timetable = t
	return nil
}

// String is empty for no limit, so that help shows no default.
func (l *rateLimit) String() string { return l.Timetable.String() }

// Type names the value in help.
func (l *rateLimit) Type() string { return "rate" }

// live gives the limit as what a store follows, and which can be set anew.
func (l *rateLimit) live() *config.Rate {
	r := new(config.Rate)
	r.Set(l.Timetable)
	return r
}
