package toml

import (
	"github.com/pelletier/go-toml/v2/unstable"
)

// table is a table of the document, its keys in the order of the file.
type table struct {
	at      int // offset of its header, or of its brace
	keys    []*item
	byName  map[string]*item
	defined bool // by a header, dotted keys or braces; false: only as part of a longer name
	dotted  bool // by dotted keys: no header may name it
	closed  bool // in braces: nothing can be added
}

// item is a key and what it is set to.
type item struct {
	name string
	at   int // offset of the key
	value
}

// value is a value of any type. The text of a string may share memory with the
// document, which is wiped in the end.
type value struct {
	kind   unstable.Kind // of tables InlineTable, of arrays of tables ArrayTable
	at     int           // offset
	text   []byte        // of a string its content, of other scalars what is written
	list   []value       // Array
	table  *table        // InlineTable
	tables []*table      // ArrayTable
}

func newTable(at int) *table { return &table{at: at, byName: make(map[string]*item)} }

func (t *table) add(name string, at int, v value) *item {
	it := &item{name: name, at: at, value: v}
	t.keys = append(t.keys, it)
	t.byName[name] = it
	return it
}

// Depths that no configuration needs.
const (
	maxDots  = 8
	maxDepth = 8
)

// builder makes the tree of a document. TOML's rules about what may be defined
// twice are the tree's, not the parser's.
type builder struct {
	p    unstable.Parser
	r    *report
	root *table
	cur  *table // what the last header named
}

// build reads a document. It is false when the syntax is wrong: then the tree ends
// where that was found.
func build(data []byte, r *report) (*table, bool) {
	b := &builder{r: r, root: newTable(0)}
	b.cur = b.root
	b.p.Reset(data)
	for b.p.NextExpression() {
		switch e := b.p.Expression(); e.Kind {
		case unstable.KeyValue:
			b.assign(b.cur, e, 0)
		case unstable.Table:
			b.header(e, false)
		case unstable.ArrayTable:
			b.header(e, true)
		}
	}
	if err := b.p.Error(); err != nil {
		r.syntax(&b.p, err)
		return b.root, false
	}
	return b.root, true
}

// name is a part of a dotted key.
type name struct {
	text string
	at   int
}

// names returns the parts of a key; nil and an error reported if it has too many.
func (b *builder) names(e *unstable.Node) []name {
	var ns []name
	for it := e.Key(); it.Next(); {
		n := it.Node()
		at := int(n.Raw.Offset)
		if len(ns) == maxDots {
			b.r.error(at, "a key of more than %d parts; allowed: the keys of goike.toml(5)", maxDots)
			return nil
		}
		ns = append(ns, name{string(n.Data), at})
	}
	return ns
}

// header makes the table of a [header] or [[header]] the current one. After an
// error the keys below it go to a table of no one.
func (b *builder) header(e *unstable.Node, array bool) {
	b.cur = newTable(0)
	ns := b.names(e)
	if ns == nil {
		return
	}
	t := b.root
	for _, n := range ns[:len(ns)-1] {
		if t = b.step(t, n); t == nil {
			return
		}
	}
	n := ns[len(ns)-1]
	at := bracket(b.p.Data(), ns[0].at)
	if array {
		b.appendTable(t, n, at)
	} else {
		b.openTable(t, n, at)
	}
}

// step goes down to a table that a header names on its way.
func (b *builder) step(t *table, n name) *table {
	it, ok := t.byName[n.text]
	if !ok {
		sub := newTable(n.at)
		t.add(n.text, n.at, value{kind: unstable.InlineTable, at: n.at, table: sub})
		return sub
	}
	switch {
	case it.kind == unstable.InlineTable && !it.table.closed:
		return it.table
	case it.kind == unstable.ArrayTable && len(it.tables) > 0:
		return it.tables[len(it.tables)-1]
	}
	b.twice(n, it)
	return nil
}

