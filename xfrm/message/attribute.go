package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

var native = binary.NativeEndian

// extend appends n zero octets and returns them, too.
func extend(b []byte, n int) (whole, part []byte) {
	b = slices.Grow(b, n)[:len(b)+n]
	part = b[len(b)-n:]
	clear(part)
	return b, part
}

// pad is how many octets follow n to fill the last word.
func pad(n int) int { return -n & 3 }

// attribute appends an attribute of n zero octets and returns these.
func attribute(b []byte, t uint16, n int) (whole, value []byte) {
	b = native.AppendUint16(b, uint16(attrHeaderLen+n))
	b = native.AppendUint16(b, t)
	b, value = extend(b, n+pad(n))
	return b, value[:n:n]
}

func attributeUint32(b []byte, t uint16, v uint32) []byte {
	b, p := attribute(b, t, 4)
	native.PutUint32(p, v)
	return b
}

func attributeUint8(b []byte, t uint16, v uint8) []byte {
	b, p := attribute(b, t, 1)
	p[0] = v
	return b
}

var errAlign = errors.New("attributes do not end at a word")

// walk gives f each attribute of b. The values alias b.
func walk(b []byte, f func(t uint16, value []byte) error) error {
	for len(b) > 0 {
		if len(b) < attrHeaderLen {
			return errAlign
		}
		n, t := int(native.Uint16(b)), native.Uint16(b[2:])&0x3fff // without NLA_F_*
		if n < attrHeaderLen || n > len(b) {
			return fmt.Errorf("attribute %d: length %d with %d octets left", t, n, len(b))
		}
		next := n + pad(n)
		if next > len(b) {
			return errAlign
		}
		if err := f(t, b[attrHeaderLen:n]); err != nil {
			return fmt.Errorf("attribute %d: %w", t, err)
		}
		b = b[next:]
	}
	return nil
}

// reader reads the value of an attribute, of at least size octets, into T.
type reader[T any] struct {
	size int
	read func(into *T, value []byte) error
}

// readAll reads the attributes of b of which readers has one.
func readAll[T any](b []byte, into *T, readers map[uint16]reader[T]) error {
	return walk(b, func(t uint16, value []byte) error {
		r, known := readers[t]
		if !known {
			return nil
		}
		if err := atLeast(value, r.size); err != nil {
			return err
		}
		return r.read(into, value)
	})
}

// always makes a reader of what cannot fail.
func always[T any](size int, read func(into *T, value []byte)) reader[T] {
	return reader[T]{size, func(into *T, value []byte) error { read(into, value); return nil }}
}

func atLeast(b []byte, n int) error {
	if len(b) < n {
		return fmt.Errorf("%d octets, at least %d are needed", len(b), n)
	}
	return nil
}
