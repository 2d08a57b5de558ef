package ui

import (
	"strings"
	"testing"

	"github.com/firn-archive/firn"
)

// TestDetails: a notice of a detail is for those who asked for details, in whatever
// form they read it.
func TestDetails(t *testing.T) {
	for name, change := range map[string]func(*Options){"text": func(*Options) {}, "JSON": asJSON} {
		for _, wanted := range []bool{false, true} {
			var log strings.Builder
			r := record(change, func(o *Options) { o.Verbose, o.Log = wanted, &log })
			r.Sink()(firn.NoticeEvent{Text: "a detail", Detail: true})
			r.Sink()(firn.NoticeEvent{Text: "the news"})
			for where, text := range map[string]string{name: r.out.String() + r.err.String(), "log": log.String()} {
				if strings.Contains(text, "a detail") != wanted || !strings.Contains(text, "the news") {
					t.Errorf("%s, details wanted: %t\n%s", where, wanted, text)
				}
			}
		}
	}
}
