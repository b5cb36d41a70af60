package v2

import (
	"errors"

	"github.com/goike/goike/ike/wire"
)

// minFirst is the length of the shortest IKE_SA_INIT request: the header, an SA
// payload with one transform of each type, a KE payload and a nonce of 16 octets
// (RFC 7296, 1.2).
const minFirst = wire.HeaderLen + (4 + 8 + 3*8) + (8 + 32) + (4 + 16)

// minResume is the same for IKE_SESSION_RESUME: a nonce of 16 octets and a ticket.
const minResume = wire.HeaderLen + (4 + 16) + 8 + 1

func minLength(x wire.ExchangeType) uint32 {
	if x == wire.IKESessionResume {
		return minResume
	}
	return minFirst
}

var errNotFirst = errors.New("not the first message of an IKE SA")

// unprotected answers a request outside of any IKE SA (RFC 7296, 1.5): SPIs,
// exchange and message ID are the request's.
func unprotected(h wire.Header, kind wire.NotifyType) []byte {
	reply := wire.Header{
		SPIi: h.SPIi, SPIr: h.SPIr, Major: 2, Exchange: h.Exchange, MessageID: h.MessageID,
		Flags: wire.FlagResponse | (h.Flags&wire.FlagInitiator ^ wire.FlagInitiator),
	}
	msg, err := wire.Append(nil, reply, &wire.Notify{Kind: kind})
	if err != nil {
		return nil
	}
	return msg
}

func checkFirst(h wire.Header, b []byte) error {
	switch {
	case h.Exchange != wire.IKESAInit && h.Exchange != wire.IKESessionResume, h.Flags&wire.FlagResponse != 0, h.Flags&wire.FlagInitiator == 0,
		h.MessageID != 0, h.SPIi == 0, h.SPIr != 0, h.Major != 2,
		int(h.Length) > len(b), h.Length < minLength(h.Exchange):
		return errNotFirst
	case h.NextPayload == wire.PayloadSK || h.NextPayload == wire.PayloadSKF:
		return errNotFirst
	}
	return nil
}
