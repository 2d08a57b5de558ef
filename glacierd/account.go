package glacierd

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/firn-archive/firn/internal/sqldb"
)

// Names of what belongs to the account. No vault can have the folder's name.
const (
	accountFolder  = "+account"
	accountFile    = "account.db"
	credentialFile = "credentials"
)

// Strategies of a data-retrieval policy. Source: Amazon Glacier API reference,
// "Set Data Retrieval Policy".
const (
	strategyNone     = "None"
	strategyFreeTier = "FreeTier"
	strategyPerHour  = "BytesPerHour"
)

// freeTier is what may be retrieved in a calendar month free of charge.
// Source: Amazon Glacier pricing: 10 GB.
const freeTier = 10 << 30

// maxCapacity is how many units of provisioned capacity an account can have.
// Source: Amazon Glacier developer guide, "Provisioned capacity".
const maxCapacity = 2

// An account is what the server knows beyond its vaults. Its database is made
// when there is something to keep.
type account struct {
	dir string

	mu sync.Mutex
	db *sqldb.DB
}

// open gives the database, or nil where there is none and none is to be made.
func (a *account) open(create bool) (*sqldb.DB, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.db != nil {
		return a.db, nil
	}
	path := filepath.Join(a.dir, accountFile)
	if _, err := os.Stat(path); err != nil {
		if !create && errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err := os.MkdirAll(a.dir, 0o700); err != nil {
			return nil, err
		}
	}
	db, err := sqldb.Open(context.Background(), path, accountOptions())
	a.db = db
	return db, err
}

func (a *account) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.db == nil {
		return nil
	}
	return a.db.Close()
}

// readAccount runs fn where there is a database to read.
func (c *call) readAccount(fn func(tx) error) error {
	db, err := c.s.account.open(false)
	if err != nil || db == nil {
		return err
	}
	return db.Read(c.ctx, func(t *sqldb.Tx) error { return fn(tx{t, c}) })
}

// writeAccount runs fn, in a database that is made if need be.
func (c *call) writeAccount(fn func(tx) error) error {
	db, err := c.s.account.open(true)
	if err != nil {
		return err
	}
	return db.Write(c.ctx, func(t *sqldb.Tx) error { return fn(tx{t, c}) })
}

// A retrievalRule is the one rule of a data-retrieval policy.
type retrievalRule struct {
	Strategy     string
	BytesPerHour *int64
}

func (t tx) retrievalRule() (retrievalRule, error) {
	rule := retrievalRule{Strategy: strategyNone}
	_, err := t.one("SELECT strategy, per_hour FROM policy", nil, &rule.Strategy, &rule.BytesPerHour)
	return rule, err
}

