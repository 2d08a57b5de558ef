// Package queuetest is a server for tests that speaks the protocols of Amazon SQS
// (JSON) and SNS (query), as far as firn uses them: it checks signatures, keeps
// queues, topics and subscriptions in memory, and passes on what is published.
package queuetest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/sigv4"
)

// What requests have to be signed with, and where the server is.
const (
	AccessKey = "AKIAIOSFODNN7EXAMPLE"
	SecretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	Region    = "us-east-1"
	Account   = "123456789012"
)

// A Server is both services. Close stops it.
type Server struct {
	*httptest.Server
	clock    clock.Clock
	trusting bool // requests pass with any signature

	mu      sync.Mutex
	serial  int
	queues  map[string]*queue // by name
	deleted map[string]time.Time
	topics  map[string]*topic // by ARN
	subs    []*Subscription
	faults  map[string][]Fault // by action
	calls   []string
}

// A queue of messages, the oldest first.
type queue struct {
	attributes map[string]string
	messages   []*message
}

type message struct {
	id, receipt, body string
	visible           time.Time
}

type topic struct{ attributes map[string]string }

// A Subscription is of a queue, or of anybody else, to a topic.
type Subscription struct {
	ARN, Topic, Protocol, Endpoint string
	Raw, Pending                   bool
}

// A Fault is how an action fails.
type Fault struct {
	Status int // of the answer; 0: the connection breaks
	Code   string
}

// New starts a server. Messages become visible, and long polls end, by c: where
// that is a clock.Manual, waiting moves it on.
func New(c clock.Clock) *Server { return newServer(c, false) }

// NewTrusting is New for clients whose keys are not the server's: requests pass
// with any signature.
func NewTrusting(c clock.Clock) *Server { return newServer(c, true) }

func newServer(c clock.Clock, trusting bool) *Server {
	s := &Server{clock: c, trusting: trusting, queues: map[string]*queue{}, deleted: map[string]time.Time{}, topics: map[string]*topic{}, faults: map[string][]Fault{}}
	s.Server = httptest.NewServer(s)
	return s
}

// Env is the environment in which Amazon's SDK finds the server, and nothing else
// of this machine.
func (s *Server) Env() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL_SQS": s.URL, "AWS_ENDPOINT_URL_SNS": s.URL, "AWS_REGION": Region,
		"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	}
}

// A reply is what an action answers: of SQS an object, of SNS the inside of a
// result in XML.
type reply any

// A refusal is an answer that is no success.
type refusal struct {
	status  int
	code    string // as SNS says it, or the type that SQS says
	query   string // the older code of SQS
	message string
	hangsUp bool
}

func refuse(code, format string, args ...any) *refusal {
	return &refusal{status: 400, code: code, message: fmt.Sprintf(format, args...)}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	service, answer := "sns", s.topicRequest
	if r.Header.Get("X-Amz-Target") != "" {
		service, answer = "sqs", s.queueRequest
	}
	wrong := s.checkSignature(r, service, body)
	if wrong != nil {
		answer = func(context.Context, *http.Request, []byte) (string, reply, *refusal) { return "", nil, wrong }
	}
	action, out, no := answer(r.Context(), r, body)
	id := fmt.Sprintf("%08x-0000-4000-8000-000000000000", len(body))
	if no != nil && no.hangsUp {
		panic(http.ErrAbortHandler)
	}
	if service == "sqs" {
		writeJSON(w, id, out, no)
	} else {
		writeXML(w, id, action, out, no)
	}
}

func (s *Server) checkSignature(r *http.Request, service string, body []byte) *refusal {
	if s.trusting {
		return nil
	}
	a, err := sigv4.Parse(r.Header)
	if err != nil {
		return refuse("IncompleteSignature", "%v", err)
	}
	at, err := sigv4.Time(r.Header)
	if err != nil {
		return refuse("IncompleteSignature", "%v", err)
	}
	if a.AccessKeyID != AccessKey {
		return refuse("InvalidClientTokenId", "no such key: %s", a.AccessKeyID)
	}
	if a.Scope.Service != service || a.Scope.Region != Region {
		return refuse("SignatureDoesNotMatch", "the scope is %s", a.Scope)
	}
	sum := sha256.Sum256(body)
	if err := a.Verify(r, SecretKey, hex.EncodeToString(sum[:]), at); err != nil {
		return refuse("SignatureDoesNotMatch", "%v", err)
	}
	return nil
}

// enter notes a call, and gives the fault that strikes it. The caller holds the
// lock.
func (s *Server) enter(action string) *refusal {
	s.calls = append(s.calls, action)
	waiting := s.faults[action]
	if len(waiting) == 0 {
		return nil
	}
	s.faults[action] = waiting[1:]
	f := waiting[0]
	return &refusal{status: f.Status, code: f.Code, message: "as planned", hangsUp: f.Status == 0}
}

