package firn_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// conventions are the project's rules that a program can check. Each has an
// example of what it is against, so that none passes by never looking.
var conventions = []struct {
	name  string // of the test, and of the example
	check func(*module, report)
}{
	{"floors", importsGoDown},
	{"only-from", importedByTheRightOnes},
	{"root-io", rootDoesNoIO},
	{"libraries", librariesStayBehindOnePackage},
	{"package-docs", packagesAreDocumented},
	{"package-names", packagesAreNamedForWhatTheyProvide},
	{"export-docs", exportsAreDocumented},
	{"function-length", functionsFitAScreen},
	{"no-init", noInit},
	{"no-globals", noGlobalState},
	{"voice", onlyTheFrontSpeaks},
	{"time", timeIsHandedIn},
	{"unfinished", nothingIsLeftUnfinished},
	{"tested", packagesAreTested},
	{"no-sleep", testsDoNotSleep},
	{"programs", programsAreFoundInOnePlace},
	{"fuzz-seeds", fuzzTargetsHaveSeeds},
	{"dependencies", dependenciesHaveReasons},
	{"links", linksLeadSomewhere},
	{"named-tests", namedTestsExist},
	{"self-contained", textsStandAlone},
}

// examples is the folder of what the rules are against.
const examples = "testdata/conventions"

// A report takes one breach: where, as "file:line:column", what is wrong, and
// what to do about it.
type report func(where, format string, args ...any)

// TestConventions holds the module to its rules.
func TestConventions(t *testing.T) {
	m, err := readModule(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range conventions {
		t.Run(c.name, func(t *testing.T) {
			c.check(m, func(where, format string, args ...any) {
				t.Errorf("%s: %s", where, fmt.Sprintf(format, args...))
			})
		})
	}
}

// TestConventionsStrike shows each rule the example that breaks it: what it
// finds must be the lines that are marked with "want", and no others.
func TestConventionsStrike(t *testing.T) {
	for _, c := range conventions {
		t.Run(c.name, func(t *testing.T) {
			a, err := txtar.ParseFile(path.Join(examples, c.name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			files := fstest.MapFS{}
			for _, f := range a.Files {
				files[f.Name] = &fstest.MapFile{Data: f.Data}
			}
			m, err := readModule(files)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			c.check(m, func(where, _ string, _ ...any) {
				got = append(got, fileAndLine.FindString(where))
			})
			slices.Sort(got)
			want := marked(a)
			if len(want) == 0 {
				t.Error("the example marks no line: a rule that finds nothing would pass")
			}
			if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
				t.Errorf("the rule finds other lines than the marked ones (-marked +found):\n%s", diff)
			}
		})
	}
}

var fileAndLine = regexp.MustCompile(`^[^:]+:[0-9]+`)

// marked lists the lines of the example that a rule must find.
func marked(a *txtar.Archive) (lines []string) {
	for _, f := range a.Files {
		n := 0
		for line := range strings.Lines(string(f.Data)) {
			n++
			if strings.Contains(line, "want") {
				lines = append(lines, fmt.Sprintf("%s:%d", f.Name, n))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// A module is what the conventions hold for: the files of a folder that aren't
// hidden, and those of them that are Go, parsed.
type module struct {
	files   fs.FS
	names   []string // with slashes
	fset    *token.FileSet
	sources []source
}

// A source is one Go file, for whatever system it is written.
type source struct {
	path string
	dir  string // the folder of its package; "." is the root package
	test bool
	file *ast.File
}

func readModule(files fs.FS) (*module, error) {
	m := &module{files: files, fset: token.NewFileSet()}
	return m, fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		hidden := name != "." && strings.HasPrefix(path.Base(name), ".")
		switch {
		case err != nil:
			return err
		case d.IsDir() && (hidden && name != ".ci" || name == examples):
			return fs.SkipDir
		case d.IsDir() || hidden || !d.Type().IsRegular():
			return nil
		}
		return m.add(name)
	})
}

func (m *module) add(name string) error {
	m.names = append(m.names, name)
	if path.Ext(name) != ".go" || strings.Contains(name, "testdata/") {
		return nil
	}
	f, err := parser.ParseFile(m.fset, filepath.ToSlash(name), m.read(name), parser.ParseComments)
	if err != nil {
		return err
	}
	m.sources = append(m.sources, source{name, path.Dir(name), strings.HasSuffix(name, "_test.go"), f})
	return nil
}

// read gives a file's content; nothing where there is none.
func (m *module) read(name string) []byte {
	data, err := fs.ReadFile(m.files, name)
	if err != nil {
		return []byte{}
	}
	return data
}

// at says where a node stands.
func (m *module) at(n ast.Node) string { return m.fset.Position(n.Pos()).String() }

// code gives the Go files that are built into programs.
func (m *module) code(yield func(source) bool) {
	for _, s := range m.sources {
		if !s.test && !yield(s) {
			return
		}
	}
}

// tests gives the other Go files.
func (m *module) tests(yield func(source) bool) {
	for _, s := range m.sources {
		if s.test && !yield(s) {
			return
		}
	}
}

// functions gives the functions and methods of a file.
func (s source) functions(yield func(*ast.FuncDecl) bool) {
	for _, decl := range s.file.Decls {
		if d, ok := decl.(*ast.FuncDecl); ok && !yield(d) {
			return
		}
	}
}

// imports gives what a file imports, and where it says so.
func (s source) imports(yield func(string, *ast.ImportSpec) bool) {
	for _, spec := range s.file.Imports {
		if !yield(strings.Trim(spec.Path.Value, "\"`"), spec) {
			return
		}
	}
}

// A use is one place where a file names something of another package.
type use struct {
	name   string // "time.Sleep", "net/http.Get"
	node   ast.Node
	around []ast.Node // what it stands in, the outermost first
}

var majorVersion = regexp.MustCompile(`/v[0-9]+$`)

// uses gives all of them.
func (s source) uses(yield func(use) bool) {
	packages := map[string]string{} // path by the name it has in this file
	for importPath, spec := range s.imports {
		name := path.Base(majorVersion.ReplaceAllString(importPath, ""))
		if spec.Name != nil {
			name = spec.Name.Name
		}
		packages[name] = importPath
	}
	var around []ast.Node
	stop := false
	ast.Inspect(s.file, func(n ast.Node) bool {
		if n == nil {
			around = around[:len(around)-1]
			return false
		}
		if sel, ok := n.(*ast.SelectorExpr); ok && !stop {
			// What the file itself declares by that name has an Obj.
			if x, ok := sel.X.(*ast.Ident); ok && x.Obj == nil && packages[x.Name] != "" {
				stop = !yield(use{packages[x.Name] + "." + sel.Sel.Name, n, around})
			}
		}
		around = append(around, n)
		return true
	})
}

// within says whether dir is one of dirs, or lies below one of them.
func within(dir string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return dir == d || strings.HasPrefix(dir, d+"/") })
}
