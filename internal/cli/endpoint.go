package cli

import (
	"cmp"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/wire"
)

// An endpoint is the address of a service that isn't Amazon's own; empty: as the
// profile, the environment, the AWS configuration or the catalog say, in this order.
// It is a pflag.Value.
type endpoint string

// Set reads an address.
func (e *endpoint) Set(s string) error {
	err := config.CheckEndpoint(s)
	*e = endpoint(s)
	return err
}

// String gives the address.
func (e *endpoint) String() string { return string(*e) }

// Type names the value in help.
func (e *endpoint) Type() string { return "URL" }

func (e *endpoint) addFlag(f *pflag.FlagSet) {
	f.Var(e, "endpoint-url", "ask the server at this `URL`, such as https://s3.example.org, and not Amazon's own")
}

// reach puts into options where the session's store is to be reached. What a
// command line or a profile says is about the store that they name, and not about
// the one that this was moved to. Errors: Usage (a folder has no address).
func (a *app) reach(s *session, o wire.Options) (wire.Options, error) {
	if s.moved {
		o.Endpoint = ""
		return o, nil
	}
	return a.reachAt(s.loc, s.profile, o)
}

// reachAt is reach of a store that isn't the session's.
func (a *app) reachAt(loc config.Location, p *config.Profile, o wire.Options) (wire.Options, error) {
	switch {
	case a.endpointOfS3 && loc.Scheme != config.S3:
		o.Endpoint = "" // it is the other store's
	case o.Endpoint != "" && loc.Scheme == config.Local:
		return o, wrongUsage("open "+loc.String(), "a store in a folder has no address; strike --endpoint-url")
	}
	if o.Endpoint != "" {
		a.reached = endpointVar(loc.Scheme) + "=" + o.Endpoint
	}
	if p != nil {
		o.Endpoint = cmp.Or(o.Endpoint, p.Endpoint)
	}
	return o, nil
}

// endpointVar is the variable that says where the service of a kind of store is.
func endpointVar(kind config.Scheme) string {
	if kind == config.S3 {
		return "AWS_ENDPOINT_URL_S3"
	}
	return "AWS_ENDPOINT_URL_GLACIER"
}

// ofTwo says which of the two stores that a command line names --endpoint-url is
// about: the one in S3. Errors: Usage (there is none, or there are two).
func (e endpoint) ofTwo(a *app, from, to string) error {
	if e == "" {
		return nil
	}
	var inS3 []config.Location
	for _, name := range []string{from, to} {
		loc, _, err := a.resolve(name)
		if err != nil {
			return err
		}
		if loc.Scheme == config.S3 {
			inS3 = append(inS3, loc)
		}
	}
	if len(inS3) != 1 {
		return wrongUsage(a.command, "--endpoint-url is the address of the one store that is in S3, and here are %d; write each down as a profile with its own endpoint, and name these", len(inS3))
	}
	a.endpointOfS3, a.reached = true, endpointVar(config.S3)+"="+string(e)
	return nil
}
