package glacierd

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/firn-archive/firn/internal/sigv4"
)

const (
	// apiVersion must be in the header x-amz-glacier-version of each request.
	// Source: Amazon Glacier API reference, "Common request headers".
	apiVersion = "2012-06-01"
	// maxJSON bounds the bodies that are no archive bytes. The largest thing
	// that a legal one holds is a policy of 20 KB.
	maxJSON = 1 << 20
	// maxDrain is how much of a body that is of no use any more the server
	// still reads, so that the client gets to see the answer.
	maxDrain = 64 << 20
	// bufferSize is the size of the buffers through which bodies go.
	bufferSize = 256 << 10
)

// A call is one request on its way.
type call struct {
	route
	s      *Server
	ctx    context.Context
	w      *reply
	r      *http.Request
	id     string    // x-amzn-RequestId
	now    time.Time // the service's, when the request came
	region string    // in ARNs
	signed time.Time // when the client made the signature; zero without one
	body   *body
	json   []byte // the body, where it is no archive bytes
	acts   acts   // faults that may strike this call
}

// ServeHTTP answers one request of the vault API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{s: s, ctx: r.Context(), r: r, w: &reply{ResponseWriter: w}, now: s.cfg.Clock.Now(), id: requestID(), route: s.route(r)}
	began := s.cfg.AuthClock.Now()
	c.acts = s.faults.choose(c.name)
	c.body = newBody(c)
	defer func() {
		c.acts.done()
		s.logLine(c, began)
	}()
	h := w.Header()
	h.Set("x-amzn-RequestId", c.id)
	h.Set("Date", c.authNow().UTC().Format(http.TimeFormat))
	err := c.serve()
	if err == nil {
		return
	}
	c.w.err = err
	if errors.Is(err, errHangUp) {
		c.hangUp(err)
		return
	}
	c.body.drain(err)
	answer(err).write(c.w)
}

func (c *call) serve() error {
	if err := c.actBefore(); err != nil {
		return err
	}
	if err := c.authenticate(); err != nil {
		return err
	}
	if err := c.admit(); err != nil {
		return err
	}
	if err := c.actRefuse(); err != nil {
		return err
	}
	return c.actLostAnswer(c.run)
}

// admit checks what all operations have in common.
func (c *call) admit() error {
	if c.name == "" {
		return badRequest("there is no operation %s %s", c.r.Method, c.r.URL.EscapedPath())
	}
	switch v := c.r.Header.Get("x-amz-glacier-version"); v {
	case apiVersion:
	case "":
		return missing("x-amz-glacier-version")
	default:
		return invalid("Invalid x-amz-glacier-version: %s; this service speaks %s", v, apiVersion)
	}
	if c.account != "-" && c.account != c.s.cfg.Account {
		return denied("The account %s is not the one that signed the request; write - or %s", c.account, c.s.cfg.Account)
	}
	return nil
}

// readJSON takes in a body that is no archive, and gives its hash.
func (c *call) readJSON() (string, error) {
	if c.r.ContentLength == 0 {
		return sigv4.EmptyHash, nil
	}
	data, err := io.ReadAll(io.LimitReader(c.body, maxJSON+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxJSON {
		return "", badRequest("the body is longer than %d bytes", maxJSON)
	}
	c.json = data
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// authNow is the time that signatures are judged by.
func (c *call) authNow() time.Time { return c.s.cfg.AuthClock.Now().Add(c.acts.skew()) }

// arn is the name of a vault all over the world.
func (c *call) arn(vault string) string {
	return "arn:aws:glacier:" + c.region + ":" + c.s.cfg.Account + ":vaults/" + vault
}

// location is the path of something in the vault, as Location headers have it:
// with the account's number, whatever the request had.
func (c *call) location(rest ...string) string {
	return "/" + c.s.cfg.Account + "/vaults/" + strings.Join(append([]string{c.vault}, rest...), "/")
}

// empty answers without a body.
func (c *call) empty(status int) error {
	c.w.WriteHeader(status)
	return nil
}

// reply answers with a JSON body.
func (c *call) reply(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(http.StatusOK)
	c.w.Write(body) // a client that is gone needs no answer
	return nil
}

// oldLimit was the largest page until 2018. Old clients still ask for it; the
// service has been seen to give them smaller pages instead of an error.
const oldLimit = 1000

// limit reads the page size from the query; pages have at most most entries.
func (c *call) limit(query url.Values, most int) (int, error) {
	text := query.Get("limit")
	if text == "" {
		return most, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > oldLimit {
		return 0, invalid("Invalid limit: %s", text)
	}
	return min(n, most), nil
}

// requestID makes an id of 47 url-safe characters, as the service's are.
func requestID() string {
	var b [35]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// A reply passes an answer on and remembers what it was.
type reply struct {
	http.ResponseWriter
	status int
	sent   int64
	err    error // what went wrong, if something did
	lost   bool  // the answer is thrown away
}

func (w *reply) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	if !w.lost {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *reply) Write(p []byte) (n int, err error) {
	if n = len(p); !w.lost {
		n, err = w.ResponseWriter.Write(p)
	}
	w.sent += int64(n)
	return n, err
}

// ReadFrom lets net/http send files without copying them through this process.
func (w *reply) ReadFrom(r io.Reader) (int64, error) {
	to := io.Writer(w.ResponseWriter)
	if w.lost {
		to = io.Discard
	}
	n, err := io.Copy(to, r)
	w.sent += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *reply) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// logLine tells one request: when, from where, what, and what came of it.
func (s *Server) logLine(c *call, began time.Time) {
	if s.cfg.Log == nil {
		return
	}
	name := c.name
	if name == "" {
		name = "-"
	}
	line := fmt.Sprintf("%s %s %s %q %s status=%d in=%d out=%d took=%v id=%s",
		began.UTC().Format(time.RFC3339Nano), c.r.RemoteAddr, name, c.r.Method+" "+c.r.URL.RequestURI(), c.region,
		c.w.status, c.body.read, c.w.sent, s.cfg.AuthClock.Now().Sub(began), c.id)
	if c.w.err != nil {
		line += fmt.Sprintf(" error=%q", c.w.err.Error())
	}
	s.cfg.Log(line)
}
