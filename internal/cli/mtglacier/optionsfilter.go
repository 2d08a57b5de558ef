package mtglacier

import (
	"github.com/firn-archive/firn/internal/filter"
)

// filters compiles --filter, --include and --exclude, which make one list in the
// order that they were given in.
func (g *gatherer) filters(o *Options) {
	var rules []filter.Rule
	for _, s := range g.rules {
		switch s.name {
		case "include":
			rules = append(rules, filter.Include(s.value))
		case "exclude":
			rules = append(rules, filter.Exclude(s.value))
		default:
			more, err := filter.ParseRules(s.value)
			if err != nil {
				g.fault("Error in parsing %s: %v", &s, err)
			}
			rules = append(rules, more...)
		}
	}
	// Nothing is left out that nobody named.
	o.Filter = filter.New(filter.Options{Rules: rules, KeepLitter: true})
}
