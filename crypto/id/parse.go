package id

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds what Parse reads: identification data in hexadecimal with colons.
const maxText = 3*maxData + 64

// anyWords are the ways to write Any.
var anyWords = map[string]bool{"": true, "%any": true, "%any6": true, "*": true, "0.0.0.0": true, "::": true, "0::0": true}

// prefixes name a type explicitly, before a colon.
var prefixes = map[string]Kind{
	"ipv4": IPv4, "ipv6": IPv6,
	"fqdn": FQDN, "dns": FQDN,
	"rfc822": Email, "email": Email, "userfqdn": Email,
	"asn1dn": DN, "asn1gn": GN, "keyid": KeyID,
}

// Parse reads an identity as strongSwan's configuration writes it:
//
//	192.0.2.1  2001:db8::1       an address
//	moon.example.org  @moon      a domain name; with @ whatever follows
//	carol@example.org  @@carol   an email address; with @@ whatever follows
//	C=DE, O=Example, CN=moon     a distinguished name; also /C=DE/O=Example/CN=moon
//	@#6d6f6f6e                   a key ID in hexadecimal
//	%any, *, 0.0.0.0, ::, ""     Any
//	fqdn:moon  keyid:#6d6f6f6e   the type named: ipv4, ipv6, fqdn (dns), rfc822 (email,
//	                             userfqdn), keyid, asn1dn, asn1gn; # starts hexadecimal
//	{11}:moon                    the type by its number
//
// A domain name or email address may start with the wildcard "*", and the value
// of a part of a distinguished name may be "*". Unlike strongSwan, which takes for
// a key ID what turns out not to be a distinguished name or an IPv6 address,
// Parse reports an error then: a slip of the pen would match no peer.
func Parse(s string) (ID, error) {
	s = strings.TrimSpace(s)
	if len(s) > maxText {
		return ID{}, fmt.Errorf("identity of %d characters is longer than %d", len(s), maxText)
	}
	if anyWords[s] {
		return ID{}, nil
	}
	i, err := parse(s)
	if err != nil {
		return ID{}, fmt.Errorf("identity %s: %w", quote(s), err)
	}
	if len(i.Data) > maxData {
		return ID{}, fmt.Errorf("identity %s has %d octets, more than %d", quote(s), len(i.Data), maxData)
	}
	return i, nil
}

func parse(s string) (ID, error) {
	if k, value, ok, err := cutPrefix(s); err != nil || ok {
		if err != nil {
			return ID{}, err
		}
		return parseAs(k, value)
	}
	switch {
	case strings.HasPrefix(s, "@#"):
		return parseAs(KeyID, s[1:])
	case strings.HasPrefix(s, "@@"):
		return parseName(Email, s[2:])
	case strings.HasPrefix(s, "@"):
		return parseName(FQDN, s[1:])
	case strings.Contains(s, "="):
		i, err := parseDNText(s)
		if err != nil {
			return ID{}, fmt.Errorf("not a distinguished name: %w (a key ID with \"=\" is written keyid:...)", err)
		}
		return i, nil
	case strings.Contains(s, "@"):
		return parseName(Email, s)
	case looksLikeAddr(s):
		return parseAddr(s)
	}
	return parseName(FQDN, s)
}

// cutPrefix splits off "type:" or "{number}:", if there is one.
func cutPrefix(s string) (k Kind, value string, ok bool, err error) {
	name, value, found := strings.Cut(s, ":")
	if !found {
		return 0, "", false, nil
	}
	name = strings.ToLower(name)
	if strings.HasPrefix(name, "{") && strings.HasSuffix(name, "}") {
		n, err := strconv.ParseUint(name[1:len(name)-1], 0, 8)
		if err != nil || n == 0 {
			return 0, "", false, fmt.Errorf("%s is no ID type: types are 1 to 255", quote(name))
		}
		return Kind(n), value, true, nil
	}
	switch name {
	case "ipv4net", "ipv6net", "ipv4range", "ipv6range":
		return 0, "", false, errNoRange
	case "xmppaddr", "uri":
		return 0, "", false, fmt.Errorf("identities of type %s are not supported", name)
	}
	k, ok = prefixes[name]
	return k, value, ok, nil
}

var errNoRange = errors.New("networks and ranges of addresses are not supported as identities")

// parseAs reads the value of a type that was named.
func parseAs(k Kind, value string) (ID, error) {
	if digits, ok := strings.CutPrefix(value, "#"); ok {
		data, err := parseHex(digits)
		if err != nil {
			return ID{}, err
		}
		return FromWire(uint8(k), data)
	}
	switch k {
	case IPv4, IPv6:
		i, err := parseAddr(value)
		if err == nil && i.Kind != k {
			return ID{}, fmt.Errorf("%s is no %s address", quote(value), k)
		}
		return i, err
	case FQDN, Email:
		return parseName(k, value)
	case DN:
		return parseDNText(value)
	case GN:
		return ID{}, errors.New("a general name is written in hexadecimal behind asn1gn:#")
	}
	return FromWire(uint8(k), []byte(value))
}

// parseHex reads octets in hexadecimal, with or without colons between them. An
// odd number of digits has a zero before it, as strongSwan reads it.
func parseHex(s string) ([]byte, error) {
	digits := strings.ReplaceAll(s, ":", "")
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%s is not hexadecimal", quote(s))
	}
	return b, nil
}

// looksLikeAddr says whether s can only have been meant as an address.
func looksLikeAddr(s string) bool {
	if strings.Contains(s, ":") {
		return true
	}
	return strings.Contains(s, ".") && strings.Trim(s, "0123456789./-") == ""
}

func parseAddr(s string) (ID, error) {
	a, err := netip.ParseAddr(s)
	if err == nil && a.Zone() != "" {
		return ID{}, errors.New("an address has no zone as identity")
	}
	if err == nil && a.Is4() {
		return ID{IPv4, string(a.AsSlice())}, nil
	}
	if err == nil {
		return ID{IPv6, string(a.AsSlice())}, nil
	}
	if strings.ContainsAny(s, "/-") {
		return ID{}, errNoRange
	}
	return ID{}, errors.New("not an IP address (a key ID is written keyid:..., a domain name fqdn:...)")
}

// parseName takes a domain name or an email address as it stands.
func parseName(k Kind, s string) (ID, error) {
	switch {
	case s == "":
		return ID{}, fmt.Errorf("%s is empty", k)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return ID{}, fmt.Errorf("%s with control characters", k)
	case strings.LastIndexByte(s, '*') > 0:
		return ID{}, fmt.Errorf(`a wildcard stands at the start only, as in "*.example.org"`)
	}
	return ID{k, s}, nil
}
