package firn

import "context"

// A Recall completes archives of which ID, Size and Created are known: it gives each
// that it knows its Description and its Tree, and reports which those are. It is
// called with some thousands at a time.
type Recall func(ctx context.Context, listed []Archive) (known []bool, err error)

// A Lister is a store whose lists say of an archive no more than its id, its size
// and when it was made, so that an inventory costs a request for each archive. The
// decorators of stores are Listers, whatever is below them.
type Lister interface {
	// InventoryBut is Inventory, and asks about those archives alone that recall
	// doesn't know. A store whose inventories say it all doesn't call it; nil: it
	// knows none.
	InventoryBut(ctx context.Context, id JobID, recall Recall, each func(Archive) error) (InventoryInfo, error)
}

// InventoryBut is that of a store that may be no Lister.
func InventoryBut(ctx context.Context, s Store, id JobID, recall Recall, each func(Archive) error) (InventoryInfo, error) {
	if l, ok := s.(Lister); ok {
		return l.InventoryBut(ctx, id, recall, each)
	}
	return s.Inventory(ctx, id, each)
}
