package glacier

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"
	"github.com/aws/aws-sdk-go-v2/service/glacier/types"

	"github.com/firn-archive/firn"
)

var _ firn.Notifier = (*Vault)(nil)

// Notifications says what the vault tells to which topic.
func (v *Vault) Notifications(ctx context.Context) (firn.Notifications, error) {
	x := v.begin(ctx, "read notifications", "of "+v.label)
	out, err := v.client.GetVaultNotifications(x.Ctx, &sdk.GetVaultNotificationsInput{AccountId: ownAccount(), VaultName: &v.name})
	if missed(x) {
		return firn.Notifications{}, x.Forgive() // none are set
	}
	if err := x.End(err); err != nil {
		return firn.Notifications{}, err
	}
	if out.VaultNotificationConfig == nil {
		return firn.Notifications{}, nil
	}
	return firn.Notifications{Topic: text(out.VaultNotificationConfig.SNSTopic), Events: out.VaultNotificationConfig.Events}, nil
}

// SetNotifications lets the vault tell events to a topic, and nothing to any other.
func (v *Vault) SetNotifications(ctx context.Context, n firn.Notifications) error {
	x := v.begin(ctx, "set notifications", "of "+v.label)
	_, err := v.client.SetVaultNotifications(x.Ctx, &sdk.SetVaultNotificationsInput{
		AccountId: ownAccount(), VaultName: &v.name,
		VaultNotificationConfig: &types.VaultNotificationConfig{SNSTopic: &n.Topic, Events: n.Events},
	})
	return x.End(err)
}

// RemoveNotifications lets the vault tell nothing any more.
func (v *Vault) RemoveNotifications(ctx context.Context) error {
	x := v.begin(ctx, "remove notifications", "of "+v.label)
	_, err := v.client.DeleteVaultNotifications(x.Ctx, &sdk.DeleteVaultNotificationsInput{AccountId: ownAccount(), VaultName: &v.name})
	if missed(x) {
		return x.Forgive() // there were none
	}
	return x.End(err)
}
