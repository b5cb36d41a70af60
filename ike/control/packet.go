package control

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// packetType is the type of a VICI packet.
type packetType byte

const (
	cmdRequest packetType = iota
	cmdResponse
	cmdUnknown
	eventRegister
	eventUnregister
	eventConfirm
	eventUnknown
	eventPacket
)

// named tells whether packets of this type carry the name of a command or event.
func (t packetType) named() bool {
	return t == cmdRequest || t == eventRegister || t == eventUnregister || t == eventPacket
}

// packet is one packet. Registrations and their answers carry no message.
type packet struct {
	kind    packetType
	name    string
	message *Message
}

var errTooLarge = errors.New("larger than a VICI packet may be")

// encode returns the packet with the length before it.
func (p packet) encode() ([]byte, error) {
	b := append(make([]byte, 4, 256), byte(p.kind))
	if p.kind.named() {
		b = appendName(b, cut(p.name, maxName))
	}
	b = p.message.Append(b)
	if len(b)-4 > MaxPacket {
		return nil, fmt.Errorf("%d octets: %w", len(b)-4, errTooLarge)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b, nil
}

// readPacket reads one packet. Memory is taken as the octets arrive, not as the
// length announces them. At an end before the first octet the error is io.EOF.
func readPacket(r io.Reader) (packet, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return packet{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > MaxPacket {
		return packet{}, malformed("a packet of %d octets; 1 to %d are possible", n, MaxPacket)
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, int64(n)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return packet{}, err
	}
	return parsePacket(b.Bytes())
}

// parsePacket reads a packet without the length before it.
func parsePacket(b []byte) (packet, error) {
	if len(b) == 0 {
		return packet{}, malformed("an empty packet")
	}
	p := packet{kind: packetType(b[0])}
	rest := b[1:]
	if p.kind > eventPacket {
		return packet{}, malformed("a packet of type %d", p.kind)
	}
	if p.kind.named() {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return packet{}, malformed("a packet without the whole name")
		}
		p.name, rest = string(rest[1:1+int(rest[0])]), rest[1+int(rest[0]):]
	}
	var err error
	p.message, err = Parse(rest)
	return p, err
}
