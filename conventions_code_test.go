package firn_test

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

// packagesAreDocumented: each package says its one job, in one place.
func packagesAreDocumented(m *module, report report) {
	first, docs := map[string]source{}, map[string]int{}
	for s := range m.code {
		if _, ok := first[s.dir]; !ok {
			first[s.dir] = s
		}
		if s.file.Doc == nil {
			continue
		}
		docs[s.dir]++
		begin := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" {
			begin = "Command " + path.Base(s.dir) + " "
		}
		if !strings.HasPrefix(s.file.Doc.Text(), begin) {
			report(m.at(s.file.Doc), "the comment of a package begins with %q", begin)
		}
	}
	for dir, s := range first {
		if n := docs[dir]; n != 1 {
			report(m.at(s.file.Name), "package %s has %d comments: write one, above the package clause of its main file, that says its one job", dir, n)
		}
	}
}

// packagesAreNamedForWhatTheyProvide: a drawer for odds and ends attracts more.
func packagesAreNamedForWhatTheyProvide(m *module, report report) {
	bad := regexp.MustCompile(`^(utils?|common|helpers?|misc|base|shared|types|libs?|core)$`)
	for s := range m.code {
		if bad.MatchString(s.file.Name.Name) {
			report(m.at(s.file.Name), "a package called %s: name it for what it provides", s.file.Name.Name)
		}
	}
}

// exportsAreDocumented: whoever may use a thing can read what it is.
func exportsAreDocumented(m *module, report report) {
	for s := range m.code {
		for _, decl := range s.file.Decls {
			for _, name := range undocumented(decl) {
				report(m.at(name), "%s has no comment: say what it is, with shapes, units, errors, and where a rule of the service comes from", name.Name)
			}
		}
	}
}

// undocumented gives the exported names that decl declares without a comment.
func undocumented(decl ast.Decl) (names []*ast.Ident) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && (d.Recv == nil || ast.IsExported(receiver(d))) {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
					names = append(names, spec.Name)
				}
			case *ast.ValueSpec:
				if d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
					names = append(names, spec.Names...)
				}
			}
		}
	}
	return slices.DeleteFunc(names, func(n *ast.Ident) bool { return !n.IsExported() })
}

// receiver names the type that a method belongs to.
func receiver(d *ast.FuncDecl) string {
	if x := baseName(d.Recv.List[0].Type); x != nil {
		return x.Name
	}
	return ""
}

// baseName is the x of x, *x, (x), x.f, x[i] and x[T].
func baseName(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// maxLines is how long a function may be. Most should fit a screen.
const maxLines = 80

// functionsFitAScreen: a longer function tells more than one story.
func functionsFitAScreen(m *module, report report) {
	for s := range m.code {
		for d := range s.functions {
			if n := m.fset.Position(d.End()).Line - m.fset.Position(d.Pos()).Line + 1; n > maxLines {
				report(m.at(d), "%s has %d lines, the limit is %d: give its steps names", d.Name.Name, n, maxLines)
			}
		}
	}
}

// noInit: what runs before main can't be seen, timed or tested.
func noInit(m *module, report report) {
	for _, s := range m.sources {
		for d := range s.functions {
			if d.Recv == nil && d.Name.Name == "init" {
				report(m.at(d), "no init functions: make the value where it is needed, or let the caller hand it in")
			}
		}
	}
}

// noGlobalState: variables of a package are set where they are declared, and
// nowhere else.
func noGlobalState(m *module, report report) {
	names, specs := map[string]bool{}, map[any]bool{} // "dir name", *ast.ValueSpec
	for s := range m.code {
		for _, spec := range packageVars(s.file) {
			specs[spec] = true
			for _, name := range spec.Names {
				if name.Name != "_" { // what it is given is checked, and kept nowhere
					names[s.dir+" "+name.Name] = true
				}
			}
			if x := baseName(spec.Type); x != nil && (x.Name == "sync" || x.Name == "atomic") {
				report(m.at(spec), "%s is shared by all users of the package: put it into a struct that the caller holds", spec.Names[0].Name)
			}
		}
	}
	for s := range m.code {
		ast.Inspect(s.file, func(n ast.Node) bool {
			for _, x := range assigned(n) {
				// The parser resolves what is declared in the same file.
				local := x.Obj != nil && !specs[x.Obj.Decl]
				if !local && names[s.dir+" "+x.Name] {
					report(m.at(x), "%s belongs to the whole package and is changed here: put it into a struct that the caller holds", x.Name)
				}
			}
			return true
		})
	}
}

func packageVars(f *ast.File) (specs []*ast.ValueSpec) {
	for _, decl := range f.Decls {
		if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
			for _, spec := range d.Specs {
				specs = append(specs, spec.(*ast.ValueSpec))
			}
		}
	}
	return specs
}

