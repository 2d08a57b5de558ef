package notify

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/firn-archive/firn"
)

// Health is how a channel is doing.
type Health struct {
	Messages int64    // in the queue, about
	Faults   []string // what keeps messages from coming, each in a sentence
}

// Look finds out whether messages can come from the vault to the queue.
func (s *Setup) Look(ctx context.Context, ch firn.Channel) (h Health, err error) {
	if h.Messages, err = s.Messenger.count(ctx, ch); firn.KindOf(err) == firn.NotFound {
		h.Faults = append(h.Faults, fmt.Sprintf("the queue %s is not there", ch.Queue))
	} else if err != nil {
		return h, err
	}
	if ch.Subscription != "" {
		fault, err := s.subscriptionFault(ctx, ch.Subscription)
		if err != nil {
			return h, err
		}
		h.add(fault)
	} else if ch.QueueMade {
		h.Faults = append(h.Faults, "the queue is not subscribed to a topic")
	}
	now, err := s.Vault.Notifications(ctx)
	if err != nil {
		return h, err
	}
	switch {
	case now.Topic == "":
		h.Faults = append(h.Faults, "the vault tells nobody")
	case ch.Topic != "" && now.Topic != ch.Topic:
		h.Faults = append(h.Faults, "the vault tells another topic: "+now.Topic)
	}
	for _, event := range []string{firn.ArchiveRetrieved, firn.InventoryRetrieved} {
		if now.Topic != "" && !now.Tells(event) {
			h.Faults = append(h.Faults, "the vault does not tell "+event)
		}
	}
	return h, nil
}

func (h *Health) add(fault string) {
	if fault != "" {
		h.Faults = append(h.Faults, fault)
	}
}

// subscriptionFault says what is wrong with a subscription; empty: nothing.
func (s *Setup) subscriptionFault(ctx context.Context, arn string) (string, error) {
	out, err := s.Messenger.topics.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	switch err := fail(ctx, "look at subscription", arn, err); {
	case firn.KindOf(err) == firn.NotFound:
		return "the subscription of the queue is gone", nil
	case err != nil:
		return "", err
	case out.Attributes["PendingConfirmation"] == "true":
		return "the subscription of the queue is not confirmed", nil
	}
	return "", nil
}

// Given finds a queue that somebody else has made, by its name or URL, and gives
// the channel that it is.
func (m *Messenger) Given(ctx context.Context, queue string) (firn.Channel, error) {
	ch := firn.Channel{Queue: queue}
	if strings.Contains(queue, "/") {
		ch.Queue, ch.QueueURL = queue[strings.LastIndex(queue, "/")+1:], queue
	}
	if unnamable.MatchString(strings.TrimSuffix(ch.Queue, ".fifo")) || ch.Queue == "" {
		return ch, &firn.Error{Op: "find queue", Subject: queue, Kind: firn.Usage, Err: errors.New("it is neither a name nor the URL of a queue")}
	}
	var err error
	if ch.QueueURL, err = m.queueURL(ctx, ch); err != nil {
		return ch, err
	}
	_, err = m.queueARN(ctx, ch.Queue, ch.QueueURL) // is it there?
	return ch, err
}

// queueURL gives the URL of a queue. Errors: NotFound.
func (m *Messenger) queueURL(ctx context.Context, ch firn.Channel) (string, error) {
	if ch.QueueURL != "" {
		return ch.QueueURL, nil
	}
	out, err := m.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &ch.Queue})
	if err != nil {
		return "", fail(ctx, "find queue", ch.Queue, err)
	}
	return aws.ToString(out.QueueUrl), nil
}

func (m *Messenger) queueARN(ctx context.Context, name, address string) (string, error) {
	arn, err := m.attribute(ctx, name, address, types.QueueAttributeNameQueueArn)
	if err == nil && arn == "" {
		err = &firn.Error{Op: "look at queue", Subject: name, Err: errors.New("the service does not say its ARN")}
	}
	return arn, err
}

// count gives how many messages are in a queue, about.
func (m *Messenger) count(ctx context.Context, ch firn.Channel) (int64, error) {
	address, err := m.queueURL(ctx, ch)
	if err != nil {
		return 0, err
	}
	text, err := m.attribute(ctx, ch.Queue, address, types.QueueAttributeNameApproximateNumberOfMessages)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, &firn.Error{Op: "look at queue", Subject: ch.Queue, Err: fmt.Errorf("%q is no number of messages", text)}
	}
	return n, nil
}

func (m *Messenger) attribute(ctx context.Context, name, address string, which types.QueueAttributeName) (string, error) {
	out, err := m.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &address, AttributeNames: []types.QueueAttributeName{which}})
	if err != nil {
		return "", fail(ctx, "look at queue", name, err)
	}
	return out.Attributes[string(which)], nil
}
