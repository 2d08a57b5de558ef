package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/plan"
)

// pruneRules are the rules by which versions stay or go.
type pruneRules struct {
	Last, Daily, Weekly, Monthly, Yearly ruleCount
	Within, OlderThan, RemovedOlderThan  spanValue
}

func (r *pruneRules) addFlags(f *pflag.FlagSet) {
	f.Var(&r.Last, "keep-last", "keep the newest `N` versions of each file, the current one among them")
	f.Var(&r.Within, "keep-within", "keep what was there at any time in this `SPAN`, such as 90d, 12h, 2w, 6m or 1y")
	f.Var(&r.Daily, "keep-daily", "keep what was there at the end of each of the last `N` days")
	f.Var(&r.Weekly, "keep-weekly", "keep what was there at the end of each of the last `N` weeks")
	f.Var(&r.Monthly, "keep-monthly", "keep what was there at the end of each of the last `N` months")
	f.Var(&r.Yearly, "keep-yearly", "keep what was there at the end of each of the last `N` years")
	f.Var(&r.OlderThan, "older-than", "let only versions go that were replaced or removed longer than this `SPAN` ago")
	f.Var(&r.RemovedOlderThan, "removed-older-than", "let all versions go of files that are gone for longer than this `SPAN`")
}

// keep gives the rules as the plan takes them.
func (r *pruneRules) keep() plan.Keep {
	return plan.Keep{
		Last: int(r.Last), Daily: int(r.Daily), Weekly: int(r.Weekly), Monthly: int(r.Monthly), Yearly: int(r.Yearly),
		Within: r.Within.Span, OlderThan: r.OlderThan.Span, RemovedOlderThan: r.RemovedOlderThan.Span,
	}
}

// ruleFlags are the options that rules have on the command line, in the order of
// the help.
func ruleFlags() (all []*pflag.Flag) {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.SortFlags = false
	new(pruneRules).addFlags(f)
	f.VisitAll(func(flag *pflag.Flag) { all = append(all, flag) })
	return all
}

// ruleKey is what a rule is called in the table keep of a profile: "last" of
// --keep-last, "older_than" of --older-than.
func ruleKey(flag string) string {
	return strings.ReplaceAll(strings.TrimPrefix(flag, "keep-"), "-", "_")
}

// ruleKeys are the keys of the table keep of a profile.
func ruleKeys() (keys []string) {
	for _, flag := range ruleFlags() {
		keys = append(keys, ruleKey(flag.Name))
	}
	return keys
}

// ruleOptions gives the rules of a profile as options of firn prune.
func ruleOptions(p *config.Profile) (options []config.Option) {
	for _, o := range p.Keep {
		for _, flag := range ruleFlags() {
			if ruleKey(flag.Name) == o.Key {
				o.Key = strings.ReplaceAll(flag.Name, "-", "_")
				options = append(options, o)
				break
			}
		}
	}
	return options
}

// rulesText lists the rules, for those who gave none.
func rulesText() string {
	var names []string
	for _, flag := range ruleFlags() {
		value := "N"
		if flag.Value.Type() == "span" {
			value = "90d"
		}
		names = append(names, "--"+flag.Name+" "+value)
	}
	return strings.Join(names, ", ")
}

// A ruleCount is how many versions or periods a rule keeps, from 1; 0 where there
// is no such rule. It is a pflag.Value.
type ruleCount int

// maxRuleCount bounds the periods: 270 years of days.
const maxRuleCount = 100_000

// Set reads a number.
func (c *ruleCount) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxRuleCount {
		return fmt.Errorf("%q is no number from 1 to %d", s, maxRuleCount)
	}
	*c = ruleCount(n)
	return nil
}

// String gives the number; nothing where there is none.
func (c *ruleCount) String() string {
	if *c == 0 {
		return ""
	}
	return strconv.Itoa(int(*c))
}

// Type names the value in help.
func (c *ruleCount) Type() string { return "number" }

// A spanValue is a length of time; nil where none was given. It is a pflag.Value.
type spanValue struct{ *plan.Span }

// Set reads a length of time.
func (v *spanValue) Set(s string) error {
	span, err := plan.ParseSpan(s)
	if err == nil {
		v.Span = &span
	}
	return err
}

// String gives what was set.
func (v *spanValue) String() string {
	if v.Span == nil {
		return ""
	}
	return v.Span.String()
}

// Type names the value in help.
func (v *spanValue) Type() string { return "span" }
