package cli

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/firn-archive/firn/internal/price"
)

// TestConsentOnTheTerminal: what is dear is asked about, once the price was
// told, and only a yes is one.
func TestConsentOnTheTerminal(t *testing.T) {
	for answer, want := range map[string]Status{"yes": Done, "y": Done, "no": WrongUsage, "": WrongUsage, "yesterday": WrongUsage} {
		t.Run(answer, func(t *testing.T) {
			env := testEnv(t)
			k := sitDown(t, &env)
			var out bytes.Buffer
			env.Stdout = &out
			ended := make(chan Status, 1)
			go func() {
				ended <- buy(env, price.Vault("us-east-1"), []costItem{dollars("requests", 7*price.Dollar)})
			}()
			k.see("the retrieval of 2 snapshots costs $7.00: requests $7.00")
			k.see("the retrieval of 2 snapshots costs $7.00; go on? [y/N] ")
			fmt.Fprintln(k, answer)
			if want == WrongUsage {
				k.see("that was not agreed to; nothing was done")
			}
			if status := <-ended; status != want || (out.Len() > 0) != (want == Done) {
				t.Errorf("status %d, want %d; stdout %q", status, want, &out)
			}
		})
	}
}

// TestConsentIsNotAskedForLittle: on a terminal either.
func TestConsentIsNotAskedForLittle(t *testing.T) {
	env := testEnv(t)
	sitDown(t, &env)
	for _, args := range [][]string{nil, {"--max-cost", "5"}} {
		if status := buy(env, price.Vault("us-east-1"), []costItem{dollars("requests", 5*price.Dollar)}, args...); status != Done {
			t.Errorf("%v: status %d", args, status)
		}
	}
}
