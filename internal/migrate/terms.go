package migrate

import (
	"context"
	"encoding/json"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// agreed is what the catalog keeps of a migration's terms: to what somebody said yes,
// and what the last inventory showed that isn't part of it.
type agreed struct {
	Tier firn.Tier `json:"tier,omitempty"`
	// Archives, with Bytes, are all that was to be copied by then, also what was copied.
	Archives int64 `json:"archives,omitempty"`
	Bytes    int64 `json:"bytes,omitempty"`
	Unknown
}

// Unknown are archives of firn's own in a source that the catalog doesn't know: another
// machine's, or those of a catalog that was lost. What is in them only firn recover can
// tell, so they are not copied.
type Unknown struct {
	Archives int64 `json:"unknown,omitempty"`
	Listed   int64 `json:"listed,omitempty"` // when the inventory was made that showed them, in seconds of the source's clock
}

// UnknownIn gives what was unknown in the source of a migration when that was looked at
// last.
func UnknownIn(m catalog.Migration) Unknown { return agreedOf(m).Unknown }

// agreedOf reads what a migration was agreed to; those of older versions have nothing
// but the tier.
func agreedOf(m catalog.Migration) (a agreed) {
	if err := json.Unmarshal([]byte(m.Options), &a); err != nil {
		return agreed{Tier: firn.Tier(m.Options)}
	}
	return a
}

func (a *agreed) text() string {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // strings and numbers
	}
	return string(text)
}

// A migration has grown where so many in a hundred came to what was agreed to: before
// that it isn't worth a word.
const grownPercent = 10

// grown is what came to what was agreed to, where that is much; else nothing.
func (a *agreed) grown(all firn.Count) firn.Count {
	by := firn.Count{Files: max(0, all.Files-a.Archives), Bytes: max(0, all.Bytes-a.Bytes)}
	if by.Files*100 <= a.Archives*grownPercent && by.Bytes*100 <= a.Bytes*grownPercent {
		return firn.Count{}
	}
	return by
}

// all is what a migration has copied, or is to copy, as far as that is planned.
func all(t catalog.CopyTotals) firn.Count {
	n := t.Open()
	for _, s := range []catalog.CopyState{catalog.CopyDone, catalog.CopyFailed} {
		n.Files, n.Bytes = n.Files+t[s].Files, n.Bytes+t[s].Bytes
	}
	return n
}

// isOn reports whether the migration goes on that was found.
func (m *mover) isOn() bool { return m.m.ID != 0 && m.m.State < catalog.MigrationDone }

// agree has the price agreed to where nobody has: of a migration that begins, of
// another tier, and of one that has grown since.
func (m *mover) agree(ctx context.Context) error {
	m.terms = agreedOf(m.m)
	if m.Listed != nil {
		m.terms.Unknown = *m.Listed
	}
	tier := m.Tiers[0]
	if m.isOn() {
		if m.terms.Archives == 0 { // of an older version
			sum := all(m.m.Totals)
			m.terms.Archives, m.terms.Bytes = sum.Files, sum.Bytes
		}
		if m.terms.Tier == tier && !m.AgreeAgain {
			if _, err := m.Catalog.PlanCopies(ctx, m.m, false); err != nil {
				return err
			}
			_, err := m.agreeMore(ctx)
			return err
		}
	}
	done := m.m.Totals[catalog.CopyDone]
	if !m.isOn() {
		done = firn.Count{}
	}
	m.terms.Tier = tier
	if m.Agree == nil {
		return nil
	}
	o, err := m.outlook(ctx)
	if err == nil {
		err = m.Agree(ctx, o)
	}
	m.terms.Archives, m.terms.Bytes = done.Files+o.Archives, done.Bytes+o.Bytes
	return err
}

// agreeMore has what is left agreed to, where a migration has grown beyond what
// somebody said yes to, and records that.
func (m *mover) agreeMore(ctx context.Context) (asked bool, err error) {
	if m.AgreeMore == nil || m.terms.Archives == 0 {
		return false, nil
	}
	if _, err := m.open(ctx); err != nil {
		return false, err
	}
	sum := all(m.m.Totals)
	grown := m.terms.grown(sum)
	if grown == (firn.Count{}) {
		return false, nil
	}
	o, err := m.outlook(ctx)
	if err != nil {
		return false, err
	}
	o.Grown = grown
	if asked, err = m.AgreeMore(ctx, o); err != nil || !asked {
		return false, err
	}
	m.terms.Archives, m.terms.Bytes = sum.Files, sum.Bytes
	return true, nil
}

// ListedAt is what an inventory of the source showed that the catalog doesn't know.
func ListedAt(archives int64, dated time.Time) *Unknown { return &Unknown{archives, dated.Unix()} }
