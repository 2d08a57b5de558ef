package glacier

import (
	"context"
	"encoding/json"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"
	"github.com/aws/aws-sdk-go-v2/service/glacier/types"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/exchange"
)

var _ firn.Custodian = (*Vault)(nil)

// AccessPolicy gives the vault's access policy.
func (v *Vault) AccessPolicy(ctx context.Context) (string, error) {
	x := v.begin(ctx, "read access policy", "of "+v.label)
	out, err := v.client.GetVaultAccessPolicy(x.Ctx, &sdk.GetVaultAccessPolicyInput{AccountId: ownAccount(), VaultName: &v.name})
	if missed(x) {
		return "", x.Forgive() // none is set
	}
	if err := x.End(err); err != nil || out.Policy == nil {
		return "", err
	}
	return text(out.Policy.Policy), nil
}

// SetAccessPolicy sets the vault's access policy.
func (v *Vault) SetAccessPolicy(ctx context.Context, policy string) error {
	x := v.begin(ctx, "set access policy", "of "+v.label)
	if err := checkPolicy(policy); err != nil {
		return x.Fail(firn.Invalid, err, "")
	}
	_, err := v.client.SetVaultAccessPolicy(x.Ctx, &sdk.SetVaultAccessPolicyInput{
		AccountId: ownAccount(), VaultName: &v.name, Policy: &types.VaultAccessPolicy{Policy: &policy},
	})
	return x.End(err)
}

// RemoveAccessPolicy takes the vault's access policy away.
func (v *Vault) RemoveAccessPolicy(ctx context.Context) error {
	x := v.begin(ctx, "remove access policy", "of "+v.label)
	_, err := v.client.DeleteVaultAccessPolicy(x.Ctx, &sdk.DeleteVaultAccessPolicyInput{AccountId: ownAccount(), VaultName: &v.name})
	if missed(x) {
		return x.Forgive() // there was none
	}
	return x.End(err)
}

// checkPolicy refuses what is no policy before it is sent: what the service says of
// one tells less.
func checkPolicy(policy string) error {
	var document map[string]json.RawMessage
	switch err := json.Unmarshal([]byte(policy), &document); {
	case len(policy) > firn.MaxPolicy:
		return fmt.Errorf("a policy of %d bytes: at most %d", len(policy), firn.MaxPolicy)
	case err != nil:
		return fmt.Errorf("the policy is no JSON object: %w", err)
	case document["Statement"] == nil:
		return errText("the policy has no Statement")
	}
	return nil
}

// stateLocked is what the service calls a completed lock. Source: Amazon Glacier
// API reference, "Get Vault Lock".
const stateLocked = "Locked"

// Lock says how the vault is locked.
func (v *Vault) Lock(ctx context.Context) (firn.Lock, error) {
	x := v.begin(ctx, "read lock", "of "+v.label)
	out, err := v.client.GetVaultLock(x.Ctx, &sdk.GetVaultLockInput{AccountId: ownAccount(), VaultName: &v.name})
	if missed(x) {
		return firn.Lock{}, x.Forgive() // there is none
	}
	if err := x.End(err); err != nil {
		return firn.Lock{}, err
	}
	l := firn.Lock{Policy: text(out.Policy), Complete: text(out.State) == stateLocked}
	if l.Created, err = moment(out.CreationDate); err != nil {
		return l, x.Garbled(err)
	}
	if l.Expires, err = moment(out.ExpirationDate); err != nil {
		return l, x.Garbled(err)
	}
	return l, nil
}

// StartLock starts to lock the vault.
func (v *Vault) StartLock(ctx context.Context, policy string) (firn.LockID, error) {
	x := v.begin(ctx, "start lock", "of "+v.label)
	if err := checkPolicy(policy); err != nil {
		return "", x.Fail(firn.Invalid, err, "")
	}
	out, err := v.client.InitiateVaultLock(x.Ctx, &sdk.InitiateVaultLockInput{
		AccountId: ownAccount(), VaultName: &v.name, Policy: &types.VaultLockPolicy{Policy: &policy},
	})
	if err := v.lockRefusal(ctx, x, true); err != nil {
		return "", err
	}
	if err := x.End(err); err != nil {
		return "", err
	}
	if text(out.LockId) == "" {
		return "", x.Fail(firn.Lost, errText("the answer does not say the lock's id"), "")
	}
	return firn.LockID(*out.LockId), nil
}

