package glacierd_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firn-archive/firn/glacierd"
)

// arm adds a fault, written as on a command line.
func (b *bench) arm(text string) *glacierd.ArmedFault {
	b.Helper()
	f, err := glacierd.ParseFault(text)
	if err != nil {
		b.Fatal(err)
	}
	a, err := b.faults.Add(f)
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// hungUp makes a request that must end without an answer.
func (b *bench) hungUp(method, path string, headers h, body []byte) {
	b.Helper()
	if r, err := b.try(method, path, headers, body); err == nil {
		b.Errorf("%s %s was answered: %d %s", method, path, r.status, r.body)
	}
}

func TestFaultsThatAnswer(t *testing.T) {
	for text, want := range map[string]struct {
		status     int
		code, text string
	}{
		"internal":             {500, "ServiceUnavailableException", "temporary failure"},
		"unavailable":          {503, "ServiceUnavailableException", "try again"},
		"throttle":             {400, "ThrottlingException", "Rate exceeded"},
		"no-longer-supported":  {400, "NoLongerSupportedException", "no longer takes new customers"},
		"clock-skew":           {403, "InvalidSignatureException", "Signature expired"},
		"clock-skew delay=-6m": {403, "InvalidSignatureException", "Signature not yet current"},
	} {
		t.Run(text, func(t *testing.T) {
			b := newBench(t)
			b.createVault("v")
			a := b.arm(text)
			b.refuse(want.status, want.code, want.text, "GET", "/-/vaults/v", nil, nil)
			b.refuse(want.status, want.code, want.text, "POST", "/-/vaults/v/archives", uploadHeaders([]byte("x")), []byte("x"))
			if a.Struck() != 2 {
				t.Errorf("struck %d times, want 2", a.Struck())
			}
			a.Remove()
			b.get("/-/vaults/v")
		})
	}
}

// The clock that signatures are judged by is the one that the client is told.
func TestClockSkewIsTold(t *testing.T) {
	b := newBench(t)
	b.arm("clock-skew delay=30m")
	r := b.do(403, "GET", "/-/vaults", nil, nil)
	date, err := http.ParseTime(r.header.Get("Date"))
	if err != nil || time.Until(date) < 28*time.Minute {
		t.Errorf("Date %v, %v", date, err)
	}
}

func TestFaultyUploads(t *testing.T) {
	for text, want := range map[string]string{
		"timeout":                   "RequestTimeoutException",
		"timeout after=100":         "RequestTimeoutException",
		"timeout after=1MiB":        "RequestTimeoutException",
		"late-signature":            "Signature expired",
		"reset":                     "",
		"reset after=1000":          "",
		"lost-answer times=1":       "",
		"internal op=UploadArchive": "ServiceUnavailableException",
	} {
		t.Run(text, func(t *testing.T) {
			var root string
			b := newBench(t, atOnce, func(c *glacierd.Config) { root = c.Root })
			b.createVault("v")
			body := pattern(2 * mib)
			a := b.arm(text)
			r, err := b.try("POST", "/-/vaults/v/archives", uploadHeaders(body), body)
			switch {
			case want == "" && err == nil:
				t.Errorf("answered: %d %s", r.status, r.body)
			case want != "" && (err != nil || !strings.Contains(string(r.body), want)):
				t.Errorf("%d %s, %v", r.status, r.body, err)
			case strings.HasPrefix(text, "timeout") && r.status != 408:
				t.Errorf("status %d", r.status)
			}
			if a.Struck() != 1 {
				t.Errorf("struck %d times", a.Struck())
			}
			b.faults.Clear()
			kept := 0
			if a.Kind == glacierd.FaultLostAnswer {
				kept = 1 // done, though nobody heard of it
			}
			if n := len(bodies(t, root)); n != kept {
				t.Errorf("%d bodies, want %d", n, kept)
			}
			if n := b.get("/-/vaults/v")["NumberOfArchives"]; n != float64(kept) {
				t.Errorf("%v archives, want %d", n, kept)
			}
			b.upload("v", body, "")
		})
	}
}

func TestFaultyParts(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	upload := b.initiate("v", mib, "")
	body := pattern(mib)
	faults := []*glacierd.ArmedFault{b.arm("timeout op=UploadMultipartPart nth=1"), b.arm("reset after=500KiB op=UploadMultipartPart nth=2"), b.arm("late-signature nth=3")}
	for range 3 {
		if r, err := b.try("PUT", uploadsPath+"/"+upload, partHeaders(0, body), body); err == nil && r.status < 400 {
			t.Errorf("part taken: %d", r.status)
		}
	}
	if n := len(b.get(uploadsPath + "/" + upload)["Parts"].([]any)); n != 0 {
		t.Errorf("%d parts", n)
	}
	b.part("v", upload, 0, body)
	for _, a := range faults {
		if a.Struck() != 1 {
			t.Errorf("%s struck %d times", a.Fault, a.Struck())
		}
	}
}

// A lost answer is one of something that was done.
func TestLostAnswers(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	archive := b.upload("v", []byte("x"), "")
	a := b.arm("lost-answer")
	b.hungUp("POST", uploadsPath, h{"x-amz-part-size", "1048576"}, nil)
	b.hungUp("POST", jobsPath, nil, jobBody("Type", "archive-retrieval", "ArchiveId", archive))
	b.hungUp("PUT", "/-/vaults/w", nil, nil)
	b.hungUp("GET", "/-/vaults/v", nil, nil)
	b.refuse(404, "ResourceNotFoundException", "", "GET", "/-/vaults/none", nil, nil) // no success, so no loss
	if a.Struck() < 4 {                                                               // a client may try a GET again by itself
		t.Errorf("struck %d times", a.Struck())
	}
	b.faults.Clear()
	b.get("/-/vaults/w")
	if n := len(b.get(uploadsPath)["UploadsList"].([]any)); n != 1 {
		t.Errorf("%d uploads", n)
	}
	if n := len(b.get(jobsPath)["JobList"].([]any)); n != 1 {
		t.Errorf("%d jobs", n)
	}
}

func TestFaultyDownloads(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	body := pattern(2*mib + 7)
	job := b.job("v", "Type", "archive-retrieval", "ArchiveId", b.uploadParts("v", mib, body, ""))
	path := jobsPath + "/" + job + "/output"
	for text, keep := range map[string]int{"truncate": len(body) / 2, "truncate after=100": 100, "truncate after=1MiB": mib} {
		a := b.arm(text)
		r, err := b.try("GET", path, nil, nil)
		if err == nil || a.Struck() != 1 {
			t.Errorf("%s: %v, struck %d times", text, err, a.Struck())
		}
		if r.status != 200 || r.header.Get("Content-Length") != "2097159" || !bytes.Equal(r.body, body[:keep]) {
			t.Errorf("%s: status %d, %d bytes, want %d", text, r.status, len(r.body), keep)
		}
		a.Remove()
	}
	for text, at := range map[string]int{"corrupt": 0, "corrupt after=1048580": 1048580, "corrupt after=2097158": 2097158} {
		a := b.arm(text)
		got := b.output("v", job).body
		want := slices.Clone(body)
		want[at] ^= 0xff
		if !bytes.Equal(got, want) || a.Struck() != 1 {
			t.Errorf("%s: struck %d times, equal to the true body: %v", text, a.Struck(), bytes.Equal(got, body))
		}
		a.Remove()
	}
	a := b.arm("truncate after=3000000") // never gets there
	b.output("v", job)
	if a.Struck() != 0 {
		t.Errorf("struck %d times", a.Struck())
	}
}

func TestFaultyJobs(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	archive := b.upload("v", []byte("x"), "")
	fields := []string{"Type", "archive-retrieval", "ArchiveId", archive}

	a := b.arm("failed-job nth=2")
	good, bad := b.job("v", fields...), b.job("v", fields...)
	if d := b.get(jobsPath + "/" + bad); d["StatusCode"] != "InProgress" || a.Struck() != 1 {
		t.Errorf("struck %d, %v", a.Struck(), d)
	}
	b.clock.advance(5 * time.Hour)
	if d := b.get(jobsPath + "/" + bad); d["StatusCode"] != "Failed" || d["StatusMessage"] == "Succeeded" || d["Completed"] != true {
		t.Errorf("%v", d)
	}
	b.refuse(400, "InvalidParameterValueException", "not currently available", "GET", jobsPath+"/"+bad+"/output", nil, nil)

	b.output("v", good)
	a = b.arm("expired-job op=GetJobOutput")
	b.refuse(404, "ResourceNotFoundException", "The job ID was not found", "GET", jobsPath+"/"+good+"/output", nil, nil)
	b.faults.Clear() // it stays expired
	b.refuse(404, "ResourceNotFoundException", "The job ID was not found", "GET", jobsPath+"/"+good, nil, nil)
	if a.Struck() != 1 {
		t.Errorf("struck %d times", a.Struck())
	}

	a = b.arm("no-capacity")
	b.job("v", append(fields, "Tier", "Standard")...)
	if a.Struck() != 0 {
		t.Error("struck a Standard retrieval")
	}
	b.refuse(503, "InsufficientCapacityException", "insufficient capacity", "POST", jobsPath, nil, jobBody(append(fields, "Tier", "Expedited")...))
	if a.Struck() != 1 {
		t.Errorf("struck %d times", a.Struck())
	}
}

// Faults strike where they are aimed, and no more often than told.
func TestAim(t *testing.T) {
	struck := func(text string, calls int) (hits []int) {
		b := newBench(t)
		b.createVault("v")
		a := b.arm(text)
		for i := range calls {
			b.do(200, "GET", "/-/vaults", nil, nil) // never aimed at
			if r, err := b.try("GET", "/-/vaults/v", nil, nil); err != nil || r.status != 200 {
				hits = append(hits, i+1)
			}
		}
		if a.Struck() != len(hits) {
			t.Errorf("%s: counts %d, struck %d", text, a.Struck(), len(hits))
		}
		return hits
	}
	for text, want := range map[string][]int{
		"throttle op=DescribeVault":               {1, 2, 3, 4, 5, 6},
		"throttle op=DescribeVault times=2":       {1, 2},
		"throttle op=DescribeVault nth=3":         {3},
		"throttle op=DescribeVault nth=3 times=2": {3, 4},
		"throttle op=DescribeVault nth=3 times=9": {3, 4, 5, 6},
		"throttle op=DeleteVault":                 nil,
	} {
		if got := struck(text, 6); !slices.Equal(got, want) {
			t.Errorf("%s: struck %v, want %v", text, got, want)
		}
	}
	some := struck("throttle op=DescribeVault p=0.3", 60)
	if len(some) < 5 || len(some) > 40 {
		t.Errorf("p=0.3 struck %d of 60", len(some))
	}
	if again := struck("throttle op=DescribeVault p=0.3", 60); !slices.Equal(some, again) {
		t.Errorf("one seed, two outcomes: %v and %v", some, again)
	}
}

func TestFaultsAtOnce(t *testing.T) {
	b := newBench(t)
	a := b.arm("throttle times=5")
	var mu sync.Mutex
	refused := 0
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, err := b.try("GET", "/-/vaults", nil, nil)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if r.status != 200 {
				refused++
			}
		})
	}
	wg.Wait()
	if refused != 5 || a.Struck() != 5 {
		t.Errorf("refused %d, struck %d, want 5", refused, a.Struck())
	}
	if armed := b.faults.Armed(); len(armed) != 1 || armed[0] != a {
		t.Errorf("armed: %v", armed)
	}
}

