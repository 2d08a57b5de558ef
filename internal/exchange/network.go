package exchange

import (
	"net"
	"net/http"
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
	t.DialContext = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	t.TLSHandshakeTimeout = 30 * time.Second
	t.ExpectContinueTimeout = 0
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 64, 64
	t.MaxConnsPerHost = 0
	t.IdleConnTimeout = 20 * time.Second // sooner than servers do: a request that meets their close is in doubt
	t.WriteBufferSize, t.ReadBufferSize = 256<<10, 128<<10
	return t
}
