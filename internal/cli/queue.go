package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/notify"
	"github.com/firn-archive/firn/internal/ui"
)

type queueOptions struct {
	app     *app
	Store   string // of show: empty for all
	Replace bool
	Queue   string // one that exists
	Common  storeOptions
}

func newQueueCmd(a *app) *cobra.Command {
	return group("queue", "hear from a vault when something is ready",
		newQueueSetupCmd(a, runQueueSetup),
		newQueueVerb(a, "show [STORE]", "show what was set up, and whether it works", `Show the queues that were set up from here. With STORE it asks whether messages can
come: whether the queue is there and is subscribed, and the vault tells what is done.`, runQueueShow),
		newQueueVerb(a, "remove STORE", "take a queue away again", `Delete what firn queue setup made for STORE: the subscription and the queue, and,
unless another machine listens to it too, the topic and the vault's setting, or put
back the one that --replace took the place of. What firn hasn't made stays.`, runQueueRemove),
	)
}

// newQueueVerb gives a command on a store's queue.
func newQueueVerb(a *app, use, short, long string, run func(context.Context, *queueOptions) error) *cobra.Command {
	o := &queueOptions{app: a}
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: takes(strings.Fields(use)[1:]...), ValidArgsFunction: a.completeOneStore}
	o.Common.addFlags(cmd.Flags(), false, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			o.Store = args[0]
		}
		return run(ctx, o)
	})
	return cmd
}

func newQueueSetupCmd(a *app, run func(context.Context, *queueOptions) error) *cobra.Command {
	o := &queueOptions{app: a}
	cmd := newQueueVerb(a, "setup STORE", "let a vault tell when something is ready", `Set up what lets a command that waits, such as firn restore --wait, go on as soon as
the vault has something ready, in place of asking it every quarter of an hour: a
topic (Amazon SNS) that the vault tells what is done, and a queue (Amazon SQS) of
this machine that is subscribed to it. Done again, it mends what is missing.

The vault tells one topic only. Where that is somebody else's, it stays, and the
queue is subscribed to it; with --replace it gives way to one of firn's, until
firn queue remove. With --queue firn makes nothing, and listens to a queue that
you have made.

docs/waiting.md tells what is made, what it costs (next to nothing), and what the
credentials have to be allowed.`, nil)
	f := cmd.Flags()
	f.BoolVar(&o.Replace, "replace", false, "let the vault tell a topic of firn's, and no longer the one that somebody else has set")
	f.StringVar(&o.Queue, "queue", "", "listen to the queue `NAME`, or its URL, which exists and gets the vault's messages")
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store = args[0]
		if o.Replace && o.Queue != "" {
			return wrongUsage("set up queue", "give --replace or --queue, not both")
		}
		return run(ctx, o)
	})
	return cmd
}

// A queueRecord is the way by which a store's messages come to this machine.
type queueRecord struct {
	Store        string   `json:"store"`
	Queue        string   `json:"queue"`
	QueueURL     string   `json:"queue_url,omitempty"`
	QueueMade    bool     `json:"queue_made"`
	Topic        string   `json:"topic,omitempty"`
	TopicMade    bool     `json:"topic_made"`
	Subscription string   `json:"subscription,omitempty"`
	Replaced     string   `json:"replaced_topic,omitempty"`
	SetUp        string   `json:"set_up"`
	Messages     *int64   `json:"messages,omitempty"` // of show STORE
	Faults       []string `json:"faults,omitempty"`   // likewise
}

func newQueueRecord(w catalog.Waker) queueRecord {
	return queueRecord{
		Store: w.URL, Queue: w.Queue, QueueURL: w.QueueURL, QueueMade: w.QueueMade, Topic: w.Topic, TopicMade: w.TopicMade,
		Subscription: w.Subscription, Replaced: w.Replaced.Topic, SetUp: timeText(w.SetUp),
	}
}

// open opens the store; needs is false where it needs no queue, which is told.
func (o *queueOptions) open(ctx context.Context) (s *session, needs bool, err error) {
	if s, err = o.app.openStore(ctx, o.Store, o.Common.wire()); err != nil {
		return nil, false, err
	}
	switch s.loc.Scheme {
	case config.S3:
		s.ui.Print(s.loc.String() + " uses no queue: one listing tells of a thousand archives that are on their way")
		return s, false, nil
	case config.Local:
		s.ui.Print(s.loc.String() + " needs no queue: what it is asked for is ready at once")
		return s, false, nil
	}
	return s, true, nil
}

