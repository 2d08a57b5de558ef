package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
)

// A Setup makes the way from a vault to this machine: a topic that the vault tells
// what is done, and a queue that is subscribed to it. It makes nothing twice, and
// what was begun is gone on with.
type Setup struct {
	Messenger *Messenger
	Vault     firn.Notifier
	Name      string     // of the vault
	Identity  string     // of the store, as firn.StoreInfo has it
	Catalog   firn.Token // of this machine's catalog
	// Replace: a topic of somebody else gives way. Else the queue is subscribed to
	// that one.
	Replace bool
	Clock   clock.Clock // nil: the machine's
	// Record is called with what is there so far, and with what comes next before
	// it is made.
	Record func(firn.Channel) error
	// Tell is called with each step, in one sentence; nil: nobody wants to know.
	Tell func(text string)
}

// What the queue is told to do, in seconds. Source: Amazon SQS API reference,
// "SetQueueAttributes".
const (
	// keepMessages: what a job brings is there for a day, and a message of it need
	// not be there for longer.
	keepMessages = "86400"
	// hideMessages is how long a message that was received is kept from the others.
	hideMessages = "30"
)

// afterDelete is how long the name of a queue that was deleted is not to be had.
// Source: Amazon SQS API reference, "DeleteQueue".
const afterDelete = 61 * time.Second

// longestName keeps names below the 80 characters that a queue's may have, with
// what stands around it.
const longestName = 60

// unnamable are the characters that names of queues and topics can't have. Sources:
// Amazon SQS API reference, "CreateQueue"; Amazon SNS API reference, "CreateTopic".
var unnamable = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// named gives the name of what is made for a vault: the same for the same key.
func named(vault string, key ...string) string {
	vault = unnamable.ReplaceAllString(vault, "-")
	sum := sha256.Sum256([]byte(strings.Join(key, "\x00")))
	return "firn-" + vault[:min(len(vault), longestName)] + "-" + hex.EncodeToString(sum[:4])
}

// topicName is the same on all machines, since a vault tells one topic only; each
// machine has a queue of its own, since a message reaches one listener of a queue.
func (s *Setup) topicName() string { return named(s.Name, s.Identity) }
func (s *Setup) queueName() string { return named(s.Name, s.Identity, s.Catalog.String()) }

func (s *Setup) tell(format string, args ...any) {
	if s.Tell != nil {
		s.Tell(fmt.Sprintf(format, args...))
	}
}

// Run sets all up. was is what an earlier run recorded, zero where there was none.
// Errors: those of Messenger and Vault; Conflict where was is a queue that firn has
// not made.
func (s *Setup) Run(ctx context.Context, was firn.Channel) (firn.Channel, error) {
	if was.Queue != "" && !was.QueueMade {
		return was, &firn.Error{Op: "set up queue", Subject: s.queueName(), Kind: firn.Conflict,
			Err: fmt.Errorf("%s is listened to, which firn has not made", was.Queue), Hint: "forget that one first, with firn queue remove"}
	}
	now, err := s.Vault.Notifications(ctx)
	if err != nil {
		return was, err
	}
	ch, err := s.choose(ctx, was, now)
	if err != nil {
		return was, err
	}
	if err := s.Record(ch); err != nil {
		return ch, err
	}
	if ch.TopicMade {
		if ch.Topic, err = s.makeTopic(ctx); err != nil {
			return ch, err
		}
	}
	arn := ""
	if ch.QueueURL, arn, err = s.makeQueue(ctx, ch); err != nil {
		return ch, err
	}
	if ch.Subscription, err = s.subscribe(ctx, ch.Topic, arn); err != nil {
		return ch, err
	}
	if ch.TopicMade {
		err = s.aim(ctx, now, ch.Topic)
	}
	return ch, errors.Join(err, s.Record(ch))
}

// choose decides on the topic, and leaves an earlier one that it isn't any more.
func (s *Setup) choose(ctx context.Context, was firn.Channel, now firn.Notifications) (ch firn.Channel, err error) {
	foreign := now.Topic != "" && nameOf(now.Topic) != s.topicName()
	stays := foreign && !s.Replace
	ch = was
	if was.Queue != "" && (was.TopicMade == stays || stays && was.Topic != now.Topic) {
		if ch, err = s.leaveTopic(ctx, was); err != nil {
			return ch, err
		}
	}
	ch.Queue, ch.QueueMade, ch.TopicMade = s.queueName(), true, !stays
	switch {
	case stays:
		ch.Topic = now.Topic
		s.tell("the vault tells the topic %s already, which stays; --replace would give it one of firn's", now.Topic)
		for event, what := range map[string]string{firn.ArchiveRetrieved: "retrievals", firn.InventoryRetrieved: "inventories"} {
			if !now.Tells(event) {
				s.tell("it is not told of %s that are done (%s): firn looks for those by the clock", what, event)
			}
		}
	case foreign:
		ch.Replaced = now
	}
	return ch, nil
}

