package notify_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/notify"
	"github.com/firn-archive/firn/internal/queuetest"
	"github.com/firn-archive/firn/internal/retrieval"
)

var _ retrieval.Waker = (*notify.Queue)(nil)

// queue gives what waits in the queue "jobs" for the vault.
func (r *rig) queue(change func(*notify.QueueOptions)) *notify.Queue {
	r.Helper()
	o := notify.QueueOptions{URL: r.server.AddQueue("jobs"), Name: "jobs", Vault: vaultARN, Own: true, Clock: r.clock}
	if change != nil {
		change(&o)
	}
	q, err := r.messenger.Queue(r.Context(), o)
	r.check(err)
	return q
}

// wait waits until an hour from now, and gives how long that took.
func (r *rig) wait(q *notify.Queue) (time.Duration, error) {
	start := r.clock.Now()
	err := q.Wait(r.Context(), start.Add(time.Hour))
	return r.clock.Now().Sub(start), err
}

// takes checks how long a wait takes, but for the moment in which the rest of the
// messages is read.
func (r *rig) takes(q *notify.Queue, want time.Duration) {
	r.Helper()
	took, err := r.wait(q)
	if err != nil || took < want || took > want+2*time.Second {
		r.Errorf("it took %v, %v; want %v", took, err, want)
	}
}

func TestWaitEndsWithAMessage(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		took time.Duration
		left int // messages
	}{
		"raw":            {done(vaultARN, "1"), 25 * time.Minute, 0},
		"in an envelope": {queuetest.Envelope("topic", done(vaultARN, "1")), 25 * time.Minute, 0},
		"a failure":      {strings.ReplaceAll(done(vaultARN, "1"), "Succeeded", "Failed"), 25 * time.Minute, 0},
		"under way":      {`{"Completed":false,"JobId":"1","VaultARN":"` + vaultARN + `"}`, time.Hour, 0},
		"another vault":  {done(vaultARN+"2", "1"), time.Hour, 0},
		"garbage":        {"garbage", time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			q := r.queue(nil)
			r.server.Send("jobs", c.body, r.clock.Now().Add(25*time.Minute))
			r.takes(q, c.took)
			if left := r.server.Messages("jobs"); len(left) != c.left {
				t.Errorf("left: %q", left)
			}
			r.takes(q, time.Hour)
		})
	}
}

// TestWaitIsLong: an hour without messages is 180 requests and no more, and with a
// server that doesn't know long polls as well.
func TestWaitIsLong(t *testing.T) {
	r := newRig(t)
	q := r.queue(nil)
	r.takes(q, time.Hour)
	if n := r.server.Calls("ReceiveMessage"); n != 180 {
		t.Errorf("%d requests", n)
	}
}

// TestSharedQueue: of a queue that isn't firn's only what is about the vault is
// taken; what stays doesn't keep the wait busy, though it comes again and again.
func TestSharedQueue(t *testing.T) {
	r := newRig(t)
	q := r.queue(func(o *notify.QueueOptions) { o.Own = false })
	others := []string{done(vaultARN+"2", "1"), "garbage", `{"Type":"SubscriptionConfirmation"}`}
	for _, body := range others {
		r.server.Send("jobs", body, time.Time{})
	}
	r.server.Send("jobs", done(vaultARN, "2"), r.clock.Now().Add(30*time.Minute))
	r.takes(q, 30*time.Minute)
	if left := r.server.Messages("jobs"); !slices.Equal(left, others) {
		t.Errorf("left: %q", left)
	}
	if n := r.server.Calls("ReceiveMessage"); n > 250 {
		t.Errorf("%d requests in half an hour", n)
	}
}

// TestManyMessages: a restore of many jobs wakes whoever waits once, not for each.
func TestManyMessages(t *testing.T) {
	r := newRig(t)
	q := r.queue(nil)
	for i := range 95 {
		r.server.Send("jobs", done(vaultARN, fmt.Sprint(i)), r.clock.Now().Add(10*time.Minute))
	}
	r.takes(q, 10*time.Minute)
	if left := r.server.Messages("jobs"); len(left) > 0 {
		t.Errorf("%d are left", len(left))
	}
	r.takes(q, time.Hour)
}

