package catalog

import (
	"database/sql"
	"strings"
)

// A bulk is a statement about several rows at once: most of what a statement
// costs are not its rows. It is kept for 1, 2, 4, ... rows, so that each of its
// texts is prepared once.
type bulk struct {
	texts []string // texts[i] takes 1<<i rows
	width int      // parameters of a row
}

// newBulk makes a statement of a tuple for each row, such as "(?, ?)", and what
// stands before and after them. Parameters after them are those of all rows.
func newBulk(head, tuple, tail string) *bulk {
	// The driver looks for each parameter from the first one on, so that
	// many of them cost more than is saved.
	const most = 120
	b := &bulk{width: strings.Count(tuple, "?")}
	for rows := 1; rows*b.width <= most; rows *= 2 {
		tuples := strings.Repeat(", "+tuple, rows)
		b.texts = append(b.texts, head+tuples[len(", "):]+tail)
	}
	return b
}

// most is how many rows go into one statement.
func (b *bulk) most() int { return 1 << (len(b.texts) - 1) }

// A batch gathers the rows of a bulk statement.
type batch struct {
	*bulk
	tx   tx
	args []any // of all rows
	tail []any // for all rows
}

func (b *bulk) batch(tx tx, tail ...any) *batch {
	return &batch{bulk: b, tx: tx, args: make([]any, 0, b.most()*b.width+len(tail)), tail: tail}
}

// add adds a row, and runs the statement if it is full.
func (b *batch) add(row ...any) error {
	b.args = append(b.args, row...)
	if len(b.args) < b.most()*b.width {
		return nil
	}
	return b.flush()
}

// flush runs the statement for the rows that it has.
func (b *batch) flush() error {
	return b.run(func(text string, args []any) error { return b.tx.exec(text, args...) })
}

// query runs the statement for the rows that it has, and calls fn at each row
// of the answer.
func (b *batch) query(fn func(*sql.Rows) error) error {
	return b.run(func(text string, args []any) error { return b.tx.each(fn, text, args...) })
}

// full reports whether one more row would be too many for query.
func (b *batch) full() bool { return len(b.args) == b.most()*b.width }

// run runs the fewest texts that take all rows.
func (b *batch) run(do func(text string, args []any) error) error {
	for left := b.args; len(left) > 0; {
		size := len(b.texts) - 1
		for left := len(left) / b.width; 1<<size > left; {
			size--
		}
		n := b.width << size
		args := left[:n:n]
		if len(b.tail) > 0 {
			args = append(args, b.tail...)
		}
		if err := do(b.texts[size], args); err != nil {
			return err
		}
		left = left[n:]
	}
	b.args = b.args[:0]
	return nil
}
