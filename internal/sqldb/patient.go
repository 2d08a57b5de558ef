package sqldb

import (
	"context"
	"time"
)

// patience is how long a patient write waits for others: some times as long as a disk
// takes for a commit.
const patience = 4 * time.Millisecond

type patient struct{}

// Patiently gives a context in which writes wait for some milliseconds for another one,
// and are committed with it: where many are about to be made a disk has half as much to
// do. It is for what nothing but its own worker waits for.
func Patiently(ctx context.Context) context.Context {
	return context.WithValue(ctx, patient{}, true)
}
