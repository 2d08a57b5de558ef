package glacierd_test

import (
	"bytes"
	"slices"
	"testing"
)

// The first session of a newcomer: everything at once.
func TestSession(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("photos")
	small, large := []byte("hello"), pattern(5*mib+100)
	one := b.upload("photos", small, "small")
	two := b.uploadParts("photos", 2*mib, large, "large")
	inv := b.inventory("photos", b.job("photos", "Type", "inventory-retrieval"))
	if got := inv.ids(); !slices.Equal(got, []string{one, two}) {
		t.Fatalf("inventory lists %q, want %q and %q", got, one, two)
	}
	for id, want := range map[string][]byte{one: small, two: large} {
		job := b.job("photos", "Type", "archive-retrieval", "ArchiveId", id)
		if got := b.output("photos", job).body; !bytes.Equal(got, want) {
			t.Errorf("archive %.20s: %d bytes came back, want %d", id, len(got), len(want))
		}
		b.do(204, "DELETE", "/-/vaults/photos/archives/"+id, nil, nil)
	}
	b.do(204, "DELETE", "/-/vaults/photos", nil, nil)
}
