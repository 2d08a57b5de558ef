package treehash_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/firn-archive/firn/treehash"
	"pgregory.net/rapid"
)

const mib = 1 << 20

// Contents of the vectors, as functions of size.
func zeros(n int) []byte  { return make([]byte, n) }
func ascii0(n int) []byte { return bytes.Repeat([]byte("0"), n) }
func mod256(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}
func block(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i / mib)
	}
	return b
}

// word is the text that mt-aws-glacier's own test repeats.
func word(n int) []byte {
	const w = "TDvjTNoOZdYLHGJgmowQQPIANymiZabVUgL4toMOXtAxTVdAb3fHc7djq3CWvg47qp9e706QoGMA2PlhUyHkln9mw2G9Y1QynMS5zejFweL4Ll72P5eHSHXmzSBGZ4Xa"
	return bytes.Repeat([]byte(w), n/len(w)+1)[:n]
}

// vectors were computed with three independent implementations; the one of
// 5.5 MiB is also published with the AWS SDKs, the last thirteen are
// mt-aws-glacier's.
var vectors = []struct {
	name    string
	content func(int) []byte
	size    int
	tree    string
	linear  string // empty: not given
}{
	{"empty", zeros, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"zero byte", zeros, 1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
	{"zeros", zeros, mib - 1, "ca7ed0c4a8e67cbdc461c4cb0d286d2fabbd9f0c41a7f42b665f72ebaa8aec56", "ca7ed0c4a8e67cbdc461c4cb0d286d2fabbd9f0c41a7f42b665f72ebaa8aec56"},
	{"zeros", zeros, mib, "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58", "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58"},
	{"zeros", zeros, mib + 1, "28638dab8d5e1754a4ecb38b0ebe6df66c844f94aed142d4d0283d208bb786cd", "2cb74edba754a81d121c9db6833704a8e7d417e5b13d1a19f4a52f007d644264"},
	{"zeros", zeros, 2 * mib, "861890b487038d840e9d71d43bbc0fd4571453fb9d9b1f370caa3582a29b0ec7", "5647f05ec18958947d32874eeb788fa396a05d0bab7c1b71f112ceb7e9b31eee"},
	{"zeros", zeros, 3 * mib, "ca6cc129a4514ec765de86a4e7a49adf44842c9cac213c383ebe4071271bdf21", "bbd05cf6097ac9b1f89ea29d2542c1b7b67ee46848393895f5a9e43fa1f621e5"},
	{"zeros", zeros, 4 * mib, "27b557ba335a688f779a95e258a886ffa3b39b13533d6f9dcaa0497a2ed1fe18", "bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8"},
	{"zeros", zeros, 5 * mib, "3de9bfb690ff216d907474b4aa56a6f77a8c846a08b26885d4ab2282092a757e", "c036cbb7553a909f8b8877d4461924307f27ecb66cff928eeeafd569c3887e29"},
	{"ascii 0", ascii0, 5*mib + mib/2, "154e26c78fd74d0c2c9b3cc4644191619dc4f2cd539ae2a74d5fd07957a3ee6a", "68aff0c5a91aa0491752bfb96e3fef33eb74953804f6a2f7b708d5bcefa8ff6b"},
	{"zeros", zeros, 7*mib + mib/2, "056021f975b16a43e73b8a84ba82b29e8ec25f64bfa327ea6a18add959b19cce", "cfe7e95fb512ea6557868829533c57f2a0899202a7c1e29da5df271fdb6e668e"},
	{"mod 256", mod256, 3 * mib, "9bf95f5a1c4384e4c04b626bb12b022acba96a0fc1bb4ec3efd260a116f9e91b", "f6dd7fec8584ad00219a447071c1fa368a1caee4d9c146083d233713ddccd2c0"},
	{"block", block, 3 * mib, "ab17570ee8be686a3dab82afd38d793cbc47f401fc72289ab00ff6a608707378", "27ff3165fc71701be174c00e63a1cc81d1dd80ad76a7964a1d93ced82524704a"},
	{"block", block, 6*mib + mib/2, "1bec740b9e7b5da352a727ef3b50e9b24717450758ec506d3a8d45b59ca4f759", "1b3b37b9c74be78adc6189ebc7f97c0b289c4aac4098a4a6b081f6726897ec89"},
	{"mod 256", mod256, 7*mib + mib/2, "70c111182258ca39270cb5a425fcb0c588894b8a68819c183269f033c905ae55", "c3325b61b17a743dad4afad6d82d52ca4ee8c8020a435a09c2d5b90e622ed24c"},
	{"block", block, 8 * mib, "0b1e6e86ec258b49cc4026d3aa9d52f08ce44cdd24404f67eaf9c2381c799f1a", "5384247aad201ed7741837273cff70ed239a2c7568774648116007a934dbad21"},
	{"block", block, 16 * mib, "a82c0db82d46258f9bb28b46477833df94ad87266c61ddfdbf16bbea651e4226", "fbef5aa4c080b4197651e2316d4efbf55c85fa6e09cbd8d8425435c3703c865f"},
	{"block", block, 17 * mib, "1225e71bcbb29c17c6faa6af3475d3869b4538f1f0f67f6d963765dbd2efed04", "c25eacda7cdbd2d2502f164cc453bd579eaa85de4d200def074c01b3ac478612"},
	{"word", word, 1, "e632b7095b0bf32c260fa4c539e9fd7b852d0de454e9be26f24d0d6f91d069d3", ""},
	{"word", word, 1048575, "1b4571c7df12150afa939c0a590785773e80b7bd207b7dd19b7fd3c2256b46bc", ""},
	{"word", word, 1048576, "1af41c69e98cc8dbb1fe9d3302bc35a062cbbf99f733c8cbe8586d1b6327b69d", ""},
	{"word", word, 1048577, "78d6c5ae312da5fdee8380c5bae35fde09e31a9987d7831854b7a7524ba6dc59", ""},
	{"word", word, 2097151, "6d700b3e5bbda257aeba9ad4ada6fa3111201d0d088695ee8695133b066d542f", ""},
	{"word", word, 2097152, "351132ca830667e2226a12adf29f02164f68267432a4792ed15792665c8fc5a6", ""},
	{"word", word, 2097153, "463fa8c133a4625f0b09d7af525f5b6255133f7dff4de4cb9090e5a6be92efd1", ""},
	{"word", word, 3145728, "4bba1bc0cc2fb572814ddaa23f73a54a55e88a26e1fee5f87e4a2aa37e258f3b", ""},
	{"word", word, 3145729, "621ea99da4194ffc0f71640f88d44845bb4eefc31bbf1e48798cdb39964df9c0", ""},
	{"word", word, 4194305, "8e0f5c4c69efdc1d9401fb426416f8d950fdcb70d12c3642a4cd751164199bd1", ""},
	{"word", word, 10485760, "bf06e6aa48a47f9973ea24fbdfefaff614952ed45b15aeeccfe29b729a83116b", ""},
	{"word", word, 10485761, "e5afc77d81e9ad35ae49a96b12a4beb0ac45362d8942572fa8bfab2928bc2cfb", ""},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(fmt.Sprintf("%s %d", v.name, v.size), func(t *testing.T) {
			data := v.content(v.size)
			if got := treehash.Sum(data).String(); got != v.tree {
				t.Errorf("Sum = %s, want %s", got, v.tree)
			}
			d := treehash.NewDouble()
			d.Write(data)
			if got := d.Sums().Tree.String(); got != v.tree {
				t.Errorf("Double's tree hash = %s, want %s", got, v.tree)
			}
			if got := fmt.Sprintf("%x", d.Sums().Linear); v.linear != "" && got != v.linear {
				t.Errorf("Double's SHA-256 = %s, want %s", got, v.linear)
			}
		})
	}
}

