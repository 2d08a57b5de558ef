package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// CheckEndpoint finds what is wrong with the address of a service, as a command
// line has it: http or https, a host, and perhaps a path. Plain http is for who
// writes it: an address without either is refused. Keys have no place in one, since it
// is recorded.
func CheckEndpoint(address string) error {
	u, err := url.Parse(address)
	switch {
	case !isServer(address):
		return errors.New("it is not the address of a server; one is like https://s3.example.org or http://127.0.0.1:9000")
	case err == nil && u.User != nil:
		return errors.New("it has a user or a password, and an address has none; keys come from the environment, or from ~/.aws")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("an address has no ? and no #")
	}
	return CheckHost(u.Hostname())
}

// CheckHost finds a host's name that isn't in ASCII. Requests go to its form in DNS, and
// are signed for the one that was given, so that no server would take any.
func CheckHost(host string) error {
	if strings.ContainsFunc(host, func(c rune) bool { return c > unicode.MaxASCII }) {
		return fmt.Errorf("the host %q has letters beyond ASCII; write its name in the form that DNS has, with xn--", host)
	}
	return nil
}

// isServer reports whether a text is the address of a server.
func isServer(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Hostname() != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// EndpointOption is the option that names an address, with a blank before it, for
// a command line that is printed; empty without an address. It leaves out what
// an address of a profile may have of user and password.
func EndpointOption(address string) string {
	if address == "" {
		return ""
	}
	return " --endpoint-url " + withoutUser(address)
}
