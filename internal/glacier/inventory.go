package glacier

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"
	"github.com/aws/aws-sdk-go-v2/service/glacier/types"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/exchange"
	"github.com/firn-archive/firn/internal/inventory"
)

// Inventory reads the output of an inventory job.
func (v *Vault) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	x := v.begin(ctx, "read inventory", "of "+v.label)
	x.Streams = true
	out, err := v.client.GetJobOutput(x.Ctx, &sdk.GetJobOutputInput{AccountId: ownAccount(), VaultName: &v.name, JobId: (*string)(&id)})
	if err != nil {
		return firn.InventoryInfo{}, v.noOutput(ctx, x, id, err)
	}
	body := x.Download(out.Body, exchange.Unbounded)
	defer body.Close()
	if isCSV(out) {
		return firn.InventoryInfo{}, x.Fail(firn.Invalid, errText("it is in CSV, which doesn't say of when it is"), "take one in JSON")
	}
	// One entry that is wrong makes all of it doubtful: what is missing in an
	// inventory counts as lost.
	info, err := inventory.ReadJSON(body, each, nil)
	info.Bytes = body.Received()
	unreadable, ok := err.(*inventory.Error)
	switch {
	case !ok:
		return info, err // nil, or what each said
	case body.Broken() != nil:
		return info, body.Broken()
	}
	return info, x.Fail(firn.Corrupt, unreadable, "")
}

// typeCSV is what the output of an inventory in CSV is called. Source: Amazon
// Glacier API reference, "Get Job Output".
const typeCSV = "text/csv"

// isCSV reports whether an output comes as CSV.
func isCSV(out *sdk.GetJobOutputOutput) bool {
	form, _, _ := strings.Cut(text(out.ContentType), ";")
	return strings.EqualFold(strings.TrimSpace(form), typeCSV)
}

// listingInput writes what an inventory is to list; nil: all.
func listingInput(l firn.Listing) (*types.InventoryRetrievalJobInput, error) {
	if l == (firn.Listing{}) {
		return nil, nil
	}
	if l.Limit < 0 {
		return nil, fmt.Errorf("a limit of %d archives", l.Limit)
	}
	in := &types.InventoryRetrievalJobInput{StartDate: dateInput(l.After), EndDate: dateInput(l.Before)}
	if l.Limit > 0 {
		s := strconv.FormatInt(l.Limit, 10)
		in.Limit = &s
	}
	if l.Marker != "" {
		in.Marker = &l.Marker
	}
	return in, nil
}

// dateInput writes a time in whole seconds; nil: none.
func dateInput(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Truncate(time.Second).Format(time.RFC3339)
	return &s
}

// inventoryJob reads what inventory jobs have. What a job was to list matters to
// people alone, but for whether that is everything: what can't be read of it is
// left out.
func inventoryJob(j *firn.Job, o types.GlacierJobDescription) {
	j.Kind, j.Format = firn.InventoryJob, firn.InventoryJSON
	if o.InventorySizeInBytes != nil {
		j.InventorySize = *o.InventorySizeInBytes
	}
	p := o.InventoryRetrievalParameters
	if p == nil {
		return
	}
	if f := text(p.Format); f != "" {
		j.Format = firn.InventoryFormat(strings.ToLower(f))
	}
	j.Partial = text(p.StartDate) != "" || text(p.EndDate) != "" || text(p.Limit) != "" || text(p.Marker) != ""
	if t, err := moment(p.StartDate); err == nil {
		j.Listing.After = t
	}
	if t, err := moment(p.EndDate); err == nil {
		j.Listing.Before = t
	}
	if n, err := strconv.ParseInt(text(p.Limit), 10, 64); err == nil {
		j.Listing.Limit = n
	}
	j.Listing.Marker = text(p.Marker)
}
