package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/firn-archive/firn"
)

func TestStatusOf(t *testing.T) {
	kind := func(k firn.Kind) error { return &firn.Error{Op: "try", Kind: k} }
	usage := &usageError{nil, errors.New("no such option")}
	tests := []struct {
		name string
		err  error
		want Status
	}{
		{"success", nil, Done},
		{"any error", errors.New("boom"), Failed},
		{"wrong usage", usage, WrongUsage},
		{"wrapped", fmt.Errorf("sync: %w", kind(firn.NotReady)), NotYet},
		{"in part", ErrPartial, Partial},
		{"not yet", ErrNotYet, NotYet},
		{"no command", errNoCommand, WrongUsage},
		{"in part wins over not yet", errors.Join(ErrNotYet, ErrPartial), Partial},
		{"failure wins over in part", errors.Join(ErrPartial, ErrNotYet, kind(firn.Denied)), Failed},
		{"joined in joined", errors.Join(ErrNotYet, errors.Join(ErrPartial)), Partial},
		{"not joined, but two in one sentence", fmt.Errorf("%w, and %w", kind(firn.NotReady), kind(firn.Denied)), NotYet},
		{"canceled, but not by the user", context.Canceled, Failed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := StatusOf(t.Context(), tt.err); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestStatusOfEachKind(t *testing.T) {
	want := map[firn.Kind]Status{
		firn.Other: Failed, firn.Usage: WrongUsage, firn.NotFound: Failed, firn.Denied: Failed,
		firn.NoNewCustomers: Failed, firn.Invalid: Failed, firn.NotEmpty: Failed,
		firn.Policy: NotYet, firn.Capacity: NotYet, firn.Throttled: NotYet, firn.Unavailable: NotYet,
		firn.SlowBody: NotYet, firn.Network: NotYet, firn.Lost: NotYet, firn.NotReady: NotYet,
		firn.Corrupt: Failed, firn.Changed: Failed, firn.Conflict: Failed, firn.Full: Failed,
		firn.Local: Failed, firn.InDoubt: NotYet, firn.Skew: Failed,
	}
	for k := firn.Kind(0); k.String() != "unknown"; k++ {
		status, decided := want[k]
		if !decided {
			t.Errorf("nobody has decided how firn exits with the kind %q", k)
		}
		if got := StatusOf(t.Context(), &firn.Error{Op: "try", Kind: k}); got != status {
			t.Errorf("%s: got %d, want %d", k, got, status)
		}
	}
}

func TestStatusWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	signal := errors.New("interrupt")
	cancel(signal)
	for _, tt := range []struct {
		err  error
		want Status
	}{
		{nil, Done}, // it was done before it noticed
		{context.Canceled, Interrupted},
		{fmt.Errorf("upload: %w", signal), Interrupted},
		{errors.Join(errors.New("one file"), &firn.Error{Op: "upload", Kind: firn.Network, Err: context.Canceled}), Interrupted},
		{errors.New("boom"), Failed},
	} {
		if got := StatusOf(ctx, tt.err); got != tt.want {
			t.Errorf("%v: got %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestWorse(t *testing.T) {
	order := []Status{Interrupted, WrongUsage, Failed, Partial, NotYet, Done}
	for i, a := range order {
		for _, b := range order[i:] {
			if worse(a, b) != a || worse(b, a) != a {
				t.Errorf("%d does not win over %d", a, b)
			}
		}
	}
	if len(order) != len(exitTable) {
		t.Error("the table has another number of statuses")
	}
}
