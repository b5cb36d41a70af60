// Package prf holds the pseudorandom functions (transform type 2) and prf+
// (RFC 7296, 2.13).
package prf

// PRF is one pseudorandom function; it is stateless and safe for concurrent use.
type PRF interface {
	// ID is the IANA transform ID.
	ID() uint16
	// Name is the word for it in proposals, such as "prfsha256".
	Name() string
	// KeyLen is the preferred key length in octets, Size the length of the output.
	KeyLen() int
	Size() int
	// Sum computes prf(key, data[0] | data[1] | ...). Keys of any length are
	// taken, as the PRF's own document says (RFC 4434 and RFC 4615 for AES).
	Sum(key []byte, data ...[]byte) []byte
}
