package config_test

import (
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/config"
)

func TestCheckEndpoint(t *testing.T) {
	for address, wrong := range map[string]string{
		"https://s3.fr-par.scw.cloud":       "",
		"http://127.0.0.1:9000":             "",
		"http://[::1]:9000":                 "",
		"https://gateway.example.org/s3":    "",
		"":                                  "not the address of a server",
		"s3.example.org":                    "not the address of a server",
		"127.0.0.1:9000":                    "not the address of a server",
		"https://":                          "not the address of a server",
		"http://:9000":                      "not the address of a server",
		"ftp://s3.example.org":              "not the address of a server",
		"https://s3.example.org:port":       "not the address of a server",
		"https://key:secret@s3.example.org": "a user or a password",
		"https://s3.example.org/?region=eu": "no ? and no #",
		"https://s3.example.org#bucket":     "no ? and no #",
		"https://b\u00fccher.example":       "with xn--",
		"https://xn--bcher-kva.example":     "",
		"https://[2001:db8::1]:9000":        "",
	} {
		err := config.CheckEndpoint(address)
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%q: %v, want %q", address, err, wrong)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: a secret is told: %v", address, err)
		}
	}
}
