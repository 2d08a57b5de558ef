// Package price knows what stores charge: dated tables of prices, for the
// regions of which there is data, and the arithmetic of a bill. A price that is
// not known is unknown, which is never the same as nothing.
package price

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// An Amount is money, in billionths of a US dollar: the cheapest request that a
// store charges for costs some hundreds of them.
type Amount int64

// Dollar is one US dollar.
const Dollar Amount = 1_000_000_000

// decimals is how many digits an Amount has behind the point.
const decimals = 9

// Parse reads an amount as people write it: 5, 0.05 or $1.50. It has at most
// nine digits behind the point.
func Parse(s string) (Amount, error) {
	whole, part, point := strings.Cut(strings.TrimPrefix(s, "$"), ".")
	if !isDigits(whole) || point && !isDigits(part) || len(part) > decimals {
		return 0, fmt.Errorf("%q is no amount of dollars: write for example 5 or 0.50", s)
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", decimals-len(part)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is more dollars than anything costs", s)
	}
	return Amount(n), nil
}

// isDigits reports whether s is one digit or more.
func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String gives the exact amount as a decimal number, with two digits behind the
// point or as many as it takes: "5.00", "0.0512".
func (a Amount) String() string {
	sign, n := "", uint64(a)
	if a < 0 {
		sign, n = "-", -n
	}
	part := fmt.Sprintf("%0*d", decimals, n%uint64(Dollar))
	for len(part) > 2 && part[len(part)-1] == '0' {
		part = part[:len(part)-1]
	}
	return fmt.Sprintf("%s%d.%s", sign, n/uint64(Dollar), part)
}

// A Sum is what something costs, where that is known. The zero Sum is unknown.
type Sum struct {
	Amount Amount
	Known  bool
	// Doubt says which price in it the sources differ about, for people; empty
	// where they don't. Several are apart by "; ".
	Doubt string
}

// String gives the amount, or "unknown".
func (s Sum) String() string {
	if !s.Known {
		return "unknown"
	}
	return s.Amount.String()
}

// Plus is what both cost together, which is known where both are. It ends at
// the largest amount.
func (s Sum) Plus(o Sum) Sum {
	if !s.Known || !o.Known {
		return Sum{}
	}
	if !strings.Contains(s.Doubt, o.Doubt) {
		s.Doubt = strings.TrimPrefix(s.Doubt+"; "+o.Doubt, "; ")
	}
	if o.Amount > 0 && s.Amount > math.MaxInt64-o.Amount {
		s.Amount = math.MaxInt64
		return s
	}
	s.Amount += o.Amount
	return s
}

// A Price is what some units of something cost.
type Price struct {
	Amount     Amount
	Per        int64 // the units that it is for
	Confidence Confidence
	Source     string // where it was read
	Doubt      string // of Disputed: how the sources differ, for people
}

// Cost is the price of n units, in proportion, rounded up. It ends at the
// largest amount.
func (p Price) Cost(n int64) Amount {
	if n <= 0 || p.Amount <= 0 || p.Per <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(n), uint64(p.Amount))
	lo, carry := bits.Add64(lo, uint64(p.Per)-1, 0)
	hi += carry
	if hi >= uint64(p.Per) {
		return math.MaxInt64
	}
	quotient, _ := bits.Div64(hi, lo, uint64(p.Per))
	return Amount(min(quotient, math.MaxInt64))
}

// A Confidence says how sure a price is.
type Confidence uint8

// The confidences, from none on.
const (
	Disputed  Confidence = iota // sources differ
	OneSource                   // one source says so
	Confirmed                   // sources agree
)

// String names the confidence.
func (c Confidence) String() string {
	switch c {
	case Confirmed:
		return "confirmed"
	case OneSource:
		return "one source"
	}
	return "disputed"
}
