package id

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// String names the kind as IANA does.
func (k Kind) String() string {
	switch k {
	case Any:
		return "%any"
	case IPv4:
		return "ID_IPV4_ADDR"
	case FQDN:
		return "ID_FQDN"
	case Email:
		return "ID_RFC822_ADDR"
	case IPv6:
		return "ID_IPV6_ADDR"
	case DN:
		return "ID_DER_ASN1_DN"
	case GN:
		return "ID_DER_ASN1_GN"
	case KeyID:
		return "ID_KEY_ID"
	case NullAuth:
		return "ID_NULL"
	}
	return "ID type " + strconv.Itoa(int(k))
}

// maxShown bounds String, in octets: identities come from strangers.
const maxShown = 256

// String writes the identity as strongSwan prints it: addresses, names and
// distinguished names plainly, a key ID as it stands if it is printable and in
// hexadecimal with colons otherwise or if it is as long as a SHA-1 hash. What does not print is escaped, and long
// identities end in "...": no identity writes a second line into a log.
func (i ID) String() string { return clip(i.text()) }

func (i ID) text() string {
	switch i.Kind {
	case Any, NullAuth:
		return i.Kind.String()
	case IPv4, IPv6:
		if a, ok := netip.AddrFromSlice([]byte(i.Data)); ok {
			return a.String()
		}
	case FQDN, Email:
		return escape(i.Data)
	case DN:
		rdns, err := parseDN([]byte(i.Data))
		if err == nil && len(rdns) > 0 {
			return formatDN(rdns)
		}
		return "asn1dn:#" + hexBytes(i.Data, "")
	case GN:
		return "(ASN.1 general name)"
	case KeyID:
		if printable(i.Data) && len(i.Data) != sha1.Size {
			return i.Data
		}
		return hexBytes(i.Data, ":")
	}
	return fmt.Sprintf("(unknown ID type: %d)", uint8(i.Kind))
}

// hexBytes writes octets in hexadecimal, no more of them than are shown.
func hexBytes(s, sep string) string {
	octets := make([]string, 0, min(len(s), maxShown))
	for _, c := range []byte(s[:min(len(s), maxShown)]) {
		octets = append(octets, hex.EncodeToString([]byte{c}))
	}
	return strings.Join(octets, sep)
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// escape writes octets that do not print, and backslashes, as \xNN.
func escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		_, n := utf8.DecodeRuneInString(s[i:])
		if r == '\\' || !unicode.IsPrint(r) || r == utf8.RuneError && n == 1 {
			for _, o := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, `\x%02x`, o)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// clip cuts what is longer than maxShown, between characters.
func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	end := maxShown - len("...")
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}

// quote writes what was read in an error.
func quote(s string) string { return `"` + clip(escape(s)) + `"` }
