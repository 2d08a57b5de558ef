package config

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/firn-archive/firn"
)

// ConvertGlaciersync makes a configuration of glaciersync's: an ini file with a
// section [global] and one for each profile. path names it in messages. Keys of
// AWS stay behind; notes say so, and what else has no counterpart. known are
// the options that a profile may have.
//
// Source of the format: glaciersync of 2013 (github.com/OriHoch/glaciersync),
// which reads it with Python 2's ConfigParser. Errors: Usage.
func ConvertGlaciersync(data []byte, path string, known Keys) (toml []byte, notes []string, err error) {
	sections, err := parseINI(string(data))
	if err != nil {
		return nil, nil, &firn.Error{Op: "read", Subject: path, Kind: firn.Usage, Err: err, Hint: "give the file that glaciersync.py had as its -c"}
	}
	c := &converter{known: known, names: map[string]bool{}}
	fmt.Fprintf(&c.out, "# Made from %s of glaciersync.\n", comment(filepath.Base(path)))
	for _, s := range sections {
		if s.name == "global" {
			c.global(s)
		}
	}
	profiles := 0
	for _, s := range sections {
		if s.name != "global" && !strings.EqualFold(s.name, "default") {
			c.profile(s)
			profiles++
		}
	}
	if profiles == 0 {
		return nil, nil, &firn.Error{Op: "read", Subject: path, Kind: firn.Usage, Err: errors.New("it has no profile: no section beside [global]"), Hint: "give the file that glaciersync.py had as its -c"}
	}
	return c.out.Bytes(), c.notes, nil
}

// A converter writes profiles.
type converter struct {
	known  Keys
	region string
	out    bytes.Buffer
	notes  []string
	names  map[string]bool // of profiles
}

func (c *converter) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

func (c *converter) global(s section) {
	for _, s := range s.settings {
		switch s.key {
		case "aws_access_key", "aws_secret_key":
			c.note("%s is not copied: put it into ~/.aws/credentials, where AWS's own programs look for it, and take it out of the old file", s.key)
		case "aws_region_name":
			if c.region = s.value; !regionName.allows(c.region) {
				c.note("%q is not the name of a region, and is left out", s.value)
				c.region = ""
			}
		case "database_dir":
			c.note("database_dir (%s) has no counterpart: firn's catalog lies where firn keeps its own data; keep the old databases, which name what the vaults hold", s.value)
		default:
			c.note("[global] %s is not known, and is left out", s.key)
		}
	}
}

// notInName is what a profile's name can't have.
var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

func (c *converter) profile(s section) {
	name := strings.TrimLeft(notInName.ReplaceAllString(s.name, "-"), "-")
	name = name[:min(len(name), 60)]
	if name == "" {
		name = "profile"
	}
	for base, n := name, 2; c.names[name]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	c.names[name] = true
	if name != s.name {
		c.note("the profile %q is called %s now", s.name, name)
	}
	fmt.Fprintf(&c.out, "\n[profile.%s]\n", name)
	var paths []setting
	vault, threshold := "", ""
	for _, s := range s.settings {
		switch {
		case s.key == "vault_name":
			vault = s.value
		case s.key == "archive_byte_size_threshold":
			threshold = s.value
		case strings.HasPrefix(s.key, "path"):
			paths = append(paths, s)
		default:
			c.note("[%s] %s is not known, and is left out", name, s.key)
		}
	}
	c.store(name, vault)
	c.threshold(name, threshold)
	c.trees(name, paths)
}

func (c *converter) store(name, vault string) {
	if !vaultName.allows(vault) {
		c.note("[%s] has no vault_name, or %q, which no vault can have: write the store yourself", name, vault)
		fmt.Fprintf(&c.out, "# store = \"glacier:VAULT\"\n")
		return
	}
	loc := Location{Scheme: Glacier, Region: c.region, Vault: vault}
	fmt.Fprintf(&c.out, "store = %s\n", quoted(loc.String()))
}

// threshold writes up to which size files are bundled. glaciersync bundles those
// that are not above it, and so by default the empty ones only, which firn
// bundles anyhow.
func (c *converter) threshold(name, text string) {
	const key = "bundle_below"
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case text == "":
		n = 0
	case err != nil || n < 0:
		c.note("[%s] archive_byte_size_threshold is %q, which is no number, and is left out", name, text)
		return
	}
	if slices.Contains(c.known.Profile, key) {
		fmt.Fprintf(&c.out, "%s = %d # glaciersync's archive_byte_size_threshold\n", key, n+1)
		return
	}
	c.note("[%s] archive_byte_size_threshold is left out: this version of firn has no bundles", name)
}

func (c *converter) trees(name string, paths []setting) {
	slices.SortStableFunc(paths, func(a, b setting) int { return strings.Compare(a.key, b.key) })
	if len(paths) == 0 {
		c.note("[%s] names no path, so there is nothing to sync", name)
	}
	taken := map[string]bool{}
	for _, p := range paths {
		fmt.Fprintf(&c.out, "\n[[profile.%s.tree]]\npath = %s\n", name, quoted(p.value))
		base := baseName(p.value)
		tree := base
		for n := 2; taken[tree]; n++ {
			tree = fmt.Sprintf("%s-%d", base, n)
		}
		taken[tree] = true
		if tree != base {
			fmt.Fprintf(&c.out, "name = %s # there is another %s\n", quoted(tree), comment(base))
		}
		if !strings.HasPrefix(p.value, "/") && !windowsPath.MatchString(p.value) {
			c.note("[%s] the path %s is relative: glaciersync took it from where it was called, firn takes it from the folder of its configuration", name, p.value)
		}
	}
}

// windowsPath begins like an absolute path of Windows. The file may be converted
// on another machine.
var windowsPath = regexp.MustCompile(`^([A-Za-z]:[\\/]|\\\\)`)

func baseName(path string) string {
	path = strings.TrimRight(path, `/\`)
	return path[strings.LastIndexAny(path, `/\`)+1:]
}

// comment makes text fit for the rest of a line.
func comment(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// quoted gives text as a TOML string.
func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
