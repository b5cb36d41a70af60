package wire

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// Transforms by octets: a last one is 00 in front, others 03.
const (
	aesGCM256  = "00000c 01 00 0014 800e0100"
	aesCBC128  = "00000c 01 00 000c 800e0080"
	prfSHA256  = "000008 02 00 0005"
	integ12    = "000008 03 00 000c"
	group31    = "000008 04 00 001f"
	noESN      = "000008 05 00 0000"
	unknownTLV = "000010 01 00 0014 800e0100 00630000"
)

func TestSA(t *testing.T) {
	testPayloads(t, []payloadCase{
		{
			name: "IKE", kind: PayloadSA,
			body: "00000024 01010003 03" + aesGCM256 + "03" + prfSHA256 + "00" + group31,
			want: &SA{[]Proposal{{Num: 1, Protocol: ProtocolIKE, SPI: []byte{}, Transforms: []Transform{
				{Type: TransformENCR, ID: 20, KeyLen: 256}, {Type: TransformPRF, ID: 5}, {Type: TransformKE, ID: 31}}}}},
		},
		{
			name: "two for ESP, numbers as they are", kind: PayloadSA,
			body: "02000020 07030402 cafe0001 03" + aesGCM256 + "00" + noESN + "00000028 02030403 cafe0001 03" + aesCBC128 + "03" + integ12 + "00" + noESN,
			want: &SA{[]Proposal{
				{Num: 7, Protocol: ProtocolESP, SPI: []byte{0xca, 0xfe, 0, 1}, Transforms: []Transform{
					{Type: TransformENCR, ID: 20, KeyLen: 256}, {Type: TransformESN}}},
				{Num: 2, Protocol: ProtocolESP, SPI: []byte{0xca, 0xfe, 0, 1}, Transforms: []Transform{
					{Type: TransformENCR, ID: 12, KeyLen: 128}, {Type: TransformINTEG, ID: 12}, {Type: TransformESN}}}}},
		},
		{
			name: "rekeying of IKE", kind: PayloadSA,
			body: "00000018 01010801 0102030405060708 00" + group31,
			want: &SA{[]Proposal{{Num: 1, Protocol: ProtocolIKE, SPI: []byte{1, 2, 3, 4, 5, 6, 7, 8}, Transforms: []Transform{{Type: TransformKE, ID: 31}}}}},
		},
		{
			name: "unknown protocol with an SPI of 3 octets, no transforms", kind: PayloadSA,
			body: "0000000b 01c80300 010203",
			want: &SA{[]Proposal{{Num: 1, Protocol: 200, SPI: []byte{1, 2, 3}}}},
		},
		{
			name: "unknown attribute", kind: PayloadSA,
			body:  "00000018 01010001 00" + unknownTLV,
			canon: "00000014 01010001 00" + aesGCM256,
			want:  &SA{[]Proposal{{Num: 1, Protocol: ProtocolIKE, SPI: []byte{}, Transforms: []Transform{{Type: TransformENCR, ID: 20, KeyLen: 256, Unknown: true}}}}},
		},
		{
			name: "reserved octets are ignored", kind: PayloadSA,
			body:  "00ff0010 01010001 00ff0008 04ff001f",
			canon: "00000010 01010001 00" + group31,
			want:  &SA{[]Proposal{{Num: 1, Protocol: ProtocolIKE, SPI: []byte{}, Transforms: []Transform{{Type: TransformKE, ID: 31}}}}},
		},
		{name: "empty", kind: PayloadSA, body: "", err: "proposal cut off after 0 octets"},
		{name: "last, but more follows", kind: PayloadSA, body: repeat("00000010 01010001 00"+group31, 2), err: "marked 0 in place of 2"},
		{name: "more, but nothing follows", kind: PayloadSA, body: "02000010 01010001 00" + group31, err: "marked 2 in place of 0"},
		{name: "mark of a transform on a proposal", kind: PayloadSA, body: "03000010 01010001 00" + group31, err: "a proposal is marked 3"},
		{name: "proposal too long", kind: PayloadSA, body: "00000011 01010001 00" + group31, err: "proposal of length 17, 16 octets are left"},
		{name: "proposal of length 0", kind: PayloadSA, body: "00000000 01010001 00" + group31, err: "proposal of length 0"},
		{name: "proposal of length 7", kind: PayloadSA, body: "00000007 01010001 00" + group31, err: "proposal of length 7"},
		{name: "transform of length 0", kind: PayloadSA, body: "00000010 01010001 00000000 0400001f", err: "transform of length 0"},
		{name: "transform of length 7", kind: PayloadSA, body: "00000010 01010001 00000007 0400001f", err: "transform of length 7"},
		{name: "transform too long", kind: PayloadSA, body: "00000010 01010001 00000009 0400001f", err: "transform of length 9"},
		{name: "last transform, but more follows", kind: PayloadSA, body: "00000018 01010002 00" + group31 + "00" + group31, err: "a transform is marked 0 in place of 3"},
		{name: "more transforms, but none follows", kind: PayloadSA, body: "00000010 01010001 03" + group31, err: "a transform is marked 3 in place of 0"},
		{name: "mark of a proposal on a transform", kind: PayloadSA, body: "00000018 01010002 02" + group31 + "00" + group31, err: "a transform is marked 2"},
		{name: "fewer transforms than counted", kind: PayloadSA, body: "00000010 01010002 00" + group31, err: "1 transforms in a proposal that counts 2"},
		{name: "more transforms than counted", kind: PayloadSA, body: "00000018 01010001 03" + group31 + "00" + group31, err: "more transforms in a proposal than the 1"},
		{name: "octets that are no transform", kind: PayloadSA, body: "00000014 01010002 03" + group31 + "00000000", err: "transform cut off after 4 octets"},
		{name: "SPI beyond the proposal", kind: PayloadSA, body: "0000000c 01030400", err: "proposal of length 12"},
		{name: "SPI beyond the end", kind: PayloadSA, body: "00000008 01030400", err: "SPI of 4 octets"},
		{name: "SPI of ESP with 0 octets", kind: PayloadSA, body: "00000010 01030001 00" + noESN, err: "SPI of 0 octets in a proposal for ESP"},
		{name: "SPI of ESP with 8 octets", kind: PayloadSA, body: "00000018 01030801 0102030405060708 00" + noESN, err: "SPI of 8 octets in a proposal for ESP"},
		{name: "SPI of AH with 2 octets", kind: PayloadSA, body: "00000012 01020201 0102 00" + noESN, err: "SPI of 2 octets in a proposal for AH"},
		{name: "SPI of IKE with 4 octets", kind: PayloadSA, body: "00000014 01010401 01020304 00" + group31, err: "SPI of 4 octets in a proposal for IKE"},
		{name: "attribute cut off", kind: PayloadSA, body: "00000013 01010001 0000000b 01000014 800e01", err: "attribute cut off after 3 octets"},
		{name: "attribute too long", kind: PayloadSA, body: "00000014 01010001 0000000c 01000014 00630001", err: "attribute of 5 octets, 4 are left"},
	})
}

