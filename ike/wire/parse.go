package wire

import "encoding/binary"

// genericLen is the length of the generic payload header (RFC 7296, 3.2).
const genericLen = 4

// criticalBit is in the second octet of the generic payload header.
const criticalBit = 0x80

// DefaultLimits is far more than real peers send, and keeps the memory that a
// message takes to a small multiple of its length.
var DefaultLimits = Limits{Payloads: 128, Proposals: 128, Transforms: 255, Selectors: 255, Attributes: 255}

// withDefaults fills in every limit that is not set.
func (l Limits) withDefaults() Limits {
	fill := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	fill(&l.Payloads, DefaultLimits.Payloads)
	fill(&l.Proposals, DefaultLimits.Proposals)
	fill(&l.Transforms, DefaultLimits.Transforms)
	fill(&l.Selectors, DefaultLimits.Selectors)
	fill(&l.Attributes, DefaultLimits.Attributes)
	return l
}

// Parse reads a chain of payloads that begins with one of the type first and
// fills b. Limits that are 0 are those of DefaultLimits. The payloads alias b;
// Clone what outlives it.
//
// Payloads of a type that this package does not know are *Raw, critical or not:
// Check tells. Encrypted payloads are not opened, and must be the last. Every
// error is a *ProtocolError.
func Parse(first PayloadType, b []byte, l Limits) ([]Payload, error) {
	l = l.withDefaults()
	var ps []Payload
	for t := first; t != NoNextPayload; {
		if len(ps) == l.Payloads {
			return nil, syntaxError("more than %d payloads", l.Payloads)
		}
		next, critical, body, rest, err := cut(t, b)
		if err != nil {
			return nil, err
		}
		p, err := parseBody(t, next, critical, body, l)
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
		if t, b = next, rest; isSealed(p) {
			break // its Next Payload is of what it holds
		}
	}
	if len(b) > 0 {
		return nil, syntaxError("%d octets behind the last payload", len(b))
	}
	return ps, nil
}

// cut takes the first payload off b: the fields of its generic header, its body
// and what follows it (RFC 7296, 3.2).
func cut(t PayloadType, b []byte) (next PayloadType, critical bool, body, rest []byte, err error) {
	if len(b) < genericLen {
		return 0, false, nil, nil, syntaxError("%s payload: header cut off after %d octets", t, len(b))
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < genericLen || n > len(b) {
		return 0, false, nil, nil, syntaxError("%s payload: length %d, %d octets are left", t, n, len(b))
	}
	return PayloadType(b[0]), b[1]&criticalBit != 0, b[genericLen:n:n], b[n:], nil
}

// isSealed tells whether a payload is an encrypted one, whose Next Payload does
// not tell what follows it.
func isSealed(p Payload) bool {
	t := p.Type()
	return t == PayloadSK || t == PayloadSKF
}

// parsers are the readers of payload bodies, by type. SK and SKF need more than
// their bodies.
var parsers = map[PayloadType]func(b []byte, l Limits) (Payload, error){
	PayloadSA:       parseSA,
	PayloadKE:       parseKE,
	PayloadIDi:      parseIDi,
	PayloadIDr:      parseIDr,
	PayloadCert:     parseCert,
	PayloadCertReq:  parseCertReq,
	PayloadAuth:     parseAuth,
	PayloadNonce:    parseNonce,
	PayloadNotify:   parseNotify,
	PayloadDelete:   parseDelete,
	PayloadVendorID: parseVendorID,
	PayloadTSi:      parseTSi,
	PayloadTSr:      parseTSr,
	PayloadCP:       parseCP,
	PayloadEAP:      parseEAP,
}

func parseBody(t, next PayloadType, critical bool, b []byte, l Limits) (Payload, error) {
	switch t {
	case PayloadSK:
		return &SK{First: next, Body: b}, nil
	case PayloadSKF:
		return parseSKF(next, b)
	}
	if parse, ok := parsers[t]; ok {
		return parse(b, l)
	}
	return &Raw{Kind: t, CriticalFlag: critical, Data: b}, nil
}

// tooShort is the error of a payload whose body ends within its fixed part.
func tooShort(t PayloadType, b []byte, least int) error {
	return syntaxError("%s payload: %d octets, at least %d are needed", t, len(b), least)
}
