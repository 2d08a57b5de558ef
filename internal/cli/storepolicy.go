package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
)

type storePolicyOptions struct {
	app    *app
	Store  string
	Set    string // a file; - is standard input
	Remove bool
	Common storeOptions
}

func newStorePolicyCmd(a *app, run func(context.Context, *storePolicyOptions) error) *cobra.Command {
	o := &storePolicyOptions{}
	cmd := &cobra.Command{
		Use:   "policy STORE",
		Short: "show and set the access policy of a vault",
		Long: `Show the access policy of STORE, which says who may do what with it beside what the
policies of users and roles say; set it with --set, or take it away with --remove. The
policy that was there before is shown, so that it can be put back.

A policy is a document of AWS IAM in JSON, of 20 KB at most. One that denies too much
locks out whoever has set it, too. docs/permissions.md has examples.

In a folder (local:DIR) firn itself keeps to what a policy denies. Whoever can write the
folder can still change all that is in it.`,
		Example: `  firn store policy glacier:photos > policy.json
  firn store policy glacier:photos --set policy.json`,
		Args:              takes("STORE"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.Set, "set", "", "set the policy that is in `FILE`, or in standard input where it is -")
	f.BoolVar(&o.Remove, "remove", false, "take the policy away")
	notOfProfile(f, "set", "remove")
	o.Common.addFlags(f, false, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.app, o.Store = a, args[0]
		if err := a.useProfile(f, o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

// readPolicy reads a policy from a file, or from standard input, and makes sure
// that it is one.
func (a *app) readPolicy(name string) (string, error) {
	var in io.Reader = a.env.Stdin
	if name == "-" && a.env.Terminal.Stdin {
		return "", wrongUsage("read policy", "standard input is a terminal; pipe the policy into firn, or give a file")
	}
	if name != "-" {
		f, err := os.Open(a.env.Path(name))
		if err != nil {
			return "", &firn.Error{Op: "read policy", Subject: name, Kind: firn.Local, Err: cause(err)}
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, firn.MaxPolicy+1))
	if err != nil {
		return "", &firn.Error{Op: "read policy", Subject: name, Kind: firn.Local, Err: cause(err)}
	}
	text := strings.TrimSpace(string(data))
	var document struct{ Statement json.RawMessage }
	switch err := json.Unmarshal([]byte(text), &document); {
	case len(data) > firn.MaxPolicy:
		return "", wrongUsage("read policy", "%s has more than %d bytes, and a policy no more than that", name, firn.MaxPolicy)
	case err != nil:
		return "", wrongUsage("read policy", "%s is no policy, which is a JSON object: %v", name, err)
	case document.Statement == nil:
		return "", wrongUsage("read policy", "%s is no policy: it has no Statement", name)
	}
	return text, nil
}

// A policyRecord is an access policy.
type policyRecord struct {
	Store    string `json:"store"`
	Policy   string `json:"policy,omitempty"`   // the document, as text; absent: there is none
	Replaced string `json:"replaced,omitempty"` // that was there before
}

// notOfS3 refuses a setting that vaults have, and buckets in another form, which firn
// leaves to other programs.
func (s *session) notOfS3(op, instead string) error {
	if s.loc.Scheme != config.S3 {
		return nil
	}
	return wrongUsage(op, "%s is no vault, and has none of its own; %s", s.loc, instead)
}

func runStorePolicy(ctx context.Context, o *storePolicyOptions) error {
	if o.Set != "" && o.Remove {
		return wrongUsage("set access policy", "give --set or --remove, not both")
	}
	policy := ""
	if o.Set != "" {
		var err error
		if policy, err = o.app.readPolicy(o.Set); err != nil {
			return err
		}
	}
	s, err := o.app.lookAt(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.notOfS3("read access policy", "a bucket's policy is set with: aws s3api put-bucket-policy"); err != nil {
		return err
	}
	vault := s.store.Custodian()
	now, err := vault.AccessPolicy(ctx)
	if err != nil {
		return err
	}
	r := policyRecord{Store: s.loc.String(), Policy: now}
	if o.Set == "" && !o.Remove {
		s.ui.Record("policy", r)
		if now == "" {
			s.ui.Notice(r.Store + " has no access policy")
		} else {
			s.printPolicy(now)
		}
		return nil
	}
	r.Policy, r.Replaced = policy, now
	if o.Remove {
		err = vault.RemoveAccessPolicy(ctx)
	} else {
		err = vault.SetAccessPolicy(ctx, policy)
	}
	if err != nil {
		return err
	}
	s.ui.Record("policy", r)
	if now != "" {
		s.ui.Notice("the policy before was:")
		s.ui.Notice(inOneLine(now))
	}
	if o.Remove {
		s.ui.Print(r.Store + " has no access policy now")
	} else {
		s.ui.Print(fmt.Sprintf("%s has an access policy of %d bytes now", r.Store, len(policy)))
	}
	return nil
}

// printPolicy prints a policy line by line, as it came.
func (s *session) printPolicy(policy string) {
	for line := range strings.Lines(policy) {
		s.ui.Print(strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "  "))
	}
}

// inOneLine is a policy without its line breaks.
func inOneLine(policy string) string { return strings.Join(strings.Fields(policy), " ") }
