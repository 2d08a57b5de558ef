package glacier

import (
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/exchange"
)

func FuzzParseRefusal(f *testing.F) {
	f.Add("", []byte(`{"code":"ResourceNotFoundException","message":"The job ID was not found: x","type":"Client"}`))
	f.Add("ThrottlingException:http://x/", []byte(`<html>`))
	f.Add("", []byte(`{"__type":"a#B","message":null}`))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		code, message := parseRefusal(header, body)
		if strings.ContainsAny(code, ":") {
			t.Errorf("code %q", code)
		}
		if text := (&exchange.Refusal{Status: 400, Code: code, Message: message}).Error(); text == "" {
			t.Error("an error without words")
		}
	})
}

func TestParseRange(t *testing.T) {
	if r, err := parseRange("0-1048575"); err != nil || r != (firn.Range{End: 1 << 20}) {
		t.Errorf("%v, %v", r, err)
	}
	if s := formatRange(firn.Range{Start: 5, End: 7}); s != "5-6" {
		t.Error(s)
	}
	for _, s := range []string{"", "5", "-", "1-", "-1", "2-1", "a-b", "-1-5", "0-9223372036854775807", "0-99999999999999999999"} {
		if r, err := parseRange(s); err == nil {
			t.Errorf("%q is %v", s, r)
		}
	}
}
