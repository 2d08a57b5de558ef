// Package s3cold is the store that S3 keeps in its Glacier storage classes, below
// a prefix of a bucket: Amazon's, or any server that speaks its protocol.
//
// An archive is an object that is never overwritten. One that holds the first
// version of a file has a name by which people find it, PREFIX/TREE/PATH; what
// else there is lies below PREFIX/.firn/:
//
//	.firn/store.json         says that this is a store, and which one
//	.firn/tags.json          the store's tags
//	.firn/KIND/TOKEN         archives that are no files, or later versions
//	.firn/objects/RANDOM     archives whose description isn't firn's
//	.firn/uploads/HASH.json  what an open multipart upload is going to be
//	.firn/hashes/HASH.json   the tree hash of an archive that came in parts
//	.firn/lists/             what lies beside archives, for people without firn
//
// A retrieval is no job here but a state of an object: S3 makes a copy of it that
// can be read for some days. So the ids of jobs are made of the objects' names.
package s3cold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/exchange"
)

// The limits of the service. Source: Amazon S3 user guide, "Amazon S3 multipart
// upload limits", "Working with object metadata".
const (
	MaxSingle      = 5 << 30 // bytes in a single request
	MinPart        = 5 << 20 // bytes, of all parts but the last
	MaxPart        = 5 << 30 // bytes
	MaxParts       = 10_000
	MaxArchive     = MaxParts * MaxPart // bytes: 48.8 TiB
	maxKey         = 1024               // bytes
	maxDescription = 1024               // printable ASCII characters: those of vaults
)

// A Class is a storage class.
type Class string

// The classes that a store may be of. Source: Amazon S3 user guide,
// "Understanding and managing Amazon S3 storage classes".
const (
	DeepArchive Class = "DEEP_ARCHIVE" // read after 12 to 48 hours; charged for 180 days
	Glacier     Class = "GLACIER"      // read after minutes to 12 hours; charged for 90 days
	GlacierIR   Class = "GLACIER_IR"   // read at once; charged for 90 days
	Standard    Class = "STANDARD"     // read at once
)

// Classes lists all classes, the coldest first.
func Classes() []Class { return []Class{DeepArchive, Glacier, GlacierIR, Standard} }

// cold reports whether objects of a class must be asked for before they can be
// read. An object without a class is of STANDARD.
func (c Class) cold() bool { return c == Glacier || c == DeepArchive }

// minDuration is how long an object is charged for at the least. Source: Amazon
// S3 pricing.
func (c Class) minDuration() time.Duration {
	switch c {
	case DeepArchive:
		return 180 * 24 * time.Hour
	case Glacier, GlacierIR:
		return 90 * 24 * time.Hour
	}
	return 0
}

// Config says which store to open, and how to reach it.
type Config struct {
	Bucket string
	// Prefix is where in the bucket the store is, as a/b; empty: all of it.
	Prefix string
	// Class is that of new archives; empty: the store's own, which is the Class
	// that it was created with, or else DeepArchive. Snapshots of the catalog are
	// always of STANDARD, since without them nothing is found in haste. Of a
	// server that isn't Amazon's it may be another of its own, as NAME,thaw where
	// its objects must be asked for before they can be read, else as NAME,instant.
	Class Class
	// ThawDays is how long a thawed copy is kept; 0: three days.
	ThawDays int
	// Region wins over what the environment and the AWS configuration say.
	Region string
	// Profile is a profile of the AWS configuration; empty for its default.
	Profile string
	// Endpoint is the base URL of the server, where it isn't the region's own
	// and AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_S3 doesn't say so. A server that
	// isn't Amazon's is asked for the bucket in the path, not in the host's name.
	Endpoint string
	// Known is where the server was when it was seen last: it is asked there where
	// nothing else says a base URL. Empty: at the region's own.
	Known string
	// Unmet: nobody has had an answer of the server from this machine before. That
	// no host has its name is then an error of whoever named it, which no waiting mends.
	Unmet bool
	// Credentials, where given, stand in for the standard chain; then neither
	// the environment nor the AWS configuration is read at all.
	Credentials aws.CredentialsProvider
	// Transport, where given, carries the requests instead of the network.
	Transport http.RoundTripper
	// Label is what messages call the store; by default s3:BUCKET/PREFIX.
	Label string
	// Clock is what gives up on a server that has gone silent; nil is the
	// machine's. It must really wait, since the network does.
	Clock clock.Clock
}

// base is what all keys begin with.
func (c *Config) base() string {
	if c.Prefix == "" {
		return ""
	}
	return c.Prefix + "/"
}

// thawDays is how long a thawed copy is kept, where nobody says otherwise.
const thawDays = 3

// A Store is a prefix of a bucket. It is a firn.Store, and safe for concurrent
// use.
type Store struct {
	service
	cfg   Config
	base  string // that all keys begin with: "" or "a/b/"
	thaws bool   // objects of the class in cfg must be asked for

	shelf  shelf
	trying chan struct{} // holds a token while somebody asks whether the server knows If-None-Match

	mu          sync.Mutex
	known       *identity // of the store, once it was seen
	conditional *bool     // whether the server knows If-None-Match; nil: not tried
}

// An identity is what .firn/store.json says.
type identity struct {
	Firn    int       `json:"firn"` // version of this format
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Class   Class     `json:"class"` // that archives have where nobody says another
	// Thaw: objects of it must be asked for. Of a class that firn knows it isn't said.
	Thaw bool `json:"thaw,omitempty"`

	versioned bool // the bucket keeps versions
}

