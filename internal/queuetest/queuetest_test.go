package queuetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/queuetest"
)

// clients are Amazon's own, with a secret key.
func clients(s *queuetest.Server, secret string) (*sqs.Client, *sns.Client) {
	cfg := aws.Config{
		Region: queuetest.Region, BaseEndpoint: &s.URL, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: queuetest.AccessKey, SecretAccessKey: secret}, nil
		}),
	}
	return sqs.NewFromConfig(cfg), sns.NewFromConfig(cfg)
}

func codeOf(err error) string {
	var said smithy.APIError
	if errors.As(err, &said) {
		return said.ErrorCode()
	}
	return ""
}

func TestSignatures(t *testing.T) {
	s := queuetest.New(clock.System{})
	defer s.Close()
	s.AddQueue("q")
	ask := func(s *queuetest.Server, secret string) []error {
		queues, topics := clients(s, secret)
		_, err := queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("q")})
		_, other := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("t")})
		return []error{err, other}
	}
	for _, err := range ask(s, queuetest.SecretKey) {
		if err != nil {
			t.Error(err)
		}
	}
	for _, err := range ask(s, "wrong") {
		if codeOf(err) != "SignatureDoesNotMatch" {
			t.Errorf("a wrong key: %v", err)
		}
	}
	trusting := queuetest.NewTrusting(clock.System{})
	defer trusting.Close()
	trusting.AddQueue("q")
	for _, err := range ask(trusting, "wrong") {
		if err != nil {
			t.Errorf("unchecked: %v", err)
		}
	}
}

// TestVisibility: who has received a message has it alone for a while, and deletes
// it by what was received last.
func TestVisibility(t *testing.T) {
	c := clock.NewManual(time.Now())
	s := queuetest.New(c)
	defer s.Close()
	queues, _ := clients(s, queuetest.SecretKey)
	address := s.AddQueue("q")
	receive := func() []string {
		t.Helper()
		out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &address, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			t.Fatal(err)
		}
		var handles []string
		for _, m := range out.Messages {
			handles = append(handles, aws.ToString(m.ReceiptHandle))
		}
		return handles
	}
	s.Send("q", "now", time.Time{})
	s.Send("q", "later", c.Now().Add(time.Hour))
	first := receive()
	if len(first) != 1 || len(receive()) != 0 {
		t.Errorf("received %q, and more", first)
	}
	c.Advance(30 * time.Second)
	second := receive()
	if len(second) != 1 || second[0] == first[0] {
		t.Errorf("received %q, then %q", first, second)
	}
	for handle, fails := range map[string]int{first[0]: 1, second[0]: 0} {
		out, err := queues.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &address, Entries: []types.DeleteMessageBatchRequestEntry{{Id: aws.String("1"), ReceiptHandle: &handle}}})
		if err != nil || len(out.Failed) != fails || len(out.Successful) != 1-fails {
			t.Errorf("%s: %+v, %v", handle, out, err)
		}
	}
	c.Advance(time.Hour)
	if len(receive()) != 1 || !slices.Equal(s.Messages("q"), []string{"later"}) {
		t.Errorf("left: %q", s.Messages("q"))
	}
}

// TestDelivery: only a queue that lets the topic send gets what it is told.
func TestDelivery(t *testing.T) {
	s := queuetest.New(clock.System{})
	defer s.Close()
	queues, topics := clients(s, queuetest.SecretKey)
	topic := s.AddTopic("t")
	for _, name := range []string{"raw", "wrapped", "closed"} {
		address := s.AddQueue(name)
		if name != "closed" {
			_, err := queues.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &address, Attributes: map[string]string{
				"Policy": `{"Statement":[{"Condition":{"ArnEquals":{"aws:SourceArn":"` + topic + `"}}}]}`}})
			if err != nil {
				t.Fatal(err)
			}
		}
		_, err := topics.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: &topic, Protocol: aws.String("sqs"),
			Endpoint: aws.String("arn:aws:sqs:us-east-1:" + queuetest.Account + ":" + name), Attributes: map[string]string{"RawMessageDelivery": map[bool]string{true: "true", false: "false"}[name == "raw"]}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Publish(topic, `{"x":1}`, time.Time{}); n != 2 {
		t.Errorf("%d queues got it", n)
	}
	raw, wrapped, closed := s.Messages("raw"), s.Messages("wrapped"), s.Messages("closed")
	if !slices.Equal(raw, []string{`{"x":1}`}) || len(wrapped) != 1 || !strings.Contains(wrapped[0], `"Message":"{\"x\":1}"`) || len(closed) != 0 {
		t.Errorf("%q, %q, %q", raw, wrapped, closed)
	}
}

// TestFaults strike the next calls of an action, and no others.
func TestFaults(t *testing.T) {
	s := queuetest.New(clock.System{})
	defer s.Close()
	_, topics := clients(s, queuetest.SecretKey)
	s.Fail("CreateTopic", queuetest.Fault{Status: 503, Code: "ServiceUnavailable"}, queuetest.Fault{})
	for i, want := range []string{"ServiceUnavailable", "", ""} {
		_, err := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("t")})
		if codeOf(err) != want || (err == nil) != (i == 2) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if n := s.Calls("CreateTopic"); n != 3 {
		t.Errorf("%d calls", n)
	}
}
