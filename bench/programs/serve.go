package programs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// The ports for servers lie below those that a system gives to whoever asks for any
// (Linux: from 32768 on, others: from 49152 on). One of these would be somebody
// else's now and then, by the time that the server is there to take it.
const firstPort, lastPort = 20000, 32767

// FreePort gives a port where nobody listens on this machine.
func FreePort() (string, error) {
	for range 100 {
		port := strconv.Itoa(firstPort + rand.IntN(lastPort-firstPort+1))
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			return port, l.Close()
		}
	}
	return "", errors.New("find a port for a server: a hundred of them are taken")
}

// startsWithin is how long a server is waited for: a busy machine may take half of it.
const startsWithin = 2 * time.Minute

// Await waits until a server that was started answers at a URL, whatever it says. The
// error is the cause of the context's end, or that it took too long.
func Await(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startsWithin, fmt.Errorf("nothing answered at %s within %v", url, startsWithin))
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(r); err == nil {
			return resp.Body.Close()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
