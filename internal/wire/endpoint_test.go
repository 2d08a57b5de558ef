package wire_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/wire"
)

// serveS3 gives the address of an S3 with the bucket "bucket", and has keys for it in
// the environment, which names no server.
func serveS3(t *testing.T) (address string) {
	t.Helper()
	s := httptest.NewServer(s3test.New(s3test.Options{Buckets: []string{"bucket"}}))
	t.Cleanup(s.Close)
	for name, value := range map[string]string{
		"HOME": t.TempDir(), "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
		"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	} {
		t.Setenv(name, value)
	}
	return s.URL
}

func at(t *testing.T, text string) config.Location {
	t.Helper()
	loc, err := config.ParseLocation(text, "/")
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// known opens a store as the catalog knows it.
func known(t *testing.T, env wire.Env, cat *catalog.Catalog, name string, o wire.Options) *wire.Store {
	t.Helper()
	o.Outage = -1
	s, err := wire.OpenKnown(t.Context(), env, cat, at(t, name), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.KeepLedger(cat)
	return s
}

// TestFoundWhereItWasSeen: a store that was reached at an address is found there again.
func TestFoundWhereItWasSeen(t *testing.T) {
	env, there := environment(t), serveS3(t)
	cat := openCatalog(t, env)
	if _, err := known(t, env, cat, "s3:bucket/p", wire.Options{Endpoint: there, Class: "STANDARD", MakeVault: true}).CheckOrCreate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	row, err := known(t, env, cat, "s3:bucket/p", wire.Options{}).Check(t.Context(), cat)
	if err != nil || wire.EndpointOf(row) != there {
		t.Errorf("found at %q, %v; want %s", wire.EndpointOf(row), err, there)
	}
}

// TestAddressOfOthers: rows that were brought in, of whoever wrote them, don't say where
// requests with this user's keys go, and what is to be stored. Once the user has said
// so they do.
func TestAddressOfOthers(t *testing.T) {
	var asked atomic.Int64
	hostile := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "", http.StatusTeapot)
	}))
	defer hostile.Close()
	env := environment(t)
	serveS3(t)
	t.Setenv("AWS_REGION", "none.invalid") // so that Amazon isn't asked either
	cat := openCatalog(t, env)
	for name, spec := range map[string]catalog.StoreSpec{
		"s3:bucket/p":    {Kind: "s3", Identity: hostile.URL + " bucket/p/ 1"},
		"glacier:photos": {Kind: "glacier", Identity: hostile.URL + " arn:aws:glacier:us-east-1:012345678901:vaults/photos 1"},
	} {
		spec.URL = name
		row, err := cat.Register(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if to := wire.EndpointOf(row); to != "" {
			t.Errorf("%s is to be asked at %s", name, to)
		}
		s := known(t, env, cat, name, wire.Options{})
		if s.Look(t.Context()); asked.Load() > 0 {
			t.Fatalf("the server that rows of others name was asked for %s", name)
		}
		spec.Reached = true // as it is when it was looked at
		if row, err = cat.Register(t.Context(), spec); err != nil || wire.EndpointOf(row) != hostile.URL {
			t.Errorf("%s was reached, and is at %q, %v", name, wire.EndpointOf(row), err)
		}
		spec.Reached = false // and others say so again
		if row, err = cat.Register(t.Context(), spec); err != nil || wire.EndpointOf(row) != hostile.URL {
			t.Errorf("%s was reached before, and is at %q, %v", name, wire.EndpointOf(row), err)
		}
	}
}

