package glacierd

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"time"
)

// lockTime is how long an initiated vault lock waits to be completed.
// Source: Amazon Glacier API reference, "Initiate Vault Lock".
const lockTime = 24 * time.Hour

// A vaultLock is a policy that can't be taken back once it is locked.
type vaultLock struct {
	policy  string
	id      string
	created int64
	expires *int64 // nil: locked for good
}

// lock reads the vault's lock; one that was not completed in time is none.
func (t tx) lock() (l vaultLock, set bool, err error) {
	var policy *string
	var id *string
	var created *int64
	_, err = t.one("SELECT lock_policy, lock_id, lock_created, lock_expires FROM vault", nil, &policy, &id, &created, &l.expires)
	if err != nil || policy == nil || l.expires != nil && *l.expires <= t.now() {
		return vaultLock{}, false, err
	}
	l.policy, l.id, l.created = *policy, *id, *created
	return l, true, nil
}

func initiateLock(c *call, v *vault) error {
	text, err := c.policyText()
	if err != nil {
		return err
	}
	var raw [18]byte
	rand.Read(raw[:])
	id := base64.RawURLEncoding.EncodeToString(raw[:])
	err = c.write(v, func(t tx) error {
		l, set, err := t.lock()
		if err != nil {
			return err
		}
		if set {
			return denied("The vault lock is already %s: %s", l.state(), c.arn(v.name))
		}
		now := t.now()
		return t.exec("UPDATE vault SET lock_policy = ?, lock_id = ?, lock_created = ?, lock_expires = ?", text, id, now, now+lockTime.Milliseconds())
	})
	if err != nil {
		return err
	}
	c.w.Header().Set("x-amz-lock-id", id)
	return c.empty(http.StatusCreated)
}

func (l vaultLock) state() string {
	if l.expires == nil {
		return "Locked"
	}
	return inProgress
}

func completeLock(c *call, v *vault) error {
	err := c.write(v, func(t tx) error {
		l, set, err := t.lock()
		switch {
		case err != nil:
			return err
		case !set:
			return c.noLock(v)
		case l.id == c.item:
			return t.exec("UPDATE vault SET lock_expires = NULL")
		case l.expires == nil:
			return denied("The vault is locked, with another lock id: %s", c.arn(v.name))
		}
		return invalid("Invalid lock ID: %s", c.item)
	})
	if err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

func (c *call) noLock(v *vault) error {
	return notFound("No vault lock policy is set for: %s", c.arn(v.name))
}

func abortLock(c *call, v *vault) error {
	err := c.write(v, func(t tx) error {
		l, set, err := t.lock()
		if err != nil {
			return err
		}
		if set && l.expires == nil {
			return denied("The vault is locked; its lock can't be aborted: %s", c.arn(v.name))
		}
		return t.exec("UPDATE vault SET lock_policy = NULL, lock_id = NULL, lock_created = NULL, lock_expires = NULL")
	})
	if err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

func getLock(c *call, v *vault) error {
	var l vaultLock
	err := c.read(v, func(t tx) error {
		var set bool
		var err error
		if l, set, err = t.lock(); err == nil && !set {
			err = c.noLock(v)
		}
		return err
	})
	if err != nil {
		return err
	}
	answer := struct {
		CreationDate   string
		ExpirationDate *string
		Policy         string
		State          string
	}{CreationDate: stamp(l.created), Policy: l.policy, State: l.state()}
	if l.expires != nil {
		date := stamp(*l.expires)
		answer.ExpirationDate = &date
	}
	return c.reply(answer)
}