// TestTwoWait: a message reaches one of two processes, and wakes both.
func TestTwoWait(t *testing.T) {
	r := newRig(t)
	heard := int64(7)
	count := func(o *notify.QueueOptions) {
		o.Heard = func(context.Context) (int64, error) { return heard, nil }
		o.Hear = func(context.Context) (int64, error) { heard++; return heard, nil }
	}
	a, b := r.queue(count), r.queue(count)
	r.server.Send("jobs", done(vaultARN, "1"), r.clock.Now().Add(10*time.Minute))
	r.takes(a, 10*time.Minute)
	r.takes(b, 0)
	r.takes(a, time.Hour)
	r.takes(b, time.Hour)
}

// TestUnreadableMessage is told to those who want each detail.
func TestUnreadableMessage(t *testing.T) {
	r := newRig(t)
	var said []firn.NoticeEvent
	q := r.queue(func(o *notify.QueueOptions) {
		o.Events = func(e firn.Event) { said = append(said, e.(firn.NoticeEvent)) }
	})
	r.server.Send("jobs", "\x1b[31m", time.Time{})
	r.server.Send("jobs", done(vaultARN+"2", "1"), time.Time{})
	r.takes(q, time.Hour)
	if len(said) != 1 || !said[0].Detail || said[0].Warn || !strings.Contains(said[0].Text, "a message in jobs can't be read") {
		t.Errorf("%+v", said)
	}
}

// TestQueueThatFails: what passes is waited out, what doesn't is an error at once,
// and what lasts is one after a quarter of an hour.
func TestQueueThatFails(t *testing.T) {
	many := func(f queuetest.Fault) []queuetest.Fault { return slices.Repeat([]queuetest.Fault{f}, 1000) }
	for name, c := range map[string]struct {
		action string
		faults []queuetest.Fault
		kind   firn.Kind
		took   time.Duration // of what is an error
	}{
		"a moment":       {"ReceiveMessage", []queuetest.Fault{{Status: 503, Code: "ServiceUnavailable"}, {}, {Status: 400, Code: "RequestThrottled"}}, 0, 0},
		"denied":         {"ReceiveMessage", many(queuetest.Fault{Status: 403, Code: "AccessDenied"}), firn.Denied, 0},
		"not to delete":  {"DeleteMessageBatch", many(queuetest.Fault{Status: 403, Code: "AccessDenied"}), firn.Denied, 10 * time.Minute},
		"an hour":        {"ReceiveMessage", many(queuetest.Fault{Status: 503, Code: "ServiceUnavailable"}), firn.Unavailable, 15 * time.Minute},
		"no network":     {"ReceiveMessage", many(queuetest.Fault{}), firn.Network, 15 * time.Minute},
		"what is that":   {"ReceiveMessage", many(queuetest.Fault{Status: 400, Code: "NeverHeardOf"}), firn.Invalid, 0},
		"a late failure": {"DeleteMessageBatch", []queuetest.Fault{{Status: 500, Code: "InternalError"}}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			q := r.queue(nil)
			r.server.Fail(c.action, c.faults...)
			r.server.Send("jobs", done(vaultARN, "1"), r.clock.Now().Add(10*time.Minute))
			took, err := r.wait(q)
			if c.kind == 0 {
				if err != nil || took < 10*time.Minute || took > 11*time.Minute {
					t.Errorf("it took %v, %v", took, err)
				}
				return
			}
			if firn.KindOf(err) != c.kind || took < c.took || took > c.took+6*time.Minute {
				t.Errorf("after %v: %v: %v", took, firn.KindOf(err), err)
			}
			r.server.Mend()
			r.clock.Advance(time.Minute) // what was received is hidden for a while
			r.takes(q, max(0, 10*time.Minute-took-time.Minute))
		})
	}
}

