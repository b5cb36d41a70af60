package ike

// Counter is something that happens to IKE SAs and is counted. Requests and responses
// are counted once, however often they are sent; what comes in is counted when it has
// proved to be authentic, where there are keys for that.
type Counter uint8

// The counters, in strongSwan's order.
const (
	RekeysBegun  Counter = iota // IKE SAs that this side has replaced
	RekeysServed                // IKE SAs that the peer has replaced
	ChildRekeys                 // child SAs that were replaced
	Invalid                     // messages that break the protocol
	InvalidSPI                  // messages for an IKE SA that is not there
	InitRequestsIn
	InitResponsesIn
	InitRequestsOut
	InitResponsesOut
	AuthRequestsIn
	AuthResponsesIn
	AuthRequestsOut
	AuthResponsesOut
	CreateRequestsIn
	CreateResponsesIn
	CreateRequestsOut
	CreateResponsesOut
	InfoRequestsIn
	InfoResponsesIn
	InfoRequestsOut
	InfoResponsesOut

	NumCounters // how many there are
)

var counterNames = [NumCounters]string{
	"ike-rekey-init", "ike-rekey-resp", "child-rekey", "invalid", "invalid-spi",
	"ike-init-in-req", "ike-init-in-resp", "ike-init-out-req", "ike-init-out-resp",
	"ike-auth-in-req", "ike-auth-in-resp", "ike-auth-out-req", "ike-auth-out-resp",
	"create-child-in-req", "create-child-in-resp", "create-child-out-req", "create-child-out-resp",
	"info-in-req", "info-in-resp", "info-out-req", "info-out-resp",
}

// String returns the name by which strongSwan shows the counter.
func (c Counter) String() string { return counterNames[c%NumCounters] }

// Counts are the values of all counters.
type Counts [NumCounters]uint64

// Add adds others.
func (c *Counts) Add(other *Counts) {
	for i, n := range other {
		c[i] += n
	}
}
