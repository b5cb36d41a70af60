package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// cpReserved is the bit beside the type of a configuration attribute, which is
// ignored (RFC 7296, 3.15.1).
const cpReserved = 0x8000

// Type implements Payload.
func (*CP) Type() PayloadType { return PayloadCP }

// Critical implements Payload.
func (*CP) Critical() bool { return false }

func parseCP(b []byte, l Limits) (Payload, error) {
	const fixed, attribute = 4, 4
	if len(b) < fixed {
		return nil, tooShort(PayloadCP, b, fixed)
	}
	c := &CP{Kind: CPType(b[0])}
	for b = b[fixed:]; len(b) > 0; {
		if len(c.Attributes) == l.Attributes {
			return nil, syntaxError("CP payload: more than %d attributes", l.Attributes)
		}
		if len(b) < attribute {
			return nil, syntaxError("CP payload: attribute cut off after %d octets", len(b))
		}
		kind := CPAttributeType(binary.BigEndian.Uint16(b) &^ cpReserved)
		n := attribute + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return nil, syntaxError("CP payload: %s of %d octets, %d are left", kind, n, len(b))
		}
		c.Attributes = append(c.Attributes, CPAttribute{Type: kind, Data: b[attribute:n:n]})
		b = b[n:]
	}
	return c, nil
}

// AppendBody implements Payload.
func (c *CP) AppendBody(b []byte) []byte {
	b = append(b, byte(c.Kind), 0, 0, 0)
	for _, a := range c.Attributes {
		b = binary.BigEndian.AppendUint16(b, uint16(a.Type))
		b = binary.BigEndian.AppendUint16(b, uint16(len(a.Data)))
		b = append(b, a.Data...)
	}
	return b
}

func (c *CP) encodable() error {
	for _, a := range c.Attributes {
		if a.Type&cpReserved != 0 {
			return fmt.Errorf("attribute type %d is not of 15 bits", a.Type)
		}
		if err := fits("octets of "+a.Type.String(), len(a.Data), maxMessage); err != nil {
			return err
		}
	}
	return nil
}

// Clone implements Payload.
func (c *CP) Clone() Payload {
	d := &CP{Kind: c.Kind, Attributes: slices.Clone(c.Attributes)}
	for i, a := range d.Attributes {
		d.Attributes[i].Data = bytes.Clone(a.Data)
	}
	return d
}
