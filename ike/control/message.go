package control

import (
	"encoding/binary"
	"iter"
	"strings"
)

// The limits of VICI. Names and values that are longer than the format can hold
// are cut when a message is built.
const (
	// MaxPacket is the size up to which strongSwan takes packets, and so do we.
	MaxPacket = 512 << 10

	maxName  = 255
	maxValue = 65535
)

// elementType is the type of an element of an encoded message.
type elementType byte

const (
	sectionStart elementType = iota + 1
	sectionEnd
	keyValue
	listStart
	listItem
	listEnd
)

// Message is a VICI message, or a section of one: values, lists and sections, each
// with a name, in order. The methods that read take a nil Message for an empty one.
type Message struct{ items []item }

type item struct {
	kind    elementType // keyValue, listStart or sectionStart
	name    string
	value   string
	list    []string
	section *Message
}

// Set appends a value.
func (m *Message) Set(name, value string) {
	m.items = append(m.items, item{kind: keyValue, name: cut(name, maxName), value: cut(value, maxValue)})
}

// SetList appends a list.
func (m *Message) SetList(name string, list ...string) {
	it := item{kind: listStart, name: cut(name, maxName)}
	for _, s := range list {
		it.list = append(it.list, cut(s, maxValue))
	}
	m.items = append(m.items, it)
}

// AddSection appends an empty section and returns it.
func (m *Message) AddSection(name string) *Message {
	s := &Message{}
	m.items = append(m.items, item{kind: sectionStart, name: cut(name, maxName), section: s})
	return s
}

func cut(s string, limit int) string { return s[:min(len(s), limit)] }

// Get returns the first value of that name, "" if there is none.
func (m *Message) Get(name string) string {
	it := m.find(keyValue, name)
	return it.value
}

// Has tells whether there is a value of that name.
func (m *Message) Has(name string) bool { return m.find(keyValue, name).kind != 0 }

// List returns the first list of that name, nil if there is none.
func (m *Message) List(name string) []string { return m.find(listStart, name).list }

// Section returns the first section of that name, nil if there is none.
func (m *Message) Section(name string) *Message { return m.find(sectionStart, name).section }

func (m *Message) find(kind elementType, name string) item {
	if m != nil {
		for _, it := range m.items {
			if it.kind == kind && it.name == name {
				return it
			}
		}
	}
	return item{}
}

// Values are the names and values in order.
func (m *Message) Values() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for it := range m.all(keyValue) {
			if !yield(it.name, it.value) {
				return
			}
		}
	}
}

// Lists are the lists with their names in order.
func (m *Message) Lists() iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for it := range m.all(listStart) {
			if !yield(it.name, it.list) {
				return
			}
		}
	}
}

// Sections are the sections with their names in order.
func (m *Message) Sections() iter.Seq2[string, *Message] {
	return func(yield func(string, *Message) bool) {
		for it := range m.all(sectionStart) {
			if !yield(it.name, it.section) {
				return
			}
		}
	}
}

func (m *Message) all(kind elementType) iter.Seq[item] {
	return func(yield func(item) bool) {
		if m == nil {
			return
		}
		for _, it := range m.items {
			if it.kind == kind && !yield(it) {
				return
			}
		}
	}
}

// Append appends the encoded message.
func (m *Message) Append(b []byte) []byte {
	if m == nil {
		return b
	}
	for _, it := range m.items {
		b = appendName(append(b, byte(it.kind)), it.name)
		switch it.kind {
		case keyValue:
			b = appendValue(b, it.value)
		case listStart:
			for _, s := range it.list {
				b = appendValue(append(b, byte(listItem)), s)
			}
			b = append(b, byte(listEnd))
		case sectionStart:
			b = append(it.section.Append(b), byte(sectionEnd))
		}
	}
	return b
}

func appendName(b []byte, s string) []byte {
	return append(append(b, byte(len(s))), s...)
}

func appendValue(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// String writes the message in one line, as `swanctl --raw` does.
func (m *Message) String() string {
	var b strings.Builder
	m.write(&b)
	return b.String()
}

func (m *Message) write(b *strings.Builder) {
	b.WriteByte('{')
	if m != nil {
		for i, it := range m.items {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(it.name)
			switch it.kind {
			case keyValue:
				b.WriteString("=" + it.value)
			case listStart:
				b.WriteString("=[" + strings.Join(it.list, " ") + "]")
			case sectionStart:
				b.WriteByte(' ')
				it.section.write(b)
			}
		}
	}
	b.WriteByte('}')
}
