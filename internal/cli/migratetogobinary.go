package cli

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/firn-archive/firn"
)

// thisModule is what programs made from this source say that they are made from.
const thisModule = "github.com/firn-archive/firn"

// program finds the program that goes along: this one, or the one that was named for
// the kind of machine that it goes to.
func (o *toGoOptions) program(kind string) (path string, err error) {
	system, arch, ok := strings.Cut(o.For, "/")
	switch {
	case !ok || system == "" || arch == "" || strings.Contains(arch, "/"):
		return "", wrongUsage("make a folder to go", "%q is no kind of machine; write for example linux/arm64", o.For)
	case system == "windows":
		return "", wrongUsage("make a folder to go", "what is done there is a script for sh, which %s hasn't got; linux/amd64 and linux/arm64 have", o.For)
	case o.Binary == "" && o.For != kind:
		return "", wrongUsage("make a folder to go", "this program is for %s; get the one for %s, and name it with --binary FILE", kind, o.For)
	}
	if path = o.Binary; path == "" {
		path, err = os.Executable()
	} else {
		path = o.app.env.Path(path)
	}
	if err != nil {
		return "", &firn.Error{Op: "find the program", Kind: firn.Local, Err: err, Hint: "name it with --binary FILE"}
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no file")
	}
	if err != nil {
		return "", &firn.Error{Op: "read the program", Subject: path, Kind: firn.Local, Err: cause(err)}
	}
	if o.Binary != "" {
		err = checkProgram(path, o.For)
	}
	return path, err
}

// checkProgram fails where a file isn't firn for a kind of machine, by what Go writes
// into each program that it makes.
// Errors: Usage.
func checkProgram(path, kind string) error {
	wrong := func(format string, args ...any) error {
		return &firn.Error{Op: "take along the program", Subject: path, Kind: firn.Usage, Err: fmt.Errorf(format, args...),
			Hint: "name firn for " + kind + ", as it was unpacked"}
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return wrong("it isn't firn, or doesn't say so")
	}
	if info.Main.Path != thisModule {
		return wrong("it is %s, not firn", info.Path)
	}
	var system, arch string
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			system = s.Value
		case "GOARCH":
			arch = s.Value
		}
	}
	if got := system + "/" + arch; got != kind {
		return wrong("it is for %s, and that machine is %s", got, kind)
	}
	return nil
}
