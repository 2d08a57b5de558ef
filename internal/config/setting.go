package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// classes are the storage classes of S3 that firn archives to. Source: Amazon S3
// user guide, "Understanding S3 Glacier storage classes".
var classes = []string{"DEEP_ARCHIVE", "GLACIER", "GLACIER_IR", "STANDARD"}

// place checks what a profile says of where its store is, and brings that into
// one form.
func (r *profileReader) place(p *Profile, region string) {
	if p.Store == "" {
		r.wrong(p.Line, "", "the profile %s has no store", p.Name)
		return
	}
	scheme, rest, _ := strings.Cut(p.Store, ":")
	switch Scheme(scheme) {
	case Local:
		r.placeLocal(p, rest, region)
	case Glacier:
		r.placeRemote(p, region)
	case S3:
		r.placeRemote(p, region)
		if p.Class != "" && !slices.Contains(classes, p.Class) {
			r.wrong(p.Line, "it is one of "+strings.Join(classes, ", "), "%q is no storage class for archives", p.Class)
		}
	default:
		_, err := ParseLocation(p.Store, "")
		r.wrong(p.Line, "", "%v", err)
	}
	if Scheme(scheme) != S3 && p.Class != "" {
		r.wrong(p.Line, "strike it", "the profile %s has a class, which only stores in S3 have", p.Name)
	}
	if p.Endpoint != "" && !isServer(p.Endpoint) {
		r.wrong(p.Line, "an address is like http://127.0.0.1:8080", "the endpoint %q is not the address of a server", p.Endpoint)
	} else if u, err := url.Parse(p.Endpoint); err == nil {
		if err := CheckHost(u.Hostname()); err != nil {
			r.wrong(p.Line, "", "the endpoint of the profile %s: %v", p.Name, err)
		}
	}
}

func (r *profileReader) placeLocal(p *Profile, dir, region string) {
	if region != "" || p.AWSProfile != "" || p.Endpoint != "" {
		r.wrong(p.Line, "strike them", "the vault of the profile %s is a folder, which has no region, aws_profile or endpoint", p.Name)
	}
	if dir == "" {
		r.wrong(p.Line, "write for example local:/mnt/disk/my-vault", "the store of the profile %s names no folder", p.Name)
		return
	}
	path, err := r.resolve(dir)
	if err != nil {
		r.wrong(p.Line, "", "%v", err)
	}
	p.Store = "local:" + path
}

// placeRemote brings the region into the store's name.
func (r *profileReader) placeRemote(p *Profile, region string) {
	loc, err := ParseLocation(p.Store, "")
	switch {
	case err != nil:
		r.wrong(p.Line, "", "%v", err)
		return
	case region == "":
	case !regionName.allows(region):
		r.wrong(p.Line, "write for example eu-west-1", "%q is not the name of a region", region)
	case loc.Region != "" && loc.Region != region:
		r.wrong(p.Line, "strike one", "the profile %s names two regions, %s and %s", p.Name, loc.Region, region)
	default:
		loc.Region = region
	}
	p.Store = loc.String()
}

// text gives a setting that is text, and not empty.
func (r *profileReader) text(f *field) string {
	if f.value.kind != unstable.String {
		r.wrong(f.line, fmt.Sprintf("write %s = \"...\"", f.key), "%s is no text", f.key)
		return ""
	}
	if f.value.text == "" || strings.ContainsRune(f.value.text, 0) {
		r.wrong(f.line, "", "%s is empty, or has a zero byte", f.key)
	}
	return f.value.text
}

// texts gives a setting that is text, or a list of texts.
func (r *profileReader) texts(f *field) (all []string) {
	if f.value.kind != unstable.Array {
		return []string{r.text(f)}
	}
	for _, v := range f.value.items {
		all = append(all, r.text(&field{key: f.key, line: f.line, value: v}))
	}
	return all
}

func (r *profileReader) duration(f *field) time.Duration {
	d, err := time.ParseDuration(r.text(f))
	if err != nil || d <= 0 {
		r.wrong(f.line, "", "%q is no duration; write for example 10m or 2h", f.value.text)
	}
	return d
}

// hook reads a command, a line for the shell, or an address.
func (r *profileReader) hook(f *field) (h Hook) {
	if f.value.kind == unstable.Array {
		if h.Args = r.texts(f); len(h.Args) == 0 {
			r.wrong(f.line, "", "%s is empty", f.key)
			return h
		}
		if strings.HasPrefix(h.Args[0], "~") {
			h.Args[0] = r.file(f, h.Args[0])
		}
		return h
	}
	text := r.text(f)
	if !strings.HasPrefix(text, "http://") && !strings.HasPrefix(text, "https://") {
		return Hook{Shell: text}
	}
	if u, err := url.Parse(text); err != nil || u.Host == "" {
		r.wrong(f.line, "", "%s is no address that a message can be posted to", f.key)
	}
	return Hook{URL: text}
}

// option reads a setting that the command line knows. What it means is left to
// that.
func (r *profileReader) option(f *field) Option {
	o := Option{Key: f.key, Line: f.line}
	items := f.value.items
	if f.value.kind != unstable.Array {
		items = []value{f.value}
	}
	for _, v := range items {
		switch v.kind {
		case unstable.Array, unstable.InlineTable:
			r.wrong(f.line, "", "%s is neither a text, nor a number, true or false, nor a list of them", f.key)
			return o
		case unstable.Integer:
			n, err := strconv.ParseInt(v.text, 0, 64) // 1_000 and 0x10 are numbers, too
			if err != nil {
				r.wrong(f.line, "", "%s is too large a number", f.key)
			}
			v.text = strconv.FormatInt(n, 10)
		case unstable.Float:
			v.text = strings.ReplaceAll(v.text, "_", "")
		}
		o.Values = append(o.Values, v.text)
	}
	if len(o.Values) == 0 {
		r.wrong(f.line, "strike it", "%s is an empty list", f.key)
	}
	return o
}

func (r *profileReader) file(f *field, path string) string {
	full, err := r.resolve(path)
	if err != nil {
		r.wrong(f.line, "", "%s: %v", f.key, err)
	}
	return full
}

func (r *profileReader) resolve(path string) (string, error) { return resolve(path, r.path, r.home) }

// Resolve makes a path in the file absolute, as those of trees are: "~/" is the
// home folder, and a relative path starts from the folder of the file.
func (f *File) Resolve(path string, getenv func(string) string) (string, error) {
	return resolve(path, f.Path, Home(getenv))
}

func resolve(path, file, home string) (string, error) {
	rest, atHome := strings.CutPrefix(path, "~")
	switch {
	case !atHome:
	case rest != "" && rest[0] != '/' && !(runtime.GOOS == "windows" && rest[0] == '\\'):
		return "", fmt.Errorf("%q would be another user's home; write the whole path, or ./%s for a file of that name", path, path)
	case home == "":
		return "", fmt.Errorf("%q can't be found: the environment names no home directory; set HOME", path)
	default:
		return filepath.Join(home, rest), nil
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	return filepath.Join(filepath.Dir(file), path), nil
}
