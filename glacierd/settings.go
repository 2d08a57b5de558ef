package glacierd

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of tags. Source: Amazon Glacier developer guide, "Tagging your vaults",
// and API reference, "Add Tags To Vault".
const (
	maxTags       = 50
	maxTagsACall  = 10
	maxTagKey     = 128
	maxTagValue   = 255
	tagCharacters = "_./=+-@ "
)

// eventNames are what a vault can notify about.
func eventNames() []string {
	return []string{"ArchiveRetrievalCompleted", "InventoryRetrievalCompleted"}
}

// setNotifications stores where the vault should notify to. Nothing is sent:
// there is no SNS here.
func setNotifications(c *call, v *vault) error {
	o, err := parseObject(c.json)
	if err != nil {
		return err
	}
	topic, err := o.text("SNSTopic")
	if err != nil {
		return err
	}
	if topic == nil || !strings.HasPrefix(*topic, "arn:") {
		return invalid("Invalid SNSTopic: it must be the ARN of a topic")
	}
	var events []string
	if _, err := o.field("Events", &events); err != nil {
		return err
	}
	if len(events) == 0 {
		return missing("Events")
	}
	for _, e := range events {
		if !slices.Contains(eventNames(), e) {
			return invalid("Invalid event: %s. It must be one of %s", e, strings.Join(eventNames(), ", "))
		}
	}
	list, err := json.Marshal(events)
	if err != nil {
		return err
	}
	return c.store(v, "UPDATE vault SET topic = ?, events = ?", *topic, string(list))
}

// store makes a change to the vault's row, and answers.
func (c *call) store(v *vault, query string, args ...any) error {
	if err := c.write(v, func(t tx) error { return t.exec(query, args...) }); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

func getNotifications(c *call, v *vault) error {
	var topic, events *string
	err := c.read(v, func(t tx) error {
		_, err := t.one("SELECT topic, events FROM vault", nil, &topic, &events)
		return err
	})
	if err != nil {
		return err
	}
	if topic == nil {
		return notFound("No notification configuration is set for vault: %s", c.arn(v.name))
	}
	return c.reply(struct {
		Events   json.RawMessage
		SNSTopic string
	}{json.RawMessage(*events), *topic})
}

func deleteNotifications(c *call, v *vault) error {
	return c.store(v, "UPDATE vault SET topic = NULL, events = NULL")
}

func setAccessPolicy(c *call, v *vault) error {
	text, err := c.policyText()
	if err != nil {
		return err
	}
	return c.store(v, "UPDATE vault SET access_policy = ?", text)
}

func getAccessPolicy(c *call, v *vault) error {
	var text *string
	err := c.read(v, func(t tx) error {
		_, err := t.one("SELECT access_policy FROM vault", nil, &text)
		return err
	})
	if err != nil {
		return err
	}
	if text == nil {
		return notFound("No vault access policy is set for: %s", c.arn(v.name))
	}
	return c.reply(struct{ Policy string }{*text})
}

func deleteAccessPolicy(c *call, v *vault) error {
	return c.store(v, "UPDATE vault SET access_policy = NULL")
}

func addTags(c *call, v *vault) error {
	o, err := parseObject(c.json)
	if err != nil {
		return err
	}
	var tags map[string]string
	if _, err := o.field("Tags", &tags); err != nil {
		return err
	}
	if n := len(tags); n < 1 || n > maxTagsACall {
		return invalid("Invalid Tags: there are %d of them; a call takes 1 to %d", n, maxTagsACall)
	}
	for key, value := range tags {
		if err := checkTag(key, value); err != nil {
			return err
		}
	}
	return c.changeTags(v, func(t tx) error {
		for key, value := range tags {
			if err := t.exec("INSERT OR REPLACE INTO tag VALUES (?, ?)", key, value); err != nil {
				return err
			}
		}
		var n int
		if _, err := t.one("SELECT count(*) FROM tag", nil, &n); err != nil {
			return err
		}
		if n > maxTags {
			return limitExceeded("The vault would have %d tags; it can't have more than %d", n, maxTags)
		}
		return nil
	})
}

func checkTag(key, value string) error {
	switch {
	case !tagText(key) || utf8.RuneCountInString(key) < 1 || utf8.RuneCountInString(key) > maxTagKey:
		return invalid("Invalid tag key: %s. A key has 1 to %d letters, digits, spaces and %s", describe(key), maxTagKey, tagCharacters)
	case strings.HasPrefix(key, "aws:"):
		return invalid("Invalid tag key: %s. Keys do not begin with aws:", describe(key))
	case !tagText(value) || utf8.RuneCountInString(value) > maxTagValue:
		return invalid("Invalid tag value: %s. A value has up to %d letters, digits, spaces and %s", describe(value), maxTagValue, tagCharacters)
	}
	return nil
}

func removeTags(c *call, v *vault) error {
	o, err := parseObject(c.json)
	if err != nil {
		return err
	}
	var keys []string
	if _, err := o.field("TagKeys", &keys); err != nil {
		return err
	}
	if n := len(keys); n < 1 || n > maxTagsACall {
		return invalid("Invalid TagKeys: there are %d of them; a call takes 1 to %d", n, maxTagsACall)
	}
	return c.changeTags(v, func(t tx) error {
		for _, key := range keys {
			if err := t.exec("DELETE FROM tag WHERE key = ?", key); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *call) changeTags(v *vault, change func(tx) error) error {
	if err := c.write(v, change); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

func listTags(c *call, v *vault) error {
	var tags map[string]string
	err := c.read(v, func(t tx) (err error) {
		tags, err = t.tags()
		return err
	})
	if err != nil {
		return err
	}
	return c.reply(struct{ Tags map[string]string }{tags})
}

func (t tx) tags() (map[string]string, error) {
	tags := map[string]string{}
	err := t.each("SELECT key, value FROM tag", nil, func(scan func(...any) error) error {
		var key, value string
		err := scan(&key, &value)
		tags[key] = value
		return err
	})
	return tags, err
}
