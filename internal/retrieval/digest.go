package retrieval

import "hash/maphash"

// A digest stands for an id. Two that meet by chance are not to be feared: of a
// million ids the odds are one to 10^26, and the seeds are drawn anew for each map.
type digest [2]uint64

// digests is a map by ids, which are some hundred bytes each, that doesn't hold
// them.
type digests[V any] struct {
	seeds [2]maphash.Seed
	all   map[digest]V
}

func newDigests[V any]() digests[V] {
	return digests[V]{[2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, map[digest]V{}}
}

func (d *digests[V]) of(id string) digest {
	return digest{maphash.String(d.seeds[0], id), maphash.String(d.seeds[1], id)}
}

func (d *digests[V]) get(id string) (v V, ok bool) {
	v, ok = d.all[d.of(id)]
	return v, ok
}

func (d *digests[V]) has(id string) bool {
	_, ok := d.all[d.of(id)]
	return ok
}

func (d *digests[V]) set(id string, v V) { d.all[d.of(id)] = v }
