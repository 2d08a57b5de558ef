package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/firn-archive/firn"
)

// A Waker is how this machine hears what a store has ready.
type Waker struct {
	Store int64
	URL   string // of the store, forgotten or not; SetWaker doesn't look at it
	firn.Channel
	SetUp time.Time // by the local clock; SetWaker fills it in
}

// wakerValues are what SetWaker writes.
const wakerValues = "store, queue, queue_url, queue_made, topic, topic_made, subscription, replaced_topic, replaced_events, set_up"

const wakerColumns = wakerValues + ", (SELECT url FROM store s WHERE s.id = waker.store)"

func scanWaker(row interface{ Scan(...any) error }) (w Waker, err error) {
	var events string
	var setUp int64
	err = row.Scan(&w.Store, &w.Queue, &w.QueueURL, &w.QueueMade, &w.Topic, &w.TopicMade, &w.Subscription, &w.Replaced.Topic, &events, &setUp, &w.URL)
	if events != "" {
		w.Replaced.Events = strings.Split(events, ",")
	}
	w.SetUp = at(setUp, 0)
	return w, err
}

// Waker gives the waker of a store; found is false where it has none.
func (c *Catalog) Waker(ctx context.Context, store int64) (w Waker, found bool, err error) {
	err = c.read(ctx, "read waker", fmt.Sprint("of store ", store), func(tx tx) error {
		w, err = scanWaker(tx.row("SELECT "+wakerColumns+" FROM waker WHERE store = ?", store))
		found = err == nil
		return ignoreNoRows(err)
	})
	return w, found, err
}

// WakerByURL gives the waker of a store by any URL of it, and the store, which may
// be one that was forgotten, if there is no other. Errors: NotFound.
func (c *Catalog) WakerByURL(ctx context.Context, url string) (store Store, w Waker, err error) {
	err = c.read(ctx, "find queue", "of "+url, func(tx tx) error {
		store, err = scanStore(tx.row("SELECT "+storeColumns+` FROM store WHERE id IN (SELECT store FROM waker)
			AND (url = ?1 OR id = (SELECT store FROM store_url WHERE url = ?1)) ORDER BY gone, id DESC LIMIT 1`, url))
		if err == nil {
			w, err = scanWaker(tx.row("SELECT "+wakerColumns+" FROM waker WHERE store = ?", store.ID))
		}
		if isNoRows(err) {
			return &firn.Error{Op: "find queue", Subject: "of " + url, Kind: firn.NotFound,
				Err: errors.New("none was set up from here"), Hint: "set one up with: firn queue setup " + url}
		}
		return err
	})
	return store, w, err
}

// Wakers lists the wakers of all stores, those of forgotten ones too.
func (c *Catalog) Wakers(ctx context.Context) (wakers []Waker, err error) {
	err = c.read(ctx, "list wakers", "", func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			w, err := scanWaker(rows)
			wakers = append(wakers, w)
			return err
		}, "SELECT "+wakerColumns+" FROM waker ORDER BY store")
	})
	return wakers, err
}

// SetWaker records the waker of a store, in place of any earlier one.
func (c *Catalog) SetWaker(ctx context.Context, w Waker) error {
	return c.write(ctx, "record waker", fmt.Sprint("of store ", w.Store), func(tx tx) error {
		return tx.exec("INSERT INTO waker ("+wakerValues+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET queue = excluded.queue, queue_url = excluded.queue_url, queue_made = excluded.queue_made,
				topic = excluded.topic, topic_made = excluded.topic_made, subscription = excluded.subscription,
				replaced_topic = excluded.replaced_topic, replaced_events = excluded.replaced_events, set_up = excluded.set_up`,
			w.Store, w.Queue, w.QueueURL, w.QueueMade, w.Topic, w.TopicMade, w.Subscription, w.Replaced.Topic, strings.Join(w.Replaced.Events, ","), c.clock.Now().Unix())
	})
}

// DropWaker forgets the waker of a store; that it has none is no error.
func (c *Catalog) DropWaker(ctx context.Context, store int64) error {
	return c.write(ctx, "drop waker", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.exec("DELETE FROM waker WHERE store = ?", store)
	})
}

// Heard counts how often this machine heard that a store has something ready: a
// number that grew since the last look says so to those that did not hear it
// themselves. It is 0 where the store has no waker.
func (c *Catalog) Heard(ctx context.Context, store int64) (n int64, err error) {
	err = c.read(ctx, "read waker", fmt.Sprint("of store ", store), func(tx tx) error {
		return ignoreNoRows(tx.row("SELECT heard FROM waker WHERE store = ?", store).Scan(&n))
	})
	return n, err
}

// Hear adds one to what Heard counts, and gives it.
func (c *Catalog) Hear(ctx context.Context, store int64) (n int64, err error) {
	err = c.write(ctx, "record what was heard", fmt.Sprint("of store ", store), func(tx tx) error {
		return ignoreNoRows(tx.row("UPDATE waker SET heard = heard + 1 WHERE store = ? RETURNING heard", store).Scan(&n))
	})
	return n, err
}
