package queuetest

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// perPage is how many subscriptions a page has: few, so that tests have several.
const perPage = 2

// topicRequest answers a request to SNS.
func (s *Server) topicRequest(_ context.Context, r *http.Request, body []byte) (string, reply, *refusal) {
	form, err := url.ParseQuery(string(body))
	if err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") || form.Get("Version") != "2010-03-31" {
		return "", nil, refuse("InvalidAction", "no request to SNS")
	}
	action := form.Get("Action")
	s.mu.Lock()
	defer s.mu.Unlock()
	if no := s.enter(action); no != nil {
		return action, nil, no
	}
	out, no := s.topicAction(action, form)
	return action, out, no
}

func (s *Server) topicAction(action string, form url.Values) (string, *refusal) {
	arn := form.Get("TopicArn")
	switch action {
	case "CreateTopic":
		arn = topicARN(form.Get("Name"))
		if s.topics[arn] == nil {
			s.topics[arn] = &topic{attributes: map[string]string{}}
		}
		return element("TopicArn", arn), nil
	case "DeleteTopic": // also one that isn't there
		delete(s.topics, arn)
		s.subs = slices.DeleteFunc(s.subs, func(sub *Subscription) bool { return sub.Topic == arn })
		return "", nil
	case "Unsubscribe":
		s.subs = slices.DeleteFunc(s.subs, func(sub *Subscription) bool { return sub.ARN == form.Get("SubscriptionArn") })
		return "", nil
	case "GetSubscriptionAttributes":
		return s.subscriptionAttributes(form.Get("SubscriptionArn"))
	}
	if s.topics[arn] == nil {
		return "", &refusal{status: 404, code: "NotFound", message: "Topic does not exist"}
	}
	switch action {
	case "SetTopicAttributes":
		value := form.Get("AttributeValue")
		if form.Get("AttributeName") == "Policy" && !json.Valid([]byte(value)) {
			return "", refuse("InvalidParameter", "Invalid parameter: Policy Error: null")
		}
		s.topics[arn].attributes[form.Get("AttributeName")] = value
		return "", nil
	case "Subscribe":
		return s.subscribeAction(arn, form)
	case "ListSubscriptionsByTopic":
		return s.listSubscriptions(arn, form.Get("NextToken"))
	}
	return "", refuse("InvalidAction", "%s", action)
}

func (s *Server) subscribeAction(arn string, form url.Values) (string, *refusal) {
	want := Subscription{Topic: arn, Protocol: form.Get("Protocol"), Endpoint: form.Get("Endpoint")}
	for i := 1; form.Has(fmt.Sprintf("Attributes.entry.%d.key", i)); i++ {
		if form.Get(fmt.Sprintf("Attributes.entry.%d.key", i)) == "RawMessageDelivery" {
			want.Raw = form.Get(fmt.Sprintf("Attributes.entry.%d.value", i)) == "true"
		}
	}
	for _, sub := range s.subs {
		if sub.Topic != arn || sub.Protocol != want.Protocol || sub.Endpoint != want.Endpoint {
			continue
		}
		if sub.Raw != want.Raw {
			return "", refuse("InvalidParameter", "Invalid parameter: Attributes Reason: Subscription already exists with different attributes")
		}
		return element("SubscriptionArn", sub.ARN), nil
	}
	s.subscribe(&want)
	return element("SubscriptionArn", want.ARN), nil
}

func (s *Server) subscriptionAttributes(arn string) (string, *refusal) {
	for _, sub := range s.subs {
		if sub.ARN == arn {
			entry := func(k string, v any) string {
				return "<entry>" + element("key", k) + element("value", fmt.Sprint(v)) + "</entry>"
			}
			return "<Attributes>" + entry("SubscriptionArn", arn) + entry("PendingConfirmation", sub.Pending) + entry("RawMessageDelivery", sub.Raw) + "</Attributes>", nil
		}
	}
	return "", &refusal{status: 404, code: "NotFound", message: "Subscription does not exist"}
}

func (s *Server) listSubscriptions(arn, from string) (string, *refusal) {
	var of []*Subscription
	for _, sub := range s.subs {
		if sub.Topic == arn {
			of = append(of, sub)
		}
	}
	first := 0
	if from != "" {
		fmt.Sscan(from, &first)
	}
	last := min(first+perPage, len(of))
	var b strings.Builder
	b.WriteString("<Subscriptions>")
	for _, sub := range of[min(first, last):last] {
		shown := sub.ARN
		if sub.Pending {
			shown = "PendingConfirmation"
		}
		b.WriteString("<member>" + element("TopicArn", arn) + element("Protocol", sub.Protocol) + element("SubscriptionArn", shown) +
			element("Owner", Account) + element("Endpoint", sub.Endpoint) + "</member>")
	}
	b.WriteString("</Subscriptions>")
	if last < len(of) {
		b.WriteString(element("NextToken", fmt.Sprint(last)))
	}
	return b.String(), nil
}

func element(name, text string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(text)); err != nil {
		panic(err) // a buffer takes all
	}
	return "<" + name + ">" + b.String() + "</" + name + ">"
}

// writeXML answers as SNS does.
func writeXML(w http.ResponseWriter, id, action string, out reply, no *refusal) {
	const space = ` xmlns="http://sns.amazonaws.com/doc/2010-03-31/"`
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", id)
	if no != nil {
		w.WriteHeader(no.status)
		fmt.Fprintf(w, "<ErrorResponse%s><Error><Type>Sender</Type>%s%s</Error>%s</ErrorResponse>", space, element("Code", no.code), element("Message", no.message), element("RequestId", id))
		return
	}
	fmt.Fprintf(w, "<%sResponse%s><%sResult>%s</%sResult><ResponseMetadata>%s</ResponseMetadata></%sResponse>", action, space, action, out, action, element("RequestId", id), action)
}
