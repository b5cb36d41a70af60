package v2

import (
	"encoding/binary"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// serveInformational handles the peer's INFORMATIONAL (RFC 7296, 1.4): what it
// deletes, what it complains of; an empty one asks whether we live. What is not
// known is ignored.
func (sa *SA) serveInformational(now ike.Instant, m *message, fx *ike.Effects) {
	for _, p := range m.payloads {
		if d, ok := p.(*wire.Delete); ok && d.Protocol == wire.ProtocolIKE {
			x, ok := sa.active.(*rekeyExchange)
			if ok && x.nr != nil {
				// The peer has made the new IKE SA of our exchange, too. When we have it, it
				// is used, or deleted at the peer.
				x.over = true
				sa.answer(now, fx)
				return
			}
			if ok && x.rival != nil {
				// The peer has not noticed our exchange: its own is the one that counts
				// (RFC 7296, 2.8.2).
				sa.end()
				sa.forget(x)
				x.yield(sa, now, fx)
			}
			how := "deleted by the peer"
			if sa.state == ike.Rekeyed {
				how = "replaced"
			}
			sa.answer(now, fx)
			sa.close(now, how, nil, fx)
			return
		}
	}
	if n := fatalNotify(m.payloads); n != nil {
		sa.answer(now, fx)
		sa.close(now, "", refusedByPeer(n, nil, 1), fx)
		return
	}
	sa.sentAway(m.payloads, fx)
	gone := sa.serveMobility(now, m, fx)
	for _, p := range m.payloads {
		if d, ok := p.(*wire.Delete); ok {
			if half := sa.deletedByPeer(now, d, fx); half != nil {
				gone = append(gone, half)
			}
		}
	}
	sa.answer(now, fx, gone...)
}

// fatalNotify is an error by which the peer says that it has given the IKE SA up
// (RFC 7296, 2.21.2, 2.21.3).
func fatalNotify(ps []wire.Payload) *wire.Notify {
	for _, p := range ps {
		n, ok := p.(*wire.Notify)
		if ok && (n.Kind == wire.NotifyAuthenticationFailed || n.Kind == wire.NotifyInvalidSyntax) {
			return n
		}
	}
	return nil
}

// deletedByPeer takes children down that the peer has deleted, and returns the
// delete of our halves, nil for none. Those that we are deleting ourselves are not
// named: the requests have crossed (RFC 7296, 1.4.1).
func (sa *SA) deletedByPeer(now ike.Instant, d *wire.Delete, fx *ike.Effects) wire.Payload {
	var spis []uint32
	for _, spi := range d.SPIs {
		c := sa.childBySPI(d.Protocol, spi)
		if c == nil {
			sa.noteGone(spi)
			continue
		}
		if c.State != ike.ChildDeleting {
			spis = append(spis, c.SPIIn)
		}
		why := "deleted by the peer"
		if c.Outlived {
			why = "replaced"
		}
		sa.dropChild(now, c, why, fx)
	}
	if spis == nil {
		return nil
	}
	return deleteOf(crypto.Proto(d.Protocol), spis...)
}

// expectsChild tells whether the peer may have a child that we do not know yet: its
// answer to our request is on its way, or lost and to be repeated.
func (sa *SA) expectsChild() bool {
	x, ok := sa.active.(*childExchange)
	return ok && x.sent && x.answer == nil
}

// maxGone bounds how many children are remembered that the peer has deleted before we
// knew them.
const maxGone = 16

// noteGone remembers that the peer has deleted what may be the child that we expect.
func (sa *SA) noteGone(spi []byte) {
	if x, ok := sa.active.(*childExchange); ok && sa.expectsChild() && len(spi) == 4 && len(x.gone) < maxGone {
		x.gone = append(x.gone, binary.BigEndian.Uint32(spi))
	}
}
