package syncer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/price"
)

// Limits bound what is sent. What is over them is left for the next time, and
// nothing is concluded about it. Files that need not be sent don't count.
type Limits struct {
	Files int64 // 0: any number
	Bytes int64 // 0: any number
	// Cost is what the requests may cost that send it, at Prices; 0: anything.
	// Each counts before it is made. Those that have to be repeated, and more
	// parts than were planned on a slow line, are not foreseen.
	Cost price.Amount
	// CostOf is what Cost comes from, for people; empty: --max-cost.
	CostOf string
	// Others is what of Cost others have spent since it was set, where own was counted
	// here; nil: it is for this run alone.
	Others func(own price.Amount) price.Amount
	// AskAbove is what the requests may cost before Ask is asked whether they may
	// cost more; 0: anything. It is asked once, before the request that would be
	// too much: an error is a no, and nothing more is begun. The work waits for it.
	AskAbove price.Amount
	// FeesAbove is likewise for the fees of what is deleted early; 0: anything.
	FeesAbove price.Amount
	// Ask asks whether what may go on, as in "the requests of this sync cost more
	// than $5.00".
	Ask    func(what string) error
	Prices price.Tariff
}

// Check finds limits that can't be kept. Errors: Usage (Cost, where the store's
// prices are not known).
func (l Limits) Check() error {
	if l.Cost == 0 || l.Prices.Exact() && l.Prices.Cost(price.Upload, 1).Known {
		return nil
	}
	region := l.Prices.For
	if region == "" {
		region = "this store"
	}
	return &firn.Error{Op: "sync", Kind: firn.Usage, Err: fmt.Errorf("%s can't be kept: firn doesn't know the prices of %s", l.costOf(), region),
		Hint: "leave it out, or limit the run with --max-files or --max-bytes, or write the prices into prices.toml"}
}

// costOf names the limit on money.
func (l Limits) costOf() string { return cmp.Or(l.CostOf, "--max-cost") }

// requests is the price of requests: more than any limit where it is unknown.
func (l Limits) requests(r requests) price.Amount {
	if sum := l.Prices.Sending(r.all-r.parts, r.parts); sum.Known {
		return sum.Amount
	}
	return math.MaxInt64
}

// requests are those by which archives are stored.
type requests struct {
	all   int64
	parts int64 // of these, all but the last one of each archive
}

// plus is r with the requests of one archive more.
func (r requests) plus(n int64) requests { return requests{r.all + n, r.parts + max(n-1, 0)} }

// minus is r without the requests of one archive.
func (r requests) minus(n int64) requests { return requests{r.all - n, r.parts - max(n-1, 0)} }

// errOverLimit tells that a file is not sent since a limit is reached.
var errOverLimit = errors.New("a limit of this run is reached")

// inBundle are the requests of a file that goes into a bundle: that has them.
const inBundle = 0

// A Budget is what is left of limits. Several runs may share it, one after the
// other. A nil Budget has no end.
type Budget struct {
	limits Limits

	mu       sync.Mutex
	used     firn.Count
	requests requests
	spent    bool            // no further bundle can be paid for
	asked    bool            // Ask was
	refused  error           // it said no
	fees     price.Amount    // of early deletions
	feesSaid bool            // Ask was asked about these
	feesNo   error           // it said no
	doubt    map[string]bool // paths that are in used already, and may be sent again
}

// NewBudget gives a budget of which nothing is used; nil where there are no
// limits. Where Check finds the limits wanting, it lets nothing through.
func NewBudget(l Limits) *Budget {
	if l.Files == 0 && l.Bytes == 0 && l.Cost == 0 && l.AskAbove == 0 && l.FeesAbove == 0 {
		return nil
	}
	return &Budget{limits: l, doubt: map[string]bool{}}
}

