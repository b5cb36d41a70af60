// Package id holds the identities of IKE peers (RFC 7296, 3.5): how they are
// written, sent, shown and matched.
package id

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

// ID is an identity, or a pattern for identities when it holds wildcards. It is
// comparable and immutable. Data is the wire form of the identification data
// (a string, so that IDs can be keys of maps); for DN it is DER.
type ID struct {
	Kind Kind
	Data string
}
