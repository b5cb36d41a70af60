package v2

import (
	"encoding/binary"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike/wire"
)

// unknownID stands for a transform that must not be chosen because of an
// attribute that is not understood (RFC 7296, 3.3.6); it is in no register.
const unknownID = 0xffff

// wireProposals writes proposals with our SPI, numbered from 1.
func wireProposals(ps []crypto.Proposal, spi []byte) []wire.Proposal {
	out := make([]wire.Proposal, 0, len(ps))
	for i, p := range ps {
		out = append(out, wireProposal(uint8(i+1), p.Proto, spi, p.Algs))
	}
	return out
}

func wireProposal(num uint8, proto crypto.Proto, spi []byte, algs []crypto.Alg) wire.Proposal {
	w := wire.Proposal{Num: num, Protocol: wire.Protocol(proto), SPI: spi}
	for _, a := range algs {
		w.Transforms = append(w.Transforms, wire.Transform{
			Type: wire.TransformType(a.Type), ID: a.ID, KeyLen: a.KeyBits,
		})
	}
	return w
}

// wireSuite writes the one suite that was chosen.
func wireSuite(num uint8, s crypto.Suite, spi []byte) wire.Proposal {
	var algs []crypto.Alg
	for _, a := range []crypto.Alg{s.Encr, s.PRF, s.Integ, s.KE, s.ESN} {
		if a.Type != 0 {
			algs = append(algs, a)
		}
	}
	return wireProposal(num, s.Proto, spi, algs)
}

// fromWire reads the proposals of one protocol; index maps them to those of the
// payload.
func fromWire(ws []wire.Proposal, proto wire.Protocol) (ps []crypto.Proposal, index []int) {
	for i, w := range ws {
		if w.Protocol != proto {
			continue
		}
		p := crypto.Proposal{Proto: crypto.Proto(w.Protocol)}
		for _, t := range w.Transforms {
			a := crypto.Alg{Type: crypto.Type(t.Type), ID: t.ID, KeyBits: t.KeyLen}
			if t.Unknown {
				a.ID = unknownID
			}
			p.Algs = append(p.Algs, a)
		}
		ps = append(ps, p)
		index = append(index, i)
	}
	return ps, index
}

// chosen reads the one proposal of a response and checks that it is one suite out
// of mine, what we offered (RFC 7296, 2.7).
func chosen(sa *wire.SA, mine []crypto.Proposal, proto wire.Protocol) (s crypto.Suite, spi []byte, ok bool) {
	ps, index := fromWire(sa.Proposals, proto)
	if len(sa.Proposals) != 1 || len(ps) != 1 {
		return s, nil, false
	}
	s, _, miss := crypto.Select(mine, ps)
	if miss != nil || len(ps[0].Algs) != len(wireSuite(1, s, nil).Transforms) {
		return s, nil, false
	}
	return s, sa.Proposals[index[0]].SPI, true
}

// withoutKE strips the key exchange, as IKE_AUTH demands (RFC 7296, 1.2).
func withoutKE(ps []crypto.Proposal) []crypto.Proposal {
	out := make([]crypto.Proposal, len(ps))
	for i, p := range ps {
		out[i] = p.Without(crypto.KE)
	}
	return out
}

// firstGroup is the key exchange method that we try first: 0 for none.
func firstGroup(ps []crypto.Proposal) uint16 {
	for _, p := range ps {
		if g := p.Of(crypto.KE); len(g) > 0 {
			return g[0].ID
		}
	}
	return 0
}

// offersGroup tells whether one of the proposals has the key exchange method.
func offersGroup(ps []crypto.Proposal, id uint16) bool {
	for _, p := range ps {
		if p.Has(crypto.Alg{Type: crypto.KE, ID: id}) {
			return true
		}
	}
	return false
}

// words writes proposals for people.
func words(ps []crypto.Proposal) string {
	out := ""
	for i, p := range ps {
		if i > 0 {
			out += ", "
		}
		out += p.String()
	}
	return out
}

func spi32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
func spi64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
