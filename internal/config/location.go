// Package config reads what a user says about stores and about this machine:
// the names of stores, and the folders where firn keeps its own files.
package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/firn-archive/firn"
)

// A Scheme is a kind of store, as a location begins.
type Scheme string

// The schemes.
const (
	Glacier Scheme = "glacier" // a vault of Amazon Glacier, or of a server like it
	S3      Scheme = "s3"
	Local   Scheme = "local" // a vault in a folder
)

// A Location is the parsed name of a store.
type Location struct {
	Scheme Scheme
	Region string // of glacier:REGION/VAULT and s3:BUCKET?region=REGION; empty: as the environment says
	Vault  string // of glacier:
	Bucket string // of s3:
	Prefix string // of s3:, as a/b; may be empty
	Dir    string // of local:; absolute and clean
}

// A name is a text of so many bytes, least to most, all of which the pattern allows.
// A pattern that counts to 255 by itself takes a millisecond to compile, at each start.
type name struct {
	pattern     *regexp.Regexp
	least, most int
}

func (n name) allows(s string) bool {
	return n.least <= len(s) && len(s) <= n.most && n.pattern.MatchString(s)
}

// vaultName is the syntax of vault names. Source: Amazon Glacier API
// reference, "Create Vault".
var vaultName = name{regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`), 1, 255}

// regionName is generous: the service adds regions.
var regionName = name{regexp.MustCompile(`^[a-z0-9-]+$`), 3, 32}

// Forms tells how the name of a store may be written, for messages.
const Forms = "glacier:VAULT, glacier:REGION/VAULT, s3:BUCKET/PREFIX, s3:BUCKET/PREFIX?region=REGION or local:DIR"

// ParseLocation reads one of Forms; a relative DIR is below cwd. Errors have the
// kind Usage.
func ParseLocation(s, cwd string) (Location, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		return Location{}, badLocation(s, "not the name of a store", "write "+Forms)
	}
	switch Scheme(scheme) {
	case Glacier:
		return parseGlacier(s, rest)
	case Local:
		return parseLocal(s, rest, cwd)
	case S3:
		return parseS3(s, rest)
	}
	return Location{}, badLocation(s, fmt.Sprintf("unknown kind of store %q", scheme), "write "+Forms)
}

func parseGlacier(s, rest string) (Location, error) {
	loc := Location{Scheme: Glacier, Vault: rest}
	if region, vault, ok := strings.Cut(rest, "/"); ok {
		if !regionName.allows(region) {
			return Location{}, badLocation(s, fmt.Sprintf("%q is not the name of a region", region), "write for example glacier:eu-west-1/photos")
		}
		loc.Region, loc.Vault = region, vault
	}
	if !vaultName.allows(loc.Vault) {
		return Location{}, badLocation(s, fmt.Sprintf("%q is not the name of a vault", loc.Vault), "names have 1 to 255 letters, digits, and any of _ - .")
	}
	return loc, nil
}

// bucketName is generous: other providers allow more than Amazon.
var bucketName = name{regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]+$`), 2, 255}

// regionOption begins the region of a bucket.
const regionOption = "?region="

// parseS3 reads what follows s3:, with or without the // of other programs.
func parseS3(s, rest string) (Location, error) {
	loc := Location{Scheme: S3}
	if i := strings.LastIndex(rest, regionOption); i >= 0 {
		rest, loc.Region = rest[:i], rest[i+len(regionOption):]
		if !regionName.allows(loc.Region) {
			return Location{}, badLocation(s, fmt.Sprintf("%q is not the name of a region", loc.Region), "write for example s3:my-bucket/archive?region=eu-west-1")
		}
	}
	loc.Bucket, loc.Prefix, _ = strings.Cut(strings.TrimPrefix(rest, "//"), "/")
	loc.Prefix = strings.TrimSuffix(loc.Prefix, "/")
	if !bucketName.allows(loc.Bucket) {
		return Location{}, badLocation(s, fmt.Sprintf("%q is not the name of a bucket", loc.Bucket), "write for example s3:my-bucket/archive")
	}
	if strings.ContainsAny(loc.Prefix, "?#") {
		return Location{}, badLocation(s, "a prefix has no ? and no #", "write for example s3:my-bucket/archive?region=eu-west-1")
	}
	if loc.Prefix != "" && !plainPath(loc.Prefix) {
		return Location{}, badLocation(s, fmt.Sprintf("%q can't be a prefix", loc.Prefix), "write it as a/b, without empty names, . and ..")
	}
	return loc, nil
}

// plainPath reports whether every name of a path is one.
func plainPath(path string) bool {
	if !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl) {
		return false
	}
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." || name == ".." || name == ".firn" {
			return false
		}
	}
	return true
}

func parseLocal(s, rest, cwd string) (Location, error) {
	if rest == "" {
		return Location{}, badLocation(s, "no folder given", "write for example local:/mnt/disk/my-vault")
	}
	if !filepath.IsAbs(rest) {
		rest = filepath.Join(cwd, rest)
	}
	return Location{Scheme: Local, Dir: filepath.Clean(rest)}, nil
}

func badLocation(s, what, hint string) error {
	return &firn.Error{Op: "read store name", Subject: s, Kind: firn.Usage, Err: errors.New(what), Hint: hint}
}

// String gives the location in its one canonical form.
func (l Location) String() string {
	switch {
	case l.Scheme == Local:
		return "local:" + l.Dir
	case l.Scheme == S3:
		s := "s3:" + l.Bucket
		if l.Prefix != "" {
			s += "/" + l.Prefix
		}
		if l.Region != "" {
			s += regionOption + l.Region
		}
		return s
	case l.Region != "":
		return "glacier:" + l.Region + "/" + l.Vault
	default:
		return "glacier:" + l.Vault
	}
}

// LooksLikeLocation reports whether s begins like the name of a store, so
// that it isn't taken for a directory.
func LooksLikeLocation(s string) bool {
	scheme, _, ok := strings.Cut(s, ":")
	return ok && (scheme == string(Glacier) || scheme == string(Local) || scheme == string(S3))
}

// IsRegion reports whether a word can be the name of a region.
func IsRegion(s string) bool { return regionName.allows(s) }

// IsVault reports whether it can be the name of a vault.
func IsVault(s string) bool { return vaultName.allows(s) }

// IsBucket reports whether it can be the name of a bucket, of Amazon or another provider.
func IsBucket(s string) bool { return bucketName.allows(s) }

// IsClass reports whether it can be the name of a storage class of S3, of Amazon or
// another provider.
func IsClass(s string) bool { return className.allows(s) }
