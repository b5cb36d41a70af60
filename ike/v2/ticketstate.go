package v2

import (
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

// ticketState is what a responder has to know to resume an IKE SA (RFC 5723, 5.2).
type ticketState struct {
	conn        string
	suite       crypto.Suite
	d           crypto.Secret // SK_d
	local, peer id.ID
}

const ticketVersion = 1

func appendU64(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }
func readU64(b []byte) uint64             { return binary.BigEndian.Uint64(b) }

// encode writes the state.
func (s *ticketState) encode() (crypto.Secret, error) {
	var b cryptobyte.Builder
	b.AddUint8(ticketVersion)
	for _, a := range []crypto.Alg{s.suite.Encr, s.suite.Integ, s.suite.PRF, s.suite.KE} {
		b.AddUint8(uint8(a.Type))
		b.AddUint16(a.ID)
		b.AddUint16(a.KeyBits)
	}
	for _, part := range [][]byte{[]byte(s.conn), s.d, identity(s.local), identity(s.peer)} {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(part) })
	}
	return b.Bytes()
}

func identity(i id.ID) []byte {
	kind, data := i.Wire()
	return append([]byte{kind}, data...)
}

// decodeTicket reads a state; ok is false for everything that encode has not written.
func decodeTicket(data []byte) (s *ticketState, ok bool) {
	in := cryptobyte.String(data)
	var version uint8
	if !in.ReadUint8(&version) || version != ticketVersion {
		return nil, false
	}
	s = &ticketState{suite: crypto.Suite{Proto: crypto.IKE}}
	for _, a := range []*crypto.Alg{&s.suite.Encr, &s.suite.Integ, &s.suite.PRF, &s.suite.KE} {
		var kind uint8
		if !in.ReadUint8(&kind) || !in.ReadUint16(&a.ID) || !in.ReadUint16(&a.KeyBits) {
			return nil, false
		}
		a.Type = crypto.Type(kind)
	}
	var conn, d, local, peer cryptobyte.String
	for _, part := range []*cryptobyte.String{&conn, &d, &local, &peer} {
		if !in.ReadUint16LengthPrefixed(part) {
			return nil, false
		}
	}
	if !in.Empty() || len(d) == 0 || len(local) == 0 || len(peer) == 0 {
		return nil, false
	}
	var errLocal, errPeer error
	s.local, errLocal = id.FromWire(local[0], local[1:])
	s.peer, errPeer = id.FromWire(peer[0], peer[1:])
	s.conn, s.d = string(conn), append(crypto.Secret(nil), d...)
	return s, errLocal == nil && errPeer == nil
}
