package wire

import "net/netip"

// GatewayKind is the type of a gateway's identity in REDIRECT and REDIRECTED_FROM, by
// IANA number (RFC 5685, 8).
type GatewayKind uint8

// The types of a gateway's identity.
const (
	GatewayIPv4 GatewayKind = 1
	GatewayIPv6 GatewayKind = 2
	GatewayFQDN GatewayKind = 3
)

// maxGateway is the length of the longest name that the DNS has.
const maxGateway = 253

// Redirect is the data of REDIRECT and REDIRECTED_FROM (RFC 5685, 8.2, 8.3).
type Redirect struct {
	Kind    GatewayKind
	Gateway []byte // an address of 4 or 16 octets, or a host name
	Nonce   []byte // of REDIRECT in a response to IKE_SA_INIT: Ni
}

// RedirectTo is the identity of a gateway that is an address or a host name.
func RedirectTo(gateway string) Redirect {
	addr, err := netip.ParseAddr(gateway)
	switch {
	case err != nil:
		return Redirect{Kind: GatewayFQDN, Gateway: []byte(gateway)}
	case addr.Unmap().Is4():
		return Redirect{Kind: GatewayIPv4, Gateway: addr.Unmap().AsSlice()}
	}
	return Redirect{Kind: GatewayIPv6, Gateway: addr.AsSlice()}
}

// ParseRedirect reads the data of a notification. The error is a *ProtocolError.
func ParseRedirect(data []byte) (Redirect, error) {
	const fixed = 2
	if len(data) < fixed || fixed+int(data[1]) > len(data) {
		return Redirect{}, syntaxError("REDIRECT of %d octets", len(data))
	}
	end := fixed + int(data[1])
	r := Redirect{Kind: GatewayKind(data[0]), Gateway: data[fixed:end:end], Nonce: data[end:]}
	ok := false
	switch r.Kind {
	case GatewayIPv4:
		ok = len(r.Gateway) == 4
	case GatewayIPv6:
		ok = len(r.Gateway) == 16
	case GatewayFQDN:
		ok = hostName(r.Gateway)
	}
	if !ok {
		return Redirect{}, syntaxError("REDIRECT to a gateway of type %d with %d octets", r.Kind, len(r.Gateway))
	}
	return r, nil
}

// hostName tells whether a name may be looked up and printed.
func hostName(b []byte) bool {
	if len(b) == 0 || len(b) > maxGateway {
		return false
	}
	for _, c := range b {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

// Append appends the data of the notification.
func (r Redirect) Append(b []byte) []byte {
	b = append(b, byte(r.Kind), byte(len(r.Gateway)))
	return append(append(b, r.Gateway...), r.Nonce...)
}

// String returns the address or the name.
func (r Redirect) String() string {
	if r.Kind == GatewayFQDN {
		return string(r.Gateway)
	}
	addr, _ := netip.AddrFromSlice(r.Gateway)
	return addr.String()
}