// CompleteLock makes the lock stay for good.
func (v *Vault) CompleteLock(ctx context.Context, id firn.LockID) error {
	x := v.begin(ctx, "complete lock", "of "+v.label)
	if id == "" {
		return x.Fail(firn.Invalid, errText("no lock id"), "")
	}
	_, err := v.client.CompleteVaultLock(x.Ctx, &sdk.CompleteVaultLockInput{AccountId: ownAccount(), VaultName: &v.name, LockId: (*string)(&id)})
	if err := v.lockRefusal(ctx, x, false); err != nil {
		return err
	}
	return x.End(err)
}

// AbortLock takes away a lock that isn't completed.
func (v *Vault) AbortLock(ctx context.Context) error {
	x := v.begin(ctx, "abort lock", "of "+v.label)
	_, err := v.client.AbortVaultLock(x.Ctx, &sdk.AbortVaultLockInput{AccountId: ownAccount(), VaultName: &v.name})
	if missed(x) {
		return x.Forgive()
	}
	if err := v.lockRefusal(ctx, x, false); err != nil {
		return err
	}
	return x.End(err)
}

// lockRefusal tells apart why something about a lock was denied: the code is the
// same where the lock stands in the way and where the credentials do, so that the
// lock itself is asked. It gives nil where the refusal stands as it is.
// Starts: a lock was to be started.
func (v *Vault) lockRefusal(ctx context.Context, x *exchange.Exchange, starts bool) error {
	if x.RefusedWith() != codeDenied {
		return nil
	}
	l, err := v.Lock(ctx)
	switch {
	case err != nil || l.Policy == "":
		return nil
	case l.Complete:
		return x.Fail(firn.Conflict, x.Refusal(), "the vault is locked for good: nobody can change or take away its lock")
	case starts:
		return x.Fail(firn.Conflict, x.Refusal(), "a lock is in progress: complete or abort it first")
	}
	return nil
}

// RetrievalPolicy says what may be retrieved in the account and region.
func (s *service) RetrievalPolicy(ctx context.Context) (firn.RetrievalPolicy, error) {
	x := s.begin(ctx, "read retrieval policy", "of "+s.region)
	out, err := s.client.GetDataRetrievalPolicy(x.Ctx, &sdk.GetDataRetrievalPolicyInput{AccountId: ownAccount()})
	if x.RefusedWith() == codeNotFound {
		return firn.RetrievalPolicy{Strategy: firn.RetrieveAny}, x.Forgive()
	}
	if err := x.End(err); err != nil {
		return firn.RetrievalPolicy{}, err
	}
	// How the service answers where nothing was ever set is not documented.
	if out.Policy == nil || len(out.Policy.Rules) == 0 {
		return firn.RetrievalPolicy{Strategy: firn.RetrieveAny}, nil
	}
	rule := out.Policy.Rules[0]
	p := firn.RetrievalPolicy{Strategy: firn.RetrievalStrategy(text(rule.Strategy))}
	if rule.BytesPerHour != nil {
		p.BytesPerHour = *rule.BytesPerHour
	}
	return p, nil
}

// SetRetrievalPolicy sets what may be retrieved in the account and region.
func (s *service) SetRetrievalPolicy(ctx context.Context, p firn.RetrievalPolicy) error {
	x := s.begin(ctx, "set retrieval policy", "of "+s.region)
	if err := p.Check(); err != nil {
		return x.Fail(firn.Invalid, err, "")
	}
	strategy := string(p.Strategy)
	rule := types.DataRetrievalRule{Strategy: &strategy}
	if p.Strategy == firn.RetrievePerHour {
		rule.BytesPerHour = &p.BytesPerHour
	}
	_, err := s.client.SetDataRetrievalPolicy(x.Ctx, &sdk.SetDataRetrievalPolicyInput{
		AccountId: ownAccount(), Policy: &types.DataRetrievalPolicy{Rules: []types.DataRetrievalRule{rule}},
	})
	return x.End(err)
}