func runQueueSetup(ctx context.Context, o *queueOptions) error {
	s, needs, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if !needs {
		return nil
	}
	row, err := s.store.Check(ctx, s.catalog)
	if err != nil {
		return err
	}
	if err := o.setUp(ctx, s, row); err != nil {
		return err
	}
	w, _, err := s.catalog.Waker(ctx, row.ID)
	if err != nil {
		return err
	}
	s.ui.Record("queue", newQueueRecord(w))
	s.ui.Print("commands that wait for " + row.URL + " now hear when something is ready")
	s.ui.Notice("while one waits it asks the queue three times a minute: " + notify.MonthOfWaiting())
	return nil
}

func (o *queueOptions) setUp(ctx context.Context, s *session, row catalog.Store) error {
	setup, err := s.store.QueueSetup(ctx, s.catalog, row, s.ui.Notice)
	if err != nil {
		return err
	}
	was, _, err := s.catalog.Waker(ctx, row.ID)
	if err != nil {
		return err
	}
	setup.Replace = o.Replace
	if o.Queue == "" {
		_, err = setup.Run(ctx, was.Channel)
		return err
	}
	if was.QueueMade {
		return &firn.Error{Op: "set up queue", Subject: o.Queue, Kind: firn.Conflict,
			Err: errors.New("firn has made a queue for this store already"), Hint: "first: firn queue remove " + row.URL}
	}
	ch, err := setup.Messenger.Given(ctx, o.Queue)
	if err != nil {
		return err
	}
	if err := setup.Record(ch); err != nil {
		return err
	}
	h, err := setup.Look(ctx, ch)
	o.warn(s, h)
	return err
}

// warn tells what keeps messages from coming.
func (o *queueOptions) warn(s *session, h notify.Health) {
	for _, fault := range h.Faults {
		s.ui.Warn(fault)
	}
}

func runQueueRemove(ctx context.Context, o *queueOptions) error {
	s, needs, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if !needs {
		return nil
	}
	row, w, err := s.catalog.WakerByURL(ctx, s.loc.String()) // the vault itself may be gone
	if err != nil {
		return err
	}
	setup, err := s.store.QueueSetup(ctx, s.catalog, row, s.ui.Notice)
	if err != nil {
		return err
	}
	if err := setup.Remove(ctx, w.Channel); err != nil {
		return err
	}
	if err := s.catalog.DropWaker(ctx, row.ID); err != nil {
		return err
	}
	s.ui.Print("commands that wait for " + row.URL + " look by the clock again")
	return nil
}

func runQueueShow(ctx context.Context, o *queueOptions) error {
	if o.Store == "" {
		return listQueues(ctx, o.app)
	}
	s, needs, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if !needs {
		return nil
	}
	row, w, err := s.catalog.WakerByURL(ctx, s.loc.String())
	if err != nil {
		return err
	}
	setup, err := s.store.QueueSetup(ctx, s.catalog, row, nil)
	if err != nil {
		return err
	}
	h, err := setup.Look(ctx, w.Channel)
	if err != nil {
		return err
	}
	r := newQueueRecord(w)
	r.Messages, r.Faults = &h.Messages, h.Faults
	s.ui.Record("queue", r)
	s.ui.Print(fmt.Sprintf("%s: %s, %s messages, set up %s", r.Store, r.Queue, ui.Count(h.Messages), r.SetUp))
	if r.Topic != "" {
		s.ui.Print("  topic: " + r.Topic)
	}
	o.warn(s, h)
	if len(h.Faults) > 0 {
		s.ui.Notice("it is mended with: firn queue setup " + row.URL)
	}
	return nil
}

// listQueues shows what the catalog knows.
func listQueues(ctx context.Context, a *app) error {
	s, err := a.openCatalog(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	wakers, err := s.catalog.Wakers(ctx)
	if err != nil {
		return err
	}
	list := ui.NewList(s.ui, "queue",
		ui.Column[queueRecord]{Head: "store", Cell: func(r queueRecord) string { return r.Store }},
		ui.Column[queueRecord]{Head: "queue", Cell: func(r queueRecord) string { return r.Queue }},
		ui.Column[queueRecord]{Head: "topic", Cell: func(r queueRecord) string { return r.Topic }},
		ui.Column[queueRecord]{Head: "set up", Cell: func(r queueRecord) string { return r.SetUp }},
	)
	defer list.Close()
	for _, w := range wakers {
		list.Add(newQueueRecord(w))
	}
	return nil
}
