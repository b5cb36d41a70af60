package v2

import (
	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// Machines makes IKE SAs for an engine, and the few messages that are sent without
// one.
type Machines struct{}

// Dial returns an IKE SA that this side will begin at the first Initiate.
func (Machines) Dial(b ike.Birth, conn *conf.Connection, path ike.Path) ike.Machine {
	return dial(b, conn, path)
}

// Respond returns an IKE SA for a peer's IKE_SA_INIT request, which is to be its
// first event.
func (Machines) Respond(b ike.Birth, path ike.Path) ike.Machine { return respond(b, path) }

// CheckFirst tells whether a message may be the first of an IKE SA (RFC 7296,
// 1.2, 3.1), as far as its header shows: only such a one is worth an IKE SA.
func (Machines) CheckFirst(h wire.Header, b []byte) error { return checkFirst(h, b) }

// RefuseVersion is the answer to a request of a higher major version (RFC 7296,
// 2.5): INVALID_MAJOR_VERSION, unprotected.
func (Machines) RefuseVersion(h wire.Header) []byte {
	return unprotected(h, wire.NotifyInvalidMajorVersion)
}

// InvalidSPI is the answer to a request for an IKE SA that is not there (RFC 7296,
// 2.21.4): INVALID_IKE_SPI, unprotected.
func (Machines) InvalidSPI(h wire.Header) []byte { return unprotected(h, wire.NotifyInvalidIKESPI) }

// SaysInvalidSPI tells whether a message is such an answer.
func (Machines) SaysInvalidSPI(h wire.Header, b []byte) bool {
	if h.Flags&wire.FlagResponse == 0 || h.NextPayload != wire.PayloadNotify || h.Exchange == wire.IKESAInit || int(h.Length) > len(b) {
		return false
	}
	ps, err := wire.Parse(h.NextPayload, b[wire.HeaderLen:h.Length], wire.Limits{})
	return err == nil && len(ps) == 1 && wire.FindNotify(ps, wire.NotifyInvalidIKESPI) != nil
}
