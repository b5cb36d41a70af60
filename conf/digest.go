package conf

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
	"reflect"
)

// Digest is the same for connections that read the same, secrets included, in whatever
// process. It says nothing about a secret that is not guessed.
func Digest(c *Connection) [sha256.Size]byte {
	h := sha256.New()
	digest(h, reflect.ValueOf(*c))
	return [sha256.Size]byte(h.Sum(nil))
}

// digest writes a value so that no two different ones read the same.
func digest(h hash.Hash, v reflect.Value) {
	number := func(n uint64) { _, _ = h.Write(binary.BigEndian.AppendUint64(nil, n)) }
	if m, ok := v.Interface().(encoding.BinaryMarshaler); ok { // netip's
		b, _ := m.MarshalBinary()
		number(uint64(len(b)))
		_, _ = h.Write(b)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			number(1)
			return
		}
		number(0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		number(uint64(v.Int())) //nolint:gosec // the bits of it
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		number(v.Uint())
	case reflect.String:
		number(uint64(v.Len())) //nolint:gosec // a length
		_, _ = h.Write([]byte(v.String()))
	case reflect.Slice, reflect.Array:
		number(uint64(v.Len())) //nolint:gosec // a length
		for i := range v.Len() {
			digest(h, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			digest(h, v.Field(i))
		}
	case reflect.Pointer:
		number(0)
		if !v.IsNil() {
			digest(h, v.Elem())
		}
	default:
		panic("a configuration holds a " + v.Kind().String())
	}
}
