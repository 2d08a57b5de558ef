package catalog

// A State says how far an archive is.
type State uint8

// The states of an archive; NoArchive stands for content that needs none.
const (
	NoArchive  State = 0
	Intended   State = 1 // recorded, perhaps sent
	Uploading  State = 2 // a multipart upload is open
	Completing State = 3 // all parts are there, completion was asked for
	Doubt      State = 4 // whether it is stored shows in the next inventory
	Stored     State = 10
	Foreign    State = 11 // there, written by others, not taken in
	Dropped    State = 20 // never came to be
	Lost       State = 21 // was stored, is not in the store's inventory any more
	Deleted    State = 22 // by us; kept, so that a lagging inventory doesn't bring it back
)

// String names the state, for people.
func (s State) String() string {
	switch s {
	case NoArchive:
		return "none"
	case Intended:
		return "intended"
	case Uploading:
		return "uploading"
	case Completing:
		return "completing"
	case Doubt:
		return "in doubt"
	case Stored:
		return "stored"
	case Foreign:
		return "foreign"
	case Dropped:
		return "dropped"
	case Lost:
		return "lost"
	case Deleted:
		return "deleted"
	}
	return "unknown"
}
