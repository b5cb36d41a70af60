package wire

import (
	"encoding/binary"
	"testing"
)

func TestNotify(t *testing.T) {
	testPayloads(t, []payloadCase{
		{
			name: "error", kind: PayloadNotify, body: "0000000e",
			want: &Notify{Kind: NotifyNoProposalChosen, SPI: []byte{}, Data: []byte{}},
		},
		{
			name: "data", kind: PayloadNotify, body: "00004006 0102", cut: atLeast(4),
			want: &Notify{Kind: NotifyCookie, SPI: []byte{}, Data: []byte{1, 2}},
		},
		{
			name: "SPI of ESP", kind: PayloadNotify, body: "03044009 cafe0001",
			want: &Notify{Protocol: ProtocolESP, SPI: []byte{0xca, 0xfe, 0, 1}, Kind: NotifyRekeySA, Data: []byte{}},
		},
		{
			name: "SPI of IKE and data", kind: PayloadNotify, body: "01089c40 0102030405060708 09", cut: atLeast(12),
			want: &Notify{Protocol: ProtocolIKE, SPI: []byte{1, 2, 3, 4, 5, 6, 7, 8}, Kind: 40000, Data: []byte{9}},
		},
		{
			name: "unknown protocol", kind: PayloadNotify, body: "ff00000e",
			want: &Notify{Protocol: 255, Kind: NotifyNoProposalChosen, SPI: []byte{}, Data: []byte{}},
		},
		{name: "short", kind: PayloadNotify, body: "000000", err: "N payload: 3 octets"},
		{name: "SPI beyond the end", kind: PayloadNotify, body: "03044009 cafe00", err: "REKEY_SA with an SPI of 4 octets, 3 are left"},
		{name: "SPI of 3 octets", kind: PayloadNotify, body: "03034009 cafe00", err: "SPI of 3 octets"},
		{name: "SPI of 16 octets", kind: PayloadNotify, body: "03104009" + repeat("00", 16), err: "SPI of 16 octets"},
		{name: "SPI of 255 octets", kind: PayloadNotify, body: "03ff4009" + repeat("00", 255), err: "SPI of 255 octets"},
	})
}

func TestNotifyEncodable(t *testing.T) {
	for _, n := range []int{1, 5, 16, 256} {
		if _, _, err := AppendPayloads(nil, &Notify{SPI: make([]byte, n)}); err == nil {
			t.Errorf("an SPI of %d octets is written", n)
		}
	}
}

func TestGoldenNotify(t *testing.T) {
	_, ps := readGolden(t, "invalid-ke-02-init-response").outer(t)
	if n := FindNotify(ps, NotifyInvalidKEPayload); n == nil || len(n.Data) != 2 || binary.BigEndian.Uint16(n.Data) != 31 {
		t.Errorf("INVALID_KE_PAYLOAD %+v", n)
	}
	_, ps = readGolden(t, "cookie-02-init-response").outer(t)
	cookie := FindNotify(ps, NotifyCookie)
	_, ps = readGolden(t, "cookie-03-init-request").outer(t)
	if again := FindNotify(ps, NotifyCookie); cookie == nil || again == nil || string(cookie.Data) != string(again.Data) {
		t.Errorf("COOKIE %+v, sent back %+v", cookie, again)
	}
	rekeyed := FindNotify(readGolden(t, "psk-05-create-request").inner(t), NotifyRekeySA)
	deleted, _ := Find[*Delete](readGolden(t, "psk-07-info-request").inner(t))
	if rekeyed == nil || rekeyed.Protocol != ProtocolESP || string(rekeyed.SPI) != string(deleted.SPIs[0]) {
		t.Errorf("REKEY_SA %+v, then deleted %+v", rekeyed, deleted)
	}
}
