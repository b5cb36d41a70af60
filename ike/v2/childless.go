package v2

import (
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// notChildless refuses a responder that does not take an IKE SA without a child.
var notChildless = &ike.Refusal{
	Cause: ike.PeerRefused, Configured: `childless = "force"`,
	Differs: "the peer does not announce that it takes an IKE SA without a child (RFC 6023)",
	Hint:    `set childless = "prefer", or allow it on the peer`,
}

// readChildless notes whether the first exchanges may do without a child: the responder
// announces it (RFC 6023, 3), and it is not forbidden here.
func (sa *SA) readChildless(ps []wire.Payload) {
	sa.boot.childless = sa.conn.Childless != conf.ChildlessNever && wire.FindNotify(ps, wire.NotifyChildlessIKEv2Supported) != nil
}

// whyNotChildless says why the IKE SA cannot be begun without a child.
func whyNotChildless(c *conf.Connection) string {
	if c.Childless == conf.ChildlessNever {
		return `childless is "never"`
	}
	return "the peer does not know RFC 6023"
}

// announceChildless tells the initiator that it may do without a child, unless no
// connection for its address takes that.
func announceChildless(candidates []*conf.Connection) []wire.Payload {
	takes := func(c *conf.Connection) bool { return c.Childless != conf.ChildlessNever }
	if !slices.ContainsFunc(candidates, takes) {
		return nil
	}
	return []wire.Payload{&wire.Notify{Kind: wire.NotifyChildlessIKEv2Supported}}
}

// checkChildless says what is wrong with an IKE_AUTH request with or without a child,
// empty for nothing.
func checkChildless(c *conf.Connection, without bool) string {
	switch {
	case without && c.Childless == conf.ChildlessNever:
		return `an IKE SA without a child, but childless is "never"`
	case !without && c.Childless == conf.ChildlessForce:
		return `a child SA together with the IKE SA, but childless is "force"`
	}
	return ""
}
