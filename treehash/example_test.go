package treehash_test

import (
	"fmt"
	"io"
	"strings"

	"github.com/firn-archive/firn/treehash"
)

// The tree hash of a stream, as the service shows it for an archive.
func ExampleHasher() {
	h := treehash.New()
	if _, err := io.Copy(h, strings.NewReader("hello\n")); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(h.Sum())
	// Output: 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
}

// The hashes of parts make the hash of the whole, if all parts but the last
// have the same size: a MiB times a power of two.
func ExampleCombine() {
	data := []byte(strings.Repeat("firn", 1<<19)) // 2 MiB
	parts := []treehash.Hash{treehash.Sum(data[:1<<20]), treehash.Sum(data[1<<20:])}
	fmt.Println(treehash.Combine(parts) == treehash.Sum(data))
	// Output: true
}

// An upload needs the tree hash and the plain SHA-256; one pass gives both.
func ExampleDouble() {
	d := treehash.NewDouble()
	if _, err := io.WriteString(d, "hello\n"); err != nil {
		fmt.Println(err)
		return
	}
	sums := d.Sums()
	fmt.Println(sums.Tree, d.Written())
	// Output: 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 6
}
