package notify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/notify"
	"github.com/firn-archive/firn/internal/queuetest"
)

// both are all that a vault can tell.
var both = []string{firn.ArchiveRetrieved, firn.InventoryRetrieved}

// run sets up what a machine needs, over what was recorded.
func (r *rig) run(s *notify.Setup) firn.Channel {
	r.Helper()
	ch, err := s.Run(r.Context(), r.recorded)
	r.check(err)
	if diff := cmp.Diff(r.recorded, ch); diff != "" {
		r.Errorf("recorded is something else: %s", diff)
	}
	return ch
}

// tells checks what the vault tells to whom.
func (r *rig) tells(want firn.Notifications) {
	r.Helper()
	got, err := r.vault.Notifications(r.Context())
	r.check(err)
	if diff := cmp.Diff(want, got); diff != "" {
		r.Errorf("the vault tells something else: %s", diff)
	}
}

// has checks how many topics, subscriptions and queues there are.
func (r *rig) has(topics, subscriptions, queues int) {
	r.Helper()
	if t, s, q := r.server.Topics(), r.server.Subscriptions(), r.server.Queues(); len(t) != topics || len(s) != subscriptions || len(q) != queues {
		r.Errorf("topics %q, subscriptions %+v, queues %q", t, s, q)
	}
}

// hears checks that what the vault's topic is told reaches a machine.
func (r *rig) hears(ch firn.Channel) {
	r.Helper()
	told, err := r.vault.Notifications(r.Context())
	r.check(err)
	if n := r.server.Publish(told.Topic, done(vaultARN, "1"), r.clock.Now().Add(10*time.Minute)); n == 0 {
		r.Fatal("nobody gets what the topic is told")
	}
	r.wakes(ch, 10*time.Minute)
}

// wakes checks when a message comes by a channel.
func (r *rig) wakes(ch firn.Channel, after time.Duration) {
	r.Helper()
	q, err := r.messenger.Queue(r.Context(), notify.QueueOptions{URL: ch.QueueURL, Name: ch.Queue, Vault: vaultARN, Own: true, Clock: r.clock})
	r.check(err)
	r.takes(q, after)
}

// well checks that a channel has no faults.
func (r *rig) well(s *notify.Setup, ch firn.Channel, faults ...string) {
	r.Helper()
	h, err := s.Look(r.Context(), ch)
	r.check(err)
	if diff := cmp.Diff(faults, h.Faults); diff != "" {
		r.Error(diff)
	}
}

