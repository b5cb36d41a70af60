package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Type implements Payload.
func (*Delete) Type() PayloadType { return PayloadDelete }

// Critical implements Payload.
func (*Delete) Critical() bool { return false }

func parseDelete(b []byte, _ Limits) (Payload, error) {
	const fixed = 4
	if len(b) < fixed {
		return nil, tooShort(PayloadDelete, b, fixed)
	}
	d := &Delete{Protocol: Protocol(b[0])}
	size, count := int(b[1]), int(binary.BigEndian.Uint16(b[2:]))
	b = b[fixed:]
	want, ok := deleteSPI(d.Protocol)
	if !ok || size != want || size*count != len(b) || size == 0 && count > 0 {
		return nil, syntaxError("D payload: %d SPIs of %d octets for %s in %d octets", count, size, d.Protocol, len(b))
	}
	if count > 0 {
		d.SPIs = make([][]byte, 0, count)
	}
	for ; len(b) > 0; b = b[size:] {
		d.SPIs = append(d.SPIs, b[:size:size])
	}
	return d, nil
}

// deleteSPI is the size of the SPIs that name the SAs of a protocol: none for the
// IKE SA, which is that of the message (RFC 7296, 3.11).
func deleteSPI(p Protocol) (size int, ok bool) {
	switch p {
	case ProtocolIKE:
		return 0, true
	case ProtocolAH, ProtocolESP:
		return 4, true
	}
	return 0, false
}

// AppendBody implements Payload.
func (d *Delete) AppendBody(b []byte) []byte {
	size, _ := deleteSPI(d.Protocol)
	b = append(b, byte(d.Protocol), byte(size))
	b = binary.BigEndian.AppendUint16(b, uint16(len(d.SPIs)))
	for _, spi := range d.SPIs {
		b = append(b, spi...)
	}
	return b
}

func (d *Delete) encodable() error {
	size, ok := deleteSPI(d.Protocol)
	if !ok || size == 0 && len(d.SPIs) > 0 {
		return fmt.Errorf("%d SPIs for %s", len(d.SPIs), d.Protocol)
	}
	for _, spi := range d.SPIs {
		if len(spi) != size {
			return fmt.Errorf("SPI of %d octets for %s", len(spi), d.Protocol)
		}
	}
	return fits("SPIs", len(d.SPIs), maxMessage)
}

// Clone implements Payload.
func (d *Delete) Clone() Payload {
	c := &Delete{Protocol: d.Protocol}
	for _, spi := range d.SPIs {
		c.SPIs = append(c.SPIs, bytes.Clone(spi))
	}
	return c
}
