package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

type retrievalPolicyOptions struct {
	app      *app
	Of       string // a region, or a store; may be empty
	None     bool
	FreeTier bool
	PerHour  byteSize
	Common   storeOptions
}

func newRetrievalPolicyCmd(a *app, run func(context.Context, *retrievalPolicyOptions) error) *cobra.Command {
	o := &retrievalPolicyOptions{}
	cmd := &cobra.Command{
		Use:   "retrieval-policy [REGION|STORE]",
		Short: "show and set what an account may retrieve",
		Long: `Show the data retrieval policy of the account in REGION, in the region of STORE, or in
that of the environment; set it with one of --none, --free-tier and --bytes-per-hour.

It is the account's, and holds for ALL vaults in the region and all who use them. It
binds retrievals of the tier standard alone: the service refuses those that would be
more, and firn restore goes on with them later. Retrievals of the tiers bulk and
expedited, and inventories, are not counted. To bound the retrievals of one restore
there is firn restore --retrieve-rate.`,
		Example: `  firn store retrieval-policy eu-west-1
  firn store retrieval-policy glacier:photos --bytes-per-hour 10G`,
		Args:              takes("[REGION|STORE]"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.None, "none", false, "set no bound")
	f.BoolVar(&o.FreeTier, "free-tier", false, "allow what is free")
	f.Var(&o.PerHour, "bytes-per-hour", "allow so many `BYTES` an hour, such as 10G")
	notOfProfile(f, "none", "free-tier", "bytes-per-hour")
	o.Common.addFlags(f, false, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.app = a
		if len(args) > 0 {
			o.Of = args[0]
		}
		return run(ctx, o)
	})
	return cmd
}

// policy is what is to be set; zero: nothing is.
func (o *retrievalPolicyOptions) policy() (p firn.RetrievalPolicy, err error) {
	given := 0
	if o.None {
		given, p.Strategy = given+1, firn.RetrieveAny
	}
	if o.FreeTier {
		given, p.Strategy = given+1, firn.RetrieveFree
	}
	if o.PerHour > 0 {
		given, p.Strategy, p.BytesPerHour = given+1, firn.RetrievePerHour, int64(o.PerHour)
	}
	if given > 1 {
		return p, wrongUsage("set retrieval policy", "give one of --none, --free-tier and --bytes-per-hour")
	}
	return p, nil
}

// open opens the account in a region, or in that of a store: a word without a colon
// is a profile where there is one of this name.
func (o *retrievalPolicyOptions) open(ctx context.Context) (*session, error) {
	isRegion := !strings.Contains(o.Of, ":")
	if isRegion && o.Of != "" {
		file, err := o.app.profiles()
		if err != nil {
			return nil, err
		}
		_, err = file.Profile(o.Of)
		isRegion = err != nil
	}
	if !isRegion {
		s, err := o.app.openStore(ctx, o.Of, o.Common.wire())
		if err != nil {
			return nil, err
		}
		if s.loc.Scheme == config.Local {
			err = wrongUsage("read retrieval policy", "%s has none: what it is asked for is ready at once and costs nothing", s.loc)
		} else {
			err = s.notOfS3("read retrieval policy", "limit a restore with --retrieve-rate or --max-cost")
		}
		if err != nil {
			s.close()
			return nil, err
		}
		return s, nil
	}
	if !config.IsRegion(o.Of) && o.Of != "" {
		return nil, wrongUsage("read retrieval policy", "%q is no region, store or profile", o.Of)
	}
	s, err := o.app.openCatalog(ctx, "")
	if err != nil {
		return nil, err
	}
	if s.store, err = wire.OpenAccount(ctx, s.env, o.Of, o.Common.wire()); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// A retrievalPolicyRecord is what an account may retrieve in a region.
type retrievalPolicyRecord struct {
	Region       string                 `json:"region"`
	Strategy     firn.RetrievalStrategy `json:"strategy"`
	BytesPerHour int64                  `json:"bytes_per_hour,omitempty"`
}

func runRetrievalPolicy(ctx context.Context, o *retrievalPolicyOptions) error {
	want, err := o.policy()
	if err != nil {
		return err
	}
	s, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	account := s.store.Custodian()
	now, err := account.RetrievalPolicy(ctx)
	if err != nil {
		return err
	}
	if want.Strategy != "" {
		if err := account.SetRetrievalPolicy(ctx, want); err != nil {
			return err
		}
		s.ui.Notice("it was before: " + retrievalText(now))
		now = want
	}
	s.ui.Record("retrieval_policy", retrievalPolicyRecord{Region: s.store.Region(), Strategy: now.Strategy, BytesPerHour: now.BytesPerHour})
	s.ui.Print(fmt.Sprintf("%s, all vaults of the account: %s", s.store.Region(), retrievalText(now)))
	return nil
}

// retrievalText says what may be retrieved.
func retrievalText(p firn.RetrievalPolicy) string {
	switch p.Strategy {
	case firn.RetrieveAny:
		return "retrievals without bound"
	case firn.RetrieveFree:
		return "standard retrievals as far as they are free"
	case firn.RetrievePerHour:
		return "standard retrievals of at most " + ui.Bytes(p.BytesPerHour) + " an hour"
	}
	return "the strategy " + string(p.Strategy) + ", which firn doesn't know"
}
