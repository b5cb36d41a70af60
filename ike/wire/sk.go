package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Type implements Payload.
func (*SK) Type() PayloadType { return PayloadSK }

// Critical implements Payload.
func (*SK) Critical() bool { return false }

// AppendBody implements Payload.
func (s *SK) AppendBody(b []byte) []byte { return append(b, s.Body...) }

// Clone implements Payload.
func (s *SK) Clone() Payload { return &SK{First: s.First, Body: bytes.Clone(s.Body)} }

// Type implements Payload.
func (*SKF) Type() PayloadType { return PayloadSKF }

// Critical implements Payload.
func (*SKF) Critical() bool { return false }

func parseSKF(first PayloadType, b []byte) (Payload, error) {
	const fixed = 4
	if len(b) < fixed {
		return nil, tooShort(PayloadSKF, b, fixed)
	}
	s := &SKF{First: first, Fragment: binary.BigEndian.Uint16(b), Total: binary.BigEndian.Uint16(b[2:]), Body: b[fixed:]}
	if !s.countsRight() {
		return nil, syntaxError("SKF payload: fragment %d of %d", s.Fragment, s.Total)
	}
	return s, nil
}

// countsRight tells whether the number of the fragment is one of 1 to Total
// (RFC 7383, 2.5).
func (s *SKF) countsRight() bool { return s.Fragment >= 1 && s.Fragment <= s.Total }

// AppendBody implements Payload.
func (s *SKF) AppendBody(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, s.Fragment)
	b = binary.BigEndian.AppendUint16(b, s.Total)
	return append(b, s.Body...)
}

func (s *SKF) encodable() error {
	if !s.countsRight() {
		return fmt.Errorf("fragment %d of %d", s.Fragment, s.Total)
	}
	return nil
}

// Clone implements Payload.
func (s *SKF) Clone() Payload {
	return &SKF{First: s.First, Fragment: s.Fragment, Total: s.Total, Body: bytes.Clone(s.Body)}
}
