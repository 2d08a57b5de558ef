package queuetest

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pollStep is how often a long poll looks.
const pollStep = 100 * time.Millisecond

// deletedFor is how long the name of a deleted queue can't be used. Source: Amazon
// SQS API reference, "DeleteQueue".
const deletedFor = time.Minute

// A queueCall is what a request to SQS may carry.
type queueCall struct {
	QueueName, QueueUrl                  string
	Attributes                           map[string]string
	AttributeNames                       []string
	MaxNumberOfMessages, WaitTimeSeconds int
	Entries                              []struct{ Id, ReceiptHandle string }
}

// queueRequest answers a request to SQS.
func (s *Server) queueRequest(ctx context.Context, r *http.Request, body []byte) (string, reply, *refusal) {
	action, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	if !ok || r.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
		return "", nil, refuse("InvalidAction", "%s of %s", r.Header.Get("X-Amz-Target"), r.Header.Get("Content-Type"))
	}
	var c queueCall
	if err := json.Unmarshal(body, &c); err != nil {
		return action, nil, refuse("InvalidParameterValue", "%v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if no := s.enter(action); no != nil {
		return action, nil, no
	}
	name := c.QueueUrl[strings.LastIndex(c.QueueUrl, "/")+1:] + c.QueueName
	q := s.queues[name]
	if q == nil && action != "CreateQueue" {
		return action, nil, &refusal{status: 400, code: "QueueDoesNotExist", query: "AWS.SimpleQueueService.NonExistentQueue", message: "The specified queue does not exist."}
	}
	out, no := s.queueAction(ctx, action, name, q, c)
	return action, out, no
}

func (s *Server) queueAction(ctx context.Context, action, name string, q *queue, c queueCall) (reply, *refusal) {
	switch action {
	case "CreateQueue":
		return s.createQueue(name, c)
	case "GetQueueUrl":
		return map[string]string{"QueueUrl": s.queueURL(name)}, nil
	case "GetQueueAttributes":
		return map[string]any{"Attributes": s.queueAttributes(name, q, c.AttributeNames)}, nil
	case "SetQueueAttributes":
		return s.setQueueAttributes(q, c)
	case "DeleteQueue":
		delete(s.queues, name)
		s.deleted[name] = s.clock.Now()
		return struct{}{}, nil
	case "ReceiveMessage":
		return s.receive(ctx, q, c)
	case "DeleteMessageBatch":
		return s.deleteMessages(q, c)
	}
	return nil, refuse("UnsupportedOperation", "%s", action)
}

func (s *Server) createQueue(name string, c queueCall) (reply, *refusal) {
	if gone, ok := s.deleted[name]; ok && s.clock.Now().Sub(gone) < deletedFor {
		return nil, &refusal{status: 400, code: "QueueDeletedRecently", query: "AWS.SimpleQueueService.QueueDeletedRecently",
			message: "You must wait 60 seconds after deleting a queue before you can create another with the same name."}
	}
	if len(name) > 80 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return nil, refuse("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	if q := s.queues[name]; q == nil {
		s.queues[name] = &queue{attributes: map[string]string{"VisibilityTimeout": "30"}}
		maps.Copy(s.queues[name].attributes, c.Attributes)
	} else {
		for k, v := range c.Attributes {
			if q.attributes[k] != v {
				return nil, refuse("QueueNameExists", "A queue already exists with the same name and a different value for attribute %s", k)
			}
		}
	}
	return map[string]string{"QueueUrl": s.queueURL(name)}, nil
}

func (s *Server) queueAttributes(name string, q *queue, names []string) map[string]string {
	visible, hidden := 0, 0
	for _, m := range q.messages {
		if m.visible.After(s.clock.Now()) {
			hidden++
		} else {
			visible++
		}
	}
	all := maps.Clone(q.attributes)
	all["QueueArn"] = queueARN(name)
	all["ApproximateNumberOfMessages"], all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(visible), strconv.Itoa(hidden)
	maps.DeleteFunc(all, func(k, _ string) bool { return !slices.Contains(names, k) && !slices.Contains(names, "All") })
	return all
}

func (s *Server) setQueueAttributes(q *queue, c queueCall) (reply, *refusal) {
	if p := c.Attributes["Policy"]; p != "" && !json.Valid([]byte(p)) {
		return nil, refuse("InvalidAttributeValue", "Invalid value for the parameter Policy.")
	}
	maps.Copy(q.attributes, c.Attributes)
	return struct{}{}, nil
}

// receive waits for messages, without holding the lock while it waits.
func (s *Server) receive(ctx context.Context, q *queue, c queueCall) (reply, *refusal) {
	if c.WaitTimeSeconds < 0 || c.WaitTimeSeconds > 20 || c.MaxNumberOfMessages < 1 || c.MaxNumberOfMessages > 10 {
		return nil, refuse("InvalidParameterValue", "wait %d, messages %d", c.WaitTimeSeconds, c.MaxNumberOfMessages)
	}
	wait := c.WaitTimeSeconds
	if wait == 0 { // the SDK doesn't send a zero
		wait, _ = strconv.Atoi(q.attributes["ReceiveMessageWaitTimeSeconds"])
	}
	until := s.clock.Now().Add(time.Duration(wait) * time.Second)
	for {
		if got := s.visible(q, c.MaxNumberOfMessages); len(got) > 0 {
			return map[string]any{"Messages": got}, nil
		}
		left := until.Sub(s.clock.Now())
		if left <= 0 {
			return struct{}{}, nil
		}
		s.mu.Unlock()
		err := s.clock.Sleep(ctx, min(left, pollStep))
		s.mu.Lock()
		if err != nil {
			return nil, &refusal{hangsUp: true}
		}
	}
}

// visible takes what can be seen, and hides it for a while.
func (s *Server) visible(q *queue, most int) (got []map[string]string) {
	hide, _ := strconv.Atoi(q.attributes["VisibilityTimeout"])
	for _, m := range q.messages {
		if m.visible.After(s.clock.Now()) || len(got) == most {
			continue
		}
		s.serial++
		m.receipt, m.visible = fmt.Sprint("receipt-", s.serial), s.clock.Now().Add(time.Duration(hide)*time.Second)
		sum := md5.Sum([]byte(m.body))
		got = append(got, map[string]string{"MessageId": m.id, "ReceiptHandle": m.receipt, "Body": m.body, "MD5OfBody": hex.EncodeToString(sum[:])})
	}
	return got
}

func (s *Server) deleteMessages(q *queue, c queueCall) (reply, *refusal) {
	if len(c.Entries) < 1 || len(c.Entries) > 10 {
		return nil, refuse("TooManyEntriesInBatchRequest", "%d", len(c.Entries))
	}
	type result map[string]any
	done, failed := []result{}, []result{}
	for _, e := range c.Entries {
		before := len(q.messages)
		q.messages = slices.DeleteFunc(q.messages, func(m *message) bool { return m.receipt == e.ReceiptHandle })
		if len(q.messages) == before {
			failed = append(failed, result{"Id": e.Id, "SenderFault": true, "Code": "ReceiptHandleIsInvalid", "Message": "The input receipt handle is invalid."})
			continue
		}
		done = append(done, result{"Id": e.Id})
	}
	return map[string]any{"Successful": done, "Failed": failed}, nil
}
