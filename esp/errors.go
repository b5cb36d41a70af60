package esp

import "errors"

// What Seal, Open and the parsers answer. They are values, so that a flood of bad
// packets allocates nothing.
var (
	// ErrAuth: the ESP packet does not authenticate.
	ErrAuth = errors.New("packet does not authenticate")
	// ErrReplay: the sequence number was seen before or lies behind the window. The
	// methods of Receiver answer with a bool; this is for callers that want an error.
	ErrReplay = errors.New("packet was seen before or is too old")
	// ErrMalformed: the IP packet, or the ESP trailer, contradicts itself.
	ErrMalformed = errors.New("malformed packet")
	// ErrDummy: an authentic packet that carries nothing (RFC 4303, 2.6).
	ErrDummy = errors.New("dummy packet")
	// ErrDrop: a sound packet that must not be passed on: congestion marked outside
	// on a packet that cannot carry the mark (RFC 6040, 4.2), a fragment or an IP
	// option in transport mode, a packet that must not be fragmented.
	ErrDrop = errors.New("packet must not be passed on")
	// ErrRoom: the buffer has no room for the result around the packet.
	ErrRoom = errors.New("no room in the buffer")
)
