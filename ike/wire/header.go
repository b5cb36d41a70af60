package wire

import "encoding/binary"

// ParseHeader reads the header of a message (RFC 7296, 3.1). It fails when b is
// shorter than the header, or when the Length of the header is less than that or
// more than b has. Octets behind Length are let pass: the message is b[:h.Length].
// The version is returned and not judged, so that messages of other versions can
// be answered.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, syntaxError("header: %d octets, at least %d are needed", len(b), HeaderLen)
	}
	h := Header{
		SPIi:        binary.BigEndian.Uint64(b),
		SPIr:        binary.BigEndian.Uint64(b[8:]),
		NextPayload: PayloadType(b[16]),
		Major:       b[17] >> 4,
		Minor:       b[17] & 0xf,
		Exchange:    ExchangeType(b[18]),
		Flags:       b[19],
		MessageID:   binary.BigEndian.Uint32(b[20:]),
		Length:      binary.BigEndian.Uint32(b[24:]),
	}
	if h.Length < HeaderLen || uint64(h.Length) > uint64(len(b)) {
		return Header{}, syntaxError("header: length %d in a datagram of %d octets", h.Length, len(b))
	}
	return h, nil
}

// append appends the header as it stands. Of the version numbers the lower four
// bits count.
func (h *Header) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, h.SPIi)
	b = binary.BigEndian.AppendUint64(b, h.SPIr)
	b = append(b, byte(h.NextPayload), h.Major<<4|h.Minor&0xf, byte(h.Exchange), h.Flags)
	b = binary.BigEndian.AppendUint32(b, h.MessageID)
	return binary.BigEndian.AppendUint32(b, h.Length)
}
