package firn

import (
	"context"
	"slices"
)

// A Notifier is a store that can tell a topic of Amazon's SNS what it has done.
// The decorators of stores are Notifiers, whatever is below them: where that is
// none, each call gives Invalid.
type Notifier interface {
	// Notifications says what the store tells, and to whom; zero: nothing.
	Notifications(ctx context.Context) (Notifications, error)
	// SetNotifications sets that anew. Errors: Invalid (no topic, an unknown event).
	SetNotifications(ctx context.Context, n Notifications) error
	// RemoveNotifications lets the store tell nothing any more. That it told
	// nothing is no error.
	RemoveNotifications(ctx context.Context) error
}

// What a store can tell. Source: Amazon Glacier API reference, "Set Vault
// Notification Configuration".
const (
	ArchiveRetrieved   = "ArchiveRetrievalCompleted"   // or failed
	InventoryRetrieved = "InventoryRetrievalCompleted" // or failed
)

// Notifications are what a store tells to a topic.
type Notifications struct {
	Topic  string   // its ARN; empty: nothing is told
	Events []string // in no order
}

// Tells reports whether an event is among them.
func (n Notifications) Tells(event string) bool {
	return n.Topic != "" && slices.Contains(n.Events, event)
}

// A Channel is the way by which what a store tells comes to this machine: a queue
// of Amazon's SQS that is subscribed to the topic.
type Channel struct {
	Queue        string // its name
	QueueURL     string // empty: not known yet
	Topic        string // its ARN; empty: not known yet, or not ours to know
	Subscription string // its ARN; empty: likewise
	// QueueMade and TopicMade: firn makes them, so that firn may delete them. They
	// are true from before the first request on.
	QueueMade, TopicMade bool
	// Replaced is what the store told to another topic before.
	Replaced Notifications
}
