package catalog_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/price"
)

// TestPlans asks SQLite how it would run each statement of this package: none
// may sort rows, nor read through a table or an index that grows with the
// number of files.
func TestPlans(t *testing.T) {
	f := newFixture(t)
	statements := sqlStatements(t)
	if len(statements) < 60 {
		t.Fatalf("only %d statements found; does the search still work?", len(statements))
	}
	for _, s := range statements {
		args := make([]any, strings.Count(s, "?"))
		rows, err := f.Query(t.Context(), "EXPLAIN QUERY PLAN "+s, args...)
		if err != nil {
			t.Errorf("%s\n%v", s, err)
			continue
		}
		for _, row := range rows {
			step := fmt.Sprint(row[3])
			slow := strings.Contains(step, "TEMP B-TREE") || strings.HasPrefix(step, "SCAN")
			if slow && !short(s, step) {
				t.Errorf("%s\n\t%s", s, step)
			}
		}
	}
}

// short knows the slow steps that are over soon.
func short(statement, step string) bool {
	switch {
	case step == "SCAN CONSTANT ROW", step == "SCAN (subquery-1)", step == "SCAN l", step == "SCAN v", strings.HasSuffix(step, " VIRTUAL TABLE INDEX 0:"):
		return true // of a subquery, which has a step of its own, and of the rows given
	case strings.Contains(statement, "FROM store WHERE gone = 0"):
		return true // people have a handful of stores
	case strings.HasSuffix(statement, "FROM tree ORDER BY id"), strings.Contains(statement, "FROM sqlite_schema"):
		return true // and of trees, and a catalog has some tables
	case strings.HasPrefix(statement, "INSERT INTO by_staged"):
		return true // sorts an inventory, which is what it is for
	case strings.HasPrefix(step, "SCAN by_tree_new"), strings.HasPrefix(step, "SCAN by_remote_new"):
		return true // the small half of an index
	case statement == "SELECT count(*) FROM by_tree", statement == "SELECT count(*) FROM by_remote":
		return true // before an intake that is large too
	case step == "SCAN task", step == "SCAN waker", strings.Contains(statement, "(SELECT store FROM waker)"):
		return true // a handful of each: what is under way, and the queues of stores
	case strings.HasPrefix(statement, "SELECT kind, tier, state, count(*)"):
		return true // groups the jobs that are open, a wave at most, in one pass
	case strings.HasSuffix(statement, "EXISTS (SELECT 1 FROM archive WHERE store = ?1)"):
		return true // ends at the first one; where there is none, a vault is to be read
	case strings.HasPrefix(statement, "SELECT class, count(*)"):
		return true // groups the jobs of a month, or what is to be moved, by the classes that there are, in one pass
	case strings.HasSuffix(statement, "FROM run ORDER BY id DESC LIMIT 1"):
		return true
	case strings.Contains(statement, " FROM migration WHERE "), strings.Contains(statement, "FROM migration m "), strings.Contains(statement, "INDEXED BY copy_into"):
		return true // a handful of moves, and the copies that are on their way
	case strings.HasPrefix(statement, "SELECT a.id FROM (SELECT archive FROM by_remote "):
		return true // has the few archives that ever had one id
	case strings.HasPrefix(statement, "SELECT a.remote, a.size, a.tree, d.text FROM archive a"):
		return true // what a run stored that was killed: once, in the next one
	case strings.HasPrefix(statement, "INSERT INTO copy_total"):
		return true // has a group for each of six states
	case strings.Contains(statement, "FROM dir CROSS JOIN file ON file.dir = dir.id WHERE dir.tree = ?1"), strings.Contains(statement, "CROSS JOIN version v ON v.dir = d.id WHERE t.store = ? AND t.name = ?"):
		return true // goes over a whole tree, once in the move of that
	}
	return false
}

// sqlStatements gives every SQL text in this package's code: each expression
// of string literals and constants that begins like a statement.
func sqlStatements(t *testing.T) (all []string) {
	names, err := filepath.Glob("*.go")
	check(t, err)
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		check(t, err)
		files = append(files, file)
	}
	constants := map[string]ast.Expr{}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok {
				for i := range v.Values {
					constants[v.Names[i].Name] = v.Values[i]
				}
			}
			return true
		})
	}
	begins := regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE)\b`)
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				_, constant := n.(*ast.ValueSpec)
				return !constant // it is no statement before it is used
			}
			texts := evaluate(e, constants)
			for _, s := range texts {
				if begins.MatchString(s) && !slices.Contains(all, s) {
					all = append(all, s)
				}
			}
			return len(texts) == 0
		})
	}
	return all
}

// evaluate gives the values that a string expression may have; none where it
// is something else.
func evaluate(e ast.Expr, constants map[string]ast.Expr) []string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return []string{s}
		}
	case *ast.Ident:
		if e.Name == "which" { // what retire is called with
			return []string{"dir = ?", "dir = ? AND name = ?", "dir = ? AND since < ?", "dir = ? AND name < ? AND since < ?"}
		}
		if e.Name == "index" { // what contentsIn is called with
			return []string{"by_tree", "by_tree_new"}
		}
		if e.Name == "ofMigration" { // what readMigration is called with
			return []string{"id = ?", "source = ? AND target = ? AND only = ? AND state != 11"}
		}
		if e.Name == "toCopy" { // what addCopies is called with
			plannable, ofOneTree := evaluate(constants["plannable"], constants)[0], evaluate(constants["ofOneTree"], constants)[0]
			return []string{"a.id > ? AND a.id <= ? AND " + plannable, plannable + ofOneTree}
		}
		if e.Name == "condition" { // what attemptsOf is called with
			return []string{"a.state = 20", "a.state < 10"}
		}
		if v, ok := constants[e.Name]; ok {
			return evaluate(v, constants)
		}
	case *ast.SelectorExpr:
		if e.Sel.Name == "SnapshotClass" {
			return []string{price.SnapshotClass}
		}
	case *ast.CallExpr: // newBulk(head, tuple, tail), or shortestOf(class, otherwise)
		f, ok := e.Fun.(*ast.Ident)
		if ok && f.Name == "shortestOf" {
			return []string{catalog.ShortestOf(evaluate(e.Args[0], constants)[0], evaluate(e.Args[1], constants)[0])}
		}
		if !ok || f.Name != "newBulk" {
			return nil
		}
		var all []string
		for _, head := range evaluate(e.Args[0], constants) {
			for _, tail := range evaluate(e.Args[2], constants) {
				all = append(all, catalog.BulkText(head, evaluate(e.Args[1], constants)[0], tail))
			}
		}
		return all
	case *ast.BinaryExpr:
		var all []string
		for _, x := range evaluate(e.X, constants) {
			for _, y := range evaluate(e.Y, constants) {
				all = append(all, x+y)
			}
		}
		return all
	}
	return nil
}
