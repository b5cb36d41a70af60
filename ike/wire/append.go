package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxMessage is the largest message that a datagram or a TCP stream (RFC 9329)
// can carry, and the largest payload.
const maxMessage = 65535

// ErrTooLarge says that a message or a part of it does not fit its length field.
var ErrTooLarge = errors.New("too large for an IKE message")

// Append appends a message with the payloads ps. It fills in NextPayload and
// Length of the header. It fails when something does not fit (ErrTooLarge), or
// cannot be written at all.
func Append(b []byte, h Header, ps ...Payload) ([]byte, error) {
	start := len(b)
	b, first, err := AppendPayloads(h.append(b), ps...)
	if err != nil {
		return nil, err
	}
	n := len(b) - start
	if n > maxMessage {
		return nil, fmt.Errorf("message of %d octets: %w", n, ErrTooLarge)
	}
	b[start+16] = byte(first)
	binary.BigEndian.PutUint32(b[start+24:], uint32(n))
	return b, nil
}

// AppendPayloads appends a chain of payloads without a header, as it stands inside
// an encrypted payload. It returns the type of the first. An encrypted payload
// among ps must be the last.
func AppendPayloads(b []byte, ps ...Payload) (out []byte, first PayloadType, err error) {
	for i, p := range ps {
		next := NoNextPayload
		if i+1 < len(ps) {
			next = ps[i+1].Type()
		}
		if b, err = appendPayload(b, p, next); err != nil {
			return nil, 0, err
		}
	}
	if len(ps) > 0 {
		first = ps[0].Type()
	}
	return b, first, nil
}

func appendPayload(b []byte, p Payload, next PayloadType) ([]byte, error) {
	if err := encodable(p); err != nil {
		return nil, fmt.Errorf("%s payload: %w", p.Type(), err)
	}
	if isSealed(p) {
		if next != NoNextPayload {
			return nil, fmt.Errorf("%s payload: is not the last", p.Type())
		}
		next = firstInside(p)
	}
	var flags byte
	if p.Critical() {
		flags = criticalBit
	}
	start := len(b)
	b = p.AppendBody(append(b, byte(next), flags, 0, 0))
	n := len(b) - start
	if n > maxMessage {
		return nil, fmt.Errorf("%s payload of %d octets: %w", p.Type(), n, ErrTooLarge)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(n))
	return b, nil
}

// firstInside is the Next Payload field of an encrypted payload.
func firstInside(p Payload) PayloadType {
	switch p := p.(type) {
	case *SK:
		return p.First
	case *SKF:
		return p.First
	}
	return NoNextPayload
}

// AppendSealed appends a message of one encrypted payload sk, an *SK or *SKF
// without Body, with n octets of zeros in place of IV, ciphertext and ICV. All
// lengths are those of the finished message. head is where the space begins:
// msg[len(b):head] is to be authenticated, msg[head:] to be filled in.
func AppendSealed(b []byte, h Header, sk Payload, n int) (msg []byte, head int, err error) {
	if !isSealed(sk) {
		return nil, 0, fmt.Errorf("%s payload: is not an encrypted payload", sk.Type())
	}
	start := len(b)
	if b, err = Append(b, h, sk); err != nil {
		return nil, 0, err
	}
	head = len(b)
	size := head - start + n
	if n < 0 || size > maxMessage {
		return nil, 0, fmt.Errorf("message of %d octets: %w", size, ErrTooLarge)
	}
	msg = append(b, make([]byte, n)...)
	binary.BigEndian.PutUint32(msg[start+24:], uint32(size))
	binary.BigEndian.PutUint16(msg[start+HeaderLen+2:], uint16(size-HeaderLen))
	return msg, head, nil
}

// sized is a payload with parts that may not fit the fields which count them.
type sized interface{ encodable() error }

// encodable tells why AppendBody cannot write a payload so that it can be read.
func encodable(p Payload) error {
	if s, ok := p.(sized); ok {
		return s.encodable()
	}
	return nil
}

// fits tells whether n fits a field whose largest value is limit.
func fits(what string, n, limit int) error {
	if n > limit {
		return fmt.Errorf("%d %s, at most %d: %w", n, what, limit, ErrTooLarge)
	}
	return nil
}