// On a network a reset is a reset.
func TestResetOnNetwork(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	web := httptest.NewServer(b.server)
	defer web.Close()
	c := b.client
	c.http, c.base = web.Client(), web.URL
	for _, text := range []string{"reset op=DescribeVault", "reset after=100KiB op=UploadArchive"} {
		a := b.arm(text)
		var err error
		if a.Op == "DescribeVault" {
			_, err = c.try("GET", "/-/vaults/v", nil, nil)
		} else {
			body := pattern(8 * mib)
			_, err = c.try("POST", "/-/vaults/v/archives", uploadHeaders(body), body)
		}
		// The client may have closed its end before its next write finds out.
		broken := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
		if !broken || a.Struck() == 0 {
			t.Errorf("%s: %v, struck %d times", text, err, a.Struck())
		}
	}
}

// Waiting faults wait on the standard clock, so that a bubble of
// testing/synctest lives through them at once.
func TestSlowAnswer(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *glacierd.Config) { c.Root = root })
		a := b.arm("slow delay=1h op=ListVaults")
		begun := time.Now()
		b.get("/-/vaults")
		if took := time.Since(begun); took != time.Hour || a.Struck() != 1 {
			t.Errorf("took %v, struck %d", took, a.Struck())
		}
	})
}

// A slow line sends its bytes with pauses.
type slowLine struct {
	left  int
	chunk int
	pause time.Duration
}

