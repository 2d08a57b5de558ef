package glacier_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/storetest"
)

// Two policies that deny what nobody in these tests does.
const (
	onePolicy   = `{"Version":"2012-10-17","Statement":[{"Sid":"one","Effect":"Deny","Principal":"*","Action":"glacier:DeleteArchive","Resource":"*"}]}`
	otherPolicy = `{"Version":"2012-10-17","Statement":[{"Sid":"ünï","Effect":"Deny","Principal":"*","Action":"glacier:DeleteVault","Resource":"*"}]}`
)

// custodyOps are the operations of a firn.Custodian that may be made twice.
var custodyOps = []string{
	"GetVaultAccessPolicy", "SetVaultAccessPolicy", "DeleteVaultAccessPolicy", "GetVaultLock", "CompleteVaultLock", "AbortVaultLock",
	"GetDataRetrievalPolicy", "SetDataRetrievalPolicy",
}

// TestCustodian holds the vault to what firn.Custodian promises, also where the
// server fails in ways that a repetition helps against.
func TestCustodian(t *testing.T) {
	refusals := slices.Concat(
		onEach(append(custodyOps, "InitiateVaultLock"), 1, glacierd.Fault{Kind: glacierd.FaultThrottle}),
		onEach(append(custodyOps, "InitiateVaultLock"), 2, glacierd.Fault{Kind: glacierd.FaultUnavailable}),
	)
	lost := slices.Concat(
		onEach(custodyOps, 1, glacierd.Fault{Kind: glacierd.FaultLostAnswer}),
		onEach(custodyOps, 2, glacierd.Fault{Kind: glacierd.FaultReset}),
	)
	for name, plan := range map[string][]glacierd.Fault{"well": nil, "refused": refusals, "unanswered": lost} {
		t.Run(name, func(t *testing.T) {
			faults := glacierd.NewFaults(1)
			for _, f := range plan {
				arm(t, faults, f)
			}
			decorate := plain
			if plan != nil {
				decorate = retried
			}
			h := harness(t, glacierd.Timing{}, faults, decorate)
			c := h.Store.(firn.Custodian)
			testAccessPolicy(t, c)
			testLock(t, c, h)
			testRetrievalPolicy(t, c)
			testMissing(t, h.Missing.(firn.Custodian))
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// badPolicies are refused whatever they are for.
func badPolicies() map[string]string {
	return map[string]string{
		"nothing": "", "no JSON": "deny all", "a list": "[]", "no statement": `{"Version":"2012-10-17"}`,
		"too long": `{"Statement":[],"Id":"` + strings.Repeat("x", firn.MaxPolicy) + `"}`,
	}
}

func testAccessPolicy(t *testing.T, c firn.Custodian) {
	is := func(want string) {
		t.Helper()
		got, err := c.AccessPolicy(t.Context())
		if err != nil || got != want {
			t.Errorf("the access policy is %q, want %q: %v", got, want, err)
		}
	}
	is("")
	must(t, c.RemoveAccessPolicy(t.Context()))
	for _, policy := range []string{onePolicy, otherPolicy, otherPolicy} {
		must(t, c.SetAccessPolicy(t.Context(), policy))
		is(policy)
	}
	for name, bad := range badPolicies() {
		if err := c.SetAccessPolicy(t.Context(), bad); firn.KindOf(err) != firn.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	is(otherPolicy)
	must(t, c.RemoveAccessPolicy(t.Context()))
	is("")
}

func testLock(t *testing.T, c firn.Custodian, h storetest.Harness) {
	ctx := t.Context()
	is := func(want firn.Lock) {
		t.Helper()
		got, err := c.Lock(ctx)
		must(t, err)
		if got.Created.IsZero() == (want.Policy != "") {
			t.Errorf("created %v", got.Created)
		}
		if want.Policy != "" && !want.Complete {
			want.Expires = got.Created.Add(firn.LockLife)
		}
		got.Created = time.Time{}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	is(firn.Lock{})
	must(t, c.AbortLock(ctx))
	wantKind(t, c.CompleteLock(ctx, "none"), firn.NotFound)
	for name, bad := range badPolicies() {
		if _, err := c.StartLock(ctx, bad); firn.KindOf(err) != firn.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	first, err := c.StartLock(ctx, onePolicy)
	must(t, err)
	is(firn.Lock{Policy: onePolicy})
	_, err = c.StartLock(ctx, otherPolicy)
	wantKind(t, err, firn.Conflict)
	must(t, c.AbortLock(ctx))
	is(firn.Lock{})

	second, err := c.StartLock(ctx, otherPolicy)
	must(t, err)
	wantKind(t, c.CompleteLock(ctx, first), firn.Invalid)
	wantKind(t, c.CompleteLock(ctx, ""), firn.Invalid)
	h.Advance(firn.LockLife)
	is(firn.Lock{}) // it came to its end
	wantKind(t, c.CompleteLock(ctx, second), firn.NotFound)

	third, err := c.StartLock(ctx, onePolicy)
	must(t, err)
	must(t, c.CompleteLock(ctx, third))
	must(t, c.CompleteLock(ctx, third))
	h.Advance(2 * firn.LockLife)
	is(firn.Lock{Policy: onePolicy, Complete: true})
	wantKind(t, c.CompleteLock(ctx, second), firn.Conflict)
	wantKind(t, c.AbortLock(ctx), firn.Conflict)
	_, err = c.StartLock(ctx, otherPolicy)
	wantKind(t, err, firn.Conflict)
	is(firn.Lock{Policy: onePolicy, Complete: true})
}

func testRetrievalPolicy(t *testing.T, c firn.Custodian) {
	ctx := t.Context()
	is := func(want firn.RetrievalPolicy) {
		t.Helper()
		if got, err := c.RetrievalPolicy(ctx); err != nil || got != want {
			t.Errorf("%+v, want %+v: %v", got, want, err)
		}
	}
	is(firn.RetrievalPolicy{Strategy: firn.RetrieveAny})
	for _, p := range []firn.RetrievalPolicy{
		{Strategy: firn.RetrievePerHour, BytesPerHour: 10 << 30}, {Strategy: firn.RetrieveFree}, {Strategy: firn.RetrieveAny},
	} {
		must(t, c.SetRetrievalPolicy(ctx, p))
		is(p)
		wantKind(t, c.SetRetrievalPolicy(ctx, firn.RetrievalPolicy{Strategy: firn.RetrievePerHour}), firn.Invalid)
		wantKind(t, c.SetRetrievalPolicy(ctx, firn.RetrievalPolicy{}), firn.Invalid)
		is(p)
	}
}

// testMissing: a vault that isn't there has no rules, and a caller who has gone
// waits for none.
func testMissing(t *testing.T, c firn.Custodian) {
	because := errors.New("because")
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(because)
	for _, ctx := range []context.Context{t.Context(), gone} {
		_, accessErr := c.AccessPolicy(ctx)
		_, lockErr := c.Lock(ctx)
		_, startErr := c.StartLock(ctx, onePolicy)
		for op, err := range map[string]error{
			"AccessPolicy": accessErr, "SetAccessPolicy": c.SetAccessPolicy(ctx, onePolicy), "RemoveAccessPolicy": c.RemoveAccessPolicy(ctx),
			"Lock": lockErr, "StartLock": startErr, "CompleteLock": c.CompleteLock(ctx, "id"), "AbortLock": c.AbortLock(ctx),
		} {
			if ctx == gone && !errors.Is(err, because) || ctx != gone && firn.KindOf(err) != firn.NotFound {
				t.Errorf("%s: %v", op, err)
			}
		}
	}
}

// TestLostLock: whoever starts a lock and hears nothing may not start another one
// by himself.
func TestLostLock(t *testing.T) {
	faults := glacierd.NewFaults(1)
	arm(t, faults, glacierd.Fault{Kind: glacierd.FaultLostAnswer, Op: "InitiateVaultLock", Nth: 1})
	c := harness(t, glacierd.Timing{}, faults, retried).Store.(firn.Custodian)
	_, err := c.StartLock(t.Context(), onePolicy)
	wantKind(t, err, firn.Lost)
	if l, err := c.Lock(t.Context()); err != nil || l.Policy != onePolicy || l.Complete {
		t.Errorf("%+v: %v", l, err)
	}
	must(t, c.AbortLock(t.Context()))
}

// TestCustodianReadsWhatAnyServerSays: answers that glacierd doesn't give.
func TestCustodianReadsWhatAnyServerSays(t *testing.T) {
	json := http.Header{"Content-Type": {"application/json"}}
	for _, body := range []string{`{}`, `{"Policy":null}`, `{"Policy":{"Rules":[]}}`, `{"Policy":{"Rules":[{"Strategy":"None"}]}}`} {
		p, err := with(t, answer{status: 200, header: json, body: body}).RetrievalPolicy(t.Context())
		if err != nil || p != (firn.RetrievalPolicy{Strategy: firn.RetrieveAny}) {
			t.Errorf("%s: %+v: %v", body, p, err)
		}
	}
	_, err := with(t, answer{status: 200, header: json, body: `{"Policy":"{}","CreationDate":"yesterday"}`}).Lock(t.Context())
	wantKind(t, err, firn.Other)
	_, err = with(t, answer{status: 201}).StartLock(t.Context(), onePolicy)
	wantKind(t, err, firn.Lost)
	// Credentials that may not lock are no lock that stands in the way.
	denied := answer{status: 403, body: `{"code":"AccessDeniedException","message":"no"}`}
	wantKind(t, with(t, denied).AbortLock(t.Context()), firn.Denied)
}
