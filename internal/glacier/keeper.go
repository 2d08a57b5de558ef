package glacier

import (
	"context"
	"maps"
	"slices"
	"strings"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/exchange"
)

// Describe says what the vault is.
func (v *Vault) Describe(ctx context.Context) (firn.StoreInfo, error) {
	x := v.begin(ctx, "describe", v.label)
	out, err := v.client.DescribeVault(x.Ctx, &sdk.DescribeVaultInput{AccountId: ownAccount(), VaultName: &v.name})
	if err := x.End(err); err != nil {
		return firn.StoreInfo{}, err
	}
	return v.infoOf(x, *out)
}

// infoOf reads what the service says of a vault.
func (s *service) infoOf(x *exchange.Exchange, out sdk.DescribeVaultOutput) (firn.StoreInfo, error) {
	info := firn.StoreInfo{
		Name:     text(out.VaultName),
		Address:  text(out.VaultARN),
		Region:   s.region,
		Archives: out.NumberOfArchives,
		Bytes:    out.SizeInBytes,
	}
	if s.cfg.Now != nil {
		info.Now = s.cfg.Now()
	} else if now, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		info.Now = now
	}
	var err error
	if info.Created, err = moment(out.CreationDate); err != nil {
		return info, x.Garbled(err)
	}
	if info.LastInventory, err = moment(out.LastInventoryDate); err != nil {
		return info, x.Garbled(err)
	}
	if info.Address == "" || info.Created.IsZero() {
		return info, x.Garbled(errText("a vault without ARN or creation date"))
	}
	if s.cfg.Identify != nil {
		if info.Identity, err = s.cfg.Identify(info); err != nil {
			return info, x.Fail(firn.Local, err, "")
		}
		return info, nil
	}
	info.Identity = strings.Join([]string{s.home, info.Address, text(out.CreationDate)}, " ")
	return info, nil
}

// Create makes the vault.
func (v *Vault) Create(ctx context.Context) error {
	x := v.begin(ctx, "create", v.label)
	_, err := v.client.CreateVault(x.Ctx, &sdk.CreateVaultInput{AccountId: ownAccount(), VaultName: &v.name})
	return x.End(err)
}

// Delete removes the vault, where it is empty.
func (v *Vault) Delete(ctx context.Context) error {
	x := v.begin(ctx, "delete", v.label)
	_, err := v.client.DeleteVault(x.Ctx, &sdk.DeleteVaultInput{AccountId: ownAccount(), VaultName: &v.name})
	switch x.RefusedWith() {
	case codeNotFound:
		return x.Forgive()
	case codeInvalidValue:
		// The name was checked, so that there is nothing else to refuse.
		return x.Fail(firn.NotEmpty, x.Refusal(),
			"a vault can go one inventory, about a day, after its last archive went and nothing was written since")
	}
	return x.End(err)
}

// Tags gives the vault's tags.
func (v *Vault) Tags(ctx context.Context) (map[string]string, error) {
	x := v.begin(ctx, "read tags", "of "+v.label)
	out, err := v.client.ListTagsForVault(x.Ctx, &sdk.ListTagsForVaultInput{AccountId: ownAccount(), VaultName: &v.name})
	if err := x.End(err); err != nil {
		return nil, err
	}
	tags := make(map[string]string, len(out.Tags))
	maps.Copy(tags, out.Tags)
	return tags, nil
}

// SetTags adds tags, ten a request. Those of requests before a failed one stay.
func (v *Vault) SetTags(ctx context.Context, tags map[string]string) error {
	for keys := range slices.Chunk(slices.Sorted(maps.Keys(tags)), maxTagsPerCall) {
		some := make(map[string]string, len(keys))
		for _, k := range keys {
			some[k] = tags[k]
		}
		x := v.begin(ctx, "tag", v.label)
		_, err := v.client.AddTagsToVault(x.Ctx, &sdk.AddTagsToVaultInput{AccountId: ownAccount(), VaultName: &v.name, Tags: some})
		if err := x.End(err); err != nil {
			return err
		}
	}
	return nil
}

// RemoveTags removes tags, ten a request.
func (v *Vault) RemoveTags(ctx context.Context, keys ...string) error {
	for some := range slices.Chunk(keys, maxTagsPerCall) {
		x := v.begin(ctx, "untag", v.label)
		_, err := v.client.RemoveTagsFromVault(x.Ctx, &sdk.RemoveTagsFromVaultInput{AccountId: ownAccount(), VaultName: &v.name, TagKeys: some})
		if err := x.End(err); err != nil {
			return err
		}
	}
	return nil
}
