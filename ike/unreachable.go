package ike

import "net/netip"

// Unreachable is what somebody on the way says about a message of this host that did not
// arrive. Anybody can forge it: it is for people, and changes nothing (RFC 7296, 2.4).
type Unreachable struct {
	By   netip.Addr     // who says so
	Peer netip.AddrPort // where the message went
	// What is "no-port" (nothing listens there), "no-host", "no-network", "prohibited" (by a
	// firewall), "too-big", "time-out" (a loop of routes) or "other".
	What  string
	MTU   int // of "too-big", in octets; 0: not said
	Times int // how often
}
