package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/syncer"
)

// askAbove is what a command may cost without a question, where nobody says
// otherwise.
const askAbove = 5 * price.Dollar

// budgetOptions say what may be spent without a question.
type budgetOptions struct {
	Monthly  costLimit
	AskAbove costLimit
}

func (o *budgetOptions) addFlags(f *pflag.FlagSet) {
	f.Var(&o.AskAbove, "ask-above", "ask before a command costs more than `USD` (default 5)")
	f.Var(&o.Monthly, "monthly-budget", "ask before what this store's requests, retrievals and fees came to in this month is more than `USD`")
}

// askAbove is what may be spent without a question.
func (o *budgetOptions) askAbove() price.Amount { return cmp.Or(o.AskAbove.amount, askAbove) }

// spent is what the open store was paid for in this month already, beside
// storage, as far as that is known.
func (a *app) spent(ctx context.Context) (price.Amount, error) {
	s := a.opened
	if s == nil {
		return 0, nil
	}
	row, err := s.catalog.StoreByURL(ctx, s.loc.String())
	if firn.KindOf(err) == firn.NotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	from := monthOf(s.env.Clock.Now())
	items, err := spentIn(ctx, s.catalog, row.ID, s.store.HeldPrices(), from, from.AddDate(0, 1, 0))
	sum := price.Sum{Known: true}
	for _, i := range items {
		if i.sum.Known {
			sum = sum.Plus(i.sum)
		}
	}
	return sum.Amount, err
}

// over says that a price is more than what is left of this month's budget; empty
// where it isn't.
func (o *budgetOptions) over(ctx context.Context, a *app, known price.Amount) (string, error) {
	if o.Monthly.amount == 0 {
		return "", nil
	}
	spent, err := a.spent(ctx)
	if err != nil || known <= o.Monthly.amount-spent {
		return "", err
	}
	return fmt.Sprintf("with the $%s that this month came to already it is more than the monthly budget, $%s", spent, o.Monthly.String()), nil
}

// spendOptions say what the requests of a sync may cost.
type spendOptions struct {
	app     *app
	MaxCost costLimit
	Yes     bool
	Budget  budgetOptions
	typed   *pflag.Flag // --max-cost: what is typed goes above the budget
}

func (o *spendOptions) addFlags(f *pflag.FlagSet, a *app) {
	o.app = a
	f.Var(&o.MaxCost, "max-cost", "send what requests of at most `USD` bring, such as 0.50, and leave the rest for the next run")
	o.typed = f.Lookup("max-cost")
	f.BoolVar(&o.Yes, "yes", false, "agree to any price, also one above the monthly budget")
	o.Budget.addFlags(f)
}

// limit puts what may be spent into the limits of a run. Errors: those of the
// catalog.
func (o *spendOptions) limit(ctx context.Context, l *syncer.Limits, dryRun bool) error {
	l.Cost = o.MaxCost.amount
	if l.Prices.Free || o.Yes {
		return nil
	}
	if o.typed != nil && o.typed.Changed {
		if !dryRun { // it is for the requests, and for fees as much
			l.FeesAbove, l.Ask = l.Cost, func(what string) error { return o.ask(ctx, what) }
		}
		return nil
	}
	if o.Budget.Monthly.amount > 0 {
		spent, err := o.app.spent(ctx)
		if err != nil {
			return err
		}
		// A billionth of a dollar buys nothing, and is a limit.
		if left := max(o.Budget.Monthly.amount-spent, 1); l.Cost == 0 || left < l.Cost {
			l.Cost, l.CostOf, l.Others = left, "--monthly-budget", o.others(ctx, spent)
		}
	}
	if dryRun {
		return nil
	}
	l.Ask = func(what string) error { return o.ask(ctx, what) }
	l.FeesAbove = o.Budget.askAbove()
	if l.CostOf != "" {
		l.FeesAbove = min(l.FeesAbove, l.Cost)
	}
	if o.MaxCost.amount == 0 { // a budget is no yes to all of it at once
		l.AskAbove = o.Budget.askAbove()
	}
	return nil
}

// othersEvery is how often it is looked what other commands have spent meanwhile: what
// they spend is in the catalog some seconds later in any case.
const othersEvery = 2 * time.Second

// others gives what the month came to since it was spent, but for a command's own part:
// other commands count in the same budget. What can't be read it takes for as it was.
func (o *spendOptions) others(ctx context.Context, spent price.Amount) func(own price.Amount) price.Amount {
	var looked time.Time
	var others price.Amount
	return func(own price.Amount) price.Amount {
		at := o.app.wireEnv().Clock.Now()
		if looked.IsZero() || at.Sub(looked) >= othersEvery {
			if sum, err := o.app.spent(ctx); err == nil {
				// Of its own what was counted and isn't in the catalog yet hides as much of theirs.
				others, looked = max(others, sum-spent-own), at
			}
		}
		return others
	}
}

// ask asks whether a sync may cost more than goes without a question; text says what
// does.
func (o *spendOptions) ask(ctx context.Context, text string) error {
	refuse := func(why string) error {
		return &firn.Error{Op: "agree to the price of the sync", Kind: firn.Usage, Err: errors.New(text + ": " + why),
			Hint: "what was sent is stored; see what the rest costs with --dry-run, and agree with --yes or --max-cost"}
	}
	if !o.app.ui.Interactive() {
		return refuse("that needs a yes, and there is no terminal to ask on")
	}
	yes, err := o.app.ui.Confirm(ctx, text+" (what it costs in all says --dry-run); go on?", "--yes")
	if err == nil && !yes {
		err = refuse("that was not agreed to")
	}
	if err == nil {
		o.app.agreed(ctx)
	}
	return err
}
