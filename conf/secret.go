package conf

import (
	"encoding/base64"
	"encoding/hex"
	"errors"

	"github.com/goike/goike/crypto"
)

// AllowedSecret says how secrets are written.
const AllowedSecret = "text, 0x and hexadecimal digits, or 0s and base64"

// ParseSecret reads a secret: "0x" and hexadecimal digits, "0s" and base64, or
// text, which is taken as it is. The result shares no memory with b, and errors
// say nothing about the content.
func ParseSecret(b []byte) (crypto.Secret, error) {
	if len(b) == 0 {
		return nil, errors.New("is empty")
	}
	if len(b) < 2 || b[0] != '0' {
		return append(crypto.Secret(nil), b...), nil
	}
	var s crypto.Secret
	var err error
	switch digits := b[2:]; b[1] {
	case 'x':
		s = make(crypto.Secret, hex.DecodedLen(len(digits)))
		if _, err = hex.Decode(s, digits); err != nil {
			err = errors.New("begins with 0x, but pairs of hexadecimal digits do not follow")
		}
	case 's':
		s, err = parseBase64(digits)
	default:
		s = append(s, b...)
	}
	if err != nil {
		s.Zero()
		return nil, err
	}
	if len(s) == 0 {
		return nil, errors.New("is empty behind its prefix")
	}
	return s, nil
}

// parseBase64 takes padding or its absence.
func parseBase64(digits []byte) (crypto.Secret, error) {
	for _, enc := range [...]*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
		s := make(crypto.Secret, enc.DecodedLen(len(digits)))
		if n, err := enc.Decode(s, digits); err == nil {
			return s[:n], nil
		}
		s.Zero()
	}
	return nil, errors.New("begins with 0s, but base64 does not follow")
}
