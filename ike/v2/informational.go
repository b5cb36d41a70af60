package v2

import (
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
		sa.close(now, "", refusedByPeer(n, "", 1), fx)
		return
	}
	var gone []wire.Payload
	for _, p := range m.payloads {
		if d, ok := p.(*wire.Delete); ok {
			if half := sa.deletedByPeer(d, fx); half != nil {
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
func (sa *SA) deletedByPeer(d *wire.Delete, fx *ike.Effects) wire.Payload {
	var spis []uint32
	for _, spi := range d.SPIs {
		c := sa.childBySPI(d.Protocol, spi)
		if c == nil {
			continue
		}
		if c.State != ike.ChildDeleting {
			spis = append(spis, c.SPIIn)
		}
		why := "deleted by the peer"
		if c.State == ike.ChildRekeyedState {
			why = "replaced"
		}
		sa.dropChild(c, why, fx)
	}
	if spis == nil {
		return nil
	}
	return deleteOf(crypto.Proto(d.Protocol), spis...)
}
