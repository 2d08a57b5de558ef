package syncer

import (
	"cmp"
	"slices"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/bundle"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/seal"
)

// An Outlook is what it comes to, to send what a dry run found, as it was to be
// sent and with other thresholds. Content that the store has already, of other
// files, is taken for new: nothing was read.
type Outlook struct {
	Prices  price.Tariff
	Files   firn.Count     // with content
	Unsure  int64          // of Files: those that are sent only if they differ
	Choices []price.Choice // by Below, from 0 on; one is Chosen
}

// otherBelow are the thresholds that an outlook has beside the chosen one.
func otherBelow() []int64 { return []int64{0, 64 << 10, 1 << 20, 8 << 20} }

// An outlook makes bundles as a sync does, of sizes alone.
type outlook struct {
	*syncer
	key    *seal.Key // of the size of all keys; nil where nothing is sealed
	all    []*forecast
	chosen *forecast
	files  firn.Count
	unsure int64
}

// A forecast is what becomes of one threshold.
type forecast struct {
	*outlook
	bundling Bundling
	budget   *Budget         // nil for all but the chosen one
	open     *bundle.Measure // nil: no bundle is begun
	reserved int64           // requests that the budget has for it
	sum      price.Choice
}

// newOutlook begins an outlook on what a dry run finds.
func (s *syncer) newOutlook() (*outlook, error) {
	o := &outlook{syncer: s}
	if s.Recipients != nil {
		key, err := s.Recipients.NewKey()
		if err != nil {
			return nil, err
		}
		o.key = &key
	}
	below := append(otherBelow(), s.Bundling.Below)
	slices.Sort(below)
	for _, n := range slices.Compact(below) {
		f := &forecast{outlook: o, bundling: s.Bundling, sum: price.Choice{Below: n}}
		if n == s.Bundling.Below {
			f.budget, f.sum.Chosen, o.chosen = s.Budget, true, f
		} else {
			f.bundling.Below = n
			f.bundling.Size = max(cmp.Or(s.Bundling.Size, DefaultBundleSize), n)
		}
		o.all = append(o.all, f)
	}
	return o, nil
}

// add takes in what would be sent. Errors: errOverLimit, where that would begin
// a bundle which the budget doesn't have.
func (o *outlook) add(file *firn.File) error {
	extent := bundle.ExtentOf(file)
	if err := o.chosen.add(file, extent); err != nil {
		return err
	}
	for _, f := range o.all {
		if f != o.chosen {
			f.add(file, extent)
		}
	}
	if size := contentSize(file); size > 0 {
		o.files.Files++
		o.files.Bytes += size
	}
	return nil
}

// add takes in what would be sent, as bundler.place does.
func (f *forecast) add(file *firn.File, extent bundle.Extent) error {
	size := contentSize(file)
	switch {
	case f.bundling.takes(file):
	case size == 0:
		return nil // in the catalog alone
	case f.key != nil:
		m := f.newMeasure()
		m.Add(extent)
		f.archive(m.Sealed())
		return nil
	default:
		f.archive(size)
		return nil
	}
	if f.open != nil && f.bundling.isFull(f.open.Len(), f.open.Size(), file.Stamp.Size) {
		f.seal()
	}
	if f.open != nil && f.open.Add(extent) {
		return nil
	}
	f.seal()
	if err := f.begin(); err != nil {
		return err
	}
	f.open.Add(extent)
	return nil
}

// newMeasure begins a bundle of the tree.
func (o *outlook) newMeasure() *bundle.Measure {
	return bundle.NewMeasure(bundle.Info{Tree: o.Tree, Host: o.Host, Catalog: o.Catalog.ID()})
}

// begin begins a bundle, if the budget has requests for it.
func (f *forecast) begin() error {
	f.reserved = f.Uploader.Requests(f.bundling.Size)
	if err := f.budget.pay(f.reserved); err != nil {
		return err
	}
	f.open = f.newMeasure()
	return nil
}

// seal ends the open bundle.
func (f *forecast) seal() {
	if f.open != nil {
		f.budget.settle(f.reserved, f.archive(f.open.Sealed()))
		f.open = nil
	}
}

// archive counts an archive of size bytes before it is encrypted, and gives its
// requests.
func (f *forecast) archive(size int64) (requests int64) {
	if f.key != nil {
		size = f.key.Size(size)
	}
	requests = f.Uploader.Requests(size)
	f.sum.Archives++
	f.sum.Bytes += size
	f.sum.Charged += f.Prices.Charged(size)
	f.sum.Requests += requests
	f.sum.Parts += max(requests-1, 0)
	return requests
}

// end gives the outlook; nil where nothing would be sent.
func (o *outlook) end() *Outlook {
	out := &Outlook{Prices: o.Prices, Files: o.files, Unsure: o.unsure}
	for _, f := range o.all {
		f.seal()
		out.Choices = append(out.Choices, o.Prices.Priced(f.sum, o.files.Bytes))
	}
	if o.chosen.sum.Archives == 0 {
		return nil
	}
	return out
}
