package wire

import "fmt"

// nonceLength wants the nonce to be of 16 to 256 octets (RFC 7296, 3.9).
func nonceLength(ps []Payload) string {
	if n, ok := Find[*Nonce](ps); ok && (len(n.Data) < MinNonce || len(n.Data) > MaxNonce) {
		return fmt.Sprintf("nonce of %d octets, %d to %d are allowed", len(n.Data), MinNonce, MaxNonce)
	}
	return ""
}

// oneProposal wants the peer to have chosen (RFC 7296, 2.7).
func oneProposal(ps []Payload) string {
	if sa, ok := Find[*SA](ps); ok && len(sa.Proposals) != 1 {
		return fmt.Sprintf("%d proposals, one has to be chosen", len(sa.Proposals))
	}
	return ""
}

// wholeChild wants SA, TSi and TSr to come together, or none of them where there
// is no child (RFC 6023) or it was refused.
func wholeChild(ps []Payload) string {
	sa, i, r := count(ps, PayloadSA), count(ps, PayloadTSi), count(ps, PayloadTSr)
	if sa != i || i != r {
		return "SA, TSi and TSr do not come together"
	}
	return ""
}

// notForIKE wants no proposal for an IKE SA where there are traffic selectors.
func notForIKE(ps []Payload) string {
	sa, _ := Find[*SA](ps)
	for _, p := range sa.Proposals {
		if p.Protocol == ProtocolIKE {
			return "traffic selectors for an IKE SA"
		}
	}
	return ""
}

// forIKE wants every proposal to be for an IKE SA, with its SPI (RFC 7296, 1.3.2).
func forIKE(ps []Payload) string {
	sa, _ := Find[*SA](ps)
	for _, p := range sa.Proposals {
		if p.Protocol != ProtocolIKE {
			return fmt.Sprintf("proposal for %s without traffic selectors", p.Protocol)
		}
		if len(p.SPI) == 0 {
			return "proposal for an IKE SA without its SPI"
		}
	}
	return ""
}

// holdsError wants the reason why the message has nothing else.
func holdsError(ps []Payload) string {
	for _, p := range ps {
		if n, ok := p.(*Notify); ok && n.Kind.IsError() {
			return ""
		}
	}
	return "neither what was asked for nor an error"
}

// holdsCookieOrError is holdsError for the response that may ask for a cookie
// (RFC 7296, 2.6), or name another gateway (RFC 5685, 3).
func holdsCookieOrError(ps []Payload) string {
	if FindNotify(ps, NotifyCookie) != nil || FindNotify(ps, NotifyRedirect) != nil {
		return ""
	}
	return holdsError(ps)
}

// holdsNackOrError is holdsCookieOrError for the response that may refuse a ticket (RFC
// 5723, 4.3.3).
func holdsNackOrError(ps []Payload) string {
	if FindNotify(ps, NotifyTicketNack) != nil {
		return ""
	}
	return holdsCookieOrError(ps)
}
