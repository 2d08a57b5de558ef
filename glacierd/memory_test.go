package glacierd

import (
	"net/http"
	"runtime"

	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func pipePair() (a, b net.Conn) {
	up, down := newPipe(), newPipe()
	return &memoryConn{in: down, out: up}, &memoryConn{in: up, out: down}
}

// Any sequence of writes comes out as it went in, through reads of any size.
func TestPipeCarriesEverything(t *testing.T) {
	a, b := pipePair()
	data := make([]byte, 5*pipeSize+12345)
	rand.NewChaCha8([32]byte{1}).Read(data)
	var wg sync.WaitGroup
	wg.Go(func() {
		random := rand.New(rand.NewPCG(1, 1))
		for left := data; len(left) > 0; {
			n := min(len(left), random.IntN(2*pipeSize))
			if k, err := a.Write(left[:n]); k != n || err != nil {
				t.Errorf("wrote %d of %d: %v", k, n, err)
			}
			left = left[n:]
		}
		a.Close()
	})
	got, err := io.ReadAll(iotest.HalfReader(b))
	wg.Wait()
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came, %v", len(got), err)
	}
}

func TestPipeEnds(t *testing.T) {
	a, b := pipePair()
	a.Write([]byte("last words"))
	a.Close()
	if got, err := io.ReadAll(b); string(got) != "last words" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("writing to an end that is closed: %v", err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading after Close: %v", err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing after Close: %v", err)
	}
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipePair()
		timedOut := func(what string, want time.Duration, op func() error) {
			t.Helper()
			begun := time.Now()
			var timeout net.Error
			if err := op(); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("%s: %v", what, err)
			}
			if took := time.Since(begun); took != want {
				t.Errorf("%s took %v, want %v", what, took, want)
			}
		}
		read := func() error { _, err := b.Read(make([]byte, 1)); return err }
		b.SetReadDeadline(time.Now().Add(time.Minute))
		timedOut("read", time.Minute, read)
		timedOut("read again", 0, read)
		b.SetReadDeadline(time.Now().Add(-time.Second))
		timedOut("read with a past deadline", 0, read)
		b.SetReadDeadline(time.Now().Add(time.Minute))
		b.SetReadDeadline(time.Time{}) // the old timer must not strike
		go func() { time.Sleep(time.Hour); a.Write([]byte("x")) }()
		if err := read(); err != nil {
			t.Errorf("without a deadline: %v", err)
		}
		a.SetDeadline(time.Now().Add(time.Second))
		timedOut("write to nobody", time.Second, func() error { _, err := a.Write(make([]byte, pipeSize+1)); return err })
		a.Close()
		b.Close()
	})
}

// TestCloseWaits: whoever closed the server may remove its folder, for no
// request that was cut off is still writing there.
func TestCloseWaits(t *testing.T) {
	begun, released := make(chan bool), false
	net := newMemoryNet(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		io.Copy(io.Discard, r.Body)
		for range 1000 {
			runtime.Gosched()
		}
		released = true
	}))
	stalled, end := io.Pipe()
	defer end.Close()
	answered := make(chan error)
	go func() {
		r, err := http.NewRequest("PUT", "http://memory/", stalled)
		if err == nil {
			_, err = net.transport.RoundTrip(r)
		}
		answered <- err
	}()
	<-begun
	net.close()
	if !released {
		t.Error("the request was still being served")
	}
	end.Close()
	if err := <-answered; err == nil {
		t.Error("a request that was cut off succeeded")
	}
}
