package id

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// parseDNText reads "C=DE, O=Example, CN=moon" or "/C=DE/O=Example/CN=moon".
// Quotes and backslashes take the meaning from separators (RFC 4514, 2.4), "+"
// joins attributes of one part, "#" starts a value in DER, and attributes that
// have no name are written by object identifier.
func parseDNText(s string) (ID, error) {
	p := dnParser{rest: s, sep: ','}
	if strings.HasPrefix(s, "/") {
		p.sep, p.rest = '/', s[1:]
	}
	var rdns [][]attribute
	total := 0
	for more, join := true, false; more; {
		a, next, err := p.attribute()
		if err != nil {
			return ID{}, err
		}
		if total++; total > maxAttributes {
			return ID{}, fmt.Errorf("more than %d attributes", maxAttributes)
		}
		if join {
			last := len(rdns) - 1
			rdns[last] = append(rdns[last], a)
		} else {
			rdns = append(rdns, []attribute{a})
		}
		join = next == '+'
		more = next != 0 && (join || strings.TrimSpace(p.rest) != "") // a separator may end it
	}
	der, err := encodeDN(rdns)
	if err != nil {
		return ID{}, err
	}
	return ID{DN, string(der)}, nil
}

type dnParser struct {
	rest string
	sep  byte
}

// attribute reads "type=value" and the separator behind it, 0 at the end.
func (p *dnParser) attribute() (a attribute, next byte, err error) {
	name, rest, ok := strings.Cut(p.rest, "=")
	name = strings.TrimSpace(name)
	if !ok || strings.IndexByte(name, p.sep) >= 0 {
		part, _, _ := strings.Cut(p.rest, string(p.sep))
		return a, 0, fmt.Errorf("%s has no \"=\"", quote(strings.TrimSpace(part)))
	}
	t, ok := attributeNamed(name)
	if !ok {
		return a, 0, fmt.Errorf("unknown attribute %s", quote(name))
	}
	p.rest = strings.TrimLeft(rest, " ")
	if strings.HasPrefix(p.rest, "#") {
		return p.derValue(t.oid)
	}
	value, next, err := p.value()
	if err == nil && (!utf8.ValidString(value) || strings.ContainsRune(value, 0)) {
		err = fmt.Errorf("the value of %s is not text", quote(name))
	}
	return attribute{t.oid, stringType(t, value), value}, next, err
}

// derValue reads a value in hexadecimal DER.
func (p *dnParser) derValue(oid string) (a attribute, next byte, err error) {
	text := p.rest
	end := len(text)
	for i := range text {
		if text[i] == p.sep || text[i] == '+' {
			end, next = i, text[i]
			break
		}
	}
	p.rest = text[min(end+1, len(text)):]
	raw, err := hex.DecodeString(strings.TrimSpace(text[1:end]))
	if err != nil {
		return a, 0, fmt.Errorf("value %s is not hexadecimal", quote(text[:end]))
	}
	der := cryptobyte.String(raw)
	var value cryptobyte.String
	var tag asn1.Tag
	if !der.ReadAnyASN1(&value, &tag) || !der.Empty() {
		return a, 0, fmt.Errorf("value %s: %w", quote(text[:end]), errDER)
	}
	return attribute{oid, tag, string(value)}, next, nil
}

// value reads a value up to the separator. Spaces at its ends do not count
// unless they are quoted or escaped.
func (p *dnParser) value() (value string, next byte, err error) {
	var b strings.Builder
	keep := 0 // how much of b no trimming reaches
	quoted := false
	for p.rest != "" {
		c := p.rest[0]
		if !quoted && (c == p.sep || c == '+' && startsAttribute(p.rest[1:])) {
			p.rest, next = p.rest[1:], c
			return trimEnd(b.String(), keep), next, nil
		}
		switch c {
		case '"':
			quoted = !quoted
			p.rest, keep = p.rest[1:], b.Len()
		case '\\':
			o, n, err := unescape(p.rest)
			if err != nil {
				return "", 0, err
			}
			b.WriteByte(o)
			p.rest, keep = p.rest[n:], b.Len()
		default:
			b.WriteByte(c)
			p.rest = p.rest[1:]
			if quoted {
				keep = b.Len()
			}
		}
	}
	if quoted {
		return "", 0, fmt.Errorf("a quote is not closed")
	}
	return trimEnd(b.String(), keep), 0, nil
}

func trimEnd(s string, keep int) string { return s[:keep] + strings.TrimRight(s[keep:], " ") }

// unescape reads a backslash and what follows: two hexadecimal digits, or one
// character that stands for itself. n octets were read.
func unescape(s string) (octet byte, n int, err error) {
	if len(s) >= 3 {
		if b, err := hex.DecodeString(s[1:3]); err == nil {
			return b[0], 3, nil
		}
	}
	if len(s) < 2 {
		return 0, 0, fmt.Errorf("nothing follows the last backslash")
	}
	return s[1], 2, nil
}

// startsAttribute says whether "type=" follows: only then does "+" join.
func startsAttribute(s string) bool {
	name, _, ok := strings.Cut(s, "=")
	if !ok {
		return false
	}
	_, ok = attributeNamed(strings.TrimSpace(name))
	return ok
}

// stringType chooses the ASN.1 type of a value: what its attribute wants, else
// PrintableString if that has all the characters, else UTF8String (RFC 5280, 4.1.2.4).
func stringType(t attributeType, value string) asn1.Tag {
	ascii := !strings.ContainsFunc(value, func(r rune) bool { return r >= utf8.RuneSelf })
	if t.ia5 && ascii {
		return asn1.IA5String
	}
	const marks = " '()+,-./:=?"
	for _, r := range value {
		if r >= utf8.RuneSelf || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(marks, r) {
			return asn1.UTF8String
		}
	}
	return asn1.PrintableString
}

// formatDN writes a distinguished name so that parseDNText reads the same again.
func formatDN(rdns [][]attribute) string {
	parts := make([]string, 0, len(rdns))
	for _, rdn := range rdns {
		as := make([]string, 0, len(rdn))
		for _, a := range rdn {
			as = append(as, attributeName(a.oid)+"="+a.formatValue())
		}
		parts = append(parts, strings.Join(as, " + "))
	}
	return strings.Join(parts, ", ")
}

func (a attribute) formatValue() string {
	text, ok := a.text()
	if !ok || strings.ContainsRune(text, 0) {
		der, err := a.encodeValue()
		if err != nil {
			return "?"
		}
		return "#" + hex.EncodeToString(der)
	}
	var b strings.Builder
	for i, r := range text {
		edge := i == 0 || i == len(text)-1
		switch {
		case r == ' ' && edge, !unicode.IsPrint(r):
			for _, o := range []byte(string(r)) {
				fmt.Fprintf(&b, `\%02x`, o)
			}
		case strings.ContainsRune(`,+"\`, r), r == '#' && i == 0:
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (a attribute) encodeValue() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(a.tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.value)) })
	return b.Bytes()
}
