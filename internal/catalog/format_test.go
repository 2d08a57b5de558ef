package catalog_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// documented is the part of docs/format.md that is about the catalog.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/format.md")
	check(t, err)
	_, section, ok := strings.Cut(string(text), "\n## The catalog\n")
	if !ok {
		t.Fatal("docs/format.md has no section about the catalog")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

// TestTablesAreDocumented finds each table in docs/format.md.
func TestTablesAreDocumented(t *testing.T) {
	f := newFixture(t)
	doc := documented(t)
	rows, err := f.Query(t.Context(), "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
	check(t, err)
	if len(rows) < 30 {
		t.Errorf("only %d tables", len(rows))
	}
	for _, row := range rows {
		if name := row[0].(string); !strings.Contains(doc, "`"+name+"`") {
			t.Errorf("docs/format.md doesn't say what table %s is", name)
		}
	}
}

// TestDocumentedQueries runs the queries that docs/format.md offers.
func TestDocumentedQueries(t *testing.T) {
	f := newFixture(t)
	f.upload(t, f.run, regular("2020/summer/beach.jpg", "content"))
	f.record(t, f.run, directory("2020"), regular("empty", ""))
	queries := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(documented(t), -1)
	if len(queries) == 0 {
		t.Error("no queries")
	}
	for _, q := range queries {
		rows, err := f.Query(t.Context(), q[1])
		check(t, err)
		if len(rows) != 2 || rows[0][1] != "" || rows[0][2] != "empty" || rows[1][1] != "2020/summer" || rows[1][2] != "beach.jpg" {
			t.Errorf("%s\n%v", q[1], rows)
		}
	}
}
