package glacierd

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// maxPolicy is the size of an access or lock policy.
// Source: Amazon Glacier developer guide, "Quotas": 20 KB.
const maxPolicy = 20 << 10

// Policies are stored and given back as they came. Of what they say, this much
// is carried out: statements with Effect Deny, whose Principal is everybody or
// this account, whose Action names the operation and whose Resource the vault
// (both with * and ?), and whose conditions compare glacier:ArchiveAgeInDays
// or glacier:ResourceTag/KEY by the Numeric... and String... operators. A
// statement that uses anything else (NotAction, other keys or operators) does
// not apply. Nothing needs an Allow: whoever has a key owns the vaults.

// policyText reads a policy from the body, and makes sure that it is one.
func (c *call) policyText() (string, error) {
	o, err := parseObject(c.json)
	if err != nil {
		return "", err
	}
	// Lock policies and access policies come as {"Policy": "text"}.
	text, err := o.text("Policy")
	if err != nil {
		return "", err
	}
	if text == nil || *text == "" {
		return "", missing("Policy")
	}
	if len(*text) > maxPolicy {
		return "", invalid("Invalid policy: it has %d bytes, more than %d", len(*text), maxPolicy)
	}
	if _, err := parsePolicy(*text); err != nil {
		return "", err
	}
	return *text, nil
}

// A policyStatement is one statement of a policy, as far as it is understood.
type policyStatement struct {
	Effect                               string
	Principal                            json.RawMessage
	Action, Resource                     json.RawMessage
	NotAction, NotResource, NotPrincipal json.RawMessage
	Condition                            map[string]map[string]json.RawMessage
}

func parsePolicy(text string) ([]policyStatement, error) {
	var p struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, invalid("Invalid policy: %v", err)
	}
	var list []policyStatement
	if err := json.Unmarshal(p.Statement, &list); err != nil {
		var single policyStatement
		if json.Unmarshal(p.Statement, &single) != nil {
			return nil, invalid("Invalid policy: it has no Statement that can be read: %v", err)
		}
		list = []policyStatement{single}
	}
	for _, s := range list {
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return nil, invalid("Invalid policy: Effect is %s; it must be Allow or Deny", describe(s.Effect))
		}
	}
	return list, nil
}

// facts are what conditions can ask for.
type facts struct {
	age *int64 // of the archive, in milliseconds; nil: no archive is concerned
}

// allowed fails where the vault is gone, or a policy denies the operation.
func (t tx) allowed(f facts) error {
	var access, lock *string
	var expires *int64
	found, err := t.one("SELECT access_policy, lock_policy, lock_expires FROM vault", nil, &access, &lock, &expires)
	if err != nil {
		return err
	}
	if !found {
		return t.c.noVault()
	}
	if expires != nil && *expires <= t.now() {
		lock = nil
	}
	for _, text := range []*string{access, lock} {
		if text == nil {
			continue
		}
		if err := t.denies(*text, f); err != nil {
			return err
		}
	}
	return nil
}

// denies fails where a statement of the policy denies the operation.
func (t tx) denies(text string, f facts) error {
	list, err := parsePolicy(text)
	if err != nil {
		return nil // was fine when it was stored
	}
	c := t.c
	action := "glacier:" + c.name
	for _, s := range list {
		if s.Effect != "Deny" || s.NotAction != nil || s.NotResource != nil || s.NotPrincipal != nil {
			continue
		}
		if !c.isPrincipal(s.Principal) || !anyMatch(s.Action, action) || !c.isResource(s.Resource) {
			continue
		}
		met, err := t.met(s.Condition, f)
		if err != nil {
			return err
		}
		if met {
			return denied("User: arn:aws:iam::%s:root is not authorized to perform: %s on resource: %s with an explicit deny", c.s.cfg.Account, action, c.arn(c.vault))
		}
	}
	return nil
}

// isPrincipal reports whether a principal means everybody or this account.
func (c *call) isPrincipal(raw json.RawMessage) bool {
	var named struct{ AWS json.RawMessage }
	if json.Unmarshal(raw, &named) == nil {
		raw = named.AWS
	}
	for _, p := range textOrList(raw) {
		if p == "*" || p == c.s.cfg.Account || p == "arn:aws:iam::"+c.s.cfg.Account+":root" {
			return true
		}
	}
	return false
}

