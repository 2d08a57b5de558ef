package firn_test

import (
	"slices"
	"strings"
	"testing"
)

// modulePath is the module's name, as go.mod has it.
const modulePath = "github.com/firn-archive/firn"

// floors is the building: a package imports only packages of lower floors,
// never of its own. Tests may import what they like. "." is the root package.
var floors = [][]string{
	0: {"bench/forest", "bench/programs", "bench/usage", "treehash", "internal/atomicfile", "internal/clock", "internal/heap", "internal/lockfile", "internal/sigv4", "internal/sqldb", "internal/testprog"},
	1: {".", "glacierd"},
	2: {"describe", "mtjournal", "internal/awschain", "internal/bundle", "internal/byhand", "internal/config", "internal/exchange", "internal/inventory", "internal/pack", "internal/price", "internal/queuetest", "internal/rows", "internal/s3test", "internal/scan", "internal/seal", "internal/storetest"},
	3: {"internal/catalog", "internal/filter", "internal/foreign", "internal/glacier", "internal/guard", "internal/notify", "internal/plan", "internal/s3cold", "internal/transfer"},
	4: {"internal/fetch", "internal/reconcile", "internal/retrieval", "internal/snapshot"},
	5: {"internal/adopt", "internal/loose", "internal/migrate", "internal/recovery", "internal/restore", "internal/syncer", "internal/upkeep"},
	6: {"internal/ui", "internal/wire", "internal/worktest"},
	7: {"internal/cli/glaciercli", "internal/cli/mtglacier"},
	8: {"internal/cli"},
	9: {"cmd/firn", "bench/catalog", "bench/cpu", "bench/empty", "bench/migrate", "bench/million", "bench/s3"},
}

// onlyFrom names the packages that not everybody above may import: stores and
// their decorators are opened and stacked in one place, and what is made for
// tests is for tests.
var onlyFrom = map[string][]string{
	"glacierd":           {"internal/wire", "internal/cli"},
	"internal/glacier":   {"internal/wire"},
	"internal/guard":     {"internal/wire", "internal/worktest"},
	"internal/s3cold":    {"internal/wire"},
	"internal/queuetest": {},
	"internal/s3test":    {},
	"internal/storetest": {"internal/worktest"},
	"internal/worktest":  {},
	"internal/testprog":  {},
	"bench/forest":       {"bench/million"},
	"bench/programs":     {"bench/cpu", "bench/empty", "bench/migrate", "bench/million", "bench/s3"},
	"bench/usage":        {"bench/cpu", "bench/empty", "bench/migrate", "bench/million", "bench/s3"},
}

// libraries says which packages know a library; the others know only those
// packages, so that it can be replaced in one place.
var libraries = map[string][]string{
	"modernc.org/sqlite":       {"internal/sqldb"},
	"github.com/aws":           {"internal/awschain", "internal/exchange", "internal/glacier", "internal/s3cold", "internal/notify", "internal/wire"},
	"github.com/spf13":         {"internal/cli"},
	"github.com/vbauerster":    {"internal/ui"},
	"github.com/pelletier":     {"internal/config"},
	"filippo.io/age":           {"internal/seal"},
	"github.com/ulikunitz":     {"internal/pack"},
	"golang.org/x/text":        {"internal/cli/mtglacier"},
	"github.com/rogpeppe":      {},
	"github.com/google/go-cmp": {},
	"pgregory.net/rapid":       {},
	"testing":                  {"internal/storetest", "internal/testprog", "internal/worktest"},
}

// floorOf is the floor of a package, or -1.
func floorOf(dir string) int {
	return slices.IndexFunc(floors, func(dirs []string) bool { return slices.Contains(dirs, dir) })
}

// ownPackage gives the folder of an imported package of this module.
func ownPackage(path string) (string, bool) {
	if path == modulePath {
		return ".", true
	}
	return strings.CutPrefix(path, modulePath+"/")
}

// importsGoDown: each package has a floor, and imports only lower ones.
func importsGoDown(m *module, report report) {
	homeless := map[string]bool{}
	for s := range m.code {
		from := floorOf(s.dir)
		if from < 0 && !homeless[s.dir] {
			homeless[s.dir] = true
			report(m.at(s.file.Name), "package %s has no floor: give it one in floors_test.go", s.dir)
		}
		for path, spec := range s.imports {
			dir, own := ownPackage(path)
			if to := floorOf(dir); own && from >= 0 && to >= from {
				report(m.at(spec), "%s (floor %d) imports %s (floor %d): move what both need to a lower floor, or take it as a parameter", s.dir, from, dir, to)
			}
		}
	}
}

// importedByTheRightOnes: see onlyFrom.
func importedByTheRightOnes(m *module, report report) {
	for s := range m.code {
		for path, spec := range s.imports {
			dir, own := ownPackage(path)
			if users, limited := onlyFrom[dir]; own && limited && !slices.Contains(users, s.dir) {
				report(m.at(spec), "%s imports %s, which is for tests and %v: take an interface, and let them open it", s.dir, dir, users)
			}
		}
	}
}

// rootDoesNoIO: the domain is values and rules; what touches the world is a
// package above, named after what it touches.
func rootDoesNoIO(m *module, report report) {
	for s := range m.code {
		for path, spec := range s.imports {
			if s.dir == "." && within(path, "os", "net", "database", "log", "syscall", "golang.org/x/sys") {
				report(m.at(spec), "the root package imports %s: put what needs it into a package above", path)
			}
		}
	}
}

// librariesStayBehindOnePackage: see libraries.
func librariesStayBehindOnePackage(m *module, report report) {
	for s := range m.code {
		for path, spec := range s.imports {
			for library, users := range libraries {
				if within(path, library) && !within(s.dir, users...) {
					report(m.at(spec), "%s imports %s, which is for tests and %v: go through them, or say in floors_test.go why not", s.dir, path, users)
				}
			}
		}
	}
}

// TestFloorsNameEachPackageOnce: a package that had two floors would be held
// to the lower one only.
func TestFloorsNameEachPackageOnce(t *testing.T) {
	seen := map[string]int{}
	for n, dirs := range floors {
		for _, dir := range dirs {
			if other, ok := seen[dir]; ok {
				t.Errorf("%s is on floor %d and on floor %d: strike one", dir, other, n)
			}
			seen[dir] = n
		}
	}
}
