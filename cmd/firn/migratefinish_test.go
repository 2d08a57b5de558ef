package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/treehash"
)

// A farewell is a vault whose archives were moved to S3, half of which are young.
type farewell struct {
	t       *testing.T
	m       *machine
	service *clock.Manual // the vault's
	vault   firn.Store
	s3      *s3test.Server
	url     string // of s3
	log     *deletionLog
	files   map[string][]byte // by path
}

// put stores a file as mtglacier does.
func (f *farewell) put(name string, content []byte) firn.ArchiveID {
	f.t.Helper()
	d := treehash.NewDouble()
	d.Write(content)
	id, err := f.vault.UploadArchive(f.t.Context(), name, io.NewSectionReader(bytes.NewReader(content), 0, int64(len(content))), d.Sums())
	if err != nil {
		f.t.Fatal(err)
	}
	f.files[name] = content
	return id
}

// object overwrites an object of S3; nil content deletes it.
func (f *farewell) object(key string, content []byte, class string, meta map[string]string) {
	f.t.Helper()
	method := http.MethodPut
	if content == nil {
		method = http.MethodDelete
	}
	r, err := http.NewRequestWithContext(f.t.Context(), method, f.url+"/bucket/"+key, bytes.NewReader(content))
	if err != nil {
		f.t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	if content != nil {
		r.Header.Set("X-Amz-Storage-Class", class)
		for name, value := range meta {
			r.Header.Set("X-Amz-Meta-"+name, value)
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode/100 != 2 {
		f.t.Fatal(answer, err)
	}
	answer.Body.Close()
}

// newFarewell fills a vault with so many old and so many young archives, and moves
// them.
func newFarewell(t *testing.T, old, young int) *farewell {
	f := &farewell{t: t, service: clock.NewManual(time.Now().Add(-longAgo)), log: &deletionLog{asked: map[string]int{}}, files: map[string][]byte{}}
	keys := glacierd.KeyPair{AccessKeyID: "AKIDTEST", SecretAccessKey: "secret"}
	server, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Clock: f.service, Credentials: glacierd.Credentials(keys), Log: f.log.line})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(func() { web.Close(); server.Close() })
	f.s3 = s3test.New(s3test.Options{Buckets: []string{"bucket"}})
	s3 := httptest.NewServer(f.s3)
	t.Cleanup(s3.Close)
	f.url = s3.URL
	t.Setenv("AWS_ACCESS_KEY_ID", keys.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", keys.SecretAccessKey)
	f.vault = openVault(t, web.URL, "v")
	if err := f.vault.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range old {
		f.put(fmt.Sprintf("old/%d.bin", i), fmt.Appendf(nil, "old %d", i))
	}
	f.service.Advance(longAgo - 30*24*time.Hour)
	for i := range young {
		f.put(fmt.Sprintf("young/%d.bin", i), bytes.Repeat(fmt.Appendf(nil, "young %04d ", i), 200))
	}
	f.m = newMachine(t, "AWS_ENDPOINT_URL_GLACIER="+web.URL, "AWS_ENDPOINT_URL_S3="+s3.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+keys.SecretAccessKey)
	f.service.Advance(25 * time.Hour)
	f.until(0, "migrate", "glacier:v", "s3:bucket/p", "--class", "STANDARD", "--quiet", "--yes", "--bundle-below", "1K", "--bundle-size", "64K")
	return f
}

// until has time pass until a command ends with another status than that of what is
// pending, which must be the one that is given.
func (f *farewell) until(status int, args ...string) (said string) {
	f.t.Helper()
	for range 20 {
		var got int
		said, got = f.m.run(args...)
		if got == status {
			return said
		}
		if got != 75 {
			f.t.Fatalf("firn %s: status %d, want %d\n%s", strings.Join(args, " "), got, status, said)
		}
		f.service.Advance(13 * time.Hour)
		f.m.wait(f.t, 13*time.Hour)
	}
	f.t.Fatalf("firn %s: it never ended\n%s", strings.Join(args, " "), said)
	return ""
}

// killFinish kills the command when so many deletions more were asked for.
func (f *farewell) killFinish(more int, args ...string) {
	f.t.Helper()
	cmd := f.m.command(args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if status := f.log.kill(f.t, more, cmd); status != -1 {
		f.t.Fatalf("it ended with status %d before it was killed: %s", status, &said)
	}
}

// check compares what comes back from S3 with all that ever was in the vault.
func (f *farewell) check() {
	f.t.Helper()
	out := filepath.Join(f.m.home, "out")
	f.m.must(0, "restore", "s3:bucket/p", "--to", out, "--yes", "--quiet")
	for name, content := range f.files {
		got, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || !bytes.Equal(got, content) {
			f.t.Errorf("%s: %d bytes that differ, or %v", name, len(got), err)
		}
	}
}

// TestKilledFinishDeletesOnlyWhatIsThere: whatever becomes of the copies, and of the
// process, nothing goes from a vault that was moved unless its copy is in the target as
// it was recorded, on the day on which it goes.
func TestKilledFinishDeletesOnlyWhatIsThere(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a vault with thousands of archives")
	}
	const old, young, kills = 2000, 150, 5
	f := newFarewell(t, old, young)
	finish := []string{"migrate", "--finish", "glacier:v", "s3:bucket/p", "--confirm", "v"}
	f.killFinish(1+rand.IntN(old/kills-300), finish...) // the inventory of the migration will do
	for range kills - 1 {
		f.killFinish(1+rand.IntN(old/kills-300), "resume", "--quiet", "--now")
	}
	if said := f.m.must(75, "resume", "--now"); !strings.Contains(said, fmt.Sprint(young, " archives wait")) {
		t.Errorf("of %d young archives: %s", young, said)
	}
	asked := len(f.log.asked)
	if asked > old || asked < old-kills*150 || len(f.log.wrong) > 0 {
		t.Fatalf("%d archives were asked for, and %d are old enough; twice without an inventory: %q", asked, old, f.log.wrong)
	}

	// A copy that isn't what it was stops all of it, also while what it is of waits.
	keys := f.s3.Keys("bucket")
	key := keys[slices.IndexFunc(keys, func(k string) bool {
		data, _, _ := f.s3.Object("bucket", k)
		return bytes.HasPrefix(data, []byte("young "))
	})]
	data, class, meta := f.s3.Object("bucket", key)
	spoilt := append([]byte("spoilt"), data[6:]...)
	for what, now := range map[string]func(){
		"gone":        func() { f.object(key, nil, "", nil) },
		"truncated":   func() { f.object(key, data[:len(data)-1], class, meta) },
		"overwritten": func() { f.object(key, spoilt, class, nil) },
	} {
		now()
		if said := f.until(1, "migrate", "--finish", "glacier:v", "s3:bucket/p", "--quiet"); !strings.Contains(said, "not in the target") {
			t.Errorf("a copy that is %s: %s", what, said)
		}
		if f.log.n != asked {
			t.Fatalf("a copy is %s, and %d deletions were asked for", what, f.log.n-asked)
		}
	}
	f.object(key, data, class, meta)

	f.m.must(75, finish...)
	f.m.must(0, "catalog", "check")
	f.check()
}
