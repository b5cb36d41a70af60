package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/goike/goike/crypto/id"
)

// AllowedGateway says what a gateway may be.
const AllowedGateway = `an address, a host name, a network in CIDR notation, or "any"`

// IsAny tells whether a word stands for every address: "any", or "%any" as
// strongSwan writes it.
func IsAny(s string) bool { return s == "any" || s == "%any" }

// ParseGateway reads an address, a network, a host name, "any" or "%any".
func ParseGateway(s string) (Gateway, error) {
	switch {
	case IsAny(s):
		return Gateway{Any: true}, nil
	case strings.Contains(s, "/"):
		p, err := parsePrefix(s)
		return Gateway{Prefix: p}, err
	case looksNumeric(s):
		a, err := ParseHostAddr(s)
		if err != nil {
			return Gateway{}, err
		}
		return Gateway{Prefix: netip.PrefixFrom(a, a.BitLen())}, nil
	}
	if err := checkHostName(s); err != nil {
		return Gateway{}, err
	}
	return Gateway{Host: s}, nil
}

// ParseHostAddr reads the address of one host: neither unspecified nor multicast,
// without a zone.
func ParseHostAddr(s string) (netip.Addr, error) {
	a, err := parseAddr(s)
	if err != nil {
		return a, err
	}
	if a.IsUnspecified() {
		return netip.Addr{}, errors.New(`is the address of no host; every address is "any"`)
	}
	if a.IsMulticast() {
		return netip.Addr{}, errors.New("is a multicast address")
	}
	return a, nil
}

// parseAddr reads an address of either family. The parser's own errors are not
// shown: they repeat what was written.
func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return netip.Addr{}, errors.New("is no address")
	case a.Zone() != "":
		return netip.Addr{}, errors.New("has a zone, which is not supported")
	case a.Is4In6():
		return netip.Addr{}, fmt.Errorf("is an IPv4 address in IPv6 form: write %s", a.Unmap())
	}
	return a, nil
}

// parsePrefix reads a network in CIDR notation, without host bits.
func parsePrefix(s string) (netip.Prefix, error) {
	addr, _, _ := strings.Cut(s, "/")
	a, err := parseAddr(addr)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("is no network in CIDR notation: the part before the / %w", err)
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("has a bad prefix length: it is 0 to %d", a.BitLen())
	}
	if m := p.Masked(); m != p {
		return netip.Prefix{}, fmt.Errorf("has host bits set: the network is %s, the host is %s", m, a)
	}
	return p, nil
}

// looksNumeric tells whether a word is meant to be an address, so that a mistyped
// address is not taken for a name.
func looksNumeric(s string) bool {
	return strings.Contains(s, ":") || strings.Trim(s, "0123456789.") == ""
}

// checkHostName checks a name that the resolver is to be asked for (RFC 1123, 2.1);
// underscores are tolerated.
func checkHostName(s string) error {
	if len(s) > 253 {
		return errors.New("is longer than a host name can be, 253 characters")
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.Trim(label, hostNameChars) != "" {
			return errors.New("is neither an address nor a host name")
		}
	}
	return nil
}

const hostNameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// GatewayID is the identity that a peer is expected to have when none is
// configured: its address, or any where that is not known.
func GatewayID(gs Gateways) id.ID {
	addr, ok := gs.Single()
	if !ok {
		return id.ID{}
	}
	return id.FromAddr(addr)
}
