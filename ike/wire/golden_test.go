package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden is a message of testdata/golden. plain is what its encrypted payload
// holds, nil when it has none.
type golden struct {
	name           string
	message, plain []byte
}

func readGolden(t testing.TB, name string) golden {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "golden", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	outer, inner, sealed := strings.Cut(string(b), "plain\n")
	g := golden{name: name, message: unhex(t, outer)}
	if sealed {
		g.plain = append([]byte{}, unhex(t, inner)...)
	}
	return g
}

func allGolden(t testing.TB) (gs []golden) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.hex"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no golden messages")
	}
	for _, f := range files {
		gs = append(gs, readGolden(t, strings.TrimSuffix(filepath.Base(f), ".hex")))
	}
	return gs
}

// unhex decodes hexadecimal digits; spaces and lines do not matter.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// outer parses a golden message without opening it.
func (g golden) outer(t testing.TB) (Header, []Payload) {
	t.Helper()
	h, err := ParseHeader(g.message)
	if err != nil {
		t.Fatal(err)
	}
	ps, err := Parse(h.NextPayload, g.message[HeaderLen:h.Length], Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return h, ps
}

// inner parses what the encrypted payload of a golden message holds.
func (g golden) inner(t testing.TB) []Payload {
	t.Helper()
	_, ps := g.outer(t)
	sk, ok := Find[*SK](ps)
	if !ok {
		t.Fatal(g.name, "has no SK payload")
	}
	in, err := Parse(sk.First, g.plain, Limits{})
	if err != nil {
		t.Fatal(g.name, err)
	}
	return in
}

const (
	natd   = "N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP) "
	mobike = "N(MOBIKE_SUPPORTED) N(ADDITIONAL_IP4_ADDRESS) N(ADDITIONAL_IP4_ADDRESS) N(ADDITIONAL_IP6_ADDRESS) N(ADDITIONAL_IP6_ADDRESS) "
	more   = "N(MULTIPLE_AUTH_SUPPORTED) N(EAP_ONLY_AUTHENTICATION) N(IKEV2_MESSAGE_ID_SYNC_SUPPORTED) "
	ends   = "N(IKEV2_FRAGMENTATION_SUPPORTED) N(SIGNATURE_HASH_ALGORITHMS) "
	endsI  = ends + "N(REDIRECT_SUPPORTED) "
	endsR  = ends + "N(CHILDLESS_IKEV2_SUPPORTED) N(MULTIPLE_AUTH_SUPPORTED) "
)

// goldenSummaries are the payloads that charon's log lists for these messages,
// with the names of the IANA registers.
var goldenSummaries = map[string]string{
	"psk-01-init-request":              "IKE_SA_INIT request 0 [ SA KE Ni " + natd + endsI + "]",
	"psk-02-init-response":             "IKE_SA_INIT response 0 [ SA KE Nr " + natd + endsR + "]",
	"psk-03-auth-request":              "IKE_AUTH request 1 [ IDi N(INITIAL_CONTACT) IDr AUTH SA TSi TSr " + mobike + more + "]",
	"psk-04-auth-response":             "IKE_AUTH response 1 [ IDr AUTH SA TSi TSr " + mobike + "]",
	"psk-05-create-request":            "CREATE_CHILD_SA request 2 [ N(REKEY_SA) SA Ni KE TSi TSr ]",
	"psk-06-create-response":           "CREATE_CHILD_SA response 2 [ SA Nr KE TSi TSr ]",
	"psk-07-info-request":              "INFORMATIONAL request 3 [ D(ESP) ]",
	"psk-08-info-response":             "INFORMATIONAL response 3 [ D(ESP) ]",
	"psk-09-create-request":            "CREATE_CHILD_SA request 0 [ SA Ni KE ]",
	"psk-10-create-response":           "CREATE_CHILD_SA response 0 [ SA Nr KE ]",
	"psk-11-info-request":              "INFORMATIONAL request 1 [ D(IKE) ]",
	"psk-12-info-response":             "INFORMATIONAL response 1 [ ]",
	"psk-13-info-request":              "INFORMATIONAL request 0 [ D(ESP) ]",
	"psk-14-info-response":             "INFORMATIONAL response 0 [ D(ESP) ]",
	"psk-15-create-request":            "CREATE_CHILD_SA request 0 [ SA Ni KE TSi TSr ]",
	"psk-16-create-response":           "CREATE_CHILD_SA response 0 [ SA Nr KE TSi TSr ]",
	"auth-failed-04-auth-response":     "IKE_AUTH response 1 [ N(AUTHENTICATION_FAILED) ]",
	"ts-unacceptable-04-auth-response": "IKE_AUTH response 1 [ IDr AUTH " + mobike + "N(TS_UNACCEPTABLE) ]",
	"no-proposal-02-init-response":     "IKE_SA_INIT response 0 [ N(NO_PROPOSAL_CHOSEN) ]",
	"cookie-02-init-response":          "IKE_SA_INIT response 0 [ N(COOKIE) ]",
	"cookie-03-init-request":           "IKE_SA_INIT request 0 [ N(COOKIE) SA KE Ni " + natd + endsI + "]",
	"invalid-ke-01-init-request":       "IKE_SA_INIT request 0 [ SA KE Ni " + natd + endsI + "]",
	"invalid-ke-02-init-response":      "IKE_SA_INIT response 0 [ N(INVALID_KE_PAYLOAD) ]",
	"invalid-ke-07-info-request":       "INFORMATIONAL request 2 [ ]",
	"invalid-ke-08-info-response":      "INFORMATIONAL response 2 [ ]",
	"transport-03-auth-request":        "IKE_AUTH request 1 [ IDi N(INITIAL_CONTACT) IDr AUTH N(USE_TRANSPORT_MODE) SA TSi TSr " + mobike + more + "]",
	"transport-06-info-request":        "INFORMATIONAL request 0 [ N(ADDITIONAL_IP6_ADDRESS) N(ADDITIONAL_IP4_ADDRESS) N(ADDITIONAL_IP4_ADDRESS) N(ADDITIONAL_IP6_ADDRESS) ]",
	"cert-02-init-response":            "IKE_SA_INIT response 0 [ SA KE Nr " + natd + "CERTREQ " + endsR + "]",
	"cert-03-auth-request":             "IKE_AUTH request 1 [ IDi CERT N(INITIAL_CONTACT) CERTREQ IDr AUTH SA TSi TSr " + mobike + more + "]",
	"cert-04-auth-response":            "IKE_AUTH response 1 [ IDr CERT AUTH SA TSi TSr " + mobike + "]",
	"fragments-03-auth-request":        "IKE_AUTH request 1 [ SKF(1/2) ]",
	"fragments-04-auth-request":        "IKE_AUTH request 1 [ SKF(2/2) ]",
	"fragments-05-auth-response":       "IKE_AUTH response 1 [ SKF(1/2) ]",
	"fragments-06-auth-response":       "IKE_AUTH response 1 [ SKF(2/2) ]",
	"eap-03-auth-request":              "IKE_AUTH request 1 [ IDi N(INITIAL_CONTACT) IDr CP(CFG_REQUEST) SA TSi TSr " + mobike + more + "]",
	"eap-04-auth-response":             "IKE_AUTH response 1 [ IDr AUTH EAP ]",
	"eap-05-auth-request":              "IKE_AUTH request 2 [ EAP ]",
	"eap-06-auth-response":             "IKE_AUTH response 2 [ EAP ]",
	"eap-07-auth-request":              "IKE_AUTH request 3 [ EAP ]",
	"eap-08-auth-response":             "IKE_AUTH response 3 [ EAP ]",
	"eap-09-auth-request":              "IKE_AUTH request 4 [ AUTH ]",
	"eap-10-auth-response":             "IKE_AUTH response 4 [ AUTH CP(CFG_REPLY) SA TSi TSr " + mobike + "]",
}

func TestGolden(t *testing.T) {
	gs := allGolden(t)
	if len(gs) != len(goldenSummaries) {
		t.Errorf("%d messages, %d summaries", len(gs), len(goldenSummaries))
	}
	for _, g := range gs {
		t.Run(g.name, g.test)
	}
}

// test reads the message, and writes it again to the same octets.
func (g golden) test(t *testing.T) {
	h, ps := g.outer(t)
	response := h.Flags&FlagResponse != 0
	if int(h.Length) != len(g.message) || h.Major != 2 || h.Minor != 0 {
		t.Errorf("header %+v", h)
	}
	if err := Check(h.Exchange, response, false, ps); err != nil {
		t.Error(err)
	}
	again, err := Append(nil, Header{SPIi: h.SPIi, SPIr: h.SPIr, Major: 2, Exchange: h.Exchange, Flags: h.Flags, MessageID: h.MessageID}, ps...)
	if err != nil || !bytes.Equal(again, g.message) {
		t.Errorf("written again: %x %v", again, err)
	}
	if _, ok := Find[*SK](ps); ok {
		ps = g.inner(t)
		if err := Check(h.Exchange, response, true, ps); err != nil {
			t.Error(err)
		}
		rewrites(t, ps, g.plain)
	}
	if s := Summary(h, ps); s != goldenSummaries[g.name] {
		t.Errorf("summary %q, want %q", s, goldenSummaries[g.name])
	}
}

// rewrites writes a chain of payloads and compares.
func rewrites(t *testing.T, ps []Payload, want []byte) {
	t.Helper()
	b, _, err := AppendPayloads(nil, ps...)
	if err != nil || !bytes.Equal(b, want) {
		t.Errorf("payloads written again: %x %v, want %x", b, err, want)
	}
}

// The fragments of a message make one chain of payloads.
func TestGoldenFragments(t *testing.T) {
	for _, c := range []struct {
		first, second string
		response      bool
		want          string
	}{
		{"fragments-03-auth-request", "fragments-04-auth-request", false, goldenSummaries["cert-03-auth-request"]},
		{"fragments-05-auth-response", "fragments-06-auth-response", true, goldenSummaries["cert-04-auth-response"]},
	} {
		g, g2 := readGolden(t, c.first), readGolden(t, c.second)
		h, outer := g.outer(t)
		one, _ := Find[*SKF](outer)
		_, outer = g2.outer(t)
		two, _ := Find[*SKF](outer)
		if one.First == NoNextPayload || two.First != NoNextPayload || two.Fragment != 2 {
			t.Errorf("fragments %+v %+v", one, two)
		}
		plain := append(g.plain, g2.plain...)
		ps, err := Parse(one.First, plain, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(IKEAuth, c.response, true, ps); err != nil {
			t.Error(err)
		}
		if s := Summary(h, ps); s != c.want {
			t.Errorf("summary %q, want %q", s, c.want)
		}
		rewrites(t, ps, plain)
	}
}

// AppendSealed gives the head that charon has authenticated.
func TestGoldenSealed(t *testing.T) {
	for _, g := range allGolden(t) {
		h, ps := g.outer(t)
		if len(ps) != 1 || !isSealed(ps[0]) {
			continue
		}
		empty, head := Payload(nil), HeaderLen+genericLen
		switch p := ps[0].(type) {
		case *SK:
			empty = &SK{First: p.First}
		case *SKF:
			empty, head = &SKF{First: p.First, Fragment: p.Fragment, Total: p.Total}, head+4
		}
		msg, at, err := AppendSealed([]byte("before"), h, empty, len(g.message)-head)
		if err != nil || at != len("before")+head {
			t.Fatal(g.name, at, err)
		}
		want := append([]byte("before"), g.message...)
		if !bytes.Equal(msg[:at], want[:at]) || len(msg) != len(want) || bytes.Trim(msg[at:], "\x00") != nil {
			t.Errorf("%s: %x, want head %x", g.name, msg, want[:at])
		}
	}
}
