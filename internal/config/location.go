// Package config reads what a user says about stores and about this machine:
// the names of stores, and the folders where firn keeps its own files.
package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

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
	Region string // of glacier:REGION/VAULT; empty: as the environment says
	Vault  string // of glacier:
	Dir    string // of local:; absolute and clean
}

// vaultName is the syntax of vault names. Source: Amazon Glacier API
// reference, "Create Vault".
var vaultName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,255}$`)

// regionName is generous: the service adds regions.
var regionName = regexp.MustCompile(`^[a-z0-9-]{3,32}$`)

// ParseLocation reads glacier:VAULT, glacier:REGION/VAULT or local:DIR, where
// a relative DIR is below cwd. Errors have the kind Usage.
func ParseLocation(s, cwd string) (Location, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		return Location{}, badLocation(s, "not the name of a store", "write glacier:VAULT, glacier:REGION/VAULT or local:DIR")
	}
	switch Scheme(scheme) {
	case Glacier:
		return parseGlacier(s, rest)
	case Local:
		return parseLocal(s, rest, cwd)
	case S3:
		return Location{}, badLocation(s, "S3 as a store is not built yet", "use glacier:VAULT or local:DIR")
	}
	return Location{}, badLocation(s, fmt.Sprintf("unknown kind of store %q", scheme), "write glacier:VAULT, glacier:REGION/VAULT or local:DIR")
}

func parseGlacier(s, rest string) (Location, error) {
	loc := Location{Scheme: Glacier, Vault: rest}
	if region, vault, ok := strings.Cut(rest, "/"); ok {
		if !regionName.MatchString(region) {
			return Location{}, badLocation(s, fmt.Sprintf("%q is not the name of a region", region), "write for example glacier:eu-west-1/photos")
		}
		loc.Region, loc.Vault = region, vault
	}
	if !vaultName.MatchString(loc.Vault) {
		return Location{}, badLocation(s, fmt.Sprintf("%q is not the name of a vault", loc.Vault), "names have 1 to 255 letters, digits, and any of _ - .")
	}
	return loc, nil
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
func IsRegion(s string) bool { return regionName.MatchString(s) }
