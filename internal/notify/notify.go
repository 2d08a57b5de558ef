// Package notify is how runs and others tell each other what is going on. It calls
// the hooks that a user has named, which are commands that get a message as JSON on
// standard input, and addresses that it is posted to. And it hears from a vault, by
// a topic and a queue of messages, that a job is done.
package notify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
)

// The events that hooks are called for.
const (
	Before    = "before"     // before a tree
	After     = "after"      // after a tree
	OnSuccess = "on_success" // after a run: all is done
	OnPartial = "on_partial" // done in part, or something is pending
	OnFailure = "on_failure" // failed
	OnReady   = "on_ready"   // after a restore: all is there that can be had
)

// The statuses of a message.
const (
	Started = "started" // of Before
	Done    = "done"
	Partial = "partial" // some files failed
	NotYet  = "not_yet" // something is pending: run it again
	Failed  = "failed"
	// Interrupted is of After only: then no hook is called for the whole run.
	Interrupted = "interrupted"
)

// A Message is what a hook gets. Its fields are documented and kept.
type Message struct {
	V       int                         `json:"v"` // 1
	Event   string                      `json:"event"`
	Time    time.Time                   `json:"time"`
	Host    string                      `json:"host"`
	Profile string                      `json:"profile"`
	Store   string                      `json:"store"`
	Tree    string                      `json:"tree,omitempty"`    // of Before and After
	Restore int64                       `json:"restore,omitempty"` // of OnReady: its number
	What    string                      `json:"what,omitempty"`    // of OnReady: what it brought, for people
	Path    string                      `json:"path,omitempty"`    // the tree's directory; of OnReady where the files are
	PathB64 string                      `json:"path_b64,omitempty"`
	Status  string                      `json:"status"`
	Exit    int                         `json:"exit"` // the exit status that this alone would have
	Counts  map[firn.Action]CountFields `json:"counts,omitempty"`
	Error   string                      `json:"error,omitempty"` // text for people
}

// CountFields is a firn.Count with the names that it has in messages.
type CountFields struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Counts makes counts fit for a message.
func Counts(counts map[firn.Action]firn.Count) map[firn.Action]CountFields {
	out := map[firn.Action]CountFields{}
	for a, n := range counts {
		out[a] = CountFields(n)
	}
	return out
}

// A Caller calls hooks.
type Caller struct {
	// Dir is the folder that commands run in.
	Dir string
	// Timeout is how long a command may take.
	Timeout time.Duration
	// Clock is waited on between the tries of a message; nil is the machine's.
	Clock clock.Clock
	// Events gets what commands write, line by line.
	Events firn.Sink
	// Transport carries messages; nil is the network.
	Transport http.RoundTripper
}

// Call calls a hook, if there is one, and waits until it has ended. m's V, Time
// and PathB64 are filled in.
// Errors: Local, of a command; Network, of an address. They name neither the
// path of an address nor its query, which may be secret.
func (c *Caller) Call(ctx context.Context, h config.Hook, m Message) error {
	if h.IsZero() {
		return nil
	}
	m.V, m.Time = 1, c.clock().Now().UTC()
	if !utf8.ValidString(m.Path) {
		m.PathB64 = base64.StdEncoding.EncodeToString([]byte(m.Path))
	}
	body, err := json.Marshal(m)
	if err != nil {
		return &firn.Error{Op: "call hook", Subject: m.Event, Kind: firn.Other, Err: err}
	}
	body = append(body, '\n')
	kind := firn.Local
	if h.URL != "" {
		kind = firn.Network
		err = c.post(ctx, h.URL, body)
	} else {
		err = c.run(ctx, h, m.Event, body)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if errors.Is(err, context.Canceled) {
		kind = firn.Other // an interrupt, and no failure of the hook
	}
	return &firn.Error{Op: "call hook", Subject: m.Event, Kind: kind, Err: err}
}

func (c *Caller) clock() clock.Clock {
	if c.Clock == nil {
		return clock.System{}
	}
	return c.Clock
}

func (c *Caller) tell(text string) {
	if c.Events != nil {
		c.Events(firn.NoticeEvent{Text: text})
	}
}