// Fail lets the next calls of an action fail, one by each fault.
func (s *Server) Fail(action string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[action] = append(s.faults[action], faults...)
}

// Mend takes back the faults that have not struck.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

// Calls counts the requests of an action, refused ones too.
func (s *Server) Calls(action string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c == action {
			n++
		}
	}
	return n
}

// Send puts a message into a queue, to be there from a time on; zero: now.
func (s *Server) Send(name, body string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send(s.queues[name], body, at)
}

func (s *Server) send(q *queue, body string, at time.Time) {
	s.serial++
	q.messages = append(q.messages, &message{id: fmt.Sprintf("%08d-0000-4000-8000-000000000000", s.serial), body: body, visible: at})
}

// Publish tells a topic something, as a vault would. It reports how many queues
// got it.
func (s *Server) Publish(topic, text string, at time.Time) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		_, name, _ := strings.Cut(sub.Endpoint, Account+":")
		q := s.queues[name]
		if sub.Topic != topic || sub.Pending || q == nil || !strings.Contains(q.attributes["Policy"], `"aws:SourceArn":"`+topic+`"`) {
			continue
		}
		body := text
		if !sub.Raw {
			body = Envelope(topic, text)
		}
		s.send(q, body, at)
		n++
	}
	return n
}

// Envelope is what SNS puts around a message that isn't delivered raw.
func Envelope(topic, text string) string {
	body, err := json.Marshal(map[string]string{
		"Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": topic, "Message": text,
		"Timestamp": "2012-05-02T00:54:06.655Z", "SignatureVersion": "1", "Signature": "EXAMPLE",
		"SigningCertURL": "https://sns.us-west-2.amazonaws.com/SimpleNotificationService.pem", "UnsubscribeURL": "https://sns.us-west-2.amazonaws.com/",
	})
	if err != nil {
		panic(err) // it is made of texts alone
	}
	return string(body)
}

// AddTopic makes a topic as somebody else would, and gives its ARN.
func (s *Server) AddTopic(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	arn := topicARN(name)
	s.topics[arn] = &topic{attributes: map[string]string{}}
	return arn
}

// AddQueue makes a queue as somebody else would, and gives its URL.
func (s *Server) AddQueue(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[name] = &queue{attributes: map[string]string{"VisibilityTimeout": "30", "ReceiveMessageWaitTimeSeconds": "20"}}
	return s.queueURL(name)
}

// AddSubscription subscribes somebody to a topic.
func (s *Server) AddSubscription(sub Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribe(&sub)
}

func (s *Server) subscribe(sub *Subscription) {
	s.serial++
	sub.ARN = fmt.Sprintf("%s:%08d-0000-4000-8000-000000000000", sub.Topic, s.serial)
	s.subs = append(s.subs, sub)
}

// Queues lists the names of the queues.
func (s *Server) Queues() []string { return keys(s, func() map[string]*queue { return s.queues }) }

// Topics lists the ARNs of the topics.
func (s *Server) Topics() []string { return keys(s, func() map[string]*topic { return s.topics }) }

func keys[T any](s *Server, of func() map[string]T) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range of() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Subscriptions lists the subscriptions, the oldest first.
func (s *Server) Subscriptions() (subs []Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		subs = append(subs, *sub)
	}
	return subs
}

// Attribute gives an attribute of a queue, by its name, or of a topic, by its ARN.
func (s *Server) Attribute(of, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.topics[of]; t != nil {
		return t.attributes[name]
	}
	if q := s.queues[of]; q != nil {
		return q.attributes[name]
	}
	return ""
}

// Messages gives the bodies of what is in a queue, hidden or not.
func (s *Server) Messages(name string) (bodies []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.queues[name].messages {
		bodies = append(bodies, m.body)
	}
	return bodies
}

func topicARN(name string) string { return "arn:aws:sns:" + Region + ":" + Account + ":" + name }
func queueARN(name string) string { return "arn:aws:sqs:" + Region + ":" + Account + ":" + name }

func (s *Server) queueURL(name string) string { return s.URL + "/" + Account + "/" + name }

// Drop deletes a queue or a topic behind firn's back.
func (s *Server) Drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.queues, name)
	delete(s.topics, name)
}

// writeJSON answers as SQS does.
func writeJSON(w http.ResponseWriter, id string, out reply, no *refusal) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-Requestid", id)
	if no != nil {
		w.Header().Set("X-Amzn-Query-Error", cmp.Or(no.query, no.code)+";Sender")
		out = map[string]string{"__type": "com.amazonaws.sqs#" + no.code, "message": no.message}
		w.WriteHeader(no.status)
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(out); err != nil {
		panic(err)
	}
	w.Write(b.Bytes())
}