func TestQueueThatIsGone(t *testing.T) {
	r := newRig(t)
	q := r.queue(nil)
	r.server.Drop("jobs")
	took, err := r.wait(q)
	if firn.KindOf(err) != firn.NotFound || took > time.Second || !strings.Contains(err.Error(), "receive messages from jobs: The specified queue does not exist. (AWS.SimpleQueueService.NonExistentQueue); it is made with firn queue setup") {
		t.Errorf("after %v: %v", took, err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	r := newRig(t)
	q := r.queue(nil)
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(t.Context())
	q.Wait(ctx, r.clock.Now()) // over already
	cancel(because)
	if err := q.Wait(ctx, r.clock.Now().Add(time.Hour)); !errors.Is(err, because) {
		t.Errorf("%v", err)
	}
	if n := r.server.Calls("ReceiveMessage"); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestWaitIsCutOff: the end of the context ends a request that waits.
func TestWaitIsCutOff(t *testing.T) {
	r := newRig(t)
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(t.Context())
	q := r.queue(func(o *notify.QueueOptions) {
		o.Heard = func(context.Context) (int64, error) {
			if r.server.Calls("ReceiveMessage") == 3 {
				cancel(because)
			}
			return 0, nil
		}
		o.Hear = o.Heard
	})
	if err := q.Wait(ctx, r.clock.Now().Add(time.Hour)); !errors.Is(err, because) {
		t.Errorf("%v", err)
	}
}

// TestCredentials: what is missing is said, and what to do.
func TestCredentials(t *testing.T) {
	r := newRig(t)
	q := r.queue(nil)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	m, err := notify.OpenMessenger(t.Context(), notify.MessengerConfig{Region: queuetest.Region})
	r.check(err)
	wrong, err := m.Queue(t.Context(), notify.QueueOptions{URL: r.server.URL + "/1/jobs", Name: "jobs", Vault: vaultARN, Clock: r.clock})
	r.check(err)
	if _, err := r.wait(wrong); firn.KindOf(err) != firn.Denied || !strings.Contains(err.Error(), "docs/waiting.md") {
		t.Errorf("a wrong key: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	m, err = notify.OpenMessenger(t.Context(), notify.MessengerConfig{Region: queuetest.Region})
	r.check(err)
	none, err := m.Queue(t.Context(), notify.QueueOptions{URL: r.server.URL + "/1/jobs", Name: "jobs", Vault: vaultARN, Clock: r.clock})
	r.check(err)
	if _, err := r.wait(none); firn.KindOf(err) != firn.Denied || !strings.Contains(err.Error(), "no credentials") {
		t.Errorf("no key: %v", err)
	}
	r.takes(q, time.Hour)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, err := notify.OpenMessenger(t.Context(), notify.MessengerConfig{}); firn.KindOf(err) != firn.Usage {
		t.Errorf("no region: %v", err)
	}
}

// TestAskerIsWoken: what asks a store for its jobs hears by the queue, and goes by
// the clock where that is gone, which it says once.
func TestAskerIsWoken(t *testing.T) {
	r := newRig(t)
	var said []string
	a := retrieval.New(retrieval.Options{Store: r.vault, Clock: r.clock, Waker: r.queue(nil), Events: func(e firn.Event) {
		if n, ok := e.(firn.NoticeEvent); ok {
			said = append(said, n.Text)
		}
	}})
	sleeps := func(ready, want time.Duration) {
		t.Helper()
		start := r.clock.Now()
		r.check(a.Sleep(t.Context(), "an archive", start.Add(ready)))
		if took := r.clock.Now().Sub(start); took < want || took > want+2*time.Second {
			t.Errorf("it slept %v, want %v", took, want)
		}
	}
	r.server.Send("jobs", done(vaultARN, "1"), r.clock.Now().Add(2*time.Hour))
	sleeps(5*time.Hour, 2*time.Hour)
	sleeps(5*time.Hour, 5*time.Hour)
	sleeps(0, time.Hour)
	r.server.Drop("jobs")
	sleeps(5*time.Hour, 5*time.Hour)
	sleeps(0, 15*time.Minute)
	if len(said) != 1 || !strings.Contains(said[0], "can't be heard") || !strings.Contains(said[0], "firn queue setup") {
		t.Errorf("%q", said)
	}
}
