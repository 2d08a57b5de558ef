package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
)

type storeNotifyOptions struct {
	app    *app
	Store  string
	Topic  string
	Events []string
	Remove bool
	Force  bool
	Common storeOptions
}

func newStoreNotifyCmd(a *app, run func(context.Context, *storeNotifyOptions) error) *cobra.Command {
	o := &storeNotifyOptions{}
	cmd := &cobra.Command{
		Use:   "notify STORE",
		Short: "show and set whom a vault tells that a job is done",
		Long: `Show which topic (Amazon SNS) a vault tells that its jobs are done; set it with --topic,
or take it away with --remove. A vault has one topic. Whether it may publish to the
topic is up to the topic's own policy, and isn't checked by anybody.

For firn itself to hear there is firn queue setup, which makes topic and queue. What it
has set up is left alone here, unless --force says otherwise.`,
		Example: `  firn store notify glacier:photos --topic arn:aws:sns:eu-west-1:123456789012:ops
  firn store notify glacier:photos --topic arn:aws:sns:eu-west-1:123456789012:ops --event inventory`,
		Args:              takes("STORE"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.Topic, "topic", "", "let the vault tell the topic with this `ARN`")
	f.StringArrayVar(&o.Events, "event", nil, "tell of `EVENT` only: retrieval or inventory; may be given twice (default: both)")
	f.BoolVar(&o.Remove, "remove", false, "let the vault tell nobody any more")
	f.BoolVar(&o.Force, "force", false, "also in place of what firn queue has set up")
	notOfProfile(f, "topic", "event", "remove", "force")
	o.Common.addFlags(f, false, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.app, o.Store = a, args[0]
		if err := a.useProfile(f, o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

// events gives the service's names for the events that are wanted.
func (o *storeNotifyOptions) events() (names []string, err error) {
	if len(o.Events) == 0 {
		return []string{firn.ArchiveRetrieved, firn.InventoryRetrieved}, nil
	}
	for _, e := range o.Events {
		switch e {
		case "retrieval", firn.ArchiveRetrieved:
			names = append(names, firn.ArchiveRetrieved)
		case "inventory", firn.InventoryRetrieved:
			names = append(names, firn.InventoryRetrieved)
		default:
			return nil, wrongUsage("set notifications", "%q is no event; there are retrieval and inventory", e)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (o *storeNotifyOptions) check() error {
	switch {
	case o.Topic != "" && o.Remove:
		return wrongUsage("set notifications", "give --topic or --remove, not both")
	case o.Topic == "" && len(o.Events) > 0:
		return wrongUsage("set notifications", "--event needs a --topic")
	case o.Topic != "" && !strings.HasPrefix(o.Topic, "arn:"):
		return wrongUsage("set notifications", "%q is no ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:ops", o.Topic)
	}
	_, err := o.events()
	return err
}

// A notificationRecord is what a vault tells to whom.
type notificationRecord struct {
	Store  string   `json:"store"`
	Topic  string   `json:"topic,omitempty"` // absent: it tells nobody
	Events []string `json:"events,omitempty"`
	Own    bool     `json:"own,omitempty"` // firn queue has set it up
}

func runStoreNotify(ctx context.Context, o *storeNotifyOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	if s.loc.Scheme == config.Local {
		return wrongUsage("read notifications", "%s tells nobody: what it is asked for is ready at once", s.loc)
	}
	if err := s.notOfS3("read notifications", "a bucket's notifications are set with: aws s3api put-bucket-notification-configuration"); err != nil {
		return err
	}
	if _, err := s.store.Look(ctx); err != nil {
		return err
	}
	vault := s.store.Notifier()
	now, err := vault.Notifications(ctx)
	if err != nil {
		return err
	}
	own, err := s.isQueueTopic(ctx, now.Topic)
	if err != nil {
		return err
	}
	if o.Topic == "" && !o.Remove {
		showNotifications(s, now, own)
		return nil
	}
	if own && !o.Force {
		return &firn.Error{Op: "set notifications", Subject: "of " + s.loc.String(), Kind: firn.Conflict,
			Err:  errors.New("firn queue has set up the topic " + now.Topic + ", by which commands that wait hear when something is ready"),
			Hint: "take that away with: firn queue remove " + s.loc.String() + ", or give --force"}
	}
	if now.Topic != "" && now.Topic != o.Topic {
		s.ui.Notice("the vault told the topic " + now.Topic + " before: " + strings.Join(now.Events, ", "))
	}
	if o.Remove {
		err, now = vault.RemoveNotifications(ctx), firn.Notifications{}
	} else {
		now.Topic = o.Topic
		now.Events, _ = o.events() // check has read them
		err = vault.SetNotifications(ctx, now)
	}
	if err != nil {
		return err
	}
	showNotifications(s, now, false)
	return nil
}

// isQueueTopic reports whether a vault's topic is one of firn queue's: that of this
// machine, by its record, or another machine's, by its name.
func (s *session) isQueueTopic(ctx context.Context, topic string) (bool, error) {
	if topic == "" {
		return false, nil
	}
	if strings.Contains(topic, ":firn-"+s.loc.Vault+"-") {
		return true, nil
	}
	_, w, err := s.catalog.WakerByURL(ctx, s.loc.String())
	if firn.KindOf(err) == firn.NotFound {
		return false, nil
	}
	return err == nil && w.Topic == topic, err
}

func showNotifications(s *session, n firn.Notifications, own bool) {
	slices.Sort(n.Events)
	s.ui.Record("notification", notificationRecord{Store: s.loc.String(), Topic: n.Topic, Events: n.Events, Own: own})
	if n.Topic == "" {
		s.ui.Print(s.loc.String() + " tells nobody")
		return
	}
	text := s.loc.String() + " tells " + n.Topic + ": " + strings.Join(n.Events, ", ")
	if own {
		text += " (set up by firn queue)"
	}
	s.ui.Print(text)
}
