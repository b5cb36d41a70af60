package wire

import (
	"bytes"
	"encoding/binary"
)

// Type implements Payload.
func (*EAP) Type() PayloadType { return PayloadEAP }

// Critical implements Payload.
func (*EAP) Critical() bool { return false }

// parseEAP wants the length of the EAP message (RFC 3748, 4) to be that of the
// payload.
func parseEAP(b []byte, _ Limits) (Payload, error) {
	const fixed = 4
	if len(b) < fixed {
		return nil, tooShort(PayloadEAP, b, fixed)
	}
	if n := int(binary.BigEndian.Uint16(b[2:])); n != len(b) {
		return nil, syntaxError("EAP payload: EAP message of length %d in %d octets", n, len(b))
	}
	return &EAP{Data: b}, nil
}

// AppendBody implements Payload.
func (e *EAP) AppendBody(b []byte) []byte { return append(b, e.Data...) }

// Clone implements Payload.
func (e *EAP) Clone() Payload { return &EAP{Data: bytes.Clone(e.Data)} }
