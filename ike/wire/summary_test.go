package wire

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	for _, c := range []struct {
		h    Header
		ps   []Payload
		want string
	}{
		{
			Header{Exchange: IKEAuth, MessageID: 1},
			[]Payload{&ID{}, &Auth{}, &SA{}, &TS{}, &TS{Responder: true}, &Notify{Kind: NotifyInitialContact}},
			"IKE_AUTH request 1 [ IDi AUTH SA TSi TSr N(INITIAL_CONTACT) ]",
		},
		{Header{Exchange: Informational, Flags: FlagResponse, MessageID: 4294967295}, nil, "INFORMATIONAL response 4294967295 [ ]"},
		{
			Header{Exchange: 77, Flags: FlagResponse},
			[]Payload{&Nonce{}, &Notify{Kind: 12345}, &Raw{Kind: 200}, &Delete{Protocol: 9}, &Delete{Protocol: ProtocolESP, SPIs: spis(3)},
				&CP{Kind: 7}, &EAP{}, &SKF{Fragment: 2, Total: 3}, &VendorID{}, &Cert{}, &CertReq{}, &SK{}, &KE{}},
			"EXCHANGE_77 response 0 [ Nr N(NOTIFY_12345) PAYLOAD_200 D(PROTOCOL_9) D(ESP 3) CP(CFG_7) EAP SKF(2/3) V CERT CERTREQ SK KE ]",
		},
	} {
		if s := Summary(c.h, c.ps); s != c.want {
			t.Errorf("%q, want %q", s, c.want)
		}
	}
}

func TestSummaryIsBounded(t *testing.T) {
	var ps []Payload
	for range 60000 {
		ps = append(ps, &Notify{Kind: NotifyReplayCounterSyncSupported})
	}
	s := Summary(Header{Exchange: Informational}, ps)
	if len(s) > summaryLen+100 || !strings.HasSuffix(s, " more ]") {
		t.Errorf("%d octets: %q", len(s), s)
	}
}
