package firn_test

import (
	"go/ast"
	"path"
	"slices"
	"strings"
)

// packagesAreTested: what nothing tries doesn't work for long. Programs are
// tried through the packages that they are made of.
func packagesAreTested(m *module, report report) {
	tested := map[string]bool{}
	for s := range m.tests {
		tested[s.dir] = true
	}
	for s := range m.code {
		if !tested[s.dir] && s.file.Name.Name != "main" {
			tested[s.dir] = true // once is enough
			report(m.at(s.file.Name), "package %s has no tests", s.dir)
		}
	}
}

// testsDoNotSleep: a test that waits for the real clock is slow where the
// machine is quick, and fails where it is slow. Inside synctest.Test time
// costs nothing; what helps such tests may sleep if it stands beside them.
func testsDoNotSleep(m *module, report report) {
	for s := range m.tests {
		bubbles := false
		for path := range s.imports {
			bubbles = bubbles || path == "testing/synctest"
		}
		for u := range s.uses {
			if u.name != "time.Sleep" || slices.ContainsFunc(u.around, isBubble) || bubbles && !slices.ContainsFunc(u.around, isTest) {
				continue
			}
			report(m.at(u.node), "time.Sleep in a test: use synctest.Test, a manual clock, or wait for what happens")
		}
	}
}

// isTest says whether n is a function that go test runs.
func isTest(n ast.Node) bool {
	d, ok := n.(*ast.FuncDecl)
	return ok && d.Recv == nil && (strings.HasPrefix(d.Name.Name, "Test") || strings.HasPrefix(d.Name.Name, "Fuzz") || strings.HasPrefix(d.Name.Name, "Benchmark"))
}

// isBubble says whether n is a call of synctest.Test.
func isBubble(n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Test" {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == "synctest"
}

// programsAreFoundInOnePlace: a test that looks for a program by itself is
// skipped in silence where CI forgot to install it.
func programsAreFoundInOnePlace(m *module, report report) {
	for s := range m.tests {
		for u := range s.uses {
			if u.name == "os/exec.LookPath" && !looksForFirn(u) {
				report(m.at(u.node), "exec.LookPath in a test: ask testprog.Need, so that CI fails where the program isn't there")
			}
		}
	}
}

// looksForFirn says whether what is looked for is firn itself, as script tests
// put it on PATH.
func looksForFirn(u use) bool {
	call, ok := u.around[len(u.around)-1].(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return false
	}
	lit, ok := call.Args[0].(*ast.BasicLit)
	return ok && lit.Value == `"firn"`
}

// fuzzTargetsHaveSeeds: without inputs to begin with, a fuzz target tests
// nothing when it is run as a test.
func fuzzTargetsHaveSeeds(m *module, report report) {
	for s := range m.tests {
		for d := range s.functions {
			if d.Recv != nil || !strings.HasPrefix(d.Name.Name, "Fuzz") {
				continue
			}
			folder := path.Join(s.dir, "testdata/fuzz", d.Name.Name) + "/"
			seeded := slices.ContainsFunc(m.names, func(name string) bool { return strings.HasPrefix(name, folder) })
			if !seeded && !calls(d, "Add") {
				report(m.at(d), "%s has no seeds: call f.Add, or put some into %s", d.Name.Name, folder)
			}
		}
	}
}

// calls says whether a method of that name is used in d.
func calls(d *ast.FuncDecl, method string) (found bool) {
	ast.Inspect(d, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == method {
			found = true
		}
		return !found
	})
	return found
}