func setRetrievalPolicy(c *call) error {
	rule, err := c.parseRetrievalPolicy()
	if err != nil {
		return err
	}
	err = c.writeAccount(func(t tx) error {
		return t.exec("INSERT OR REPLACE INTO policy VALUES (1, ?, ?)", rule.Strategy, rule.BytesPerHour)
	})
	if err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

func (c *call) parseRetrievalPolicy() (rule retrievalRule, err error) {
	o, err := parseObject(c.json)
	if err != nil {
		return rule, err
	}
	policy, err := o.object("Policy")
	if err != nil {
		return rule, err
	}
	var rules []object
	if _, err := policy.field("Rules", &rules); err != nil {
		return rule, err
	}
	if len(rules) != 1 {
		return rule, invalid("Invalid policy: it has %d rules; it must have one", len(rules))
	}
	strategy, err := rules[0].text("Strategy")
	if err != nil {
		return rule, err
	}
	if strategy == nil {
		return rule, missing("Strategy")
	}
	rule.Strategy = *strategy
	var perHour int64
	given, err := rules[0].field("BytesPerHour", &perHour)
	if err != nil {
		return rule, err
	}
	switch rule.Strategy {
	case strategyPerHour:
		if !given || perHour < 1 {
			return rule, invalid("Invalid BytesPerHour: it must be a number from 1 to %d", int64(math.MaxInt64))
		}
		rule.BytesPerHour = &perHour
	case strategyNone, strategyFreeTier:
		if given {
			return rule, invalid("BytesPerHour does not belong to the strategy %s", rule.Strategy)
		}
	default:
		return rule, invalid("Invalid strategy: %s. It must be %s, %s or %s", rule.Strategy, strategyPerHour, strategyFreeTier, strategyNone)
	}
	return rule, nil
}

func getRetrievalPolicy(c *call) error {
	rule := retrievalRule{Strategy: strategyNone}
	err := c.readAccount(func(t tx) (err error) {
		rule, err = t.retrievalRule()
		return err
	})
	if err != nil {
		return err
	}
	type policy struct{ Rules []retrievalRule }
	return c.reply(struct{ Policy policy }{policy{[]retrievalRule{rule}}})
}

// withinRetrievalPolicy refuses a Standard retrieval that the policy has no
// room for, and notes the bytes of others: those of the last hour count for
// BytesPerHour, those of the calendar month (UTC) for FreeTier. Retrievals from
// before the policy was set are not known, and don't count.
func (c *call) withinRetrievalPolicy(v *vault, q jobRequest, tier string) error {
	rule := retrievalRule{Strategy: strategyNone}
	err := c.readAccount(func(t tx) (err error) {
		rule, err = t.retrievalRule()
		return err
	})
	if err != nil || rule.Strategy == strategyNone || tier != tierStandard {
		return err
	}
	var bytes span
	err = c.read(v, func(t tx) (err error) {
		_, bytes, err = v.toRetrieve(t, q)
		return err
	})
	if err != nil {
		return err
	}
	return c.writeAccount(func(t tx) error { return t.noteRetrieval(rule, bytes.length()) })
}

func (t tx) noteRetrieval(rule retrievalRule, bytes int64) error {
	now := t.now()
	day := time.UnixMilli(now).UTC()
	month := time.Date(day.Year(), day.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	since, limit := month, int64(freeTier)
	if rule.Strategy == strategyPerHour {
		since, limit = now-time.Hour.Milliseconds()+1, *rule.BytesPerHour
	}
	var before int64
	if _, err := t.one("SELECT coalesce(sum(bytes), 0) FROM retrieval WHERE at >= ?", []any{since}, &before); err != nil {
		return err
	}
	if bytes > limit-before {
		return &apiError{http.StatusBadRequest, "PolicyEnforcedException", "InitiateJob request denied by current data retrieval policy."}
	}
	if err := t.exec("DELETE FROM retrieval WHERE at < ?", min(month, now-time.Hour.Milliseconds())); err != nil {
		return err
	}
	return t.exec("INSERT INTO retrieval VALUES (?, ?)", now, bytes)
}

// purchaseCapacity buys a unit for a month, to the same day of the next.
func purchaseCapacity(c *call) error {
	var raw [18]byte
	rand.Read(raw[:])
	id := base64.RawURLEncoding.EncodeToString(raw[:])
	err := c.writeAccount(func(t tx) error {
		now := t.now()
		var units int
		if _, err := t.one("SELECT count(*) FROM capacity WHERE expires > ?", []any{now}, &units); err != nil {
			return err
		}
		if units >= maxCapacity {
			return limitExceeded("The account has %d provisioned capacity units; it can't have more", units)
		}
		return t.exec("INSERT INTO capacity VALUES (?, ?, ?)", id, now, nextMonth(time.UnixMilli(now)).UnixMilli())
	})
	if err != nil {
		return err
	}
	c.w.Header().Set("x-amz-capacity-id", id)
	return c.empty(http.StatusCreated)
}

// nextMonth is the same day of the next month, or its last where it is shorter.
func nextMonth(t time.Time) time.Time {
	t = t.UTC()
	next := t.AddDate(0, 1, 0)
	if next.Day() != t.Day() {
		next = next.AddDate(0, 0, -next.Day())
	}
	return next
}

func listCapacity(c *call) error {
	type entry struct{ CapacityId, ExpirationDate, StartDate string }
	list := []entry{}
	err := c.readAccount(func(t tx) error {
		return t.each("SELECT id, start, expires FROM capacity WHERE expires > ? ORDER BY start, id", []any{t.now()}, func(scan func(...any) error) error {
			var e entry
			var start, expires int64
			err := scan(&e.CapacityId, &start, &expires)
			e.StartDate, e.ExpirationDate = stamp(start), stamp(expires)
			list = append(list, e)
			return err
		})
	})
	if err != nil {
		return err
	}
	return c.reply(struct{ ProvisionedCapacityList []entry }{list})
}
