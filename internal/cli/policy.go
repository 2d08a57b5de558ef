package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
)

type policyOptions struct {
	app    *app
	Work   string
	Stores []string // one, or two where the work is about both
}

func newPolicyCmd(a *app, run func(context.Context, *policyOptions) error) *cobra.Command {
	o := &policyOptions{app: a}
	var works []string
	long := `Print the least policy for IAM that lets a user or role do some work on STORE, as JSON:

`
	for _, w := range workGrants() {
		works = append(works, w.Work)
		args := w.Work + " STORE"
		if w.Both {
			args = w.Work + " FROM TO"
		}
		long += fmt.Sprintf("  %-18s %s\n", args, w.What)
	}
	long += `
It is made from the store's name and from what the catalog knows, and asks nobody. What
isn't known of the account or the region is a * in it. The policy for sync can add, and
delete nothing: old snapshots of the catalog then stay. docs/permissions.md says more.`
	cmd := &cobra.Command{
		Use:   "policy WORK STORE [TO]",
		Short: "print the least permissions for some work on a store",
		Long:  long,
		Example: `  firn policy sync glacier:photos > sync.json
  firn policy migrate glacier:photos s3:my-bucket/photos`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return works, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeStore(word)
		},
		Args: takes("WORK", "STORE", "[TO]"),
	}
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Work, o.Stores = args[0], args[1:]
		return run(ctx, o)
	})
	return cmd
}

// An iamPolicy is a document of IAM.
type iamPolicy struct {
	Version   string
	Statement []iamStatement
}

type iamStatement struct {
	Effect    string
	Action    []string
	Resource  string
	Condition map[string]map[string][]string `json:",omitempty"`
}

// An iamPolicyRecord is a policy for some work.
type iamPolicyRecord struct {
	Work   string    `json:"work"`
	Stores []string  `json:"stores"`
	Policy iamPolicy `json:"policy"`
}

func runPolicy(ctx context.Context, o *policyOptions) error {
	work, err := findWork(o.Work)
	if err != nil {
		return err
	}
	want := 1
	if work.Both {
		want = 2
	}
	if len(o.Stores) != want {
		return wrongUsage("make policy", "the work %s is about %s, and %d were named", work.Work, counted(int64(want), "store"), len(o.Stores))
	}
	r := iamPolicyRecord{Work: work.Work, Policy: iamPolicy{Version: "2012-10-17"}}
	for i, name := range o.Stores {
		s, err := o.app.openCatalog(ctx, name)
		if err != nil {
			return err
		}
		place, err := s.placeOfStore(ctx)
		if err := cmp.Or(err, s.close()); err != nil {
			return err
		}
		r.Stores = append(r.Stores, s.loc.String())
		r.Policy.Statement = append(r.Policy.Statement, place.statements([]grant{work.On, work.To}[i])...)
	}
	if len(r.Policy.Statement) == 0 {
		return wrongUsage("make policy", "a folder of this machine needs no policy")
	}
	o.app.ui.Record("iam_policy", r)
	text, err := json.MarshalIndent(r.Policy, "", "  ")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		o.app.ui.Print(strings.TrimRight(line, "\n"))
	}
	return nil
}

// findWork finds a work by its name.
func findWork(name string) (workGrant, error) {
	var names []string
	for _, w := range workGrants() {
		if w.Work == name {
			return w, nil
		}
		names = append(names, w.Work)
	}
	return workGrant{}, wrongUsage("make policy", "there is no work %q; there are %s", name, strings.Join(names, ", "))
}

// A storePlace is what a policy says of where a store is. Its empty fields aren't
// known.
type storePlace struct {
	loc             config.Location
	region, account string
}

// placeOfStore finds out where the session's store is, without asking it.
func (s *session) placeOfStore(ctx context.Context) (storePlace, error) {
	p := storePlace{loc: s.loc, region: cmp.Or(s.loc.Region, s.env.Getenv("AWS_REGION"), s.env.Getenv("AWS_DEFAULT_REGION"))}
	row, err := s.catalog.StoreByURL(ctx, s.loc.String())
	if firn.KindOf(err) == firn.NotFound {
		return p, nil
	}
	if err != nil || s.loc.Scheme != config.Glacier {
		return p, err
	}
	p.region = cmp.Or(row.Region, p.region)
	if fields := strings.Split(row.Address, ":"); len(fields) == 6 { // arn:aws:glacier:REGION:ACCOUNT:vaults/NAME
		p.account = fields[4]
	}
	return p, nil
}

// partition is the part of Amazon's world that a region is in. Source: AWS reference
// guide, "Amazon Resource Names".
func (p storePlace) partition() string {
	switch {
	case strings.HasPrefix(p.region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(p.region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// statements are those by which a grant is given on the store.
func (p storePlace) statements(g grant) []iamStatement {
	switch p.loc.Scheme {
	case config.Glacier:
		arn := fmt.Sprintf("arn:%s:glacier:%s:%s:vaults/%s", p.partition(), cmp.Or(p.region, "*"), cmp.Or(p.account, "*"), p.loc.Vault)
		return []iamStatement{{Effect: "Allow", Action: actions("glacier:", g.Vault), Resource: arn}}
	case config.S3:
		bucket := fmt.Sprintf("arn:%s:s3:::%s", p.partition(), p.loc.Bucket)
		list := iamStatement{Effect: "Allow", Action: actions("s3:", g.Bucket), Resource: bucket}
		below := bucket + "/"
		if p.loc.Prefix != "" {
			below += p.loc.Prefix + "/"
			// IfExists: by the same right it is said of an object that it isn't there, and that
			// request has no prefix.
			list.Condition = map[string]map[string][]string{"StringLikeIfExists": {"s3:prefix": {p.loc.Prefix + "/*"}}}
		}
		return []iamStatement{list, {Effect: "Allow", Action: actions("s3:", g.Objects), Resource: below + "*"}}
	}
	return nil
}

// actions are operations as a policy names them.
func actions(service string, ops []string) []string {
	all := make([]string, len(ops))
	for i, op := range ops {
		all[i] = service + op
	}
	return all
}
