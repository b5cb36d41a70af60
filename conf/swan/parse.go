package swan

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// block is a section as it is written: repetitions are merged, references are not
// followed yet.
type block struct {
	name     string
	at       Pos
	options  []*setting
	index    map[string]*setting
	sections []*block
	named    map[string]*block
	refs     []reference
}

// setting is a key; without values it was cleared, which hides an inherited value.
type setting struct {
	name  string
	at    Pos
	value string
	set   bool
}

// reference names a section by its absolute path.
type reference struct {
	path []string
	at   Pos
}

func newBlock(name string, at Pos) *block {
	return &block{name: name, at: at, index: make(map[string]*setting), named: make(map[string]*block)}
}

// section returns the section of that name within b, which is made if it is not there.
func (b *block) section(name string, at Pos) (sub *block, made bool) {
	if sub := b.named[name]; sub != nil {
		return sub, false
	}
	sub = newBlock(name, at)
	b.named[name] = sub
	b.sections = append(b.sections, sub)
	return sub, true
}

func (b *block) put(s *setting) (made bool) {
	if old := b.index[s.name]; old != nil {
		*old = *s
		return false
	}
	b.index[s.name] = s
	b.options = append(b.options, s)
	return true
}

// parser reads one file.
type parser struct {
	*loader
	file      string
	data      []byte
	pos       int
	line, bol int // line, and offset of its beginning
	open      []*block
	floor     int // how many sections were open when the file began
}

// special are the characters that no name has, beside blanks and ends of lines.
const special = `.,:{}="#`

const allowedName = "key = value, section { }, include FILE, # comment"

// parse reads the file into a section, which is that of the include statement.
func (l *loader) parse(file string, data []byte, into []*block, depth int) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	p := &parser{loader: l, file: file, data: data, line: 1, open: into, floor: len(into)}
	if bytes.IndexByte(data, 0) >= 0 {
		l.fail(Pos{File: file, Line: 1, Col: 1}, "the file has a NUL octet, so it is no text; allowed: a configuration file in strongSwan's syntax")
		return
	}
	for !l.failed() && p.statement(depth) {
	}
}

func (p *parser) at() Pos {
	return Pos{p.file, p.line, utf8.RuneCount(p.data[p.bol:p.pos]) + 1}
}

// peek is the next octet, 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

func (p *parser) next() byte {
	c := p.peek()
	p.pos++
	if c == '\n' {
		p.line, p.bol = p.line+1, p.pos
	}
	return c
}

// blanks goes on behind blanks.
func (p *parser) blanks() {
	for c := p.peek(); c == ' ' || c == '\t' || c == '\r'; c = p.peek() {
		p.pos++
	}
}

// space goes on behind blanks, comments and ends of lines.
func (p *parser) space() {
	for {
		p.blanks()
		switch p.peek() {
		case '\n':
			p.next()
		case '#':
			for c := p.peek(); c != '\n' && c != 0; c = p.peek() {
				p.pos++
			}
		default:
			return
		}
	}
}

// statement reads a key with its value, the beginning or end of a section, or an
// include; it returns false at the end of the file.
func (p *parser) statement(depth int) bool {
	p.space()
	at := p.at()
	switch c := p.peek(); {
	case c == 0:
		if len(p.open) > p.floor {
			s := p.open[len(p.open)-1]
			p.fail(at, "the file ends, but section %s, begun in line %d, is not closed; allowed: a } first", word(s.name), p.opened(s))
		}
		return false
	case c == '}':
		p.pos++
		if len(p.open) == p.floor {
			p.fail(at, "a } that closes no section of this file; allowed: %s", allowedName)
			return false
		}
		p.open = p.open[:len(p.open)-1]
		return true
	case strings.IndexByte(special, c) >= 0:
		p.fail(at, "found %q where a key or a section begins; allowed: %s", c, allowedName)
		return false
	}
	return p.named(p.name(), at, depth)
}

// opened is the line in which a section begins; it may have begun in another file
// before, and be repeated in this one.
func (p *parser) opened(s *block) int {
	if line, ok := p.begun[s]; ok {
		return line
	}
	return s.at.Line
}

func (p *parser) name() string {
	from := p.pos
	for p.pos < len(p.data) && !strings.ContainsRune(special+" \t\r\n", rune(p.data[p.pos])) {
		p.pos++
	}
	return string(p.data[from:p.pos])
}