func TestPartsCombine(t *testing.T) {
	data := mod256(7*mib + mib/2)
	wants := map[int][]string{
		1: {"fbbab289f7f94b25736c58be46a994c441fd02552cc6022352e3d86d2fab7c83", "33bc8aab40703678c3ebe94d2dd8f2afff285dd901f9234e841e4679f8204fd5"},
		2: {"159967700b653cc4d21e8ceadd5e20c9be037fc839730b65b4343c967241fe95", "2208d6cfdef89e4b40dd22bb58fc15a1947b35144c223740a6ab434c11c5c231"},
		4: {"4beec83d3a729a0dd6550672ebbd6fd2e925dd9f08d6df5bd333c0e61e8bdaa2", "f81f610ee154c46e593bf91d46638b4db02ca676b48996448687ed84d6c481f3"},
	}
	for partMiB, want := range wants {
		var parts []treehash.Hash
		for rest := data; len(rest) > 0; {
			n := min(partMiB*mib, len(rest))
			parts = append(parts, treehash.Sum(rest[:n]))
			rest = rest[n:]
		}
		if first, last := parts[0].String(), parts[len(parts)-1].String(); first != want[0] || last != want[1] {
			t.Errorf("parts of %d MiB: first %s, last %s, want %s", partMiB, first, last, want)
		}
		if got := treehash.Combine(parts).String(); got != "70c111182258ca39270cb5a425fcb0c588894b8a68819c183269f033c905ae55" {
			t.Errorf("parts of %d MiB combine to %s", partMiB, got)
		}
	}
}

// reference is the definition, level by level, as the developer guide has it.
func reference(data []byte) treehash.Hash {
	var level []treehash.Hash
	for rest := data; len(rest) > 0 || level == nil; {
		n := min(mib, len(rest))
		level = append(level, sha256.Sum256(rest[:n]))
		rest = rest[n:]
	}
	return climb(level)
}

