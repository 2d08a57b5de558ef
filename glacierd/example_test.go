package glacierd_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/firn-archive/firn/glacierd"
)

// A stopped clock is one that a test sets by hand.
type stoppedClock struct{ at time.Time }

func (c *stoppedClock) Now() time.Time { return c.at }

// A test of a program that uses vaults serves one on loopback, as with any
// other handler, and lives through the service's hours by moving the clock.
func Example() {
	folder, err := os.MkdirTemp("", "vaults")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)

	clock := &stoppedClock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	faults := glacierd.NewFaults(1)
	server, err := glacierd.New(glacierd.Config{
		Root:   folder,
		Clock:  clock,
		Faults: faults,
		// Without credentials, no request needs a signature.
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	web := httptest.NewServer(server)
	defer web.Close()

	request := func(method, path string) {
		r, err := http.NewRequest(method, web.URL+path, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		r.Header.Set("x-amz-glacier-version", "2012-06-01")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(method, path, resp.StatusCode)
	}

	request("PUT", "/-/vaults/photos")
	clock.at = clock.at.Add(24 * time.Hour)
	request("GET", "/-/vaults/photos")

	fault, err := faults.Add(glacierd.Fault{Kind: glacierd.FaultThrottle, Times: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	request("GET", "/-/vaults")
	request("GET", "/-/vaults")
	fmt.Println("struck", fault.Struck())

	// Output:
	// PUT /-/vaults/photos 201
	// GET /-/vaults/photos 200
	// GET /-/vaults 400
	// GET /-/vaults 200
	// struck 1
}
