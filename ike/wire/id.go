package wire

import "bytes"

// Type implements Payload: PayloadIDi or PayloadIDr.
func (i *ID) Type() PayloadType {
	if i.Responder {
		return PayloadIDr
	}
	return PayloadIDi
}

// Critical implements Payload.
func (*ID) Critical() bool { return false }

func parseIDi(b []byte, _ Limits) (Payload, error) { return parseID(b, false) }
func parseIDr(b []byte, _ Limits) (Payload, error) { return parseID(b, true) }

func parseID(b []byte, responder bool) (Payload, error) {
	const fixed = 4
	i := &ID{Responder: responder}
	if len(b) < fixed {
		return nil, tooShort(i.Type(), b, fixed)
	}
	i.Kind, i.Data = IDType(b[0]), b[fixed:]
	return i, nil
}

// AppendBody implements Payload. It is what AUTH signs as RestOfIDPayload
// (RFC 7296, 2.15), provided that the peer has left the reserved octets zero, as
// it must.
func (i *ID) AppendBody(b []byte) []byte { return append(append(b, byte(i.Kind), 0, 0, 0), i.Data...) }

// Clone implements Payload.
func (i *ID) Clone() Payload {
	return &ID{Responder: i.Responder, Kind: i.Kind, Data: bytes.Clone(i.Data)}
}