func climb(level []treehash.Hash) treehash.Hash {
	for len(level) > 1 {
		var up []treehash.Hash
		for i := 0; i+1 < len(level); i += 2 {
			up = append(up, sha256.Sum256(append(level[i][:], level[i+1][:]...)))
		}
		if len(level)%2 == 1 {
			up = append(up, level[len(level)-1])
		}
		level = up
	}
	return level[0]
}

func TestAnyWritesAgreeWithDefinition(t *testing.T) {
	payload := mod256(9 * mib)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(0, len(payload)).Draw(t, "size")
		h, d := treehash.New(), treehash.NewDouble()
		h.Write([]byte("of an earlier payload"))
		d.Write(payload[:2*mib])
		h.Reset()
		d.Reset()
		for rest := payload[:size]; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "write")
			h.Write(rest[:n])
			d.Write(rest[:n])
			rest = rest[n:]
		}
		want := treehash.Sums{Tree: reference(payload[:size]), Linear: sha256.Sum256(payload[:size])}
		if got := h.Sum(); got != want.Tree {
			t.Fatalf("Hasher: %s, want %s", got, want.Tree)
		}
		if got := d.Sums(); got != want {
			t.Fatalf("Double: %v, want %v", got, want)
		}
		if h.Written() != int64(size) || d.Written() != int64(size) {
			t.Fatalf("Written: %d and %d, want %d", h.Written(), d.Written(), size)
		}
	})
}

// TestSumMayGoOn: asking for the sum in between must not disturb it.
func TestSumMayGoOn(t *testing.T) {
	data := block(3*mib + 5)
	h, d := treehash.New(), treehash.NewDouble()
	for i := 0; i < len(data); i += mib / 2 {
		chunk := data[i:min(i+mib/2, len(data))]
		h.Write(chunk)
		d.Write(chunk)
		want := reference(data[:i+len(chunk)])
		if h.Sum() != want || d.Sums().Tree != want {
			t.Fatalf("after %d bytes: %s, %s, want %s", i+len(chunk), h.Sum(), d.Sums().Tree, want)
		}
	}
}

// TestNodeAligned compares the rule with the tree itself: a range is aligned
// if it is below one node.
func TestNodeAligned(t *testing.T) {
	for n := int64(1); n <= 69; n++ {
		nodes := nodesOf(n)
		for a := int64(0); a < n; a++ {
			for b := a + 1; b <= n; b++ {
				size := n*mib - 17 // the last leaf is a short one
				got := treehash.NodeAligned(size, a*mib, min(b*mib, size))
				if got != nodes[[2]int64{a, b}] {
					t.Fatalf("%d leaves: [%d,%d) aligned: %v", n, a, b, got)
				}
			}
		}
	}
}

// nodesOf gives the leaf ranges below each node of a tree of n leaves.
func nodesOf(n int64) map[[2]int64]bool {
	all := map[[2]int64]bool{}
	level := make([][2]int64, n)
	for i := range level {
		level[i] = [2]int64{int64(i), int64(i) + 1}
	}
	for {
		for _, r := range level {
			all[r] = true
		}
		if len(level) == 1 {
			return all
		}
		var up [][2]int64
		for i := 0; i < len(level); i += 2 {
			last := min(i+1, len(level)-1)
			up = append(up, [2]int64{level[i][0], level[last][1]})
		}
		level = up
	}
}

func TestLeafAligned(t *testing.T) {
	const size = 2*mib + 5
	for _, r := range []struct {
		start, end int64
		want       bool
	}{
		{0, mib, true}, {0, size, true}, {mib, size, true}, {2 * mib, size, true},
		{0, 0, false}, {1, mib, false}, {0, mib + 1, false}, {0, 3 * mib, false}, {-mib, mib, false}, {mib, mib, false},
	} {
		if got := treehash.LeafAligned(size, r.start, r.end); got != r.want {
			t.Errorf("LeafAligned(%d, %d, %d) = %v", size, r.start, r.end, got)
		}
	}
}

func TestParse(t *testing.T) {
	h := treehash.Sum([]byte("a"))
	for _, s := range []string{h.String(), strings.ToUpper(h.String())} {
		if got, err := treehash.Parse(s); err != nil || got != h {
			t.Errorf("Parse(%s) = %s, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "ab", strings.Repeat("g", 64), h.String() + "00"} {
		if got, err := treehash.Parse(s); err == nil {
			t.Errorf("Parse(%q) = %s, want an error", s, got)
		}
	}
}

// The pair prints what hashing costs: design figures are multiples of the
// second ("hash it twice").
func BenchmarkDouble(b *testing.B) { benchmark(b, treehash.NewDouble()) }
func BenchmarkTree(b *testing.B)   { benchmark(b, treehash.New()) }

func benchmark(b *testing.B, w io.Writer) {
	data := mod256(mib)
	b.SetBytes(64 * mib)
	for b.Loop() {
		for range 64 {
			w.Write(data)
		}
	}
}