func TestTransformAttributes(t *testing.T) {
	for name, c := range map[string]struct {
		attributes string
		want       Transform
	}{
		"none":                   {"", Transform{}},
		"key length":             {"800e0080", Transform{KeyLen: 128}},
		"key length 0":           {"800e0000", Transform{}},
		"key length twice":       {"800e0080 800e0100", Transform{KeyLen: 128, Unknown: true}},
		"key length as TLV":      {"000e0002 0080", Transform{Unknown: true}},
		"unknown TV":             {"80630001", Transform{Unknown: true}},
		"unknown TLV, then key":  {"00630003 010203 800e00c0", Transform{KeyLen: 192, Unknown: true}},
		"unknown TLV, no octets": {"00630000", Transform{Unknown: true}},
	} {
		b := unhex(t, "00000000 00000000"+c.attributes)
		if got, err := parseTransform(b); err != nil || got != c.want {
			t.Errorf("%s: %+v %v, want %+v", name, got, err, c.want)
		}
	}
}

func TestSALimits(t *testing.T) {
	proposal := func(mark string, transforms int) string {
		return mark + fmt.Sprintf("00%04x010100%02x", 8+8*transforms, transforms) + repeat("03"+group31, transforms-1) + "00" + group31
	}
	three := unhex(t, proposal("02", 1)+proposal("02", 4)+proposal("00", 1))
	for _, c := range []struct {
		l   Limits
		err string
	}{
		{Limits{}, ""},
		{Limits{Proposals: 3, Transforms: 4}, ""},
		{Limits{Proposals: 2}, "more than 2 proposals"},
		{Limits{Transforms: 3}, "more than 3 transforms"},
	} {
		ps, err := Parse(PayloadSA, chain(t, three), c.l)
		if c.err != "" {
			wantSyntax(t, err, c.err)
		} else if err != nil || len(ps[0].(*SA).Proposals) != 3 {
			t.Error(c.l, ps, err)
		}
	}
	if _, err := parseOne(t, PayloadSA, unhex(t, proposal("00", 255))); err != nil {
		t.Error("255 transforms:", err)
	}
	most := DefaultLimits.Proposals
	if _, err := parseOne(t, PayloadSA, unhex(t, repeat(proposal("02", 1), most-1)+proposal("00", 1))); err != nil {
		t.Error(err)
	}
	_, err := parseOne(t, PayloadSA, unhex(t, repeat(proposal("02", 1), most)+proposal("00", 1)))
	wantSyntax(t, err, "more than 128 proposals")
}

