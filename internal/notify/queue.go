package notify

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
)

const (
	// batch is how many messages a request brings or deletes at most. Source:
	// Amazon SQS API reference, "ReceiveMessage", "DeleteMessageBatch".
	batch = 10
	// mostRounds bounds how many requests empty a queue that has something to say:
	// a big restore gets as many messages as it has jobs, and one is enough to
	// look at them all.
	mostRounds = 1000
	// restPoll is how long the rest of the messages is waited for. A short poll
	// may miss some, and can't be asked for where the queue has another default.
	restPoll = time.Second
	// patience is how long a queue that does not answer is tried again before it
	// counts as deaf.
	patience = 15 * time.Minute
	// firstPause and longestPause are those between such tries.
	firstPause   = 5 * time.Second
	longestPause = 5 * time.Minute
	// strangersPause is the pause after a request that brought nothing but
	// messages for somebody else: they may come again at once.
	strangersPause = 5 * time.Second
)

// QueueOptions say what is waited for in a queue.
type QueueOptions struct {
	URL   string // of the queue
	Name  string // of the queue, for people
	Vault string // the ARN of the vault whose jobs are waited for
	// Own: the queue is there for this vault and this machine alone, and whatever
	// is in it may be deleted. Else what isn't about the vault is left.
	Own   bool
	Clock clock.Clock // nil: the machine's
	// Events learns of messages that nobody can read; nil is nobody.
	Events firn.Sink
	// Heard and Hear count for all processes on this machine what was heard: a
	// message reaches only one of them. Heard gives the count, Hear adds one and
	// gives it. Both or neither.
	Heard, Hear func(context.Context) (int64, error)
}

// A Queue hears by messages that a vault's jobs are done. It is a Waker, as package
// retrieval defines it, for one caller at a time.
type Queue struct {
	client *sqs.Client
	o      QueueOptions
	heard  int64 // the count that the caller knows of
	known  bool  // heard is one
}

// Queue gives what waits in a queue. What other processes have heard by now the
// caller needs not be woken for.
func (m *Messenger) Queue(ctx context.Context, o QueueOptions) (*Queue, error) {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Events == nil {
		o.Events = firn.Discard
	}
	q := &Queue{client: m.queues, o: o}
	_, err := q.heardElsewhere(ctx)
	return q, err
}

// heardElsewhere reports whether another process was told something since.
func (q *Queue) heardElsewhere(ctx context.Context) (bool, error) {
	if q.o.Heard == nil {
		return false, nil
	}
	n, err := q.o.Heard(ctx)
	if err != nil {
		return false, err
	}
	news := q.known && n != q.heard
	q.heard, q.known = n, true
	return news, nil
}

// Wait returns at a time, or earlier when a message said that a job of the vault is
// done, to this process or to another. A queue that can't be reached for a while is
// tried again. Errors: the context's cause; Denied, NotFound (the queue is gone),
// Invalid at once, and others after a quarter of an hour: then wait by the clock.
func (q *Queue) Wait(ctx context.Context, until time.Time) error {
	var failing time.Time // since when
	pause := firstPause
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		now := q.o.Clock.Now()
		if !now.Before(until) {
			return nil
		}
		if news, err := q.heardElsewhere(ctx); news || err != nil {
			return err
		}
		got, err := q.receive(ctx, min(longPoll, until.Sub(now)))
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && got.done:
			return q.tell(ctx)
		case err == nil:
			failing, pause = time.Time{}, firstPause
			err = q.rest(ctx, got, now, until)
		case !firn.KindOf(err).Temporary():
			return err
		default:
			if failing.IsZero() {
				failing = now
			}
			if q.o.Clock.Now().Sub(failing) >= patience {
				return err
			}
			err = q.o.Clock.Sleep(ctx, min(pause, until.Sub(now)))
			pause = min(2*pause, longestPause)
		}
		if err != nil {
			return err
		}
	}
}

// rest waits where a request that began at a time came back early without good
// news, as servers do that don't know long polls: else it would go on at once.
func (q *Queue) rest(ctx context.Context, got received, began, until time.Time) error {
	pause := longPoll
	if got.messages > 0 {
		pause = 0
		if got.left == got.messages {
			pause = strangersPause
		}
	}
	now := q.o.Clock.Now()
	if d := min(began.Add(pause).Sub(now), until.Sub(now)); d > 0 {
		return q.o.Clock.Sleep(ctx, d)
	}
	return nil
}

// tell empties the queue and lets the other processes know.
func (q *Queue) tell(ctx context.Context) error {
	for range mostRounds {
		got, err := q.receive(ctx, restPoll)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || got.messages == got.left {
			break // what is left is for the next time
		}
	}
	if q.o.Hear == nil {
		return nil
	}
	n, err := q.o.Hear(ctx)
	q.heard = n
	return err
}

// received is what a request brought.
type received struct {
	messages int
	left     int // of these, for somebody else
	done     bool
}

// receive gets the next messages, and deletes those that this process alone has to
// hear.
func (q *Queue) receive(ctx context.Context, wait time.Duration) (got received, err error) {
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.o.URL, MaxNumberOfMessages: batch, WaitTimeSeconds: int32((wait + time.Second - 1) / time.Second),
	})
	if err != nil {
		return got, q.explain(fail(ctx, "receive messages", "from "+q.o.Name, err))
	}
	var read []types.DeleteMessageBatchRequestEntry
	for i, m := range out.Messages {
		got.messages++
		n, err := parseNotice(aws.ToString(m.Body))
		mine := err == nil && n.vault == q.o.Vault
		got.done = got.done || mine && n.done
		if !mine && !q.o.Own {
			got.left++
			continue
		}
		if err != nil {
			q.o.Events(firn.NoticeEvent{Detail: true, Text: fmt.Sprintf("a message in %s can't be read, and is deleted: %v", q.o.Name, err)})
		}
		id := strconv.Itoa(i)
		read = append(read, types.DeleteMessageBatchRequestEntry{Id: &id, ReceiptHandle: m.ReceiptHandle})
	}
	if len(read) == 0 {
		return got, nil
	}
	return got, q.delete(ctx, read)
}

// delete removes messages that were read. One that stays is no harm, it comes again.
func (q *Queue) delete(ctx context.Context, read []types.DeleteMessageBatchRequestEntry) error {
	out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.o.URL, Entries: read})
	if err == nil && len(out.Failed) == len(read) {
		f := out.Failed[0]
		return &firn.Error{Op: "delete messages", Subject: "from " + q.o.Name, Kind: kindOf(aws.ToString(f.Code), 0),
			Err: fmt.Errorf("%s (%s)", aws.ToString(f.Message), aws.ToString(f.Code))}
	}
	return q.explain(fail(ctx, "delete messages", "from "+q.o.Name, err))
}

// explain says what to do about a queue that is gone.
func (q *Queue) explain(err error) error {
	if e, ok := err.(*firn.Error); ok && e.Kind == firn.NotFound {
		e.Hint = "it is made with firn queue setup, and forgotten with firn queue remove"
	}
	return err
}