// assigned gives the variables that a statement changes, wholly or in part.
func assigned(n ast.Node) (names []*ast.Ident) {
	var targets []ast.Expr
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			targets = n.Lhs
		}
	case *ast.IncDecStmt:
		targets = []ast.Expr{n.X}
	}
	for _, e := range targets {
		if x := baseName(e); x != nil {
			names = append(names, x)
		}
	}
	return names
}

// speakers are the packages that may write to the terminal and end the
// program.
var speakers = []string{"cmd/firn", "bench", "internal/cli", "internal/ui"}

// onlyTheFrontSpeaks: engines emit events, so that a terminal, a log and JSON
// tell the same story.
func onlyTheFrontSpeaks(m *module, report report) {
	loud := regexp.MustCompile(`^(fmt\.(Print|Printf|Println)|os\.(Stdout|Stderr|Stdin|Exit)|log\.(Print|Fatal|Panic|Output|Default|Set).*|log/slog\.(Debug|Info|Warn|Error|Log|Default|Set).*)$`)
	for s := range m.code {
		if within(s.dir, speakers...) {
			continue
		}
		for u := range s.uses {
			if loud.MatchString(u.name) {
				report(m.at(u.node), "%s outside %v: emit an event, return an error, or take a writer", u.name, speakers)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				if f, ok := c.Fun.(*ast.Ident); ok && f.Obj == nil && (f.Name == "println" || f.Name == "print") {
					report(m.at(n), "%s is for debugging: take it out", f.Name)
				}
			}
			return true
		})
	}
}

// clocks are the packages that may read or wait for the machine's clock:
// internal/clock is what the others use; glacierd, which programs use that
// know nothing of firn, has a Clock of its own; benchmarks measure real time.
var clocks = []string{"internal/clock", "glacierd", "bench"}

// watchdogs are the packages that may set a timer all the same: to end a request
// on which nothing has moved for long, since no clock but the network's own can tell
// that, and to wait some milliseconds for other writes, as a disk makes one wait.
var watchdogs = []string{"internal/transfer", "internal/sqldb"}

// timeIsHandedIn: a test must be able to live through days in a moment.
func timeIsHandedIn(m *module, report report) {
	read := regexp.MustCompile(`^time\.(Now|Since|Until|Sleep|After|Tick|NewTicker)$`)
	timer := regexp.MustCompile(`^time\.(AfterFunc|NewTimer)$`)
	for s := range m.code {
		for u := range s.uses {
			if within(s.dir, clocks...) || timer.MatchString(u.name) && within(s.dir, watchdogs...) {
				continue
			}
			if read.MatchString(u.name) || timer.MatchString(u.name) {
				report(m.at(u.node), "%s: take a clock.Clock and ask that", u.name)
			}
		}
	}
}

// nothingIsLeftUnfinished: what is missing is an issue, not a remark in a file
// that nobody reads again.
func nothingIsLeftUnfinished(m *module, report report) {
	mark := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b|(?i:\bnot (yet )?implemented\b)`)
	for s := range m.code {
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				if word := mark.FindString(c.Text); word != "" {
					report(m.at(c), "%s: finish it, or write an issue", word)
				}
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && mark.MatchString(lit.Value) {
				report(m.at(lit), "%s: finish it, or take it out", lit.Value)
			}
			return true
		})
	}
}
