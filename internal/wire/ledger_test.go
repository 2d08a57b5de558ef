package wire_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/wire"
)

// vaultAt makes a vault at an embedded server, which refuses as many archives
// as breaks says before it stores one.
func vaultAt(t *testing.T, env wire.Env, breaks *int) *wire.Store {
	t.Helper()
	server, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Timing: new(glacierd.Timing{}), Credentials: func(id string) (glacierd.KeyPair, bool) {
		return glacierd.KeyPair{AccessKeyID: id, SecretAccessKey: "secret"}, true
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if *breaks > 0 && strings.HasSuffix(r.URL.Path, "/archives") {
			*breaks--
			http.Error(w, `{"code": "AccessDeniedException", "message": "no", "type": "Client"}`, http.StatusForbidden)
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "me")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	s, err := wire.Open(t.Context(), env, config.Location{Scheme: config.Glacier, Region: "us-east-1", Vault: "photos"}, wire.Options{Endpoint: front.URL, MakeVault: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestLedger: what goes out is in the ledger some seconds later, and all of it
// when the store is closed; what the service refused is not charged for.
func TestLedger(t *testing.T) {
	env, breaks := environment(t), 1
	wound := clock.NewManual(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	env.Clock = wound
	cat := openCatalog(t, env)
	s := vaultAt(t, env, &breaks)
	s.KeepLedger(cat)
	row, err := s.CheckOrCreate(t.Context(), cat)
	if err != nil {
		t.Fatal(err)
	}
	want := func(when string, charges ...catalog.Charge) {
		t.Helper()
		l, err := cat.Ledger(t.Context(), row.ID, wound.Now().Add(-48*time.Hour), wound.Now().Add(48*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(charges, l.Charges); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	upload := func() firn.ArchiveID {
		t.Helper()
		body, sums := storetest.Body([]byte("some bytes"))
		id, err := s.UploadArchive(t.Context(), "a description", body, sums)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	body, sums := storetest.Body([]byte("some bytes"))
	if _, err := s.UploadArchive(t.Context(), "it breaks", body, sums); err == nil || breaks != 0 {
		t.Fatal("nothing broke")
	}
	id := upload()
	upload()
	wound.Advance(3 * time.Second)
	if _, err := s.Describe(t.Context()); err != nil { // any call writes what is old
		t.Fatal(err)
	}
	want("after some seconds", catalog.Charge{Op: catalog.UploadOp, Calls: 2})

	job, err := s.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: id, Tier: firn.Bulk})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Output(t.Context(), job, firn.Range{Start: 2, End: 9})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Fatal(err)
	}
	out.Close()
	inventory, err := s.StartInventory(t.Context(), firn.InventorySpec{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Inventory(t.Context(), inventory, func(firn.Archive) error { return nil })
	if err != nil || info.Bytes < 100 {
		t.Fatal(info, err)
	}
	upload()
	s.Close()
	want("at the end", catalog.Charge{Op: catalog.DownloadOp, Calls: 2, Bytes: 7 + info.Bytes}, catalog.Charge{Op: catalog.UploadOp, Calls: 3})
}

// TestLedgerOfClasses: in S3 a request to upload is charged for by the class that the
// archive is stored in: snapshots, and what lies beside them, are of STANDARD. So are the
// requests that begin an upload to a class that thaws, or send a part of it.
func TestLedgerOfClasses(t *testing.T) {
	env, there := environment(t), serveS3(t)
	cat := openCatalog(t, env)
	s := known(t, env, cat, "s3:bucket/p", wire.Options{Endpoint: there, Class: "DEEP_ARCHIVE", MakeVault: true})
	row, err := s.CheckOrCreate(t.Context(), cat)
	if err != nil {
		t.Fatal(err)
	}
	store := func(s *wire.Store, kind describe.Kind) firn.ArchiveID {
		t.Helper()
		text, err := describe.Encode(describe.Archive{Token: firn.NewToken(), Kind: kind, Tree: "photos", Made: time.Unix(1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		body, sums := storetest.Body([]byte(text))
		id, err := s.UploadArchive(t.Context(), text, body, sums)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	inParts := func(s *wire.Store, kind describe.Kind) {
		t.Helper()
		text, err := describe.Encode(describe.Archive{Token: firn.NewToken(), Kind: kind, Tree: "photos", Made: time.Unix(1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		body, sums := storetest.Body([]byte(text))
		id, err := s.StartUpload(t.Context(), text, 5<<20)
		if err == nil {
			err = s.UploadPart(t.Context(), id, 0, body, sums)
		}
		if err == nil {
			_, err = s.CompleteUpload(t.Context(), id, body.Size(), sums.Tree)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	store(s, describe.Bundle)
	inParts(s, describe.Bundle) // two of STANDARD, and one
	inParts(s, describe.Snapshot)
	snapshot := store(s, describe.Snapshot)
	body, sums := storetest.Body([]byte("a list"))
	if err := s.Store.(firn.Companion).PutCompanion(t.Context(), snapshot, "photos", "list", body, sums); err != nil {
		t.Fatal(err)
	}
	s.Close()
	other := known(t, env, cat, "s3:bucket/p", wire.Options{Class: "GLACIER_IR"})
	if _, err := other.Check(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	store(other, describe.Bundle)
	inParts(other, describe.Bundle)
	inParts(other, describe.Snapshot)
	other.Close()
	l, err := cat.Ledger(t.Context(), row.ID, time.Unix(0, 0), time.Unix(1<<40, 0))
	want := []catalog.Charge{{Op: catalog.UploadOp, Calls: 2}, {Op: catalog.UploadOp, Class: "GLACIER_IR", Calls: 4}, {Op: catalog.UploadOp, Class: "STANDARD", Calls: 2 + 2 + 3 + 3}}
	if diff := gocmp.Diff(want, l.Charges); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// TestAFolderHasNoLedger: it charges nothing.
func TestAFolderHasNoLedger(t *testing.T) {
	env := environment(t)
	cat := openCatalog(t, env)
	s := openLocal(t, env, filepath.Join(t.TempDir(), "vault"))
	s.KeepLedger(cat)
	row, err := s.CheckOrCreate(t.Context(), cat)
	if err != nil {
		t.Fatal(err)
	}
	body, sums := storetest.Body([]byte("some bytes"))
	if _, err := s.UploadArchive(t.Context(), "a description", body, sums); err != nil {
		t.Fatal(err)
	}
	s.Close()
	l, err := cat.Ledger(t.Context(), row.ID, time.Unix(0, 0), time.Unix(1<<40, 0))
	if err != nil || len(l.Charges) > 0 {
		t.Error(l, err)
	}
}