// isResource reports whether a resource names this vault. Where each client
// has a region of its own, the region does not count.
func (c *call) isResource(raw json.RawMessage) bool {
	if raw == nil || anyMatch(raw, c.arn(c.vault)) {
		return true
	}
	if c.s.cfg.Region != "" {
		return false
	}
	for _, pattern := range textOrList(raw) {
		if f := strings.SplitN(pattern, ":", 5); len(f) == 5 {
			f[3] = c.region
			if wildcard(strings.Join(f, ":"), c.arn(c.vault)) {
				return true
			}
		}
	}
	return false
}

// met reports whether all conditions of a statement hold.
func (t tx) met(conditions map[string]map[string]json.RawMessage, f facts) (bool, error) {
	for operator, keys := range conditions {
		for key, raw := range keys {
			have, known, err := t.fact(key, f)
			if err != nil || !known || !compare(operator, have, textOrList(raw)) {
				return false, err
			}
		}
	}
	return true, nil
}

// fact is the value that a condition key has for this call.
func (t tx) fact(key string, f facts) (value string, known bool, err error) {
	if strings.EqualFold(key, "glacier:ArchiveAgeInDays") {
		if f.age == nil {
			return "", false, nil
		}
		return strconv.FormatInt(*f.age/(24*time.Hour).Milliseconds(), 10), true, nil
	}
	if tag, ok := cutPrefixFold(key, "glacier:ResourceTag/"); ok {
		tags, err := t.tags()
		value, known = tags[tag]
		return value, known, err
	}
	return "", false, nil
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// compare applies a condition operator: positive ones hold if any of the
// wanted values does, negated ones if none does.
func compare(operator, have string, wanted []string) bool {
	holds, negated := comparison(operator)
	if holds == nil {
		return false
	}
	for _, want := range wanted {
		if holds(have, want) {
			return !negated
		}
	}
	return negated
}

func comparison(operator string) (holds func(have, want string) bool, negated bool) {
	number := func(test func(a, b float64) bool) func(string, string) bool {
		return func(have, want string) bool {
			a, errA := strconv.ParseFloat(have, 64)
			b, errB := strconv.ParseFloat(want, 64)
			return errA == nil && errB == nil && test(a, b)
		}
	}
	switch operator {
	case "NumericEquals":
		return number(func(a, b float64) bool { return a == b }), false
	case "NumericNotEquals":
		return number(func(a, b float64) bool { return a == b }), true
	case "NumericLessThan":
		return number(func(a, b float64) bool { return a < b }), false
	case "NumericLessThanEquals":
		return number(func(a, b float64) bool { return a <= b }), false
	case "NumericGreaterThan":
		return number(func(a, b float64) bool { return a > b }), false
	case "NumericGreaterThanEquals":
		return number(func(a, b float64) bool { return a >= b }), false
	case "StringEquals":
		return func(have, want string) bool { return have == want }, false
	case "StringNotEquals":
		return func(have, want string) bool { return have == want }, true
	case "StringEqualsIgnoreCase":
		return strings.EqualFold, false
	case "StringLike":
		return func(have, want string) bool { return wildcard(want, have) }, false
	case "StringNotLike":
		return func(have, want string) bool { return wildcard(want, have) }, true
	}
	return nil, false
}

// textOrList reads "a" as well as ["a", "b"]; numbers and booleans as texts.
func textOrList(raw json.RawMessage) []string {
	var list []any
	if json.Unmarshal(raw, &list) != nil {
		var single any
		if json.Unmarshal(raw, &single) != nil {
			return nil
		}
		list = []any{single}
	}
	var texts []string
	for _, v := range list {
		switch v := v.(type) {
		case string:
			texts = append(texts, v)
		case float64:
			texts = append(texts, strconv.FormatFloat(v, 'f', -1, 64))
		case bool:
			texts = append(texts, strconv.FormatBool(v))
		}
	}
	return texts
}

func anyMatch(patterns json.RawMessage, text string) bool {
	for _, p := range textOrList(patterns) {
		if wildcard(p, text) {
			return true
		}
	}
	return false
}

// wildcard matches with * for any text and ? for one character. After a
// mismatch it goes back to the last star only, so that no pattern is slow.
func wildcard(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// tagText reports whether a text has only the characters that tags may have.
func tagText(s string) bool {
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(tagCharacters, r) {
			return false
		}
	}
	return true
}
