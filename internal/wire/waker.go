package wire

import (
	"context"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/notify"
	"github.com/firn-archive/firn/internal/retrieval"
)

// Waker gives what hears that the store has something ready; nil where no queue was
// set up for it. Nothing is sent yet. Errors: Usage (the AWS configuration).
func (s *Store) Waker(ctx context.Context, cat *catalog.Catalog, row catalog.Store) (retrieval.Waker, error) {
	w, found, err := cat.Waker(ctx, row.ID)
	if err != nil || !found || w.QueueURL == "" {
		return nil, err
	}
	m, err := s.messenger(ctx)
	if err != nil {
		return nil, err
	}
	q, err := m.Queue(ctx, notify.QueueOptions{
		URL: w.QueueURL, Name: w.Queue, Vault: row.Address, Own: w.QueueMade, Clock: s.env.Clock, Events: s.env.Events,
		Heard: func(ctx context.Context) (int64, error) { return cat.Heard(ctx, row.ID) },
		Hear:  func(ctx context.Context) (int64, error) { return cat.Hear(ctx, row.ID) },
	})
	if err != nil {
		return nil, err
	}
	return q, nil
}

// QueueSetup gives what sets up the queue of a store and takes it away again. tell
// is called with each step.
func (s *Store) QueueSetup(ctx context.Context, cat *catalog.Catalog, row catalog.Store, tell func(string)) (*notify.Setup, error) {
	m, err := s.messenger(ctx)
	if err != nil {
		return nil, err
	}
	return &notify.Setup{
		Messenger: m, Vault: s.Store.(firn.Notifier), Name: row.Name, Identity: row.Identity, Catalog: cat.ID(), Clock: s.env.Clock, Tell: tell,
		Record: func(ch firn.Channel) error { return cat.SetWaker(ctx, catalog.Waker{Store: row.ID, Channel: ch}) },
	}, nil
}

// messenger is that of the store's region and account.
func (s *Store) messenger(ctx context.Context) (*notify.Messenger, error) {
	return notify.OpenMessenger(ctx, notify.MessengerConfig{Region: s.region, Profile: s.options.AWSProfile})
}
