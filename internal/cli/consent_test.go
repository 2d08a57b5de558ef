package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn/internal/price"
)

// dollars is a cost item that is known.
func dollars(what string, n price.Amount) costItem {
	return costItem{what, price.Sum{Amount: n, Known: true}}
}

// costly is a command that costs something: it says so when nobody objects.
func costly(a *app, tariff price.Tariff, items ...costItem) *cobra.Command {
	o := &consentOptions{}
	cmd := &cobra.Command{Use: "buy", Args: takes()}
	o.addFlags(cmd.Flags(), a)
	cmd.RunE = a.runner(func(ctx context.Context, _ []string) error {
		if err := o.agree(ctx, "the retrieval of 2 snapshots", tariff, items); err != nil {
			return err
		}
		a.ui.Print("bought")
		return nil
	})
	return cmd
}

// buy runs costly with options.
func buy(env Env, tariff price.Tariff, items []costItem, args ...string) Status {
	a := &app{env: env}
	root := newRootCmd(a)
	root.AddCommand(costly(a, tariff, items...))
	return a.execute(context.Background(), root, append([]string{"buy"}, args...))
}

func TestConsentWithoutATerminal(t *testing.T) {
	const cheap, dear = 5 * price.Dollar, 5*price.Dollar + 1
	unknown := costItem{What: "2 bulk requests"}
	for _, tt := range []struct {
		name   string
		items  []costItem
		args   []string
		status Status
		stderr string
	}{
		{"cheap", []costItem{dollars("requests", cheap-1), dollars("bytes", 1)}, nil, Done, "the retrieval of 2 snapshots costs $5.00: requests $4.999999999, bytes $0.000000001"},
		{"dear", []costItem{dollars("requests", cheap), dollars("bytes", 1)}, nil, WrongUsage, "$5.000000001: that needs a yes, and there is no terminal to ask on; to agree, give --yes or --max-cost 5.000000001; nothing was done"},
		{"quiet, and dear", []costItem{dollars("requests", dear)}, []string{"--quiet"}, WrongUsage, "agree to the price of the retrieval of 2 snapshots: $5.000000001"},
		{"yes", []costItem{dollars("requests", dear)}, []string{"--yes"}, Done, "costs $5.000000001"},
		{"enough", []costItem{dollars("requests", dear)}, []string{"--max-cost", "5.000000001"}, Done, "costs $5.000000001"},
		{"too little", []costItem{dollars("requests", dear)}, []string{"--max-cost", "5"}, WrongUsage, "that is more than --max-cost 5; nothing was done"},
		{"a limit wins over a yes", []costItem{dollars("requests", dear)}, []string{"--max-cost", "5", "--yes"}, WrongUsage, "that is more than --max-cost 5"},
		{"a limit below what is cheap", []costItem{dollars("requests", cheap)}, []string{"--max-cost", "1"}, WrongUsage, "that is more than --max-cost 1"},
		{"unknown", []costItem{dollars("bytes", 1), unknown}, nil, WrongUsage, "$0.000000001 and what is not known: that needs a yes, and there is no terminal to ask on; to agree, give --yes; nothing was done"},
		{"all unknown", []costItem{unknown}, nil, WrongUsage, "2 bulk requests a price that is not known"},
		{"unknown within a limit", []costItem{dollars("bytes", 1), unknown}, []string{"--max-cost", "5"}, WrongUsage, "and what is not known"},
		{"unknown, and yes", []costItem{unknown}, []string{"--yes"}, Done, "a price that is not known"},
		{"more than fits", []costItem{dollars("requests", 1<<63-1), dollars("bytes", 1<<63-1)}, nil, WrongUsage, "that needs a yes"},
		{"nothing", nil, nil, Done, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, stderr strings.Builder
			env := testEnv(t)
			env.Stdout, env.Stderr = &out, &stderr
			status := buy(env, price.Vault("us-east-1"), tt.items, tt.args...)
			if status != tt.status || (out.String() == "bought\n") != (tt.status == Done) {
				t.Errorf("status %d, want %d; stdout %q", status, tt.status, &out)
			}
			if !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("stderr %q, want %q", &stderr, tt.stderr)
			}
		})
	}
}

// TestConsentIsNotAskedForWhatIsFree: nor is anything said.
func TestConsentIsNotAskedForWhatIsFree(t *testing.T) {
	var stderr strings.Builder
	env := testEnv(t)
	env.Stderr = &stderr
	if status := buy(env, price.Local(), []costItem{{What: "requests"}}); status != Done || stderr.Len() > 0 {
		t.Errorf("status %d, stderr %q", status, &stderr)
	}
}

// TestPricesOfAnotherRegionAreTold: they are shown all the same.
func TestPricesOfAnotherRegionAreTold(t *testing.T) {
	var stderr strings.Builder
	env := testEnv(t)
	env.Stderr = &stderr
	status := buy(env, price.Vault("eu-west-1"), []costItem{dollars("requests", 1)})
	if want := "the prices of eu-west-1 are not known: these are those of us-east-1"; status != Done || !strings.Contains(stderr.String(), want) {
		t.Errorf("status %d, stderr %q", status, &stderr)
	}
}

func TestPriceAsJSON(t *testing.T) {
	var out strings.Builder
	env := testEnv(t)
	env.Stdout = &out
	status := buy(env, price.Vault("us-east-1"), []costItem{dollars("bytes", price.Dollar), {What: "requests"}}, "--json", "--yes")
	want := `{"v":1,"type":"price","what":"the retrieval of 2 snapshots","items":[{"what":"bytes","cost":"1.00"},{"what":"requests"}],"region":"us-east-1","prices_region":"us-east-1"}` + "\n"
	if status != Done || out.String() != want {
		t.Errorf("status %d\n%s\nwant\n%s", status, &out, want)
	}
}