func (s *slowLine) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.pause)
	n := min(s.chunk, s.left, len(p))
	clear(p[:n])
	s.left -= n
	return n, nil
}

// uploadSlowly sends zeros over a slow line.
func (c client) uploadSlowly(line *slowLine) (response, error) {
	zeros := make([]byte, line.left)
	headers := uploadHeaders(zeros)
	return c.send(c.requestWithHash("POST", "/-/vaults/v/archives", headers, line, int64(line.left), headers[1]))
}

func TestSlowUploads(t *testing.T) {
	for _, c := range []struct {
		name, fault string
		pause       time.Duration // before each tenth of the body
		status      int
		text        string
	}{
		{"fast enough", "timeout delay=120s", 10 * time.Second, 201, ""},
		{"too slow for the fault", "timeout delay=120s", 13 * time.Second, 408, "Request timed out."},
		{"outlives its signature", "", 31 * time.Second, 403, "Signature expired: 2"},
		{"within its signature", "", 29 * time.Second, 201, ""},
		{"stalls", "", 3 * time.Minute, 408, "Request timed out."},
	} {
		root := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, func(cfg *glacierd.Config) { cfg.Root = root })
			b.createVault("v")
			var a *glacierd.ArmedFault
			if c.fault != "" {
				a = b.arm(c.fault)
			}
			r, err := b.uploadSlowly(&slowLine{left: 10000, chunk: 1000, pause: c.pause})
			if err != nil || r.status != c.status || !strings.Contains(string(r.body), c.text) {
				t.Errorf("%s: %d %s, %v", c.name, r.status, r.body, err)
			}
			if a != nil && (a.Struck() == 1) != (c.status == 408) {
				t.Errorf("%s: struck %d times", c.name, a.Struck())
			}
			if n := len(bodies(t, root)); (n == 1) != (c.status == 201) {
				t.Errorf("%s: %d bodies", c.name, n)
			}
			time.Sleep(time.Hour) // the client's sending half notices in its own time
		})
	}
}

