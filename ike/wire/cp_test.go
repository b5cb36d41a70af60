package wire

import "testing"

func TestCP(t *testing.T) {
	testPayloads(t, []payloadCase{
		{
			name: "request", kind: PayloadCP, body: "01000000 00010000 00030000",
			want: &CP{Kind: CFGRequest, Attributes: []CPAttribute{{InternalIP4Address, []byte{}}, {InternalIP4DNS, []byte{}}}},
			cut:  func(n int) bool { return n == 4 || n == 8 },
		},
		{
			name: "reply", kind: PayloadCP, body: "02000000 00010004 0a090001 00080001 ff",
			want: &CP{Kind: CFGReply, Attributes: []CPAttribute{{InternalIP4Address, []byte{10, 9, 0, 1}}, {InternalIP6Address, []byte{255}}}},
			cut:  func(n int) bool { return n == 4 || n == 12 },
		},
		{name: "nothing", kind: PayloadCP, body: "04000000", want: &CP{Kind: CFGAck}},
		{
			name: "reserved", kind: PayloadCP, body: "03ffffff 80070001 41", canon: "03000000 00070001 41",
			want: &CP{Kind: CFGSet, Attributes: []CPAttribute{{ApplicationVersion, []byte("A")}}},
			cut:  func(n int) bool { return n == 4 },
		},
		{name: "short", kind: PayloadCP, body: "010000", err: "CP payload: 3 octets"},
		{name: "attribute cut off", kind: PayloadCP, body: "01000000 000100", err: "attribute cut off after 3 octets"},
		{name: "attribute too long", kind: PayloadCP, body: "01000000 00010005 0a090001", err: "INTERNAL_IP4_ADDRESS of 9 octets, 8 are left"},
		{name: "attribute of 65535", kind: PayloadCP, body: "01000000 0001ffff", err: "of 65539 octets"},
	})
}

func TestCPLimits(t *testing.T) {
	b := unhex(t, "01000000"+repeat("00010000", 256))
	_, err := parseOne(t, PayloadCP, b)
	wantSyntax(t, err, "more than 255 attributes")
	if _, err := Parse(PayloadCP, chain(t, b), Limits{Attributes: 256}); err != nil {
		t.Error(err)
	}
}

func TestCPEncodable(t *testing.T) {
	for name, a := range map[string]CPAttribute{
		"type of 16 bits": {Type: 0x8001},
		"65536 octets":    {Type: InternalDNSDomain, Data: make([]byte, 65536)},
	} {
		if _, _, err := AppendPayloads(nil, &CP{Attributes: []CPAttribute{a}}); err == nil {
			t.Errorf("%s: is written", name)
		}
	}
}

func TestGoldenCP(t *testing.T) {
	c, _ := Find[*CP](readGolden(t, "eap-10-auth-response").inner(t))
	if c.Kind != CFGReply || len(c.Attributes) != 4 || c.Attributes[0].Type != InternalIP4Address ||
		string(c.Attributes[0].Data) != "\x0a\x09\x00\x01" || c.Attributes[3].Type != InternalIP4Subnet {
		t.Errorf("CP %+v", c)
	}
}
