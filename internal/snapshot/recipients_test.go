package snapshot

import (
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// TestRecipients: of which trees a snapshot takes those who can open it.
func TestRecipients(t *testing.T) {
	some := catalog.Recipients{1}
	for name, c := range map[string]struct {
		trees []catalog.Tree
		want  string
		kind  firn.Kind
	}{
		"no tree":          {nil, "", firn.Other},
		"in the clear":     {[]catalog.Tree{{Name: "a"}, {Name: "b"}}, "", firn.Other},
		"one":              {[]catalog.Tree{{Name: "a"}, {Name: "b", Recipients: some, Keys: "age1x\nage1y"}}, "age1x age1y", firn.Other},
		"two":              {[]catalog.Tree{{Recipients: some, Keys: "age1x"}, {Recipients: some, Keys: "age1y"}}, "age1x age1y", firn.Other},
		"till now":         {[]catalog.Tree{{Keys: "age1x"}}, "age1x", firn.Other},
		"stronger ones":    {[]catalog.Tree{{Recipients: some, Keys: "age1x"}, {Recipients: some, Keys: "age1pq1y"}}, "age1pq1y", firn.Other},
		"nobody knows who": {[]catalog.Tree{{Name: "a", Recipients: some}}, "", firn.Usage},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := recipients(c.trees)
			if strings.Join(got, " ") != c.want || firn.KindOf(err) != c.kind || (err == nil) != (c.kind == firn.Other) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
