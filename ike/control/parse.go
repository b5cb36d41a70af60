package control

import (
	"errors"
	"fmt"
)

// What a received message may hold. strongSwan's own messages are five sections
// deep and far smaller.
const (
	maxDepth    = 32
	maxElements = 1 << 16
)

// ErrMalformed says that something received is not VICI.
var ErrMalformed = errors.New("not a VICI message")

// Parse reads an encoded message. The errors wrap ErrMalformed.
func Parse(b []byte) (*Message, error) {
	c := cursor{rest: string(b)}
	root := &Message{}
	open := []*Message{root}
	for c.rest != "" {
		if c.elements++; c.elements > maxElements {
			return nil, malformed("more than %d elements", maxElements)
		}
		in := open[len(open)-1]
		switch kind := elementType(c.octet()); kind {
		case sectionStart:
			if len(open) > maxDepth {
				return nil, malformed("more than %d sections deep", maxDepth)
			}
			open = append(open, in.AddSection(c.name()))
		case sectionEnd:
			if len(open) == 1 {
				return nil, malformed("a section ends that has not begun")
			}
			open = open[:len(open)-1]
		case keyValue:
			in.Set(c.name(), c.value())
		case listStart:
			in.SetList(c.name(), c.list()...)
		default:
			return nil, malformed("element of type %d where none may be", kind)
		}
		if c.err != nil {
			return nil, c.err
		}
	}
	if len(open) > 1 {
		return nil, malformed("a section does not end")
	}
	return root, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// cursor reads through an encoded message. After an error it gives zero values.
type cursor struct {
	rest     string
	elements int
	err      error
}

func (c *cursor) take(n int) string {
	if c.err != nil || n > len(c.rest) {
		c.err = malformed("it ends too early")
		c.rest = ""
		return ""
	}
	s := c.rest[:n]
	c.rest = c.rest[n:]
	return s
}

func (c *cursor) octet() int {
	if s := c.take(1); s != "" {
		return int(s[0])
	}
	return 0
}

func (c *cursor) name() string { return c.take(c.octet()) }

func (c *cursor) value() string { return c.take(c.octet()<<8 | c.octet()) }

// list reads the items of a list and its end.
func (c *cursor) list() []string {
	var list []string
	for c.err == nil {
		if c.elements++; c.elements > maxElements {
			c.err = malformed("more than %d elements", maxElements)
			return nil
		}
		switch kind := elementType(c.octet()); {
		case c.err != nil:
		case kind == listItem:
			list = append(list, c.value())
		case kind == listEnd:
			return list
		default:
			c.err = malformed("element of type %d in a list", kind)
		}
	}
	return nil
}
