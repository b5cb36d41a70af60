package v2

import (
	"fmt"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// notifyUseBEETMode asks for BEET mode. It is of a range for private use, and means
// that to peers only that show strongSwanID.
const notifyUseBEETMode wire.NotifyType = 40961

// strongSwanID is the vendor ID of strongSwan, the MD5 hash of its name: whoever shows
// it knows notifyUseBEETMode.
const strongSwanID = "\x88\x2f\xe5\x6d\x6f\xd2\x0d\xbc\x22\x51\x61\x3b\x2e\xbe\x5b\xeb"

// knowsBEET tells whether the peer's first message shows that it knows BEET mode.
func knowsBEET(ps []wire.Payload) bool {
	return slices.ContainsFunc(ps, func(p wire.Payload) bool {
		v, ok := p.(*wire.VendorID)
		return ok && string(v.Data) == strongSwanID
	})
}

// beetID tells a peer that we know BEET mode, where one of the connections has it.
func beetID(conns ...*conf.Connection) []wire.Payload {
	for _, conn := range conns {
		for _, c := range conn.Children {
			if c.Mode == conf.BEET {
				return []wire.Payload{&wire.VendorID{Data: []byte(strongSwanID)}}
			}
		}
	}
	return nil
}

// modeNotify asks for a mode, or agrees to it, where it is not tunnel mode
// (RFC 7296, 1.3.1).
func modeNotify(m conf.Mode) []wire.Payload {
	switch m {
	case conf.Transport:
		return []wire.Payload{&wire.Notify{Kind: wire.NotifyUseTransportMode}}
	case conf.BEET:
		return []wire.Payload{&wire.Notify{Kind: notifyUseBEETMode}}
	}
	return nil
}

// modeOf is the mode that a message asks for, or agrees to.
func modeOf(ps []wire.Payload, beet bool) conf.Mode {
	switch {
	case wire.FindNotify(ps, wire.NotifyUseTransportMode) != nil:
		return conf.Transport
	case beet && wire.FindNotify(ps, notifyUseBEETMode) != nil:
		return conf.BEET
	}
	return conf.Tunnel
}

// otherMode is the refusal of a mode. peer is what the peer wants.
func otherMode(peer, configured conf.Mode) *ike.Refusal {
	return &ike.Refusal{
		Cause: ike.NoProposal, Subject: ike.OtherMode, Phase: 2, Offered: peer.String(), Configured: configured.String(),
		Differs: fmt.Sprintf("the peer wants %s mode, configured is mode = %q", peer, configured),
		Hint:    "set the same mode on both sides",
	}
}

// unfit tells why a configured child cannot have SAs with this peer, nil when it can.
func (sa *SA) unfit(c *conf.Child) *ike.Refusal {
	switch {
	case c.Mode.Shunt():
		return &ike.Refusal{Cause: ike.NoConnection, Err: fmt.Sprintf("phase 2 %q only lets packets pass or drops them: it has no SAs", c.Name)}
	case c.Protocol == crypto.AH && sa.nat.encap():
		return &ike.Refusal{
			Cause: ike.NoProposal, Err: "AH protects the addresses of packets, which the NAT between the peers changes" + natText(sa.nat),
			Hint: `set protocol = "esp" on both sides`,
		}
	}
	return nil
}
