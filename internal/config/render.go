package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Text gives the profile as a file has it, for a record that others may read:
// with all paths as they are understood, and without hooks, whose commands and
// addresses may hold secrets; an endpoint is without user and password. Parse
// reads it.
func (p *Profile) Text() string {
	var b strings.Builder
	header := "profile." + p.Name
	fmt.Fprintf(&b, "[%s]\n", header)
	for _, f := range []struct{ key, value string }{
		{"store", p.Store}, {"aws_profile", p.AWSProfile}, {"endpoint", withoutUser(p.Endpoint)}, {"class", p.Class}, {"identity_file", p.IdentityFile},
	} {
		writeTexts(&b, f.key, f.value)
	}
	writeTexts(&b, "recipients", p.Recipients...)
	writeOptions(&b, p.Options)
	if len(p.Keep) > 0 {
		fmt.Fprintf(&b, "\n[%s.keep]\n", header)
		writeOptions(&b, p.Keep)
	}
	for _, t := range p.Trees {
		fmt.Fprintf(&b, "\n[[%s.tree]]\n", header)
		writeTexts(&b, "path", t.Path)
		writeTexts(&b, "name", t.Name)
		writeOptions(&b, t.Options)
	}
	return b.String()
}

// writeTexts writes a setting that is text, if it is set.
func writeTexts(b *strings.Builder, key string, values ...string) {
	var texts []string
	for _, v := range values {
		if v != "" {
			texts = append(texts, quoted(v))
		}
	}
	if len(texts) > 0 {
		writeSetting(b, key, texts)
	}
}

func writeOptions(b *strings.Builder, options []Option) {
	for _, o := range options {
		texts := make([]string, len(o.Values))
		for i, v := range o.Values {
			texts[i] = scalarText(v)
		}
		writeSetting(b, o.Key, texts)
	}
}

// writeSetting writes one line: a value, or a list where there are more.
func writeSetting(b *strings.Builder, key string, texts []string) {
	text := strings.Join(texts, ", ")
	if len(texts) != 1 {
		text = "[" + text + "]"
	}
	fmt.Fprintf(b, "%s = %s\n", key, text)
}

// bare is what needs no quotes, as people write it.
var bare = regexp.MustCompile(`^(true|false|0|[1-9][0-9]{0,17})$`)

func scalarText(v string) string {
	if bare.MatchString(v) {
		return v
	}
	return quoted(v)
}

// withoutUser takes user and password off an address.
func withoutUser(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	u.User = nil
	return u.String()
}
