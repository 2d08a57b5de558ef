package mtglacier

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The limits of options. Source: mt-aws-glacier 1.120, its manual and its checks.
const (
	maxConcurrency = 30
	maxPartSize    = 4096     // MiB; the service's limit too (API reference, "Initiate Multipart Upload")
	maxStdin       = 40960000 // MiB: 10,000 parts of that size
	maxDir         = 512      // characters, less one
)

// A syntax is what a value consists of, and how many characters it may have.
type syntax struct {
	low, high int
	has       func(byte) bool
	expected  string // for messages
}

func (s syntax) fits(value string) bool {
	for i := range len(value) {
		if !s.has(value[i]) {
			return false
		}
	}
	return s.low <= len(value) && len(value) <= s.high
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isAlnum(c byte) bool  { return isDigit(c) || isLetter(c) }
func isGraph(c byte) bool  { return '!' <= c && c <= '~' }

// syntaxOf gives the syntax of an option that has one. Source: mt-aws-glacier
// 1.120, its checks.
func syntaxOf(name string) syntax {
	switch name {
	case "key":
		return syntax{20, 20, isAlnum, "20 letters and digits"}
	case "secret":
		return syntax{40, 40, isGraph, "40 characters without blanks"}
	case "token":
		return syntax{20, 1024, isGraph, "20 to 1024 characters without blanks"}
	case "region":
		return syntax{3, 20, func(c byte) bool { return isAlnum(c) || c == '-' }, "3 to 20 letters, digits and dashes"}
	}
	return syntax{1, 5, isDigit, "seconds, in up to 5 digits"} // timeout
}

// vaultSyntax is that of a vault's name. Source: API reference, "Create Vault".
func vaultSyntax() syntax {
	return syntax{1, 255, func(c byte) bool { return isAlnum(c) || strings.IndexByte("._-", c) >= 0 }, ""}
}

// check fills in the options, and notes each that is missing or wrong.
func (g *gatherer) check(o *Options) {
	for _, name := range append(commonNeeds(), g.usage.needs...) {
		if !g.given(name) {
			g.fault("Please specify --%s", name)
		}
	}
	if g.wrong != nil {
		return
	}
	g.access(o)
	g.sizes(o)
	g.modes(o)
	g.filters(o)
	o.Vault, o.Dir = g.text("vault"), g.text("dir")
	if g.usage.takesName() {
		o.Vault = g.word
		if !vaultSyntax().fits(o.Vault) {
			g.fault("Vault name should be 255 characters or less and consisting of a-z, A-Z, 0-9, '_', '-', '.'")
		}
	}
	g.files(o)
}

// access checks who asks, and where.
func (g *gatherer) access(o *Options) {
	o.Key, o.Secret, o.Region = g.match("key"), g.match("secret"), g.match("region")
	if g.given("token") {
		o.Token = g.match("token")
	}
	seconds, _ := strconv.Atoi(g.match("timeout"))
	o.Timeout = time.Duration(seconds) * time.Second
	g.endpoint(o)
}

// match checks the syntax of a value. The value isn't shown: it may be a secret.
func (g *gatherer) match(name string) string {
	value, s := g.text(name), syntaxOf(name)
	if !s.fits(value) {
		g.fault("Invalid format of %s: it should be %s", g.called(name), s.expected)
	}
	return value
}

// one checks a value that is one of a few.
func (g *gatherer) one(name string, of ...string) string {
	value := g.text(name)
	if !slices.Contains(of, value) {
		g.fault("Invalid format of %s: it should be %s", g.called(name), strings.Join(of, " or "))
	}
	return value
}

// number reads a number between two limits.
func (g *gatherer) number(name string, low, high int) int {
	value := g.text(name)
	n, err := strconv.Atoi(value)
	switch {
	case !isNumber(value):
		g.fault("Value %q invalid for option %s (number expected)", value, name)
	case err != nil || n < low || n > high:
		g.fault("%s should be between %d and %d", g.called(name), low, high)
	}
	return n
}

// isNumber tells whether Getopt::Long takes a value for a whole number.
func isNumber(value string) bool {
	if value != "" && (value[0] == '-' || value[0] == '+') {
		value = value[1:]
	}
	return syntax{low: 1, high: len(value), has: isDigit}.fits(value)
}

// power reads a number that has to be a power of two, or 0 where low is.
func (g *gatherer) power(name string, low, high int) int {
	n := g.number(name, low, high)
	if n > 0 && bits.OnesCount(uint(n)) != 1 {
		g.fault("%s must be a power of two", g.called(name))
	}
	return n
}

// sizes checks the options that are numbers.
func (g *gatherer) sizes(o *Options) {
	o.Concurrency = g.number("concurrency", 1, maxConcurrency)
	o.PartSize = g.power("partsize", 1, maxPartSize)
	o.SegmentSize = g.power("segment-size", 0, 1<<31)
	o.MaxNumberOfFiles = noLimit
	if g.given("max-number-of-files") {
		o.MaxNumberOfFiles = g.number("max-number-of-files", 0, 1<<31-1)
	}
	if g.given("check-max-file-size") {
		o.CheckMaxFileSize = g.number("check-max-file-size", 1, maxStdin)
	}
}

// modes checks the options that say what is done, and how.
func (g *gatherer) modes(o *Options) {
	o.New, o.ReplaceModified, o.DeleteRemoved = g.flag("new"), g.flag("replace-modified"), g.flag("delete-removed")
	if !o.New && !o.ReplaceModified && !o.DeleteRemoved {
		o.New = true
	}
	o.Detect = Detect(g.one("detect", string(DetectTreehash), string(DetectMtime), string(DetectMtimeAndTreehash), string(DetectMtimeOrTreehash), string(DetectAlways), string(DetectSize)))
	if s := g.values["detect"]; g.given("detect") && !s.inConfig && !o.ReplaceModified {
		g.fault("%s can only be used with --replace-modified", g.called("detect"))
	}
	g.one("leaf-optimization", "0", "1") // a directory's count of links is never relied on
	o.Follow, o.DryRun, o.Stdin = g.flag("follow"), g.flag("dry-run"), g.flag("stdin")
	o.InventoryFormat = g.one("request-inventory-format", "json", "csv")
	o.ForHumans = g.one("format", "for-humans", "mtmsg") == "for-humans"
}
