package wire

import "encoding/binary"

// Ticket is the data of TICKET_LT_OPAQUE (RFC 5723, 7.2).
type Ticket struct {
	Lifetime uint32 // in seconds from now
	Opaque   []byte
}

// ParseTicket reads the data of the notification. The error is a *ProtocolError.
func ParseTicket(data []byte) (Ticket, error) {
	const fixed = 4
	if len(data) <= fixed {
		return Ticket{}, syntaxError("TICKET_LT_OPAQUE of %d octets", len(data))
	}
	return Ticket{Lifetime: binary.BigEndian.Uint32(data), Opaque: data[fixed:]}, nil
}

// Append appends the data of the notification.
func (t Ticket) Append(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, t.Lifetime), t.Opaque...)
}
