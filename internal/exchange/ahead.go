package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
)

// mostAhead is how long a body is, in bytes, that is read before a connection is
// asked for. What net/http doesn't see to be in memory it sends the header ahead of:
// that is a call of the system more for each request, and one more for the server.
const mostAhead = 32 << 10

// readAhead takes a small body into memory. Errors are those of the body.
func (x *Exchange) readAhead(req *http.Request) error {
	if req.ContentLength < 1 || req.ContentLength > mostAhead {
		return nil
	}
	body := make([]byte, req.ContentLength)
	_, err := io.ReadFull(req.Body, body)
	req.Body.Close()
	if err == nil && req.Context().Err() != nil {
		// The transport would say the same, and not that it asked for no connection.
		err = context.Cause(req.Context())
		x.note(func() { x.sent = 0 })
	}
	if err != nil {
		return err
	}
	x.note(func() { x.ahead = true })
	req.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// wrote notes what the connection took of a body that was read ahead, of which
// nobody sees how it is read: nothing, or as good as all of it.
func (x *Exchange) wrote(all bool) {
	x.note(func() {
		switch {
		case !x.ahead:
		case all:
			x.sent = x.length
		default:
			x.sent = 0
		}
	})
}

// unwritten notes that the connection refused a request that it was given in one
// piece: net/http says that it wrote one before it does.
func (x *Exchange) unwritten(err error) {
	var failed *net.OpError
	if errors.As(err, &failed) && failed.Op == "write" {
		x.note(func() { x.broken = x.broken || x.ahead })
	}
}
