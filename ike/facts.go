package ike

import "math"

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

// CountSent counts a message of so many octets that leaves by a path.
func (t *Traffic) CountSent(p Path, octets int) {
	c := t.of(p)
	c.Sent++
	c.Largest = max(c.Largest, uint32(min(octets, math.MaxUint16))) //nolint:gosec // bounded
}

// CountReceived counts a message that has come by a path; acted tells whether it did
// anything.
func (t *Traffic) CountReceived(p Path, acted bool) {
	c := t.of(p)
	c.Received++
	if !acted {
		c.Ignored++
	}
}

// of returns the counters for the local port of a path.
func (t *Traffic) of(p Path) *Packets {
	if p.Local.Port() == NATTPort {
		return &t.NATT
	}
	return &t.Plain
}

// Silent tells whether messages were sent and none has come.
func (t Traffic) Silent() bool {
	return t.Plain.Sent+t.NATT.Sent > 0 && t.Plain.Received+t.NATT.Received == 0
}
