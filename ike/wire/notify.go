package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Type implements Payload.
func (*Notify) Type() PayloadType { return PayloadNotify }

// Critical implements Payload.
func (*Notify) Critical() bool { return false }

func parseNotify(b []byte, _ Limits) (Payload, error) {
	const fixed = 4
	if len(b) < fixed {
		return nil, tooShort(PayloadNotify, b, fixed)
	}
	n := &Notify{Protocol: Protocol(b[0]), Kind: NotifyType(binary.BigEndian.Uint16(b[2:]))}
	size := int(b[1])
	b = b[fixed:]
	if !notifySPI(size) || size > len(b) {
		return nil, syntaxError("N payload: %s with an SPI of %d octets, %d are left", n.Kind, size, len(b))
	}
	n.SPI, n.Data = b[:size:size], b[size:]
	return n, nil
}

// notifySPI tells whether a notification may have an SPI of that size: none, of
// ESP and AH, or of IKE.
func notifySPI(size int) bool { return size == 0 || size == 4 || size == 8 }

// AppendBody implements Payload.
func (n *Notify) AppendBody(b []byte) []byte {
	b = append(b, byte(n.Protocol), byte(len(n.SPI)))
	b = binary.BigEndian.AppendUint16(b, uint16(n.Kind))
	return append(append(b, n.SPI...), n.Data...)
}

func (n *Notify) encodable() error {
	if !notifySPI(len(n.SPI)) {
		return fmt.Errorf("%s with an SPI of %d octets", n.Kind, len(n.SPI))
	}
	return nil
}

// Clone implements Payload.
func (n *Notify) Clone() Payload {
	return &Notify{Protocol: n.Protocol, SPI: bytes.Clone(n.SPI), Kind: n.Kind, Data: bytes.Clone(n.Data)}
}
