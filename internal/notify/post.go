package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	tries     = 3
	tryTime   = 10 * time.Second
	firstWait = 2 * time.Second // before the second try; then four times as long
)

// post sends the message to an address, again where that may help.
func (c *Caller) post(ctx context.Context, address string, message []byte) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return errors.New("the address can't be read")
	}
	transport := c.Transport
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone() // it knows about proxies
		defer own.CloseIdleConnections()
		transport = own
	}
	client := &http.Client{
		Transport: transport,
		// A POST that is sent on becomes a GET without the message.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	wait := firstWait
	for try := 1; ; try++ {
		again, err := postOnce(ctx, client, address, message)
		if err == nil {
			return nil
		}
		if !again || try == tries || ctx.Err() != nil {
			return fmt.Errorf("%s: %w", u.Host, err)
		}
		if err := c.clock().Sleep(ctx, wait); err != nil {
			return err
		}
		wait *= 4
	}
}

// postOnce sends the message once; again says that another try may succeed.
func postOnce(ctx context.Context, client *http.Client, address string, message []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, tryTime, fmt.Errorf("no answer within %v", tryTime))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(message))
	if err != nil {
		return false, errors.New("the address can't be read")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "firn")
	resp, err := client.Do(req)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // without the address
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return true, err
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, 64<<10) // what it says is nobody's business
	switch code := resp.StatusCode; {
	case code < 300:
		return false, nil
	case code < 400:
		return false, fmt.Errorf("it answers %s; give the address that it has moved to", resp.Status)
	default:
		again = code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout
		return again, fmt.Errorf("it answers %s", resp.Status)
	}
}
