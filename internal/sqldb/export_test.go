package sqldb

// What gives the log room, see room.go.
const (
	RoomAfter = roomAfter
	RoomSize  = roomSize
)

var MakeRoom = makeRoom

// Waiting is how many writes wait for the one under way.
func (db *DB) Waiting() int {
	db.write.mu.Lock()
	defer db.write.mu.Unlock()
	return len(db.write.queue)
}

// Commits is how many groups of writes were committed, or were to be.
func (db *DB) Commits() int {
	db.write.lead <- struct{}{}
	defer func() { <-db.write.lead }()
	return db.write.groups
}
