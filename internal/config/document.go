package config

import (
	"bytes"
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A table is a TOML table whose keys know where they stand, in the order of the
// file.
type table struct {
	line   int
	fields []*field
}

// A field is a key with its value.
type field struct {
	key   string
	line  int // from 1
	value value
}

// A value is one of: a scalar as text, a list, a table.
type value struct {
	kind   unstable.Kind // Array and InlineTable for the latter two
	text   string        // a string's content; any other scalar as it is written
	items  []value
	table  *table
	header bool // a table with a header of its own, or a list of them
}

// get gives the field of that key, or nil.
func (t *table) get(key string) *field {
	for _, f := range t.fields {
		if f.key == key {
			return f
		}
	}
	return nil
}

// maxDocument bounds what is read of a configuration, in bytes.
const maxDocument = 1 << 20

// parseDocument reads TOML. An error gives the line, where it is known.
func parseDocument(data []byte) (root *table, line int, err error) {
	if len(data) > maxDocument {
		return nil, 0, errors.New("it has more than a mebibyte; is it the right file?")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors of Windows begin so
	// The decoder knows the rules that a parser can't: which keys and tables
	// may not come twice.
	if err := toml.Unmarshal(data, &map[string]any{}); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, _ = at.Position()
		}
		return nil, line, errors.New(strings.TrimPrefix(err.Error(), "toml: "))
	}
	root = &table{line: 1}
	r := reader{data: data}
	r.parser.Reset(data)
	current := root
	for r.parser.NextExpression() {
		e := r.parser.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			current = r.enter(root, e)
		case unstable.KeyValue:
			r.set(current, e)
		}
	}
	return root, 0, r.parser.Error()
}

// A reader makes tables of what the parser gives.
type reader struct {
	parser unstable.Parser
	data   []byte
}

// line is the line of a place in the document.
func (r *reader) line(at unstable.Range) int {
	return 1 + bytes.Count(r.data[:at.Offset], []byte("\n"))
}

// enter gives the table that a header names, and makes it.
func (r *reader) enter(root *table, e *unstable.Node) *table {
	t := root
	keys := e.Key()
	for keys.Next() {
		key := keys.Node()
		f := t.get(string(key.Data))
		if f == nil {
			f = &field{key: string(key.Data), line: r.line(key.Raw), value: value{kind: unstable.InlineTable, header: true}}
			if keys.IsLast() && e.Kind == unstable.ArrayTable {
				f.value.kind = unstable.Array
			} else {
				f.value.table = &table{line: f.line}
			}
			t.fields = append(t.fields, f)
		}
		if keys.IsLast() && e.Kind == unstable.ArrayTable {
			f.value.items = append(f.value.items, value{kind: unstable.InlineTable, table: &table{line: r.line(key.Raw)}})
		}
		if n := len(f.value.items); n > 0 {
			t = f.value.items[n-1].table // a list's last table is the one that is meant
		} else {
			t = f.value.table
		}
	}
	return t
}

// set puts a key with its value into t; a.b = 1 makes the tables on the way.
func (r *reader) set(t *table, e *unstable.Node) {
	keys := e.Key()
	for keys.Next() {
		key := keys.Node()
		f := t.get(string(key.Data))
		if f == nil {
			f = &field{key: string(key.Data), line: r.line(key.Raw)}
			t.fields = append(t.fields, f)
		}
		if keys.IsLast() {
			f.value = r.value(e.Value(), f.line)
			return
		}
		if f.value.table == nil {
			f.value = value{kind: unstable.InlineTable, table: &table{line: f.line}}
		}
		t = f.value.table
	}
}

func (r *reader) value(n *unstable.Node, line int) value {
	v := value{kind: n.Kind, text: string(n.Data)}
	children := n.Children()
	switch n.Kind {
	case unstable.Array:
		for children.Next() {
			if child := children.Node(); child.Kind != unstable.Comment {
				v.items = append(v.items, r.value(child, line))
			}
		}
	case unstable.InlineTable:
		v.table = &table{line: line}
		for children.Next() {
			if child := children.Node(); child.Kind == unstable.KeyValue {
				r.set(v.table, child)
			}
		}
	}
	return v
}
