package cli

import (
	"encoding/json"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/clock"
)

// A tap stands before the service, and notes what that would charge for.
type tap struct {
	clock *clock.Manual
	http.Handler

	mu       sync.Mutex
	archives map[string]*tapped
	uploads  []time.Time // requests
	asked    []tappedJob
	out      []tappedBytes
}

type (
	tapped    struct{ size, created, deleted int64 } // seconds since 1970; deleted 0: it is there
	tappedJob struct {
		at          time.Time
		tier        string
		archive     string
		from, until int64 // 0 and 0: the whole archive
	}
	tappedBytes struct {
		at    time.Time
		bytes int64
	}
)

// newTap stands between a machine and the service.
func newTap(w *jobWorld) *tap {
	w.Helper()
	behind, err := url.Parse(w.endpoint)
	if err != nil {
		w.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	p := &tap{clock: w.clock, Handler: proxy, archives: map[string]*tapped{}}
	proxy.ModifyResponse = p.note
	front := httptest.NewServer(p)
	w.Cleanup(front.Close)
	w.Setenv("AWS_ENDPOINT_URL_GLACIER", front.URL)
	w.firn(Done, "store", "forget", "glacier:v", "--yes") // which was at another address
	return p
}

var (
	archivePath = regexp.MustCompile(`/archives/([^/]+)$`)
	uploadPath  = regexp.MustCompile(`/multipart-uploads(/[^/]+)?$`)
)

// note notes an answer. What the service refused is not charged for.
func (p *tap) note(r *http.Response) error {
	q, now := r.Request, p.clock.Now()
	if r.StatusCode >= 300 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	id := r.Header.Get("x-amz-archive-id")
	switch path := q.URL.Path; {
	case q.Method == http.MethodPost && id != "":
		size := q.ContentLength
		if text := q.Header.Get("x-amz-archive-size"); text != "" {
			size, _ = strconv.ParseInt(text, 10, 64)
		}
		p.archives[id] = &tapped{size: size, created: now.Unix()}
		p.uploads = append(p.uploads, now)
	case (q.Method == http.MethodPost || q.Method == http.MethodPut) && uploadPath.MatchString(path):
		p.uploads = append(p.uploads, now)
	case q.Method == http.MethodDelete && archivePath.MatchString(path):
		if a := p.archives[archivePath.FindStringSubmatch(path)[1]]; a != nil && a.deleted == 0 {
			a.deleted = now.Unix()
		}
	case strings.HasSuffix(path, "/output"):
		r.Body = &tappedBody{r.Body, p}
	}
	return nil
}

// ServeHTTP passes a request on; of one that asks for a job it keeps what for.
func (p *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/jobs") {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		p.ask(body)
	}
	p.Handler.ServeHTTP(w, r)
}

func (p *tap) ask(body []byte) {
	var said struct{ Type, Tier, ArchiveId, RetrievalByteRange string }
	if json.Unmarshal(body, &said) != nil || said.Type != "archive-retrieval" {
		return
	}
	job := tappedJob{at: p.clock.Now(), tier: strings.ToLower(said.Tier), archive: said.ArchiveId}
	if from, until, ok := strings.Cut(said.RetrievalByteRange, "-"); ok {
		job.from, _ = strconv.ParseInt(from, 10, 64)
		job.until, _ = strconv.ParseInt(until, 10, 64)
		job.until++
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, job)
}

type tappedBody struct {
	io.ReadCloser
	tap *tap
}

func (b *tappedBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	b.tap.mu.Lock()
	defer b.tap.mu.Unlock()
	b.tap.out = append(b.tap.out, tappedBytes{b.tap.clock.Now(), int64(n)})
	return n, err
}

// Prices a million times those of the service: a cent of these tests would be
// lost in a real bill.
const (
	millionStorage   = 4000.0
	millionUpload    = 30_000.0
	millionTransfer  = 90_000.0
	millionPriceFile = `[vault.us-east-1]
as_of = 2026-11-21
storage = 4000.00
upload = 30000.00
request_bulk = 25000.00
request_standard = 50000.00
retrieve_bulk = 2500.00
retrieve_standard = 10000.00
transfer_out = 90000.00
`
)

// bill is what the service charges for what passed here in a month until now,
// in dollars, item by item.
func (p *tap) bill(from time.Time) map[string]float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	const gib, overhead, day = 1 << 30, 32 << 10, 24 * 60 * 60
	to, now := from.AddDate(0, 1, 0), p.clock.Now().Unix()
	in := func(t time.Time) bool { return !t.Before(from) && t.Before(to) }
	bill := map[string]float64{"storage": 0, "upload": 0, "transfer out": 0, "early deletion": 0}
	for _, a := range p.archives {
		end := min(now, to.Unix())
		if a.deleted > 0 {
			end = min(end, a.deleted)
		}
		kept := max(0, end-max(a.created, from.Unix()))
		bill["storage"] += float64(a.size+overhead) / gib * float64(kept) / to.Sub(from).Seconds() * millionStorage
		if left := a.created + 90*day - a.deleted; a.deleted > 0 && left > 0 && in(time.Unix(a.deleted, 0)) {
			hours := (left + 3599) / 3600 // by the hours that were begun
			bill["early deletion"] += float64(a.size+overhead) / gib * float64(hours) / (30 * 24) * millionStorage
		}
	}
	for _, at := range p.uploads {
		if in(at) {
			bill["upload"] += millionUpload / 1000
		}
	}
	perRequest, perGiB := map[string]float64{"bulk": 25, "standard": 50}, map[string]float64{"bulk": 2500, "standard": 10_000}
	for _, j := range p.asked {
		if in(j.at) {
			size := j.until - j.from
			if size == 0 {
				size = p.archives[j.archive].size
			}
			bill["retrieval, "+j.tier] += perRequest[j.tier] + float64(size)/gib*perGiB[j.tier]
		}
	}
	for _, o := range p.out {
		if in(o.at) {
			bill["transfer out"] += float64(o.bytes) / gib * millionTransfer
		}
	}
	return bill
}

