package ui

import (
	"cmp"
	"strings"

	"github.com/mattn/go-runewidth"
)

// A Column is one column of a list of T.
type Column[T any] struct {
	Head  string
	Right bool           // aligned to the right, as numbers are
	Cell  func(T) string // for people; made harmless by the list
	// Plain is the cell in a pipe: exact numbers, no units. Nil means Cell.
	Plain func(T) string
}

// A List shows records as they come: on a terminal as an aligned table with a
// head, in a pipe as lines of cells with tabs between them, with JSON as
// objects. It holds but a few hundred of them.
type List[T any] struct {
	u      *UI
	kind   string
	cols   []Column[T]
	widths []int
	rows   [][]string // on a terminal: what is not yet aligned
	begun  bool
	buffer []byte // elsewhere: what is not yet written
}

// listBatch is how many rows are aligned together, listBuffer how many bytes are
// written together.
const (
	listBatch  = 500
	listBuffer = 32 << 10
)

// NewList begins a list. Its records become JSON objects of type kind with the
// fields of the struct T. Close it.
func NewList[T any](u *UI, kind string, cols ...Column[T]) *List[T] {
	return &List[T]{u: u, kind: kind, cols: cols, widths: make([]int, len(cols))}
}

// Add shows one record, at once or with the next ones.
func (l *List[T]) Add(v T) {
	l.u.mu.Lock()
	defer l.u.mu.Unlock()
	switch o := l.u.opts; {
	case o.JSON:
		line, err := encodeObject(l.kind, v)
		l.u.err = cmp.Or(l.u.err, err)
		l.buffer = append(l.buffer, line...)
	case o.StdoutTerminal:
		l.rows = append(l.rows, l.cells(v, false))
	default:
		l.buffer = append(append(l.buffer, strings.Join(l.cells(v, true), "\t")...), '\n')
	}
	if len(l.rows) >= listBatch || len(l.buffer) >= listBuffer {
		l.flush()
	}
}

// Close shows what is left.
func (l *List[T]) Close() {
	l.u.mu.Lock()
	defer l.u.mu.Unlock()
	l.flush()
}

func (l *List[T]) cells(v T, plain bool) []string {
	row := make([]string, len(l.cols))
	for i, c := range l.cols {
		cell := c.Cell
		if plain && c.Plain != nil {
			cell = c.Plain
		}
		row[i] = Text(cell(v))
	}
	return row
}

// flush writes what is held back. It aligns the rows at hand, and those to come
// at least as wide.
func (l *List[T]) flush() {
	if len(l.buffer) > 0 {
		l.u.write(l.buffer)
		l.buffer = l.buffer[:0]
	}
	if len(l.rows) == 0 {
		return
	}
	right := make([]bool, len(l.cols))
	head := make([]string, len(l.cols))
	for i, c := range l.cols {
		right[i], head[i] = c.Right, c.Head
	}
	if !l.begun {
		l.rows = append([][]string{head}, l.rows...)
		l.begun = true
	}
	view := l.u.view.(*textView)
	for _, line := range alignTo(l.widths, l.rows, right) {
		view.result(line)
	}
	l.rows = l.rows[:0]
}

// align pads cells so that columns stand below each other, two spaces apart.
func align(rows [][]string, right []bool) []string {
	return alignTo(make([]int, len(right)), rows, right)
}

// alignTo aligns to columns of at least the given widths, and widens those.
func alignTo(widths []int, rows [][]string, right []bool) []string {
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	lines := make([]string, len(rows))
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-runewidth.StringWidth(cell))
			if right[i] {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
			b.WriteString("  ")
		}
		lines[n] = strings.TrimRight(b.String(), " ")
	}
	return lines
}
