package ike

import "net/netip"

// Subject is what a Refusal is about, where its cause leaves that open.
type Subject uint8

// The subjects.
const (
	NoSubject     Subject = iota
	SharedKey             // the pre-shared keys differ
	NoSharedKey           // there is no pre-shared key for the two identities
	PeerIdentity          // the peer is not who it is to be
	OwnIdentity           // the peer wants to speak with somebody else
	AuthMethod            // the peer authenticates in another way
	GatewayName           // the name of the peer does not resolve
	Route                 // there is no way to the peer
	LocalAddress          // the configured own address is none of this host
	DataPlane             // the data plane did not take the SAs
	ExchangeGroup         // the peer demands another key exchange group
	OtherMode             // the modes differ
	OtherVersion          // the peer speaks another version of IKE
	Unfinished            // the peer began an IKE SA and did not go on
)

// Packets counts the IKE messages of one port of this host.
type Packets struct {
	Sent     uint32
	Received uint32
	Ignored  uint32 // of those received: they did nothing, as what is not authentic
	Largest  uint32 // octets of the largest that was sent
}

// Traffic is what an IKE SA has sent and received, repetitions included.
type Traffic struct {
	Plain Packets // port 500
	NATT  Packets // port 4500
}

// Of returns the counters for the local port of a path.
func (t *Traffic) Of(p Path) *Packets {
	if p.Local.Port() == NATTPort {
		return &t.NATT
	}
	return &t.Plain
}

// Silent tells whether messages were sent and none has come.
func (t Traffic) Silent() bool {
	return t.Plain.Sent+t.NATT.Sent > 0 && t.Plain.Received+t.NATT.Received == 0
}

// BounceKind says what an ICMP error complains of.
type BounceKind uint8

// The kinds of ICMP errors (RFC 792, RFC 1122, RFC 4443).
const (
	OtherBounce      BounceKind = iota
	NetUnreachable              // there is no route to the network
	HostUnreachable             // the host does not answer in its network
	PortUnreachable             // nobody listens at the port
	ProtoUnreachable            // the host does not take the protocol
	Prohibited                  // a filter forbids it
	TooBig                      // the packet does not fit: Bounce.MTU does
	HopLimit                    // it went in a circle, or too far
)

// Bounce is an ICMP error about a packet of this host. Anybody may have forged it: it
// is shown and never acted upon.
type Bounce struct {
	Kind  BounceKind
	From  netip.Addr // who says so
	Path  Path       // of the packet; without ports when that was no UDP
	Proto uint8      // IP protocol of the packet
	MTU   int        // for TooBig, 0: not told
}
