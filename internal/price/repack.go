package price

import "time"

// A Sparse is an archive of which some is needed by nothing, while the rest keeps
// it alive.
type Sparse struct {
	Size       int64         // bytes of the archive
	Live, Dead int64         // bytes in it that are needed, and that aren't
	Requests   int64         // to send what is needed again
	Left       time.Duration // for which the store charges for it, also where it is deleted now
}

// A Repacking is what it comes to, to send what is needed of a Sparse again, and
// to let the archive go.
type Repacking struct {
	Upload Sum  // the requests
	Early  Sum  // what is left of the shortest time: the fee, or the storage until then
	Month  Sum  // that keeping what is dead costs
	Pays   bool // it is done
}

// repackMonths is the time within which a repacking has to pay.
const repackMonths = 12

// Repack weighs what it costs to have an archive repacked against what its dead
// bytes cost within a year. Where that is nothing, or unknown, it pays if at least
// half of the content is dead.
func (t Tariff) Repack(s Sparse) Repacking {
	r := Repacking{Upload: t.Cost(Upload, s.Requests), Early: t.EarlyDeletion(1, s.Size, s.Left), Month: t.Stored(0, s.Dead)}
	year := r.Month
	for range repackMonths - 1 {
		year = year.Plus(r.Month)
	}
	cost := r.Upload.Plus(r.Early)
	switch {
	case s.Dead <= 0:
	case t.Free, !year.Known, !cost.Known:
		r.Pays = s.Dead >= s.Live
	default:
		r.Pays = cost.Amount < year.Amount
	}
	return r
}