func (b *builder) openTable(t *table, n name, at int) {
	it, ok := t.byName[n.text]
	switch {
	case !ok:
		b.cur = newTable(at)
		b.cur.defined = true
		t.add(n.text, n.at, value{kind: unstable.InlineTable, at: at, table: b.cur})
	case it.kind == unstable.InlineTable && !it.table.defined && !it.table.closed && !it.table.dotted:
		b.cur = it.table
		b.cur.at, b.cur.defined = at, true
	default:
		b.twice(n, it)
	}
}

func (b *builder) appendTable(t *table, n name, at int) {
	it, ok := t.byName[n.text]
	if !ok {
		it = t.add(n.text, n.at, value{kind: unstable.ArrayTable, at: at})
	}
	if it.kind != unstable.ArrayTable {
		b.twice(n, it)
		return
	}
	b.cur = newTable(at)
	b.cur.defined = true
	it.tables = append(it.tables, b.cur)
}

// assign sets a key, dotted or not, of a table.
func (b *builder) assign(t *table, e *unstable.Node, depth int) {
	ns := b.names(e)
	if ns == nil {
		return
	}
	for _, n := range ns[:len(ns)-1] {
		if t = b.dot(t, n); t == nil {
			return
		}
	}
	n := ns[len(ns)-1]
	if it, ok := t.byName[n.text]; ok {
		b.twice(n, it)
		return
	}
	t.add(n.text, n.at, b.value(e.Value(), valueOffset(b.p.Data(), e), depth))
}

// dot goes down to a table that a dotted key names on its way.
func (b *builder) dot(t *table, n name) *table {
	it, ok := t.byName[n.text]
	if !ok {
		sub := newTable(n.at)
		sub.dotted = true
		t.add(n.text, n.at, value{kind: unstable.InlineTable, at: n.at, table: sub})
		return sub
	}
	if it.kind == unstable.InlineTable && it.table.dotted && !it.table.closed {
		return it.table
	}
	b.twice(n, it)
	return nil
}

func (b *builder) twice(n name, first *item) {
	line, _ := b.r.lines.position(first.at)
	b.r.error(n.at, "%s is defined a second time, first in line %d; allowed: once", keyWord(n.text), line)
}

// value copies a value from the parser, whose nodes live no longer than an expression.
func (b *builder) value(n *unstable.Node, at, depth int) value {
	v := value{kind: n.Kind, at: at}
	if depth > maxDepth {
		b.r.error(at, "lists and tables in each other more than %d deep; allowed: the values of goike.toml(5)", maxDepth)
		v.kind = unstable.Invalid
		return v
	}
	switch n.Kind {
	case unstable.Array:
		for it := n.Children(); it.Next(); {
			e := it.Node()
			v.list = append(v.list, b.value(e, offset(e, at), depth+1))
		}
	case unstable.InlineTable:
		v.table = newTable(at)
		for it := n.Children(); it.Next(); {
			b.assign(v.table, it.Node(), depth+1)
		}
		v.table.defined = true
		v.table.close()
	default:
		v.text = n.Data
	}
	return v
}

// close forbids additions to a table in braces and to those that dotted keys made in it.
func (t *table) close() {
	t.closed = true
	for _, it := range t.keys {
		if it.kind == unstable.InlineTable && !it.table.closed {
			it.table.close()
		}
	}
}

// offset is where a node was found, or that of the list around it.
func offset(n *unstable.Node, around int) int {
	if n.Raw.Length > 0 {
		return int(n.Raw.Offset)
	}
	return around
}

// valueOffset is where the value of a key begins: behind its last name, blanks and
// the equals sign.
func valueOffset(data []byte, e *unstable.Node) int {
	if v := e.Value(); v.Raw.Length > 0 {
		return int(v.Raw.Offset)
	}
	at := 0
	for it := e.Key(); it.Next(); {
		at = int(it.Node().Raw.Offset + it.Node().Raw.Length)
	}
	for at < len(data) && (data[at] == ' ' || data[at] == '\t' || data[at] == '=') {
		at++
	}
	return at
}

// bracket goes back from the first name of a header to its bracket.
func bracket(data []byte, at int) int {
	for at > 0 && (data[at-1] == ' ' || data[at-1] == '\t' || data[at-1] == '[') {
		at--
	}
	for at < len(data) && data[at] != '[' {
		at++
	}
	return at
}
