package wire

import (
	"bytes"
	"encoding/binary"
)

// Type implements Payload.
func (*KE) Type() PayloadType { return PayloadKE }

// Critical implements Payload.
func (*KE) Critical() bool { return false }

func parseKE(b []byte, _ Limits) (Payload, error) {
	const fixed = 4
	if len(b) < fixed {
		return nil, tooShort(PayloadKE, b, fixed)
	}
	return &KE{Method: binary.BigEndian.Uint16(b), Data: b[fixed:]}, nil
}

// AppendBody implements Payload.
func (k *KE) AppendBody(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, k.Method)
	return append(append(b, 0, 0), k.Data...)
}

// Clone implements Payload.
func (k *KE) Clone() Payload { return &KE{Method: k.Method, Data: bytes.Clone(k.Data)} }
