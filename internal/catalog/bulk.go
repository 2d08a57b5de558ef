package catalog

import (
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// A bulk is a statement about several rows at once: most of what a statement
// costs are not its rows.
type bulk struct {
	text  string
	width int // values of a row
}

// newBulk makes a statement of a tuple that stands for each row, such as "(?, ?)",
// and what stands before and after the tuples, as in INSERT ... VALUES and in
// FROM (VALUES ...) v. The rows are not bound as parameters, but read from the
// table given. Parameters after the tuple are those of all rows.
//
// An INSERT that fails leaves the rows before the one that it failed at, which is
// taken back with the rest of the write: else SQLite copies each page that it is
// about to change.
func newBulk(head, tuple, tail string) *bulk {
	if verb, table, ok := strings.Cut(head, " INTO "); ok && !strings.Contains(verb, " ") {
		head = verb + " OR FAIL INTO " + table
	}
	b := &bulk{width: strings.Count(tuple, "?")}
	if before, ok := strings.CutSuffix(head, "(VALUES "); ok {
		b.text = before + "given" + strings.TrimPrefix(tail, ")")
		return b
	}
	row := tuple[1 : len(tuple)-1]
	for i := range b.width {
		row = strings.Replace(row, "?", "column"+strconv.Itoa(i+1), 1)
	}
	b.text = fmt.Sprintf("%sSELECT %s FROM given%s", strings.TrimSuffix(head, "VALUES "), row, tail)
	return b
}

const (
	// atOnce is how many rows are gathered: one statement for them all costs less
	// than they do.
	atOnce = 1024
	// few is for how many there is room at first: most writes are of one file.
	few = 4
)

// A batch gathers the rows of a bulk statement.
type batch struct {
	*bulk
	tx   tx
	args []any // of all rows
	tail []any // for all rows
}

func (b *bulk) batch(tx tx, tail ...any) *batch {
	return &batch{bulk: b, tx: tx, args: make([]any, 0, few*b.width), tail: tail}
}

// add adds a row, and runs the statement if there are enough.
func (b *batch) add(row ...any) error {
	b.args = append(b.args, row...)
	if !b.full() {
		return nil
	}
	return b.flush()
}

// full reports whether one more row would be too many.
func (b *batch) full() bool { return len(b.args) >= atOnce*b.width }

// flush runs the statement for the rows that it has.
func (b *batch) flush() error {
	if len(b.args) == 0 {
		return nil
	}
	_, err := b.tx.ExecGiven(b.tx.ctx, b.text, b.width, b.args, b.tail...)
	b.args = b.args[:0]
	return err
}

// query runs the statement for the rows that it has, and calls fn at each row
// of the answer.
func (b *batch) query(fn func(*sql.Rows) error) (err error) {
	if len(b.args) == 0 {
		return nil
	}
	rows, err := b.tx.QueryGiven(b.tx.ctx, b.text, b.width, b.args, b.tail...)
	if err == nil {
		err = readAll(rows, fn)
	}
	b.args = b.args[:0]
	return err
}