// Open gives the store that cfg names. It reads the AWS configuration, but sends
// nothing yet: that the store exists shows in Describe.
// Errors: Usage (no region, a name that no bucket can have, an unknown class,
// unreadable or missing configuration).
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Label == "" {
		cfg.Label = strings.TrimSuffix("s3:"+cfg.Bucket+"/"+cfg.Prefix, "/")
	}
	if cfg.ThawDays == 0 {
		cfg.ThawDays = thawDays
	}
	wrong := func(what, hint string) (*Store, error) {
		return nil, &firn.Error{Op: "open", Subject: cfg.Label, Kind: firn.Usage, Err: errors.New(what), Hint: hint}
	}
	switch {
	case !config.IsBucket(cfg.Bucket):
		return wrong(fmt.Sprintf("%q is not the name of a bucket", cfg.Bucket), "names have 3 to 63 lower-case letters, digits, '-' and '.'")
	case cfg.Prefix != "" && !validKey(cfg.Prefix):
		return wrong(fmt.Sprintf("%q can't be a prefix", cfg.Prefix), "write it as a/b, without . and .. and without a slash at either end")
	}
	s := &Store{cfg: cfg, base: cfg.base(), trying: make(chan struct{}, 1)}
	var err error
	if s.service, err = connect(ctx, cfg); err != nil {
		return s, err
	}
	if s.cfg.Class, s.thaws, err = parseClass(cfg.Class, s.home == amazon); err != nil {
		return wrong(err.Error(), "")
	}
	return s, nil
}

// How a class of another server's own is said to behave.
const (
	mustThaw = "thaw"
	instant  = "instant"
)

// parseClass reads Config.Class.
func parseClass(text Class, amazons bool) (class Class, thaws bool, err error) {
	name, how, said := strings.Cut(string(text), ",")
	class = Class(name)
	switch {
	case !said && (name == "" || slices.Contains(Classes(), class)):
		return class, class.cold(), nil
	case amazons, !config.IsClass(name):
		return "", false, fmt.Errorf("no storage class %q; there are %v", text, Classes())
	case how != mustThaw && how != instant:
		return "", false, fmt.Errorf("firn doesn't know the storage class %q: write %s,%s if its objects must be asked for before they can be read, else %[2]s,%[4]s", text, name, mustThaw, instant)
	}
	return class, how == mustThaw, nil
}

// Region is the region that the bucket is looked for in.
func (s *Store) Region() string { return s.region }

// Close gives up the connections that wait for further requests.
func (s *Store) Close() error {
	s.http.CloseIdle()
	return nil
}

// Traits are those of the classes: of the store's own once it was seen.
func (s *Store) Traits() firn.Traits {
	return firn.Traits{
		FreshInventory: true,
		InstantJobs:    !s.isCold(),
		MaxArchive:     MaxArchive,
		MaxSingle:      MaxSingle,
		MinPart:        MinPart,
		AnyPart:        true,
		MaxPart:        MaxPart,
		MaxParts:       MaxParts,
		MinDuration:    max(s.own().minDuration(), s.Class().minDuration()), // nobody knows which an archive has
		Pace:           firn.PaceOf(string(s.own())),
		AnyPace:        s.home != amazon,
		UncheckedTrees: true,
		ThawsWhole:     true,
		LiveInventory:  true,

		RepeatableUploads: s.overwritesNothing(),
	}
}

// overwritesNothing reports whether the server is known to heed If-None-Match.
func (s *Store) overwritesNothing() bool {
	known := s.knownConditional()
	return known != nil && *known
}

// begin starts an exchange with the service.
func (s *Store) begin(ctx context.Context, op, subject string) *exchange.Exchange {
	return s.http.Begin(ctx, op, subject)
}

// bucket is the bucket, as the SDK wants it.
func (s *Store) bucket() *string { return &s.cfg.Bucket }

// exists fails where there is no store at the prefix. It asks once.
func (s *Store) exists(ctx context.Context) (identity, error) {
	if ctx.Err() != nil {
		return identity{}, context.Cause(ctx)
	}
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	id, _, err := s.identify(ctx)
	return id, err
}

// own is the class that the store was made with, as far as that is known.
func (s *Store) own() Class {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.known != nil && s.known.Class != "":
		return s.known.Class
	case s.cfg.Class != "":
		return s.cfg.Class
	}
	return DeepArchive
}

// Class is that of new archives, as far as the store was seen.
func (s *Store) Class() Class {
	if s.cfg.Class != "" {
		return s.cfg.Class
	}
	return s.own()
}

// OwnClass is the class that the store was made with, as far as the store was seen:
// its archives have it, unless somebody said another.
func (s *Store) OwnClass() Class { return s.own() }

// isCold reports whether archives of the store have to be asked for, as a rule.
func (s *Store) isCold() bool { return s.cold(s.own()) }

// cold reports whether objects of a class must be asked for before they can be read.
func (s *Store) cold(c Class) bool {
	if c.cold() || c != "" && c == s.cfg.Class && s.thaws {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known != nil && s.known.Thaw && c == s.known.Class
}

// classOf is the class that an archive is stored in.
func (s *Store) classOf(snapshot bool) types.StorageClass {
	if snapshot {
		return types.StorageClass(Standard)
	}
	return types.StorageClass(s.Class())
}

// decodeJSON reads what firn wrote below .firn/.
func decodeJSON(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("it is not what firn wrote: %w", err)
	}
	return nil
}
