package plane

import "sync/atomic"

// reason is what a counter of the plane counts.
type reason int

const (
	outPackets reason = iota
	outMalformed
	outNoPolicy
	outDiscarded
	outBypass
	outNoSA
	outExpired
	outTooBig
	outFragmented
	outRefused
	outSendFailed
	deviceErrors
	inPackets
	inMalformed
	inNoSA
	inReplayed
	inAuthFailed
	inExpired
	inDummy
	inRefused
	inNotAllowed
	inWriteFailed
	keepalivesSent
	pathMTULearned
	heldSent
	noticesLost
	reasons
)

// reasonNames are the keys of Counters.
var reasonNames = [reasons]string{
	outPackets:     "out_packets",
	outMalformed:   "out_malformed",
	outNoPolicy:    "out_no_policy",
	outDiscarded:   "out_discarded",
	outBypass:      "out_bypass",
	outNoSA:        "out_no_sa",
	outExpired:     "out_expired",
	outTooBig:      "out_too_big",
	outFragmented:  "out_fragmented",
	outRefused:     "out_refused",
	outSendFailed:  "out_send_failed",
	deviceErrors:   "device_errors",
	inPackets:      "in_packets",
	inMalformed:    "in_malformed",
	inNoSA:         "in_no_sa",
	inReplayed:     "in_replayed",
	inAuthFailed:   "in_auth_failed",
	inExpired:      "in_expired",
	inDummy:        "in_dummy",
	inRefused:      "in_refused",
	inNotAllowed:   "in_not_allowed",
	inWriteFailed:  "in_write_failed",
	keepalivesSent: "keepalives_sent",
	pathMTULearned: "path_mtu_learned",
	heldSent:       "held_sent",
	noticesLost:    "notices_lost",
}

type counters [reasons]atomic.Uint64

func (c *counters) add(r reason, n int) { c[r].Add(uint64(n)) }

// Counters tells what became of the packets, by name:
//
//	out_packets       sealed and given to the carrier
//	out_malformed     no IP packet, or larger than the buffers
//	out_no_policy     dropped: no policy is for it
//	out_discarded     dropped: a policy says so
//	out_bypass        dropped: a policy exempts it, and the device has no other way out
//	out_no_sa         dropped or held: there is no SA yet
//	out_expired       dropped: the SA reached a hard limit or its last sequence number
//	out_too_big       larger than the path; its sender was told
//	out_fragmented    cut in pieces before sealing
//	out_refused       dropped: the transform cannot carry it
//	out_send_failed   the carrier could not send it
//	device_errors     failed reads of the device
//	in_packets        given to the device
//	in_malformed      no ESP packet, or nonsense in an authentic one
//	in_no_sa          dropped: unknown SPI
//	in_replayed       dropped: seen before, or behind the window
//	in_auth_failed    dropped: does not authenticate
//	in_expired        dropped: the SA reached a hard limit
//	in_dummy          dummy packets (RFC 4303, 2.6)
//	in_refused        dropped by the transform, as for ECN (RFC 6040, 4.2)
//	in_not_allowed    dropped: selectors or policies of the SA do not allow it
//	in_write_failed   the device did not take it
//	keepalives_sent   NAT keepalives
//	path_mtu_learned  how often a path turned out narrower than thought
//	held_sent         packets that waited for their SA and were sent
//	notices_lost      notices that found the queue full
func (p *Plane) Counters() map[string]uint64 {
	m := make(map[string]uint64, reasons)
	for i := range p.count {
		m[reasonNames[i]] = p.count[i].Load()
	}
	return m
}
