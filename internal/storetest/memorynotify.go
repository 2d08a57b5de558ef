package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
)

// Notifications gives what SetNotifications set. Nothing is ever told.
func (m *Memory) Notifications(ctx context.Context) (firn.Notifications, error) {
	if err := m.enter(ctx, "read notifications"); err != nil {
		return firn.Notifications{}, err
	}
	defer m.mu.Unlock()
	return firn.Notifications{Topic: m.notify.Topic, Events: slices.Clone(m.notify.Events)}, nil
}

// SetNotifications keeps what is to be told.
func (m *Memory) SetNotifications(ctx context.Context, n firn.Notifications) error {
	if err := m.enter(ctx, "set notifications"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	known := func(event string) bool { return event == firn.ArchiveRetrieved || event == firn.InventoryRetrieved }
	if !strings.HasPrefix(n.Topic, "arn:") || len(n.Events) == 0 || slices.ContainsFunc(n.Events, func(e string) bool { return !known(e) }) {
		return m.fail("set notifications", firn.Invalid, fmt.Errorf("%+v", n))
	}
	m.notify = firn.Notifications{Topic: n.Topic, Events: slices.Clone(n.Events)}
	return nil
}

// RemoveNotifications forgets what was to be told.
func (m *Memory) RemoveNotifications(ctx context.Context) error {
	if err := m.enter(ctx, "remove notifications"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.notify = firn.Notifications{}
	return nil
}