func TestSAEncodable(t *testing.T) {
	for name, sa := range map[string]*SA{
		"no proposal":    {},
		"long SPI":       {Proposals: []Proposal{{SPI: make([]byte, 256)}}},
		"256 transforms": {Proposals: []Proposal{{Transforms: make([]Transform, 256)}}},
		"too large":      {Proposals: make([]Proposal, 70000/8)},
	} {
		if _, _, err := AppendPayloads(nil, sa); err == nil {
			t.Errorf("%s: is written", name)
		} else if name != "no proposal" && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What charon has offered, and what it has chosen of that.
func TestGoldenSA(t *testing.T) {
	_, ps := readGolden(t, "psk-01-init-request").outer(t)
	sa, _ := Find[*SA](ps)
	want := []Proposal{
		{Num: 1, Protocol: ProtocolIKE, SPI: []byte{}, Transforms: []Transform{
			{Type: TransformENCR, ID: 20, KeyLen: 256}, {Type: TransformPRF, ID: 5}, {Type: TransformKE, ID: 31}}},
		{Num: 2, Protocol: ProtocolIKE, SPI: []byte{}, Transforms: []Transform{
			{Type: TransformENCR, ID: 12, KeyLen: 128}, {Type: TransformINTEG, ID: 12}, {Type: TransformPRF, ID: 5}, {Type: TransformKE, ID: 14}}},
	}
	if !reflect.DeepEqual(sa.Proposals, want) {
		t.Errorf("offered %+v, want %+v", sa.Proposals, want)
	}
	_, ps = readGolden(t, "psk-02-init-response").outer(t)
	if sa, _ = Find[*SA](ps); !reflect.DeepEqual(sa.Proposals, want[:1]) {
		t.Errorf("chosen %+v, want %+v", sa.Proposals, want[:1])
	}
	sa, _ = Find[*SA](readGolden(t, "psk-05-create-request").inner(t))
	var kinds []string
	for _, x := range sa.Proposals[1].Transforms {
		kinds = append(kinds, x.Type.String())
	}
	if s := strings.Join(kinds, " "); s != "ENCR INTEG KE ESN" || len(sa.Proposals[1].SPI) != 4 || sa.Proposals[1].Protocol != ProtocolESP {
		t.Errorf("offered for a child: %s, %+v", s, sa.Proposals)
	}
}
