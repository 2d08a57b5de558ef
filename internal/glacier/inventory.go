package glacier

import (
	"context"
	"io"

	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/inventory"
)

// Inventory reads the output of an inventory job.
func (v *Vault) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	x := v.begin(ctx, "read inventory", "of "+v.label)
	x.stream = true
	out, err := v.client.GetJobOutput(x.ctx, &sdk.GetJobOutputInput{AccountId: ownAccount(), VaultName: &v.name, JobId: (*string)(&id)})
	if err != nil {
		return firn.InventoryInfo{}, v.noOutput(ctx, x, id, err)
	}
	body := &download{ReadCloser: out.Body, x: x, left: unbounded}
	defer body.Close()
	// One entry that is wrong makes all of it doubtful: what is missing in an
	// inventory counts as lost.
	info, err := inventory.ReadJSON(body, each, nil)
	unreadable, ok := err.(*inventory.Error)
	switch {
	case !ok:
		return info, err // nil, or what each said
	case body.err != nil && body.err != io.EOF:
		return info, body.err
	}
	return info, x.fail(firn.Corrupt, unreadable, "")
}
