package transfer

import (
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"pgregory.net/rapid"
)

const gib = 1024 * mib

func TestPartSizes(t *testing.T) {
	for _, c := range []struct {
		name              string
		size, want, reach int64
		part              int64
		count             int
	}{
		{"default", 4 * gib, 64 * mib, 0, 64 * mib, 64},
		{"one byte too many for 10,000 parts", 10000*64*mib + 1, 64 * mib, 0, 128 * mib, 5001},
		{"just 10,000 parts", 10000 * 64 * mib, 64 * mib, 0, 64 * mib, 10000},
		{"the largest archive", 10000 * 4 * gib, mib, 0, 4 * gib, 10000},
		{"1 Mbit/s", gib, 64 * mib, 125000 * 90, 8 * mib, 128},
		{"slow, but too large for small parts", 100 * gib, 64 * mib, 125000 * 90, 16 * mib, 6400},
		{"slower than a MiB in the time planned", 5 * mib, 64 * mib, 1000, mib, 5},
		{"wanted larger than the line bears", gib, 4 * gib, 200 * mib, 128 * mib, 8},
		{"any: default", 4 * gib, 64 * mib, 0, 64 * mib, 64},
		{"any: as wanted", gib, 100 * mib, 0, 100 * mib, 11},
		{"any: larger than the line bears", gib, 100 * mib, 99 * mib, 64 * mib, 16},
		{"any: one byte too many", 10000*64*mib + 1, 64 * mib, 0, 128 * mib, 5001},
		{"any: larger than powers of two hold", 10000*4*gib + 1, 64 * mib, 0, 4097 * mib, 9998},
		{"any: the largest archive", 10000 * 5 * gib, 64 * mib, 0, 5 * gib, 10000},
	} {
		tr := traits
		if strings.HasPrefix(c.name, "any:") {
			tr.AnyPart, tr.MaxPart, tr.MaxArchive = true, 5*gib, 10000*5*gib
		}
		smallest, err := smallestPart(c.size, tr)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		p := parts{c.size, partSize(c.want, smallest, c.reach, tr)}
		if p.part != c.part || p.count() != c.count {
			t.Errorf("%s: %d parts of %s, want %d of %s", c.name, p.count(), inMiB(p.part), c.count, inMiB(c.part))
		}
	}
}

func TestTooLargeForAnyPart(t *testing.T) {
	small := traits
	small.MaxArchive = 5 * gib
	large := traits
	large.AnyPart, large.MaxPart, large.MaxArchive = true, 5*gib, 20000*5*gib
	for _, c := range []struct {
		size int64
		tr   firn.Traits
	}{{10000*4*gib + 1, traits}, {5*gib + 1, small}, {10000*5*gib + 1, large}} {
		if _, err := smallestPart(c.size, c.tr); firn.KindOf(err) != firn.Invalid {
			t.Errorf("%d bytes: %v", c.size, err)
		}
	}
}

func TestPartsCoverTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := traits
		tr.MinPart = rapid.Int64Range(1, 20*mib).Draw(t, "least")
		tr.MaxParts = rapid.IntRange(1, 200).Draw(t, "parts")
		size := rapid.Int64Range(1, tr.MaxPart*int64(tr.MaxParts)).Draw(t, "size")
		want := int64(mib) << rapid.IntRange(0, 12).Draw(t, "want")
		if tr.AnyPart = rapid.Bool().Draw(t, "any"); tr.AnyPart {
			tr.MaxPart = 5 * gib
			size = rapid.Int64Range(1, tr.MaxPart*int64(tr.MaxParts)).Draw(t, "size of any parts")
			want = mib * rapid.Int64Range(1, 5120).Draw(t, "want of any")
		}
		reach := rapid.Int64Range(0, 8*gib).Draw(t, "reach")
		smallest, err := smallestPart(size, tr)
		if err != nil {
			t.Fatal(err)
		}
		p := parts{size, partSize(want, smallest, reach, tr)}
		if CheckPartSizeIn(p.part, tr) != nil || !p.suit(tr) || p.part < tr.MinPart || p.part > tr.MaxPart || p.count() > tr.MaxParts {
			t.Fatalf("%d parts of %d bytes", p.count(), p.part)
		}
		if p.part > smallest && (p.part > want || reach > 0 && p.part > reach) {
			t.Fatalf("parts of %d bytes, though %d would do", p.part, smallest)
		}
		var next int64
		for i := range p.count() {
			off, n := p.at(i)
			if off != next || n < 1 || n > p.part || n < p.part && off+n != size {
				t.Fatalf("part %d: %d bytes at %d, want it at %d", i, n, off, next)
			}
			if k, ok := p.index(off, n); k != i || !ok {
				t.Fatalf("index(%d, %d) = %d, %v, want %d", off, n, k, ok, i)
			}
			if _, ok := p.index(off, n+1); ok {
				t.Fatalf("part %d fits with a byte too many", i)
			}
			next += n
		}
		if next != size {
			t.Fatalf("the parts end at %d of %d", next, size)
		}
	})
}

func TestPartsOfAnyNumberOfMiB(t *testing.T) {
	tr := traits
	tr.AnyPart, tr.MaxPart = true, 5*gib
	for size, ok := range map[int64]bool{
		mib: true, 3 * mib: true, 5 * gib: true,
		0: false, -mib: false, mib - 1: false, mib + 1: false, 5*gib + mib: false,
	} {
		err := CheckPartSizeIn(size, tr)
		if (err == nil) != ok || err != nil && firn.KindOf(err) != firn.Usage {
			t.Errorf("%d: %v", size, err)
		}
	}
}

func TestOnlyPowersOfTwoMiBArePartSizes(t *testing.T) {
	for size, ok := range map[int64]bool{
		mib: true, 64 * mib: true, 4096 * mib: true,
		0: false, -mib: false, mib - 1: false, 3 * mib: false, 8192 * mib: false, mib + 1: false,
	} {
		err := CheckPartSize(size)
		if (err == nil) != ok || err != nil && firn.KindOf(err) != firn.Usage {
			t.Errorf("%d: %v", size, err)
		}
	}
}