// over says why a file of so many bytes, which takes so many requests, can't be
// sent any more; empty where it can.
func (b *Budget) over(path string, size, requests int64) string {
	if b == nil {
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.doubt[path] {
		return ""
	}
	return b.reached(size, requests)
}

func (b *Budget) reached(size, requests int64) string {
	switch {
	case b.limits.Files > 0 && b.used.Files >= b.limits.Files:
		return "--max-files is reached"
	case b.limits.Bytes > 0 && size > b.limits.Bytes:
		return "it is larger than --max-bytes"
	case b.limits.Bytes > 0 && b.used.Bytes+size > b.limits.Bytes:
		return "--max-bytes is reached"
	case requests > 0 && !b.affordsAlone(requests):
		return "it costs more than " + b.limits.costOf()
	case b.refused != nil:
		return "its price was not agreed to"
	case b.spent && requests == inBundle, requests > 0 && !b.affords(b.requests, requests):
		return b.limits.costOf() + " is reached"
	}
	return ""
}

// agreed reports whether so many requests more may be made, and asks about that
// where they are the first that cost more than goes without a question.
func (b *Budget) agreed(requests int64) bool {
	l := &b.limits
	if l.AskAbove > 0 && !b.asked && requests > 0 && l.requests(b.requests.plus(requests)) > l.AskAbove {
		b.asked = true
		b.refused = l.Ask("the requests of this sync cost more than $" + l.AskAbove.String())
	}
	return b.refused == nil
}

// paysFees reports whether early deletions that cost so much may be made, and asks
// about that where they cost more than goes without a question.
func (b *Budget) paysFees(fee price.Sum) bool {
	if b == nil || b.limits.FeesAbove == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	text := "an unknown amount"
	amount := price.Amount(math.MaxInt64)
	if fee.Known {
		amount = b.fees + fee.Amount
		text = "$" + amount.String()
	}
	if amount > b.limits.FeesAbove && !b.feesSaid {
		b.feesSaid = true
		b.feesNo = b.limits.Ask("what this sync deletes early costs " + text)
	}
	if b.feesNo == nil {
		b.fees = amount
	}
	return b.feesNo == nil
}

// Refused is why nothing more was begun, or deleted early, where Ask was asked and
// said no.
func (b *Budget) Refused() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Join(b.refused, b.feesNo)
}

// affords reports whether the n requests of an archive can be paid for beside others.
func (b *Budget) affords(others requests, n int64) bool {
	if b.limits.Cost == 0 {
		return true
	}
	left := b.limits.Cost
	if b.limits.Others != nil {
		left -= b.limits.Others(b.limits.requests(b.requests) + b.fees)
	}
	return b.limits.requests(others.plus(n)) <= left
}

// affordsAlone reports whether they can be paid for at all.
func (b *Budget) affordsAlone(n int64) bool {
	return b.limits.Cost == 0 || b.limits.requests(requests{}.plus(n)) <= b.limits.Cost
}

// take counts a file that is about to be sent, or gives errOverLimit.
func (b *Budget) take(path string, size, requests int64) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.doubt[path]:
		delete(b.doubt, path)
	case b.reached(size, requests) != "", !b.agreed(requests):
		return errOverLimit
	default:
		b.used.Files++
		b.used.Bytes += size
	}
	b.requests = b.requests.plus(requests) // again for what is sent again
	return nil
}

// giveBack takes back a take: nothing was stored. What was asked of the store
// for it may be charged all the same.
func (b *Budget) giveBack(size int64) {
	if b == nil || size == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used.Files--
	b.used.Bytes -= size
}

// pay counts the requests of a bundle that is to be begun, or gives
// errOverLimit.
func (b *Budget) pay(requests int64) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.affords(b.requests, requests) || !b.agreed(requests) {
		b.spent = true
		return errOverLimit
	}
	b.requests = b.requests.plus(requests)
	return nil
}

// settle puts what a bundle takes in the place of what was paid for it: 0 where
// none was made.
func (b *Budget) settle(paid, requests int64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = b.requests.minus(paid).plus(requests)
	b.spent = b.spent && requests >= paid
}

// charge counts requests that are made in any case.
func (b *Budget) charge(requests int64) { b.settle(0, requests) }

// remember keeps a take for a file that may be sent again: nobody knows whether
// it arrived.
func (b *Budget) remember(path string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.doubt[path] = true
}

// leave leaves a file for the next run.
func (s *syncer) leave(file firn.File, why string) {
	s.used.add(file.Path) // its upload, where one is open, goes on then
	s.fileEvent(firn.Left, file, firn.FileEvent{Reason: why})
}

// ofLimit reports whether a file was not sent because of a limit, and leaves it.
func (s *syncer) ofLimit(u upload, err error) bool {
	if !errors.Is(err, errOverLimit) {
		return false
	}
	why := s.Budget.over(u.file.Path, u.file.Stamp.Size, s.requestsFor(&u.file))
	if why == "" { // what had filled it was given back since
		why = errOverLimit.Error()
	}
	s.leave(u.file, why)
	if contentSize(&u.file) > 0 {
		s.Events(firn.PlanEvent{Files: -1, Bytes: -u.file.Stamp.Size})
	}
	return true
}

// requestsFor says how many requests a file takes that has to be sent.
func (s *syncer) requestsFor(f *firn.File) int64 {
	if s.isSmall(f) {
		return inBundle
	}
	if in, ok := s.resumable[f.Path]; ok {
		return s.requestsOf(in)
	}
	return s.Uploader.Requests(f.Stamp.Size)
}

// requestsOf says how many requests are left of what an intent is for: those of
// the parts that the store doesn't have, and the last one.
func (s *syncer) requestsOf(in catalog.Intent) int64 {
	if in.Upload == "" || in.PartSize == 0 {
		return s.Uploader.Requests(in.Size)
	}
	parts := (in.Size + in.PartSize - 1) / in.PartSize
	return max(parts-int64(len(in.Parts)), 0) + 1
}
