package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"modernc.org/sqlite"
	"modernc.org/sqlite/vtab"
)

// GivenColumns is how many columns the table given has: column1, column2, ...
const GivenColumns = 16

// A giver makes the table given, in which statements read rows that the program
// has: a virtual table (sqlite.org, "The Virtual Table Mechanism"). Rows that are
// bound as parameters cost two to three times as much: see BenchmarkRows.
type giver struct {
	mu     sync.Mutex
	tables []*given // one a connection
}

// given is the table of one connection.
type given struct {
	width  int
	values []any // row by row
}

// errFixed is the answer to what SQLite never asks.
var errFixed = errors.New("the table given is made by its connection")

// newConnector opens connections to which giver's tables can be added. The package
// sqlite keeps the driver and g, some hundred bytes, for as long as the process
// lives, so g must not lead to the rest of the database.
func newConnector(uri string, g *giver) (*connector, error) {
	c := &connector{uri: uri}
	return c, c.driver.RegisterModule("given", g)
}

// A connector opens the connections of one database.
type connector struct {
	driver sqlite.Driver
	uri    string
}

func (c *connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.uri) }
func (c *connector) Driver() driver.Driver                        { return &c.driver }

// forget lets go of the rows that a connection was given.
func (t *given) forget() {
	if t != nil {
		t.values = nil
	}
}

// add gives a connection its table.
func (g *giver) add(ctx context.Context, tx *Tx) error {
	g.mu.Lock()
	number := len(g.tables)
	tx.given = &given{}
	g.tables = append(g.tables, tx.given)
	g.mu.Unlock()
	_, err := tx.conn.ExecContext(ctx, fmt.Sprintf("CREATE VIRTUAL TABLE temp.given USING given(%d)", number))
	return err
}

// Create makes the table of a connection, see vtab.Module.
func (g *giver) Create(ctx vtab.Context, args []string) (vtab.Table, error) {
	return g.Connect(ctx, args)
}

// Connect finds the table of a connection, see vtab.Module. The first three
// arguments are names.
func (g *giver) Connect(ctx vtab.Context, args []string) (vtab.Table, error) {
	number, err := strconv.Atoi(args[len(args)-1])
	if err != nil {
		return nil, err
	}
	var columns []string
	for i := range GivenColumns {
		columns = append(columns, "column"+strconv.Itoa(i+1))
	}
	if err := ctx.Declare("CREATE TABLE given (" + strings.Join(columns, ", ") + ")"); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if number < 0 || number >= len(g.tables) {
		return nil, errFixed
	}
	return g.tables[number], nil
}

// BestIndex says that all rows are read, in their order, see vtab.Table.
func (t *given) BestIndex(info *vtab.IndexInfo) error {
	for i := range info.Constraints {
		info.Constraints[i].ArgIndex = -1
	}
	info.EstimatedRows = 1000
	info.EstimatedCost = 1000
	return nil
}

// Open begins to read what there is now, see vtab.Table.
func (t *given) Open() (vtab.Cursor, error) { return &givenRow{given: *t}, nil }

// Disconnect does nothing, see vtab.Table.
func (t *given) Disconnect() error { return nil }

// Destroy does nothing, see vtab.Table.
func (t *given) Destroy() error { return nil }

// A givenRow is on its way through the rows.
type givenRow struct {
	given
	at int // of the row's first value
}

// Filter goes to the first row, see vtab.Cursor.
func (r *givenRow) Filter(int, string, []vtab.Value) error {
	r.at = 0
	return nil
}

// Next goes to the next row, see vtab.Cursor.
func (r *givenRow) Next() error {
	r.at += r.width
	return nil
}

// Eof reports whether there are no more rows, see vtab.Cursor.
func (r *givenRow) Eof() bool { return r.at >= len(r.values) }

// Column gives a value, as it would be bound to a parameter, see vtab.Cursor.
func (r *givenRow) Column(i int) (vtab.Value, error) {
	if i >= r.width {
		return nil, fmt.Errorf("the rows given have %d columns, and column %d was asked for", r.width, i+1)
	}
	value := r.values[r.at+i]
	switch v := value.(type) {
	case int64, string, nil:
		return value, nil
	case int:
		return int64(v), nil
	case []byte:
		if v == nil {
			return nil, nil
		}
		return value, nil // not v, of which Go would make a copy
	}
	return driver.DefaultParameterConverter.ConvertValue(value)
}

// Rowid numbers the rows, see vtab.Cursor.
func (r *givenRow) Rowid() (int64, error) { return int64(r.at / r.width), nil }

// Close does nothing, see vtab.Cursor.
func (r *givenRow) Close() error { return nil }

// ExecGiven is Exec of a statement that reads rows of the program. In it they are
// the table given, with the columns column1, column2, ..., in their order; values
// has width of them for each row, of any type that a parameter may have.
func (tx *Tx) ExecGiven(ctx context.Context, query string, width int, values []any, args ...any) (sql.Result, error) {
	tx.given.width, tx.given.values = width, values
	defer func() { tx.given.values = nil }()
	return tx.Exec(ctx, query, args...)
}

// QueryGiven is Query of a statement as ExecGiven has. The values must stay as
// they are until the rows are closed.
func (tx *Tx) QueryGiven(ctx context.Context, query string, width int, values []any, args ...any) (*sql.Rows, error) {
	tx.given.width, tx.given.values = width, values
	defer func() { tx.given.values = nil }()
	return tx.Query(ctx, query, args...)
}