// makeTopic makes the topic where it isn't there, and gives its ARN.
func (s *Setup) makeTopic(ctx context.Context) (string, error) {
	name := s.topicName()
	out, err := s.Messenger.topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name})
	if err != nil {
		return "", fail(ctx, "make topic", name, err)
	}
	topic := aws.ToString(out.TopicArn)
	text := topicPolicy(topic).String()
	_, err = s.Messenger.topics.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: &topic, AttributeName: aws.String("Policy"), AttributeValue: &text})
	err = fail(ctx, "let the vault publish to", topic, err)
	if firn.KindOf(err) == firn.Invalid {
		s.tell("the topic keeps the policy that it has, under which vaults of the same account may publish: %v", err)
	} else if err != nil {
		return "", err
	}
	s.tell("the topic %s is there, and takes what the vaults of the account tell", topic)
	return topic, nil
}

// makeQueue makes the queue where it isn't there, and gives its URL and ARN. It
// takes messages of the topic alone.
func (s *Setup) makeQueue(ctx context.Context, ch firn.Channel) (address, arn string, err error) {
	out, err := s.createQueue(ctx, ch.Queue)
	if err != nil {
		return "", "", err
	}
	address = aws.ToString(out.QueueUrl)
	if arn, err = s.Messenger.queueARN(ctx, ch.Queue, address); err != nil {
		return address, "", err
	}
	_, err = s.Messenger.queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &address, Attributes: map[string]string{
		"Policy": queuePolicy(arn, ch.Topic).String(), "MessageRetentionPeriod": keepMessages,
		"VisibilityTimeout": hideMessages,
	}})
	if err != nil {
		return address, arn, fail(ctx, "let the topic send to", ch.Queue, err)
	}
	s.tell("the queue %s is there, and takes what that topic sends", ch.Queue)
	return address, arn, nil
}

// createQueue makes a queue. Where one of its name was deleted just now, it waits.
func (s *Setup) createQueue(ctx context.Context, name string) (out *sqs.CreateQueueOutput, err error) {
	for tries := 1; ; tries++ {
		// Without attributes, a queue that is there is as good as made.
		out, err = s.Messenger.queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
		var said smithy.APIError
		if tries > 1 || !errors.As(err, &said) || said.ErrorCode() != codeDeletedRecently {
			return out, fail(ctx, "make queue", name, err)
		}
		s.tell("a queue of this name was deleted just now, and can be made anew in a minute: waiting")
		if err := s.clock().Sleep(ctx, afterDelete); err != nil {
			return nil, err
		}
	}
}

func (s *Setup) clock() clock.Clock {
	if s.Clock == nil {
		return clock.System{}
	}
	return s.Clock
}

// subscribe lets the queue have what the topic is told, as it was told, and gives
// the ARN of the subscription. One that is there is as good as made.
func (s *Setup) subscribe(ctx context.Context, topic, queue string) (string, error) {
	out, err := s.Messenger.topics.Subscribe(ctx, &sns.SubscribeInput{
		TopicArn: &topic, Protocol: aws.String("sqs"), Endpoint: &queue, ReturnSubscriptionArn: true,
		Attributes: map[string]string{"RawMessageDelivery": "true"},
	})
	if err != nil {
		return "", fail(ctx, "subscribe to", topic, err)
	}
	s.tell("the queue is subscribed to the topic")
	return aws.ToString(out.SubscriptionArn), nil
}

// aim lets the vault tell the topic all.
func (s *Setup) aim(ctx context.Context, now firn.Notifications, topic string) error {
	if now.Topic != topic || !now.Tells(firn.ArchiveRetrieved) || !now.Tells(firn.InventoryRetrieved) {
		all := []string{firn.ArchiveRetrieved, firn.InventoryRetrieved}
		if err := s.Vault.SetNotifications(ctx, firn.Notifications{Topic: topic, Events: all}); err != nil {
			return err
		}
	}
	if now.Topic != "" && now.Topic != topic {
		s.tell("the vault told %s before (%s), and now tells firn's topic; firn queue remove puts that back", now.Topic, strings.Join(now.Events, ", "))
		return nil
	}
	s.tell("the vault tells the topic when a job is done")
	return nil
}
