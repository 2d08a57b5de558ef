package exchange

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Network is the transport of requests to a real server. It starts from the
// SDK's, which knows about proxies and AWS_CA_BUNDLE. Only HTTP/1.1 is spoken:
// each body has a connection of its own, and it is certain what has left.
func Network(client aws.HTTPClient) http.RoundTripper {
	var t *http.Transport
	if b, ok := client.(*awshttp.BuildableClient); ok {
		t = b.GetTransport()
	} else {
		t = awshttp.NewBuildableClient().GetTransport()
	}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.ForceAttemptHTTP2 = false
	t.DisableCompression = true
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wide{c}, nil
	}
	t.TLSHandshakeTimeout = 30 * time.Second
	t.ExpectContinueTimeout = 0
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 64, 64
	t.MaxConnsPerHost = 0
	t.IdleConnTimeout = 20 * time.Second // sooner than servers do: a request that meets their close is in doubt
	// Small bodies go out in one piece with their headers; large ones pass by these. A
	// migration has two connections for each archive that is under way.
	t.WriteBufferSize, t.ReadBufferSize = mostAhead+8<<10, 16<<10
	return t
}

// wide is a connection that takes bodies in large pieces: net's own copies 32 KiB at
// a time, each with two calls of the system.
type wide struct{ net.Conn }

// piece is how much of a body is read at a time, in bytes.
const piece = 256 << 10

var pieces = sync.Pool{New: func() any { return new([piece]byte) }}

// ReadFrom sends all of r.
func (w wide) ReadFrom(r io.Reader) (n int64, err error) {
	buf := pieces.Get().(*[piece]byte)
	defer pieces.Put(buf)
	for {
		k, err := r.Read(buf[:])
		if k > 0 {
			sent, err := w.Conn.Write(buf[:k])
			n += int64(sent)
			if err != nil {
				return n, err
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