func TestSetupAndRemove(t *testing.T) {
	r := newRig(t)
	s := r.setup(here)
	ch := r.run(s)
	r.has(1, 1, 1)
	if !strings.HasPrefix(ch.Queue, "firn-photos-") || !ch.QueueMade || !ch.TopicMade || ch.Subscription != r.server.Subscriptions()[0].ARN || ch.Topic != r.server.Topics()[0] {
		t.Errorf("%+v", ch)
	}
	if name := ch.Topic[strings.LastIndex(ch.Topic, ":")+1:]; !strings.HasPrefix(name, "firn-photos-") || name == ch.Queue {
		t.Errorf("the topic is %s, the queue %s", name, ch.Queue)
	}
	r.tells(firn.Notifications{Topic: ch.Topic, Events: both})
	for name, want := range map[string]string{"MessageRetentionPeriod": "86400", "VisibilityTimeout": "30"} {
		if got := r.server.Attribute(ch.Queue, name); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
	if p := r.server.Attribute(ch.Topic, "Policy"); !strings.Contains(p, `{"Service":"glacier.amazonaws.com"}`) || !strings.Contains(p, `"aws:SourceAccount":"123456789012"`) || !strings.Contains(p, `"AWS:SourceOwner":"123456789012"`) {
		t.Errorf("the topic's policy: %s", p)
	}
	if sub := r.server.Subscriptions()[0]; !sub.Raw {
		t.Errorf("%+v", sub)
	}
	r.hears(ch)
	r.well(s, ch)
	// Once more: it is as it was.
	if again := r.run(s); cmp.Diff(again, ch) != "" {
		t.Errorf("%+v, was %+v", again, ch)
	}
	r.has(1, 1, 1)
	r.hears(ch)
	r.check(s.Remove(t.Context(), ch))
	r.has(0, 0, 0)
	r.tells(firn.Notifications{})
	r.check(s.Remove(t.Context(), ch)) // all is gone already
	if !slices.Contains(r.steps, "the queue "+ch.Queue+" is deleted") {
		t.Errorf("%q", r.steps)
	}
}

// TestQueueAfterDeletion: the name of a queue is free a minute after.
func TestQueueAfterDeletion(t *testing.T) {
	r := newRig(t)
	s := r.setup(here)
	r.check(s.Remove(t.Context(), r.run(s)))
	r.recorded = firn.Channel{}
	before := r.clock.Now()
	r.hears(r.run(s))
	if took := r.clock.Now().Sub(before); took < time.Minute {
		t.Errorf("it took %v", took)
	}
	if !slices.ContainsFunc(r.steps, func(s string) bool { return strings.HasSuffix(s, "waiting") }) {
		t.Errorf("%q", r.steps)
	}
}

// TestTwoMachines: they share the topic, which stays until the last one leaves.
func TestTwoMachines(t *testing.T) {
	r := newRig(t)
	a := r.run(r.setup(here))
	r.recorded = firn.Channel{}
	b := r.run(r.setup(elsewhere))
	r.has(1, 2, 2)
	r.hears(a)
	r.wakes(b, 0)
	r.check(r.setup(here).Remove(t.Context(), a))
	r.has(1, 1, 1)
	r.tells(firn.Notifications{Topic: b.Topic, Events: both})
	r.hears(b)
	r.server.AddSubscription(queuetest.Subscription{Topic: b.Topic, Protocol: "email", Endpoint: "me@example.org"})
	r.check(r.setup(elsewhere).Remove(t.Context(), b))
	r.has(1, 1, 0) // somebody reads it as mail
	r.tells(firn.Notifications{Topic: b.Topic, Events: both})
}

// TestTopicOfSomebodyElse: it stays, and the queue is subscribed to it.
func TestTopicOfSomebodyElse(t *testing.T) {
	r := newRig(t)
	theirs := firn.Notifications{Topic: r.server.AddTopic("theirs"), Events: []string{firn.ArchiveRetrieved}}
	for range 3 { // their subscriptions fill pages
		r.server.AddSubscription(queuetest.Subscription{Topic: theirs.Topic, Protocol: "email", Endpoint: "they@example.org", Pending: true})
	}
	r.check(r.vault.SetNotifications(t.Context(), theirs))
	s := r.setup(here)
	ch := r.run(s)
	r.tells(theirs)
	r.has(1, 4, 1)
	if ch.TopicMade || ch.Topic != theirs.Topic {
		t.Errorf("%+v", ch)
	}
	if p := r.server.Attribute(ch.Topic, "Policy"); p != "" {
		t.Errorf("their topic has got a policy: %s", p)
	}
	r.hears(ch)
	r.well(s, ch, "the vault does not tell InventoryRetrievalCompleted")
	if !slices.ContainsFunc(r.steps, func(s string) bool { return strings.Contains(s, "not told of inventories") }) {
		t.Errorf("%q", r.steps)
	}
	r.check(s.Remove(t.Context(), ch))
	r.has(1, 3, 0)
	r.tells(theirs)
}

// TestReplace: firn's topic takes the place of theirs, until it is removed.
func TestReplace(t *testing.T) {
	r := newRig(t)
	theirs := firn.Notifications{Topic: r.server.AddTopic("theirs"), Events: []string{firn.InventoryRetrieved}}
	r.check(r.vault.SetNotifications(t.Context(), theirs))
	s := r.setup(here)
	r.run(s) // subscribed to theirs first
	s.Replace = true
	ch := r.run(s)
	r.has(2, 1, 1)
	r.tells(firn.Notifications{Topic: ch.Topic, Events: both})
	r.hears(ch)
	s.Replace = false
	if again := r.run(s); cmp.Diff(again, ch) != "" || again.Replaced.Topic != theirs.Topic {
		t.Errorf("%+v, was %+v", again, ch)
	}
	r.check(s.Remove(t.Context(), ch))
	r.has(1, 0, 0)
	r.tells(theirs)
}

// TestTopicThatChanges: somebody sets another topic while firn has one of its own.
func TestTopicThatChanges(t *testing.T) {
	r := newRig(t)
	s := r.setup(here)
	ch := r.run(s)
	theirs := firn.Notifications{Topic: r.server.AddTopic("theirs"), Events: both}
	r.check(r.vault.SetNotifications(t.Context(), theirs))
	r.well(s, ch, "the vault tells another topic: "+theirs.Topic)
	ch = r.run(s)
	r.has(1, 1, 1)
	r.tells(theirs)
	r.hears(ch)
	r.well(s, ch)
	r.check(r.vault.RemoveNotifications(t.Context()))
	r.well(s, ch, "the vault tells nobody")
	ch = r.run(s)
	r.has(2, 1, 1)
	r.hears(ch)
	r.check(s.Remove(t.Context(), ch))
	r.has(1, 0, 0)
}

// TestLook finds what is missing, and Run mends it.
func TestLook(t *testing.T) {
	r := newRig(t)
	s := r.setup(here)
	ch := r.run(s)
	r.server.Send(ch.Queue, "x", time.Time{})
	if h, err := s.Look(t.Context(), ch); err != nil || h.Messages != 1 {
		t.Errorf("%+v, %v", h, err)
	}
	r.server.Drop(ch.Queue)
	r.well(s, ch, "the queue "+ch.Queue+" is not there")
	r.server.Drop(ch.Topic)
	r.check(r.vault.RemoveNotifications(t.Context()))
	r.well(s, ch, "the queue "+ch.Queue+" is not there", "the vault tells nobody")
	ch = r.run(s)
	r.well(s, ch)
	r.hears(ch)
}

// TestSetupIsCutOff: whatever request is the last that works, the next run goes
// on, or leaves nothing behind.
func TestSetupIsCutOff(t *testing.T) {
	for _, action := range []string{"CreateTopic", "SetTopicAttributes", "CreateQueue", "GetQueueAttributes", "SetQueueAttributes", "Subscribe"} {
		for name, next := range map[string]func(*rig, *notify.Setup){
			"and gone on with": func(r *rig, s *notify.Setup) {
				ch := r.run(s)
				r.has(1, 1, 1)
				r.hears(ch)
			},
			"and removed": func(r *rig, s *notify.Setup) {
				r.check(s.Remove(r.Context(), r.recorded))
				r.has(0, 0, 0)
				r.tells(firn.Notifications{})
			},
		} {
			t.Run(action+" "+name, func(t *testing.T) {
				r := newRig(t)
				s := r.setup(here)
				r.server.Fail(action, queuetest.Fault{Status: 403, Code: "AccessDenied"})
				if _, err := s.Run(t.Context(), firn.Channel{}); firn.KindOf(err) != firn.Denied || !strings.Contains(err.Error(), "docs/waiting.md") {
					t.Fatalf("%v", err)
				}
				next(r, s)
			})
		}
	}
}

// TestRemoveIsCutOff: it can be called again.
func TestRemoveIsCutOff(t *testing.T) {
	for _, action := range []string{"ListSubscriptionsByTopic", "Unsubscribe", "DeleteTopic", "DeleteQueue"} {
		t.Run(action, func(t *testing.T) {
			r := newRig(t)
			s := r.setup(here)
			ch := r.run(s)
			r.server.Fail(action, queuetest.Fault{Status: 503, Code: "ServiceUnavailable"})
			if err := s.Remove(t.Context(), ch); firn.KindOf(err) != firn.Unavailable {
				t.Fatalf("%v", err)
			}
			r.check(s.Remove(t.Context(), ch))
			r.has(0, 0, 0)
			r.tells(firn.Notifications{})
		})
	}
}

// TestPolicyThatIsRefused: the one that every topic has does as well.
func TestPolicyThatIsRefused(t *testing.T) {
	r := newRig(t)
	r.server.Fail("SetTopicAttributes", queuetest.Fault{Status: 400, Code: "InvalidParameter"})
	r.hears(r.run(r.setup(here)))
}

// TestVaultThatIsGone takes along nothing that can't be removed.
func TestVaultThatIsGone(t *testing.T) {
	r := newRig(t)
	s := r.setup(here)
	ch := r.run(s)
	r.check(r.vault.Delete(t.Context()))
	r.check(s.Remove(t.Context(), ch))
	r.has(0, 0, 0)
}

// TestGivenQueue: firn makes nothing, and removes nothing.
func TestGivenQueue(t *testing.T) {
	r := newRig(t)
	address := r.server.AddQueue("jobs")
	for _, name := range []string{"jobs", address} {
		ch, err := r.messenger.Given(t.Context(), name)
		if err != nil || cmp.Diff(ch, firn.Channel{Queue: "jobs", QueueURL: address}) != "" {
			t.Errorf("%s: %+v, %v", name, ch, err)
		}
	}
	for name, kind := range map[string]firn.Kind{
		"": firn.Usage, "a queue": firn.Usage, "https://sqs/1/": firn.Usage, "none": firn.NotFound, r.server.URL + "/1/none": firn.NotFound,
	} {
		if _, err := r.messenger.Given(t.Context(), name); firn.KindOf(err) != kind {
			t.Errorf("%q: %v", name, err)
		}
	}
	s := r.setup(here)
	ch := firn.Channel{Queue: "jobs", QueueURL: address}
	r.well(s, ch, "the vault tells nobody")
	if _, err := s.Run(t.Context(), ch); firn.KindOf(err) != firn.Conflict {
		t.Errorf("%v", err)
	}
	r.check(s.Remove(t.Context(), ch))
	r.has(0, 0, 1)
}
