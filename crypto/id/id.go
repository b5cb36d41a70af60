// Package id holds the identities of IKE peers (RFC 7296, 3.5): how they are
// written, sent, shown and matched.
package id

import (
	"fmt"
	"net/netip"
)

// Kind is the ID type by its IANA number (RFC 7296, 3.5).
type Kind uint8

// The kinds of identity. Any is no type of the wire: it is the pattern that
// matches every identity.
const (
	Any      Kind = 0
	IPv4     Kind = 1
	FQDN     Kind = 2
	Email    Kind = 3 // ID_RFC822_ADDR
	IPv6     Kind = 5
	DN       Kind = 9 // ID_DER_ASN1_DN
	GN       Kind = 10
	KeyID    Kind = 11
	NullAuth Kind = 13 // ID_NULL, RFC 7619
)

// maxData bounds the identification data in octets.
const maxData = 4096

// ID is an identity, or a pattern for identities when it holds wildcards. It is
// comparable and immutable. Data is the wire form of the identification data
// (a string, so that IDs can be keys of maps); for DN it is DER. The zero ID is
// the pattern Any.
type ID struct {
	Kind Kind
	Data string
}

// FromAddr returns the identity of an address; Any if there is none. IPv4
// addresses in IPv6 form count as IPv4, and zones are left out.
func FromAddr(a netip.Addr) ID {
	a = a.Unmap()
	switch {
	case a.Is4():
		return ID{IPv4, string(a.AsSlice())}
	case a.Is6():
		return ID{IPv6, string(a.AsSlice())}
	}
	return ID{}
}

// FromWire takes the ID type and the identification data of an ID payload. It
// refuses the reserved type 0, more than 4096 octets, and data that is not of the
// form of its type; types that it does not know are kept as they are. The
// result is what a peer calls itself, never a pattern: match patterns of the
// configuration against it, not it against others.
func FromWire(kind uint8, data []byte) (ID, error) {
	if len(data) > maxData {
		return ID{}, fmt.Errorf("identity of type %d has %d octets, more than %d", kind, len(data), maxData)
	}
	k := Kind(kind)
	if err := k.check(data); err != nil {
		return ID{}, err
	}
	return ID{k, string(data)}, nil
}

// check says what is wrong with identification data of a kind.
func (k Kind) check(data []byte) error {
	want := -1
	switch k {
	case Any:
		return fmt.Errorf("identity of the reserved type 0")
	case IPv4:
		want = 4
	case IPv6:
		want = 16
	case NullAuth: // RFC 7619, 2.2
		want = 0
	case DN:
		if _, err := parseDN(data); err != nil {
			return fmt.Errorf("identity %s: %w", k, err)
		}
	case FQDN, Email, GN, KeyID:
		if len(data) == 0 {
			return fmt.Errorf("identity %s is empty", k)
		}
	}
	if want >= 0 && len(data) != want {
		return fmt.Errorf("identity %s has %d octets, not %d", k, len(data), want)
	}
	return nil
}

// Wire returns the ID type and the identification data for an ID payload. Any
// has no form on the wire: its type is 0.
func (i ID) Wire() (kind uint8, data []byte) { return uint8(i.Kind), []byte(i.Data) }
