package id

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxAttributes bounds a distinguished name.
const maxAttributes = 64

// attribute is one AttributeTypeAndValue of a distinguished name (X.501, 9.2).
type attribute struct {
	oid   string // the content octets of the object identifier
	tag   asn1.Tag
	value string // the content octets of the value
}

var errDER = errors.New("malformed DER")

// parseDN reads a Name: a sequence of sets of attributes (RFC 5280, 4.1.2.4).
func parseDN(der []byte) ([][]attribute, error) {
	in := cryptobyte.String(der)
	var name cryptobyte.String
	if !in.ReadASN1(&name, asn1.SEQUENCE) || !in.Empty() {
		return nil, errDER
	}
	var rdns [][]attribute
	total := 0
	for !name.Empty() {
		var set cryptobyte.String
		if !name.ReadASN1(&set, asn1.SET) || set.Empty() {
			return nil, errDER
		}
		var rdn []attribute
		for !set.Empty() {
			a, ok := readAttribute(&set)
			if !ok {
				return nil, errDER
			}
			rdn = append(rdn, a)
			if total++; total > maxAttributes {
				return nil, fmt.Errorf("distinguished name with more than %d attributes", maxAttributes)
			}
		}
		rdns = append(rdns, rdn)
	}
	return rdns, nil
}

// encodeDN writes a Name. Attributes of a part are put in the order of DER.
func encodeDN(rdns [][]attribute) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, rdn := range rdns {
			set, err := encodeSet(rdn)
			if err != nil {
				b.SetError(err)
				return
			}
			b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(set) })
		}
	})
	return b.Bytes()
}

func encodeSet(rdn []attribute) ([]byte, error) {
	encoded := make([][]byte, 0, len(rdn))
	for _, a := range rdn {
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.oid)) })
			b.AddASN1(a.tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.value)) })
		})
		raw, err := b.Bytes()
		if err != nil {
			return nil, err
		}
		encoded = append(encoded, raw)
	}
	slices.SortFunc(encoded, bytes.Compare)
	return bytes.Join(encoded, nil), nil
}

func (a attribute) isWildcard() bool {
	s, ok := a.text()
	return ok && s == "*"
}

// equal compares type and value. Strings are equal whatever their ASN.1 type, the
// case of ASCII letters and the number of spaces (X.520, 6.1; RFC 5280, 7.1).
func (a attribute) equal(b attribute) bool {
	if a.oid != b.oid {
		return false
	}
	s, ok1 := a.text()
	t, ok2 := b.text()
	if ok1 && ok2 {
		return fold(s) == fold(t)
	}
	return a == b
}

func fold(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' })
	return lower(strings.Join(words, " "))
}

// The string types that cryptobyte does not name.
const (
	tagNumericString   asn1.Tag = 18
	tagVisibleString   asn1.Tag = 26
	tagUniversalString asn1.Tag = 28
	tagBMPString       asn1.Tag = 30
)

// text returns the value as UTF-8, if it is a string.
func (a attribute) text() (string, bool) {
	switch a.tag {
	case asn1.UTF8String:
		return a.value, utf8.ValidString(a.value)
	case asn1.PrintableString, asn1.IA5String, tagNumericString, tagVisibleString:
		return a.value, !strings.ContainsFunc(a.value, func(r rune) bool { return r >= utf8.RuneSelf })
	case asn1.T61String: // what is written so is Latin-1
		rs := make([]rune, 0, len(a.value))
		for _, c := range []byte(a.value) {
			rs = append(rs, rune(c))
		}
		return string(rs), true
	case tagBMPString:
		return wideText(a.value, 2)
	case tagUniversalString:
		return wideText(a.value, 4)
	}
	return "", false
}

// wideText reads characters of two or four octets.
func wideText(s string, width int) (string, bool) {
	if len(s)%width != 0 {
		return "", false
	}
	rs := make([]rune, 0, len(s)/width)
	for b := []byte(s); len(b) > 0; b = b[width:] {
		r := uint32(binary.BigEndian.Uint16(b))
		if width == 4 {
			r = binary.BigEndian.Uint32(b)
		}
		if r > utf8.MaxRune || utf16.IsSurrogate(rune(r)) {
			return "", false
		}
		rs = append(rs, rune(r))
	}
	return string(rs), true
}
