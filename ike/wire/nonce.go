package wire

import "bytes"

// The least and the largest length of a nonce (RFC 7296, 3.9).
const (
	MinNonce = 16
	MaxNonce = 256
)

// Type implements Payload.
func (*Nonce) Type() PayloadType { return PayloadNonce }

// Critical implements Payload.
func (*Nonce) Critical() bool { return false }

// parseNonce leaves the length to Check.
func parseNonce(b []byte, _ Limits) (Payload, error) { return &Nonce{Data: b}, nil }

// AppendBody implements Payload.
func (n *Nonce) AppendBody(b []byte) []byte { return append(b, n.Data...) }

// Clone implements Payload.
func (n *Nonce) Clone() Payload { return &Nonce{Data: bytes.Clone(n.Data)} }
