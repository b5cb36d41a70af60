package wire

import "testing"

func TestDelete(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "IKE", kind: PayloadDelete, body: "01000000", want: &Delete{Protocol: ProtocolIKE}},
		{name: "one", kind: PayloadDelete, body: "03040001 cafe0001", want: &Delete{Protocol: ProtocolESP, SPIs: [][]byte{{0xca, 0xfe, 0, 1}}}},
		{name: "two", kind: PayloadDelete, body: "02040002 0000000a 0000000b", want: &Delete{Protocol: ProtocolAH, SPIs: [][]byte{{0, 0, 0, 10}, {0, 0, 0, 11}}}},
		{name: "none", kind: PayloadDelete, body: "03040000", want: &Delete{Protocol: ProtocolESP}},
		{name: "short", kind: PayloadDelete, body: "030400", err: "D payload: 3 octets"},
		{name: "fewer than counted", kind: PayloadDelete, body: "03040002 cafe0001", err: "2 SPIs of 4 octets for ESP in 4 octets"},
		{name: "more than counted", kind: PayloadDelete, body: "03040001 cafe0001 cafe0002", err: "1 SPIs of 4 octets for ESP in 8 octets"},
		{name: "65535 counted", kind: PayloadDelete, body: "0304ffff", err: "65535 SPIs"},
		{name: "65535 of no octets", kind: PayloadDelete, body: "0300ffff", err: "65535 SPIs of 0 octets for ESP"},
		{name: "65535 of no octets for IKE", kind: PayloadDelete, body: "0100ffff", err: "65535 SPIs of 0 octets for IKE"},
		{name: "SPI of IKE", kind: PayloadDelete, body: "01080001 0102030405060708", err: "1 SPIs of 8 octets for IKE"},
		{name: "SPI of ESP with 8 octets", kind: PayloadDelete, body: "03080001 0102030405060708", err: "1 SPIs of 8 octets for ESP"},
		{name: "unknown protocol", kind: PayloadDelete, body: "09040001 01020304", err: "for PROTOCOL_9"},
	})
}

func TestDeleteEncodable(t *testing.T) {
	for name, d := range map[string]*Delete{
		"SPI for IKE":      {Protocol: ProtocolIKE, SPIs: [][]byte{{}}},
		"SPI of 8 octets":  {Protocol: ProtocolESP, SPIs: [][]byte{make([]byte, 8)}},
		"unknown protocol": {Protocol: 9},
		"70000 SPIs":       {Protocol: ProtocolESP, SPIs: spis(70000)},
		"20000 SPIs":       {Protocol: ProtocolESP, SPIs: spis(20000)},
	} {
		if _, _, err := AppendPayloads(nil, d); err == nil {
			t.Errorf("%s: is written", name)
		}
	}
}

func spis(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = []byte{0, 0, 0, 1}
	}
	return out
}

func TestGoldenDelete(t *testing.T) {
	if d, _ := Find[*Delete](readGolden(t, "psk-11-info-request").inner(t)); d.Protocol != ProtocolIKE || d.SPIs != nil {
		t.Errorf("D %+v", d)
	}
	if d, _ := Find[*Delete](readGolden(t, "psk-07-info-request").inner(t)); d.Protocol != ProtocolESP || len(d.SPIs) != 1 {
		t.Errorf("D %+v", d)
	}
}