// A client that dies in the middle leaves nothing.
func TestClientDies(t *testing.T) {
	var root string
	b := newBench(t, func(c *glacierd.Config) { root = c.Root })
	b.createVault("v")
	web := httptest.NewServer(b.server)
	defer web.Close()
	body := pattern(mib)
	r := b.request("POST", "/-/vaults/v/archives", uploadHeaders(body), body)
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(wire.Bytes()[:wire.Len()-1000]); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	web.Close() // waits for the request to end
	if left := bodies(t, root); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestParseFault(t *testing.T) {
	for text, want := range map[string]glacierd.Fault{
		"throttle":                           {Kind: glacierd.FaultThrottle},
		"lost-answer op=UploadArchive nth=3": {Kind: glacierd.FaultLostAnswer, Op: "UploadArchive", Nth: 3},
		"  timeout\tafter=1MiB   p=0.1 ":     {Kind: glacierd.FaultTimeout, After: mib, Probability: 0.1},
		"timeout delay=2m":                   {Kind: glacierd.FaultTimeout, Delay: 2 * time.Minute},
		"clock-skew delay=-20m":              {Kind: glacierd.FaultClockSkew, Delay: -20 * time.Minute},
		"truncate after=100000 times=2":      {Kind: glacierd.FaultTruncate, After: 100000, Times: 2},
		"reset after=2GiB":                   {Kind: glacierd.FaultReset, After: 2 << 30},
		"corrupt after=3KiB p=1":             {Kind: glacierd.FaultCorrupt, After: 3 << 10, Probability: 1},
	} {
		f, err := glacierd.ParseFault(text)
		if err != nil || f != want {
			t.Errorf("%q: %+v, %v; want %+v", text, f, err, want)
		}
		if again, err := glacierd.ParseFault(f.String()); err != nil || again != f {
			t.Errorf("%q was written %q and read %+v, %v", text, f, again, err)
		}
	}
	for text, want := range map[string]string{
		"":                             "begins with its kind, one of clock-skew, corrupt",
		"nonsense":                     `no kind "nonsense"; there are clock-skew`,
		"throttle op":                  `"op" is not NAME=VALUE`,
		"throttle op=":                 "is not NAME=VALUE",
		"throttle speed=3":             `no setting "speed"`,
		"throttle nth=0":               "nth=0: it is not a number from 1 on",
		"throttle nth=1 nth=2":         "nth is set twice",
		"throttle times=-1":            "times=-1",
		"throttle p=0":                 "p=0: it is not a number above 0 and up to 1",
		"throttle p=1.5":               "p=1.5",
		"throttle p=NaN":               "p=NaN",
		"timeout after=1MB":            "after=1MB: it is not a number of bytes",
		"timeout after=99999999999GiB": "after=",
		"timeout delay=5":              "delay=5",
		"timeout delay=-5s":            "can't be negative",
		"timeout op=ListVaults":        `timeout can't strike "ListVaults", only UploadArchive, UploadMultipartPart`,
		"throttle op=Nothing":          `throttle can't strike "Nothing"`,
		"slow":                         "slow needs a delay",
	} {
		if f, err := glacierd.ParseFault(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", text, f, err, want)
		}
	}
	if _, err := glacierd.NewFaults(0).Add(glacierd.Fault{Kind: "x"}); err == nil {
		t.Error("a fault of no kind was armed")
	}
	if _, err := glacierd.NewFaults(0).Add(glacierd.Fault{Kind: glacierd.FaultThrottle, Nth: -1}); err == nil {
		t.Error("a fault with a negative count was armed")
	}
}

func FuzzParseFault(f *testing.F) {
	for _, seed := range []string{"lost-answer op=UploadArchive nth=3", "timeout after=1MiB p=0.1", "clock-skew delay=-1h2m3s", "slow delay=5ms times=7", "x =", "corrupt p=1e-300"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := glacierd.ParseFault(text)
		if err != nil {
			return
		}
		if again, err := glacierd.ParseFault(fault.String()); err != nil || again != fault {
			t.Errorf("%q was written %q and read %+v, %v", text, fault, again, err)
		}
	})
}