// named reads what follows a name.
func (p *parser) named(name string, at Pos, depth int) bool {
	if name == "include" && (p.peek() == ' ' || p.peek() == '\t') {
		p.blanks()
		if p.peek() != '=' {
			p.include(at, depth)
			return !p.failed()
		}
	}
	if len(name) > maxName {
		p.fail(at, "a name of %d octets; allowed: %d at most", len(name), maxName)
		return false
	}
	p.space()
	var refs []reference
	if p.peek() == ':' {
		p.pos++
		if refs = p.references(); refs == nil {
			return false
		}
	}
	switch found := p.at(); {
	case p.peek() == '{':
		p.pos++
		return p.begin(name, at, refs)
	case p.peek() == '=' && refs == nil:
		p.pos++
		return p.assign(name, at)
	case refs != nil:
		p.fail(found, "found %s behind the references of a section; allowed: , and another one, or {", p.found())
	default:
		p.fail(found, "found %s behind a name; allowed: = and a value, { for a section, : and sections to inherit from", p.found())
	}
	return false
}

// found says what stands next, without text that may be part of a secret.
func (p *parser) found() string {
	switch c := p.peek(); {
	case c == 0:
		return "the end of the file"
	case c == '\n':
		return "the end of the line"
	case strings.IndexByte(special, c) >= 0:
		return "a " + string(rune(c))
	}
	return "another word"
}

// references reads absolute names of sections, joined by commas.
func (p *parser) references() []reference {
	var refs []reference
	for {
		p.space()
		r := reference{at: p.at()}
		for {
			name := p.name()
			if name == "" {
				p.fail(p.at(), "found %s where a section to inherit from is named; allowed: names joined by dots, such as connections.site", p.found())
				return nil
			}
			r.path = append(r.path, name)
			p.space()
			if p.peek() != '.' {
				break
			}
			p.pos++
			p.space()
		}
		p.referred[r.path[0]] = true
		refs = append(refs, r)
		if !p.count(r.at) {
			return nil
		}
		if p.peek() != ',' {
			return refs
		}
		p.pos++
	}
}

func (p *parser) begin(name string, at Pos, refs []reference) bool {
	if len(p.open) > maxNesting {
		p.fail(at, "sections within sections, more than %d deep; allowed: fewer", maxNesting)
		return false
	}
	s, made := p.open[len(p.open)-1].section(name, at)
	if made && !p.count(at) {
		return false
	}
	s.refs = append(s.refs, refs...)
	p.begun[s] = at.Line
	p.open = append(p.open[:len(p.open):len(p.open)], s)
	return true
}

func (p *parser) assign(name string, at Pos) bool {
	value, set, ok := p.value(name)
	if !ok {
		return false
	}
	if p.open[len(p.open)-1].put(&setting{name: name, at: at, value: value, set: set}) {
		return p.count(at)
	}
	return true
}

// value reads the rest of the line: words and quoted texts, with one space between
// them. A } or a # ends it, too.
func (p *parser) value(name string) (text string, set, ok bool) {
	var b strings.Builder
	for {
		p.blanks()
		c := p.peek()
		if c == 0 || c == '\n' || c == '#' || c == '}' {
			return b.String(), set, true
		}
		if set {
			b.WriteByte(' ')
		}
		set = true
		if c == '"' {
			s, ok := p.quoted()
			if !ok {
				return "", false, false
			}
			b.WriteString(s)
			continue
		}
		from := p.pos
		for p.pos < len(p.data) && !strings.ContainsRune(" \t\r\n#}\"", rune(p.data[p.pos])) {
			p.pos++
		}
		b.Write(p.data[from:p.pos])
		if p.peek() == '#' {
			p.warn(p.at(), "the # ends the value of %s, as it does in strongSwan: what follows it is a comment; put the value in double quotes to keep it", word(name))
		}
	}
}

// quoted reads a text in double quotes. It may go over several lines.
func (p *parser) quoted() (string, bool) {
	at := p.at()
	p.pos++
	var b strings.Builder
	for p.pos < len(p.data) {
		switch c := p.next(); c {
		case '"':
			return b.String(), true
		case '\\':
			p.escaped(&b)
		default:
			b.WriteByte(c)
		}
	}
	p.fail(at, "a \" that no other \" closes; allowed: text in double quotes, a \" in it written as \\\"")
	return "", false
}

// escaped reads what follows a backslash: the end of a line is left out.
func (p *parser) escaped(b *strings.Builder) {
	if p.pos >= len(p.data) {
		return
	}
	switch c := p.next(); c {
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case '\n':
	case '\r':
		if p.peek() == '\n' {
			p.next()
			break
		}
		b.WriteByte(c)
	default:
		b.WriteByte(c)
	}
}
