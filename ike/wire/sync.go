package wire

import "encoding/binary"

// MessageIDSync is the data of IKEV2_MESSAGE_ID_SYNC (RFC 6311, 7.2). Both message IDs
// are those of requests, as its sender sees them.
type MessageIDSync struct {
	Nonce        [4]byte // chosen by who asks, and repeated by who answers
	NextSend     uint32  // EXPECTED_SEND_REQ_MESSAGE_ID
	NextReceived uint32  // EXPECTED_RECV_REQ_MESSAGE_ID
}

// ParseMessageIDSync reads the data of the notification. The error is a *ProtocolError.
func ParseMessageIDSync(data []byte) (MessageIDSync, error) {
	const size = 12
	if len(data) != size {
		return MessageIDSync{}, syntaxError("IKEV2_MESSAGE_ID_SYNC of %d octets", len(data))
	}
	return MessageIDSync{[4]byte(data), binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])}, nil
}

// Append appends the data of the notification.
func (s MessageIDSync) Append(b []byte) []byte {
	b = append(b, s.Nonce[:]...)
	b = binary.BigEndian.AppendUint32(b, s.NextSend)
	return binary.BigEndian.AppendUint32(b, s.NextReceived)
}
