package forest

import (
	"fmt"
	"runtime"
	"strings"
)

// A sort of names: what a number is the number of.
type nameSort struct {
	stem, suffix string
	salt         int
}

// The sorts.
var (
	branchNames = nameSort{"branch", "", -1 << 40}
	limbNames   = nameSort{"limb", "", -1 << 41}
	twigNames   = nameSort{"twig", "", -1 << 42}
	fileNames   = nameSort{"leaf", ".txt", 0}
)

// forms are what names look like: %[1]s is the stem, %[2]d the number, %[3]s the
// suffix. Together they try what comes before and after "/" in the order of
// bytes, what shells and terminals stumble over, and what isn't ASCII.
var forms = [...]string{
	"%[1]s %[2]d%[3]s",
	"%[1]s-%[2]d, a copy (1)%[3]s",
	"%[1]s.%[2]d%[3]s",
	".%[1]s%[2]d%[3]s",
	"-%[1]s=%[2]d%[3]s",
	"Grüße %[2]d – 日本語 🏔%[3]s",
	"%[1]s%%2F%[2]d#&'\"$(x)%[3]s",
	"%[1]s\u0301%[2]d%[3]s",
}

// wild forms are bytes that only some systems take in a name.
var wild = [...]string{
	"%[1]s\n%[2]d%[3]s",
	"%[1]s\t%[2]d\\%[3]s",
	"%[1]s\xff\xfe%[2]d%[3]s",
	"%[1]s\xc3%[2]d\x01%[3]s",
}

// perForm is how many names there are for each one that is not plain, perWild
// for each wild one, perLong for each one of longName bytes, which most file
// systems still take.
const (
	perForm  = 4
	perWild  = 64
	perLong  = 1024
	longName = 240
)

// name gives the name of a file or folder: the same one for the same number.
func (p Plan) name(of nameSort, n int) string {
	at := of.salt + n
	form := "%[1]s%07[2]d%[3]s"
	pick := p.dice(kindsOfName+1, at)
	switch {
	case takesAnyByte() && p.one(kindsOfName+2, at, perWild):
		form = wild[pick%uint64(len(wild))]
	case p.one(kindsOfName+3, at, perForm):
		form = forms[pick%uint64(len(forms))]
		if runtime.GOOS == "windows" {
			form = strings.ReplaceAll(form, `"`, "")
		}
	}
	name := fmt.Sprintf(form, of.stem, n, of.suffix)
	if p.one(kindsOfName+4, at, perLong) {
		name += strings.Repeat("~", max(0, longName-len(name)))
	}
	return name
}

// takesAnyByte reports whether names are bytes to the system, as on Linux, and
// not text.
func takesAnyByte() bool { return runtime.GOOS == "linux" }
