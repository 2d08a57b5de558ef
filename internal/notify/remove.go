package notify

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/firn-archive/firn"
)

// Remove undoes what Run has made, as far as nobody else uses it; what is gone
// already is no error, nor is a vault that is gone. Where it fails, it can be
// called again.
func (s *Setup) Remove(ctx context.Context, ch firn.Channel) error {
	left, err := s.leaveTopic(ctx, ch)
	if err != nil {
		return err
	}
	if !left.QueueMade {
		if left.Queue != "" {
			s.tell("the queue %s stays, since firn has not made it", left.Queue)
		}
		return nil
	}
	address, err := s.Messenger.queueURL(ctx, left)
	if err == nil {
		_, err = s.Messenger.queues.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &address})
		err = fail(ctx, "delete queue", left.Queue, err)
	}
	if firn.KindOf(err) == firn.NotFound {
		s.tell("the queue %s is gone already", left.Queue)
		return nil
	}
	if err == nil {
		s.tell("the queue %s is deleted", left.Queue)
	}
	return err
}

// leaveTopic ends the queue's subscription. A topic of firn's to which nobody else
// listens goes, and the vault tells what it told before. It gives what is left.
func (s *Setup) leaveTopic(ctx context.Context, ch firn.Channel) (firn.Channel, error) {
	left := ch
	left.Topic, left.TopicMade, left.Subscription, left.Replaced = "", false, "", firn.Notifications{}
	topic, err := s.findTopic(ctx, ch)
	if err != nil || topic == "" {
		return left, err
	}
	subscriptions, err := s.subscriptions(ctx, topic)
	switch {
	case firn.KindOf(err) == firn.NotFound:
		s.tell("the topic %s is gone already", topic)
	case firn.KindOf(err) == firn.Denied && !ch.TopicMade && ch.Subscription != "":
		// Who may subscribe to a topic need not be allowed to see who else does.
		return left, s.unsubscribe(ctx, ch.Subscription)
	case err != nil:
		return ch, err
	}
	others := 0
	for _, sub := range subscriptions {
		switch {
		case nameOf(aws.ToString(sub.Endpoint)) != ch.Queue || aws.ToString(sub.Protocol) != "sqs":
			others++
		case strings.HasPrefix(aws.ToString(sub.SubscriptionArn), "arn:"): // and not pending
			if err := s.unsubscribe(ctx, aws.ToString(sub.SubscriptionArn)); err != nil {
				return ch, err
			}
		}
	}
	if !ch.TopicMade {
		return left, nil
	}
	if others > 0 {
		s.tell("the topic %s stays, and the vault tells it: somebody else listens to it, too", topic)
		return left, nil
	}
	if err := s.hush(ctx, topic, ch.Replaced); err != nil {
		return ch, err
	}
	if _, err := s.Messenger.topics.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: &topic}); err != nil {
		return ch, fail(ctx, "delete topic", topic, err)
	}
	s.tell("the topic %s is deleted", topic)
	return left, nil
}

// findTopic gives the ARN of the topic; empty where there is none to leave. A kill
// may have come between its making and the record of its ARN, which only making
// it once more can tell.
func (s *Setup) findTopic(ctx context.Context, ch firn.Channel) (string, error) {
	if ch.Topic != "" || !ch.TopicMade {
		return ch.Topic, nil
	}
	name := s.topicName()
	out, err := s.Messenger.topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name})
	if err != nil {
		return "", fail(ctx, "find topic", name, err)
	}
	return aws.ToString(out.TopicArn), nil
}

// subscriptions lists those of a topic.
func (s *Setup) subscriptions(ctx context.Context, topic string) (all []types.Subscription, err error) {
	pages := sns.NewListSubscriptionsByTopicPaginator(s.Messenger.topics, &sns.ListSubscriptionsByTopicInput{TopicArn: &topic})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fail(ctx, "list subscriptions", "of "+topic, err)
		}
		all = append(all, page.Subscriptions...)
	}
	return all, nil
}

func (s *Setup) unsubscribe(ctx context.Context, subscription string) error {
	_, err := s.Messenger.topics.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: &subscription})
	if err := fail(ctx, "unsubscribe", subscription, err); firn.KindOf(err) != firn.NotFound && err != nil {
		return err
	}
	s.tell("the queue is not subscribed to its topic any more")
	return nil
}

// hush lets the vault tell the topic nothing any more, but what it told before to
// another.
func (s *Setup) hush(ctx context.Context, topic string, before firn.Notifications) error {
	now, err := s.Vault.Notifications(ctx)
	switch {
	case firn.KindOf(err) == firn.NotFound:
		return nil // the vault is gone
	case err != nil:
		return err
	case now.Topic != topic:
		return nil // somebody has set another
	case before.Topic != "":
		s.tell("the vault tells the topic %s again", before.Topic)
		return s.Vault.SetNotifications(ctx, before)
	}
	s.tell("the vault tells nobody any more")
	return s.Vault.RemoveNotifications(ctx)
}
