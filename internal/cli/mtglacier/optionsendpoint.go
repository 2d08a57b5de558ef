package mtglacier

import (
	"cmp"
	"net/netip"
	"net/url"
	"strings"
)

// fakeHostVar names a host, with a port perhaps, that is asked in the place of
// Amazon's.
const fakeHostVar = "MTGLACIER_FAKE_HOST"

// endpoint finds out which server is asked. mt-aws-glacier asked over plain http
// unless told otherwise; here that goes to a host that the environment names, and
// else no further than this machine.
func (g *gatherer) endpoint(o *Options) {
	protocol := g.one("protocol", "http", "https")
	if host := g.env.Getenv(fakeHostVar); host != "" {
		o.Endpoint = protocol + "://" + host
		if u, err := url.Parse(o.Endpoint); err != nil || u.Host != host || u.Hostname() == "" {
			g.fault("%s=%q is not a host, with a port perhaps, such as 127.0.0.1:8080", fakeHostVar, host)
		}
		return
	}
	server := cmp.Or(g.env.Getenv("AWS_ENDPOINT_URL_GLACIER"), g.env.Getenv("AWS_ENDPOINT_URL"))
	if u, err := url.Parse(server); err == nil && u.Scheme == "http" {
		if !isLoopback(u.Hostname()) {
			g.fault("%s is asked over plain http, which would show names and data on the way; write https in the environment, or name the host in %s", server, fakeHostVar)
		}
		return
	}
	if g.given("protocol") && protocol == "http" {
		g.notes = append(g.notes, "protocol=http: the service is asked over https all the same")
	}
}

// isLoopback tells whether a host is this machine.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}
