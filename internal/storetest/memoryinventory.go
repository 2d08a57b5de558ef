package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/firn-archive/firn"
)

// StartInventory starts an inventory job.
func (m *Memory) StartInventory(ctx context.Context, spec firn.InventorySpec) (firn.JobID, error) {
	const op = "start inventory"
	if err := m.enter(ctx, op); err != nil {
		return "", err
	}
	defer m.mu.Unlock()
	if err := m.checkInventory(spec); err != nil {
		return "", m.fail(op, firn.Invalid, err)
	}
	boundary := m.boundary()
	if boundary.IsZero() {
		return "", m.fail(op, firn.NotReady, fmt.Errorf("no inventory yet"))
	}
	j := m.job(firn.InventoryJob, spec.Description)
	j.boundary = boundary
	if j.Format = spec.Format; j.Format == "" {
		j.Format = firn.InventoryJSON
	}
	j.Listing = spec.Listing
	j.Listing.After, j.Listing.Before = wholeSeconds(spec.Listing.After), wholeSeconds(spec.Listing.Before)
	j.Partial = spec.Listing != firn.Listing{}
	return j.ID, nil
}

func wholeSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func (m *Memory) checkInventory(spec firn.InventorySpec) error {
	switch spec.Format {
	case "", firn.InventoryJSON, firn.InventoryCSV:
	default:
		return fmt.Errorf("no format %q", spec.Format)
	}
	l := spec.Listing
	if l.Limit < 0 {
		return fmt.Errorf("a limit of %d", l.Limit)
	}
	if l.Marker != "" && !slices.ContainsFunc(m.archives, func(a *memoryArchive) bool { return string(a.ID) == l.Marker }) {
		return fmt.Errorf("no marker %q", l.Marker)
	}
	return checkDescription(spec.Description)
}

// listed gives the archives that a job lists, and the marker of the rest.
func (m *Memory) listed(j *memoryJob) (list []firn.Archive, next string) {
	l := j.Job.Listing
	behind := l.Marker == ""
	for _, a := range m.inventory(j.boundary) {
		switch {
		case !behind:
			behind = string(a.ID) == l.Marker
		case a.Created.Before(l.After), !l.Before.IsZero() && !a.Created.Before(l.Before):
		case l.Limit > 0 && int64(len(list)) == l.Limit:
			return list, string(list[len(list)-1].ID)
		default:
			list = append(list, a)
		}
	}
	return list, ""
}

// The forms in which a vault writes times, and how an inventory in CSV begins.
// Source: Amazon Glacier API reference, "Get Job Output".
const (
	millis  = "2006-01-02T15:04:05.000Z"
	seconds = "2006-01-02T15:04:05Z"
	csvHead = "ArchiveId,ArchiveDescription,CreationDate,Size,SHA256TreeHash"
)

// write writes the output of an inventory job, once.
func (m *Memory) write(j *memoryJob) {
	if j.output != nil {
		return
	}
	var list []firn.Archive
	list, j.next = m.listed(j)
	if j.Format == firn.InventoryCSV {
		j.output = inCSV(list)
		return
	}
	j.output = m.inJSON(j, list)
}

func inCSV(list []firn.Archive) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, csvHead)
	for _, a := range list {
		description := a.Description
		if strings.ContainsAny(description, `,"`) {
			description = `"` + strings.ReplaceAll(description, `"`, `\"`) + `"`
		}
		fmt.Fprintf(&b, "%s,%s,%s,%d,%s\n", a.ID, description, a.Created.UTC().Format(millis), a.Size, a.Tree)
	}
	return b.Bytes()
}

func (m *Memory) inJSON(j *memoryJob, list []firn.Archive) []byte {
	type entry struct {
		ArchiveID          firn.ArchiveID `json:"ArchiveId"`
		ArchiveDescription string
		CreationDate       string
		Size               int64
		SHA256TreeHash     string
	}
	all := struct {
		VaultARN, InventoryDate string
		ArchiveList             []entry
	}{m.address(), j.boundary.UTC().Format(seconds), []entry{}}
	for _, a := range list {
		all.ArchiveList = append(all.ArchiveList, entry{a.ID, a.Description, a.Created.UTC().Format(millis), a.Size, a.Tree.String()})
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

// address is what an inventory is one of.
func (m *Memory) address() string { return "memory:" + m.o.Name }

// Inventory reads an inventory.
func (m *Memory) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	const op = "read inventory"
	if err := m.enter(ctx, op); err != nil {
		return firn.InventoryInfo{}, err
	}
	j, _, err := m.ready(op, id)
	var list []firn.Archive
	switch {
	case err != nil:
	case j.Kind != firn.InventoryJob:
		err = m.fail(op, firn.Corrupt, fmt.Errorf("the output is no inventory"))
	case j.Format == firn.InventoryCSV:
		err = m.fail(op, firn.Invalid, fmt.Errorf("the inventory is in CSV"))
	default:
		list, _ = m.listed(j)
	}
	m.mu.Unlock()
	if err != nil {
		return firn.InventoryInfo{}, err
	}
	info := firn.InventoryInfo{Subject: m.address(), Date: j.boundary.Truncate(time.Second)}
	for _, a := range list {
		if err := each(a); err != nil {
			return info, err
		}
		info.Archives++
	}
	return info, nil
}