func TestLog(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	b := newBench(t, func(c *glacierd.Config) {
		c.Log = func(line string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, line)
		}
	})
	b.createVault("v")
	b.upload("v", []byte("hello"), "")
	b.do(404, "GET", "/-/vaults/w", nil, nil)
	b.do(400, "GET", "/-/nothing", nil, nil)
	b.arm("lost-answer")
	b.hungUp("DELETE", "/-/vaults/none", nil, nil)
	mu.Lock()
	defer mu.Unlock()
	for i, want := range [][]string{
		{" CreateVault ", `"PUT /-/vaults/v"`, "status=201"}, {" UploadArchive ", "in=5", "status=201"},
		{" DescribeVault ", "status=404", "Vault not found"}, {" - ", "status=400"}, {" DeleteVault ", "error=", "hung up"},
	} {
		for _, part := range want {
			if i >= len(lines) || !strings.Contains(lines[i], part) || strings.Contains(lines[i], "\n") {
				t.Errorf("line %d of %q lacks %q", i, lines, part)
			}
		}
	}
}

// A full disk is said, and leaves nothing.
func TestUnwritableFolder(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	var root string
	b := newBench(t, func(c *glacierd.Config) { root = c.Root })
	if err := os.Chmod(root, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(root, 0o700)
	b.refuse(500, "ServiceUnavailableException", "permission denied", "PUT", "/-/vaults/v", nil, nil)
}
