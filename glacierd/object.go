package glacierd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// An object is a JSON object from a client. Its keys are told apart by case,
// as the service does, and unknown ones are passed over.
type object map[string]json.RawMessage

// parseObject reads the body of a call.
func parseObject(body []byte) (object, error) {
	var o object
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, serialization("the request has no body; it should be a JSON object")
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, serialization("the body is not a JSON object: %v", err)
	}
	return o, nil
}

// field reads the member named name into to; null counts as absent.
func (o object) field(name string, to any) (present bool, err error) {
	raw, ok := o[name]
	if !ok || string(raw) == "null" {
		return false, nil
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return false, serialization("%s: %v", name, err)
	}
	return true, nil
}

// text reads a member that is a string, nil where it is absent.
func (o object) text(name string) (*string, error) {
	var s string
	present, err := o.field(name, &s)
	if err != nil || !present {
		return nil, err
	}
	return &s, nil
}

// object reads a member that is an object, nil where it is absent.
func (o object) object(name string) (object, error) {
	var inner object
	_, err := o.field(name, &inner)
	return inner, err
}

// texts reads several members that are strings, and stops at the first error.
func (o object) texts(members map[string]**string) error {
	for name, to := range members {
		s, err := o.text(name)
		if err != nil {
			return err
		}
		*to = s
	}
	return nil
}

// parseJob reads what kind of job is asked for. The service takes the bare
// object; clients never send the outer key that one page of its guide shows.
func (c *call) parseJob() (jobRequest, error) {
	var q jobRequest
	o, err := parseObject(c.json)
	if err != nil {
		return q, err
	}
	var kind *string
	err = o.texts(map[string]**string{
		"Type": &kind, "ArchiveId": &q.archiveID, "Description": &q.description, "Format": &q.format,
		"RetrievalByteRange": &q.byteRange, "SNSTopic": &q.topic, "Tier": &q.tier,
	})
	if err != nil {
		return q, err
	}
	if kind == nil {
		return q, missing("Type")
	}
	q.kind = *kind
	if q.description != nil {
		if _, err := c.description(*q.description); err != nil {
			return q, err
		}
	}
	switch q.kind {
	case typeArchive:
		return q, q.checkArchive(o)
	case typeInventory:
		return q, q.checkInventory(o)
	case typeSelect:
		return q, invalid("Select jobs are no longer available. Retrieve the archive instead")
	}
	return q, invalid("Invalid job type: %s. It must be %s or %s", q.kind, typeArchive, typeInventory)
}

// checkArchive refuses what an archive retrieval must not have, or must.
func (q *jobRequest) checkArchive(o object) error {
	inner, err := o.object("InventoryRetrievalParameters")
	switch {
	case err != nil:
		return err
	case inner != nil:
		return invalid("InventoryRetrievalParameters belong to %s jobs", typeInventory)
	case q.archiveID == nil || *q.archiveID == "":
		return missing("ArchiveId")
	}
	return nil
}

// checkInventory reads the rest of an inventory retrieval.
func (q *jobRequest) checkInventory(o object) error {
	switch {
	case q.archiveID != nil:
		return invalid("ArchiveId does not belong to %s jobs", typeInventory)
	case q.byteRange != nil:
		return invalid("RetrievalByteRange does not belong to %s jobs", typeInventory)
	}
	format := formatJSON
	if q.format != nil && *q.format != "" {
		format = *q.format
	}
	if format != formatJSON && format != formatCSV {
		return invalid("Invalid format: %s. It must be %s or %s", format, formatJSON, formatCSV)
	}
	q.format = &format
	inner, err := o.object("InventoryRetrievalParameters")
	if err != nil {
		return err
	}
	var start, until, most *string
	if err := inner.texts(map[string]**string{"StartDate": &start, "EndDate": &until, "Limit": &most, "Marker": &q.marker}); err != nil {
		return err
	}
	if q.start, err = parseDate("StartDate", start); err != nil {
		return err
	}
	if q.until, err = parseDate("EndDate", until); err != nil {
		return err
	}
	if q.start != nil && q.until != nil && *q.start > *q.until {
		return invalid("Invalid date range: StartDate %s is after EndDate %s", *start, *until)
	}
	if most != nil {
		n, err := strconv.ParseInt(*most, 10, 64)
		if err != nil || n < 1 {
			return invalid("Invalid limit: %s", *most)
		}
		q.most = &n
	}
	return nil
}

// parseDate reads a time in ISO 8601, with or without a fraction, in UTC or not.
func parseDate(name string, text *string) (*int64, error) {
	if text == nil {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339Nano, *text)
	if err != nil {
		return nil, invalid("Invalid %s: %s. It must have the form %s", name, *text, secondFormat)
	}
	ms := t.UnixMilli()
	return &ms, nil
}

// describe is a short form of a value from a client, for messages.
func describe(v any) string { return fmt.Sprintf("%.100q", fmt.Sprint(v)) }
