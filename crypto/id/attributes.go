package id

import (
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// attributeType is a type of attribute that has names.
type attributeType struct {
	oid   string // content octets
	names []string
	ia5   bool // the value is an IA5String (PKCS #9)
}

// attributeTypes are those of X.520, RFC 4519 and PKCS #9, by the names of
// strongSwan's configuration; the first name of each is the one that is printed.
var attributeTypes = []attributeType{
	{oid: at(3), names: []string{"CN"}},
	{oid: at(4), names: []string{"SN", "surname"}},
	{oid: at(5), names: []string{"serialNumber"}},
	{oid: at(6), names: []string{"C"}},
	{oid: at(7), names: []string{"L"}},
	{oid: at(8), names: []string{"ST", "S"}},
	{oid: at(9), names: []string{"STREET"}},
	{oid: at(10), names: []string{"O"}},
	{oid: at(11), names: []string{"OU"}},
	{oid: at(12), names: []string{"T", "title"}},
	{oid: at(13), names: []string{"D", "description"}},
	{oid: at(16), names: []string{"postalAddress"}},
	{oid: at(17), names: []string{"postalCode"}},
	{oid: at(41), names: []string{"N", "name"}},
	{oid: at(42), names: []string{"G", "GN", "givenName"}},
	{oid: at(43), names: []string{"I", "initials"}},
	{oid: at(45), names: []string{"ID"}},
	{oid: at(46), names: []string{"dnQualifier"}},
	{oid: at(54), names: []string{"dmdName"}},
	{oid: at(65), names: []string{"pseudonym"}},
	{oid: "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", names: []string{"UID", "userId"}}, // 0.9.2342.19200300.100.1.1
	{oid: "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", names: []string{"DC"}},            // 0.9.2342.19200300.100.1.25
	{oid: pkcs9(1), names: []string{"E", "Email", "emailAddress"}, ia5: true},
	{oid: pkcs9(2), names: []string{"UN", "unstructuredName"}, ia5: true},
	{oid: pkcs9(8), names: []string{"UA", "unstructuredAddress"}},
	{oid: "\x60\x86\x48\x01\x86\xf8\x42\x03\x01\x03", names: []string{"EN", "employeeNumber"}}, // 2.16.840.1.113730.3.1.3
}

// at is 2.5.4.n, the attribute types of X.520.
func at(n byte) string { return string([]byte{0x55, 4, n}) }

// pkcs9 is 1.2.840.113549.1.9.n.
func pkcs9(n byte) string { return "\x2a\x86\x48\x86\xf7\x0d\x01\x09" + string([]byte{n}) }

// attributeNamed finds a type by name or dotted object identifier.
func attributeNamed(name string) (attributeType, bool) {
	for _, t := range attributeTypes {
		for _, n := range t.names {
			if strings.EqualFold(n, name) {
				return t, true
			}
		}
	}
	oid, ok := parseOID(name)
	if !ok {
		return attributeType{}, false
	}
	for _, t := range attributeTypes {
		if t.oid == oid {
			return t, true
		}
	}
	return attributeType{oid: oid}, true
}

// attributeName returns the name of a type, or its object identifier in dots.
func attributeName(oid string) string {
	for _, t := range attributeTypes {
		if t.oid == oid {
			return t.names[0]
		}
	}
	return formatOID(oid)
}

// maxArcs bounds an object identifier in dots.
const maxArcs = 32

// parseOID reads numbers joined by dots into content octets.
func parseOID(s string) (string, bool) {
	words := strings.Split(s, ".")
	if len(words) < 2 || len(words) > maxArcs {
		return "", false
	}
	arcs := make([]uint64, 0, len(words))
	for _, w := range words {
		n, err := strconv.ParseUint(w, 10, 32)
		if err != nil || w != strconv.FormatUint(n, 10) {
			return "", false
		}
		arcs = append(arcs, n)
	}
	if arcs[0] > 2 || arcs[0] < 2 && arcs[1] > 39 {
		return "", false
	}
	arcs[1] += 40 * arcs[0]
	var oid []byte
	for _, n := range arcs[1:] {
		oid = appendBase128(oid, n)
	}
	return string(oid), wellFormedOID(oid)
}

func appendBase128(b []byte, n uint64) []byte {
	shift := 0
	for n>>(shift+7) != 0 {
		shift += 7
	}
	for ; shift > 0; shift -= 7 {
		b = append(b, byte(n>>shift)|0x80)
	}
	return append(b, byte(n&0x7f))
}

// formatOID writes content octets, which are well-formed, as numbers in dots.
func formatOID(oid string) string {
	var arcs []string
	n := uint64(0)
	for _, c := range []byte(oid) {
		if n = n<<7 | uint64(c&0x7f); c >= 0x80 {
			continue
		}
		if arcs == nil {
			root := min(n/40, 2)
			arcs = append(arcs, strconv.FormatUint(root, 10))
			n -= 40 * root
		}
		arcs = append(arcs, strconv.FormatUint(n, 10))
		n = 0
	}
	return strings.Join(arcs, ".")
}

// readAttribute takes one attribute off s.
func readAttribute(s *cryptobyte.String) (attribute, bool) {
	var seq, oid, value cryptobyte.String
	var tag asn1.Tag
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || !wellFormedOID(oid) ||
		!seq.ReadAnyASN1(&value, &tag) || !seq.Empty() {
		return attribute{}, false
	}
	return attribute{string(oid), tag, string(value)}, true
}

// wellFormedOID says whether the octets are whole numbers in base 128 that fit in
// 32 bits, without leading zeros (X.690, 8.19).
func wellFormedOID(b []byte) bool {
	start, n := true, uint64(0)
	for _, c := range b {
		if start && c == 0x80 {
			return false
		}
		if n = n<<7 | uint64(c&0x7f); n >= 1<<32 {
			return false
		}
		if start = c < 0x80; start {
			n = 0
		}
	}
	return len(b) > 0 && len(b) <= 4*maxArcs && start
}
