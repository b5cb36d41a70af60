// Package record is how the state of IKE SAs is written down and read back: plain
// numbers, octets and lists behind each other, without names. The reader is bounded,
// and damage of any kind is an error.
package record

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// ErrDamaged is the error of every reader that found something else than what was
// written.
var ErrDamaged = errors.New("the record is damaged")

// Writer appends to B.
type Writer struct{ B []byte }

// U8 appends an octet.
func (w *Writer) U8(v uint8) { w.B = append(w.B, v) }

// Bool appends a truth value.
func (w *Writer) Bool(v bool) {
	if v {
		w.U8(1)
		return
	}
	w.U8(0)
}

// U16 appends two octets, the most significant first, as all numbers here.
func (w *Writer) U16(v uint16) { w.B = binary.BigEndian.AppendUint16(w.B, v) }

// U32 appends four octets.
func (w *Writer) U32(v uint32) { w.B = binary.BigEndian.AppendUint32(w.B, v) }

// U64 appends eight octets.
func (w *Writer) U64(v uint64) { w.B = binary.BigEndian.AppendUint64(w.B, v) }

// Bytes appends octets behind their number.
func (w *Writer) Bytes(v []byte) {
	w.U32(uint32(len(v))) //nolint:gosec // messages and keys are far shorter
	w.B = append(w.B, v...)
}

// String appends a text.
func (w *Writer) String(v string) {
	w.U32(uint32(len(v))) //nolint:gosec // see above
	w.B = append(w.B, v...)
}

// Addr appends an address; the zero Addr, too. Zones are left out.
func (w *Writer) Addr(v netip.Addr) { w.Bytes(v.WithZone("").AsSlice()) }

// AddrPort appends an address with its port.
func (w *Writer) AddrPort(v netip.AddrPort) {
	w.Addr(v.Addr())
	w.U16(v.Port())
}

// Reader takes off B what a Writer has appended. After the first error it returns
// zero values only.
type Reader struct {
	B   []byte
	Err error
}

// Take takes n octets, without a copy.
func (r *Reader) Take(n int) []byte { return r.take(n) }

func (r *Reader) take(n int) []byte {
	if r.Err != nil || n < 0 || n > len(r.B) {
		r.Fail()
		return nil
	}
	b := r.B[:n:n]
	r.B = r.B[n:]
	return b
}

// Fail makes the record a damaged one.
func (r *Reader) Fail() {
	if r.Err == nil {
		r.Err = ErrDamaged
	}
	r.B = nil
}

// U8 takes an octet.
func (r *Reader) U8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// Below takes an octet that is less than n.
func (r *Reader) Below(n uint8) uint8 {
	v := r.U8()
	if v >= n {
		r.Fail()
		return 0
	}
	return v
}

// Bool takes a truth value.
func (r *Reader) Bool() bool { return r.Below(2) == 1 }

// U16 takes two octets.
func (r *Reader) U16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// U32 takes four octets.
func (r *Reader) U32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// U64 takes eight octets.
func (r *Reader) U64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Bytes takes octets, a copy of them; nil when there are none.
func (r *Reader) Bytes() []byte {
	return append([]byte(nil), r.take(r.Count(1))...)
}

// String takes a text.
func (r *Reader) String() string { return string(r.take(r.Count(1))) }

// Count takes the number of elements of a list, each of at least size octets: there
// cannot be more than are left.
func (r *Reader) Count(size int) int {
	n := r.U32()
	if uint64(n)*uint64(size) > uint64(len(r.B)) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Addr takes an address.
func (r *Reader) Addr() netip.Addr {
	b := r.Bytes()
	a, ok := netip.AddrFromSlice(b)
	if !ok && len(b) > 0 {
		r.Fail()
	}
	return a
}

// AddrPort takes an address with its port.
func (r *Reader) AddrPort() netip.AddrPort {
	a := r.Addr()
	return netip.AddrPortFrom(a, r.U16())
}

// End is the error of the whole record: nothing may be left of it.
func (r *Reader) End() error {
	if len(r.B) > 0 {
		r.Fail()
	}
	return r.Err
}