// billOf is what firn cost says of a month, in dollars, item by item.
func (w *jobWorld) billOf(args ...string) (items map[string]float64, total float64) {
	w.Helper()
	out, _ := w.firn(Done, append([]string{"cost", "glacier:v", "--json"}, args...)...)
	items = map[string]float64{}
	for line := range strings.Lines(out) {
		var r struct{ Type, Span, Item, Cost, Month_cost string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			w.Fatal(line, err)
		}
		amount, err := strconv.ParseFloat(r.Cost+r.Month_cost, 64)
		switch {
		case r.Type == "bill" && err == nil:
			total = amount
		case r.Type == "bill_item" && err == nil:
			if r.Span == spanMonth {
				items[r.Item] = amount
			}
		default:
			w.Fatalf("%s: %v", line, err)
		}
	}
	return items, total
}

// sameBill fails where a month's estimate isn't what the service saw, to the cent.
func (w *jobWorld) sameBill(p *tap, month time.Time, args ...string) {
	w.Helper()
	want, sum := p.bill(month), 0.0
	got, total := w.billOf(args...)
	for item := range maps.Keys(want) {
		sum += want[item]
		if math.Abs(got[item]-want[item]) >= 0.01 {
			w.Errorf("%s %v: %s is $%.4f, and the service saw $%.4f", month.Format(monthForm), args, item, got[item], want[item])
		}
		delete(got, item)
	}
	for item, amount := range got {
		w.Errorf("%s: the service saw nothing of %s, $%v", month.Format(monthForm), item, amount)
	}
	if math.Abs(total-sum) >= 0.01 {
		w.Errorf("%s: $%v in all, and the service saw $%v", month.Format(monthForm), total, sum)
	}
}

// TestTheBillIsWhatTheServerSaw: weeks of work, over the end of a month. What the
// ledger and the dates of archives come to is what the requests and the stored
// bytes add up to that passed on the wire.
func TestTheBillIsWhatTheServerSaw(t *testing.T) {
	w := newJobWorld(t)
	p := newTap(w)
	conf := t.TempDir()
	home := w.env.LookupEnv
	w.env.LookupEnv = func(name string) (string, bool) {
		if name == "FIRN_CONFIG_DIR" {
			return conf, true
		}
		return home(name)
	}
	if err := os.WriteFile(filepath.Join(conf, "prices.toml"), []byte(millionPriceFile), 0o600); err != nil {
		t.Fatal(err)
	}
	first := monthOf(w.clock.Now()).AddDate(0, 1, 0)
	second := first.AddDate(0, 1, 0)
	w.clock.Advance(first.Sub(w.clock.Now()))
	days := func(n int) { w.clock.Advance(time.Duration(n)*24*time.Hour + 1234*time.Second) }

	for i, size := range []int{1000, 400_000, 3_000_000, 2_500_000} {
		w.version("f"+strconv.Itoa(i), strings.Repeat(strconv.Itoa(i), size))
	}
	days(1)
	w.firn(Done, "sync", "t", "glacier:v", "--yes")
	days(2)
	loose := strings.Repeat("stream ", 500_000)
	w.env.Stdin = strings.NewReader(loose)
	id, _ := w.firn(Done, "archive", "upload", "glacier:v", "-", "--part-size", "1")
	id = strings.TrimSpace(id)
	days(2)
	w.firn(Done, "restore", "glacier:v", "--to", "back", "--tier", "bulk", "--wait", "--yes")
	days(1)
	w.firn(Done, "archive", "retrieve", "glacier:v", "-o", "out", "--tier", "standard", "--wait", "--yes", "--", id)
	w.firn(Done, "archive", "retrieve", "glacier:v", "-o", "part", "--range", "1048576-2097151", "--tier", "standard", "--wait", "--yes", "--", id)
	days(3)
	w.version("f2", strings.Repeat("changed", 300_000))
	if err := os.Remove(filepath.Join(w.env.Dir, "t", "f3")); err != nil {
		t.Fatal(err)
	}
	w.firn(Done, "sync", "t", "glacier:v", "--yes", "--replace-modified", "--delete-removed", "--pay")
	days(4)
	w.sameBill(p, first)

	w.clock.Advance(second.Sub(w.clock.Now()))
	days(3)
	w.sameBill(p, first, "--month", first.Format(monthForm))
	w.firn(Done, "archive", "delete", "glacier:v", "--yes", "--", id)
	days(2)
	w.sameBill(p, second)
	w.sameBill(p, first, "--month", first.Format(monthForm)) // which was there then, still

	for item, least := range map[string]float64{"storage": 1, "upload": 100, "retrieval, bulk": 25, "retrieval, standard": 50, "transfer out": 100, "early deletion": 10} {
		if got := p.bill(first)[item]; got < least {
			t.Errorf("this test shows little: %s is $%v", item, got)
		}
	}
}
