package record

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
)

func sample() []byte {
	var w Writer
	w.U8(7)
	w.Bool(true)
	w.U16(1)
	w.U32(2)
	w.U64(3)
	w.Bytes([]byte{1, 2})
	w.String("x")
	w.AddrPort(netip.MustParseAddrPort("[2001:db8::1]:500"))
	w.Addr(netip.Addr{})
	return w.B
}

func TestReadsWhatWasWritten(t *testing.T) {
	r := Reader{B: sample()}
	if r.U8() != 7 || !r.Bool() || r.U16() != 1 || r.U32() != 2 || r.U64() != 3 || !bytes.Equal(r.Bytes(), []byte{1, 2}) || r.String() != "x" ||
		r.AddrPort().String() != "[2001:db8::1]:500" || r.Addr().IsValid() || r.End() != nil {
		t.Errorf("%+v", r)
	}
}

// Whatever is cut off or too much is an error, and a count never asks for more memory
// than there are octets.
func TestDamage(t *testing.T) {
	whole := sample()
	for n := range whole {
		r := Reader{B: whole[:n]}
		r.U8()
		r.Bool()
		r.U16()
		r.U32()
		r.U64()
		r.Bytes()
		_ = r.String()
		r.AddrPort()
		r.Addr()
		if err := r.End(); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d octets of %d: %v", n, len(whole), err)
		}
	}
	for _, b := range [][]byte{{0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 2, 0}, {0, 0, 0, 1, 0, 0}} {
		r := Reader{B: b}
		if r.Bytes(); r.End() == nil {
			t.Errorf("%x is taken", b)
		}
	}
	r := Reader{B: []byte{2}}
	if r.Bool(); r.End() == nil {
		t.Error("2 is no truth value")
	}
	r = Reader{B: []byte{0, 0, 0, 3, 1, 2, 3}}
	if r.Addr(); r.End() == nil {
		t.Error("three octets are no address")
	}
}