// TestNestedStoresByTheCatalog: no store is made around one that the catalog knows,
// however much lies there; and one that lies in another is read, and not filled.
func TestNestedStoresByTheCatalog(t *testing.T) {
	env, there := environment(t), serveS3(t)
	cat := openCatalog(t, env)
	place := func(c *catalog.Catalog, name string) *wire.Store {
		return known(t, env, c, name, wire.Options{Endpoint: there, Class: "STANDARD", MakeVault: true})
	}
	if _, err := place(cat, "s3:bucket/p/inner").CheckOrCreate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	outer := place(cat, "s3:bucket/p")
	if err := outer.Create(t.Context()); firn.KindOf(err) != firn.Conflict {
		t.Errorf("made around a known one: %v", err)
	}
	if _, err := outer.CheckOrCreate(t.Context(), cat); firn.KindOf(err) != firn.Conflict {
		t.Errorf("made around a known one, and filled: %v", err)
	}
	if err := place(cat, "s3:bucket/q").Create(t.Context()); err != nil {
		t.Errorf("beside it: %v", err)
	}

	// An earlier firn let it be made, or somebody else: a copy of the other's file.
	lay(t, there, "p/.firn/store.json", `{"firn":1,"id":"outer","created":"2026-01-02T03:04:05Z","class":"STANDARD"}`)
	if _, err := place(cat, "s3:bucket/p").Check(t.Context(), cat); err != nil {
		t.Errorf("the outer one can't be read: %v", err)
	}
	if _, err := place(cat, "s3:bucket/p").CheckOrCreate(t.Context(), cat); err != nil {
		t.Errorf("the outer one isn't to be filled: %v", err)
	}
	inner := place(cat, "s3:bucket/p/inner")
	if _, err := inner.Check(t.Context(), cat); err != nil {
		t.Errorf("the inner one can't be read: %v", err)
	}
	if _, err := inner.CheckOrCreate(t.Context(), cat); firn.KindOf(err) != firn.Conflict {
		t.Errorf("the inner one is filled: %v", err)
	}

	// A machine that knows neither asks the bucket.
	second := environment(t)
	fresh := openCatalog(t, second)
	if _, err := place(fresh, "s3:bucket/p/inner").CheckOrCreate(t.Context(), fresh); firn.KindOf(err) != firn.Conflict {
		t.Errorf("the inner one is filled from elsewhere: %v", err)
	}
	// That somebody else's rows have it is no reason not to ask.
	if _, err := fresh.Register(t.Context(), catalog.StoreSpec{URL: "s3:bucket/p/inner", Kind: "s3", Identity: inner.Info.Identity}); err != nil {
		t.Fatal(err)
	}
	if _, err := place(fresh, "s3:bucket/p/inner").CheckOrCreate(t.Context(), fresh); firn.KindOf(err) != firn.Conflict {
		t.Errorf("the inner one is filled, since rows from elsewhere have it: %v", err)
	}
}

// lay puts a text into the bucket, as another program does.
func lay(t *testing.T, server, key, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server+"/bucket/"+key, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
}

// TestNoSuchHost: a store that was never reached isn't waited for where no host has
// its server's name, which may be mistyped; one that was reached is.
func TestNoSuchHost(t *testing.T) {
	const nobody = "http://127.0.0.0.1:9" // neither an address nor a name, so that nobody is asked for it
	for name, hint := range map[string]string{"s3:bucket/p": "--endpoint-url", "glacier:photos": "--endpoint-url"} {
		env, there := environment(t), serveS3(t)
		env.Clock = clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		cat := openCatalog(t, env)
		look := func() error {
			s, err := wire.OpenKnown(t.Context(), env, cat, at(t, name), wire.Options{Endpoint: nobody})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			_, err = s.Look(t.Context())
			return err
		}
		began := env.Clock.Now()
		err := look()
		if firn.KindOf(err) != firn.Usage || !strings.Contains(err.Error(), "127.0.0.0.1") || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v", name, err)
		}
		spec := catalog.StoreSpec{URL: name, Kind: string(at(t, name).Scheme), Identity: there + " it 1"}
		for _, spec.Reached = range []bool{false, true} {
			if _, err := cat.Register(t.Context(), spec); err != nil {
				t.Fatal(err)
			}
			if waited := env.Clock.Now().Sub(began); waited > 0 {
				t.Errorf("%s: waited for %v", name, waited)
			}
			err = look()
		}
		if waited := env.Clock.Now().Sub(began); firn.KindOf(err) != firn.Network || waited != guard.DefaultOutage {
			t.Errorf("%s, which was reached: waited for %v: %v", name, waited, err)
		}
	}
}
