package wire

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// words are payloads by the names that the rule tests use.
var words = map[string]func() Payload{
	"SA":          func() Payload { return ikeSA(1, 0) },
	"SA2":         func() Payload { return ikeSA(2, 0) },
	"SAspi":       func() Payload { return ikeSA(1, 8) },
	"SAspi2":      func() Payload { return ikeSA(2, 8) },
	"SAesp":       func() Payload { return &SA{[]Proposal{espProposal}} },
	"SAesp2":      func() Payload { return &SA{[]Proposal{espProposal, espProposal}} },
	"SAmixed":     func() Payload { return &SA{append([]Proposal{espProposal}, ikeSA(1, 8).Proposals...)} },
	"KE":          func() Payload { return &KE{Method: 31, Data: make([]byte, 32)} },
	"Nonce":       func() Payload { return &Nonce{Data: make([]byte, 32)} },
	"Nonce15":     func() Payload { return &Nonce{Data: make([]byte, 15)} },
	"Nonce16":     func() Payload { return &Nonce{Data: make([]byte, 16)} },
	"Nonce256":    func() Payload { return &Nonce{Data: make([]byte, 256)} },
	"Nonce257":    func() Payload { return &Nonce{Data: make([]byte, 257)} },
	"IDi":         func() Payload { return &ID{Kind: IDFQDN} },
	"IDr":         func() Payload { return &ID{Responder: true, Kind: IDFQDN} },
	"CERT":        func() Payload { return &Cert{} },
	"CERTREQ":     func() Payload { return &CertReq{} },
	"AUTH":        func() Payload { return &Auth{} },
	"EAP":         func() Payload { return &EAP{} },
	"CP":          func() Payload { return &CP{} },
	"TSi":         func() Payload { return &TS{} },
	"TSr":         func() Payload { return &TS{Responder: true} },
	"D":           func() Payload { return &Delete{Protocol: ProtocolIKE} },
	"V":           func() Payload { return &VendorID{} },
	"N":           func() Payload { return &Notify{Kind: 40000} },
	"N(error)":    func() Payload { return &Notify{Kind: NotifyNoProposalChosen} },
	"N(COOKIE)":   func() Payload { return &Notify{Kind: NotifyCookie} },
	"N(NACK)":     func() Payload { return &Notify{Kind: NotifyTicketNack} },
	"N(REDIRECT)": func() Payload { return &Notify{Kind: NotifyRedirect} },
	"SK":          func() Payload { return &SK{} },
	"SKF":         func() Payload { return &SKF{Fragment: 1, Total: 2} },
	"X":           func() Payload { return &Raw{Kind: 200} },
	"X!":          func() Payload { return &Raw{Kind: 201, CriticalFlag: true} },
}

var espProposal = Proposal{Protocol: ProtocolESP, SPI: make([]byte, 4)}

func ikeSA(proposals, spi int) *SA {
	return &SA{slices.Repeat([]Proposal{{Protocol: ProtocolIKE, SPI: make([]byte, spi)}}, proposals)}
}

func payloads(t testing.TB, list string) (ps []Payload) {
	t.Helper()
	for _, w := range strings.Fields(list) {
		f, ok := words[w]
		if !ok {
			t.Fatalf("no payload %q", w)
		}
		ps = append(ps, f())
	}
	return ps
}

// ruleCase is a list of payloads and what is wrong with it; "" is nothing.
type ruleCase struct{ list, err string }

func testRules(t *testing.T, x ExchangeType, response, protected bool, cases []ruleCase) {
	t.Helper()
	for _, c := range cases {
		ps := payloads(t, c.list)
		err := Check(x, response, protected, ps)
		if c.err != "" {
			wantSyntax(t, err, c.err)
			if err == nil {
				t.Errorf("%q passes", c.list)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.list, err)
		}
		slices.Reverse(ps) // the order is free
		if err := Check(x, response, protected, append(ps, payloads(t, "N V X N V")...)); err != nil {
			t.Errorf("%q backwards: %v", c.list, err)
		}
	}
}

func TestCheckIKESAInit(t *testing.T) {
	testRules(t, IKESAInit, false, false, []ruleCase{
		{"SA KE Nonce", ""}, {"N(COOKIE) SA2 KE Nonce N N V V", ""}, {"SA KE Nonce CERTREQ", ""},
		{"SA KE Nonce16", ""}, {"SA KE Nonce256", ""},
		{"", "unprotected IKE_SA_INIT request: no SA payload"}, {"KE Nonce", "no SA"}, {"SA Nonce", "no KE"}, {"SA KE", "no Nonce"},
		{"SA SA KE Nonce", "2 SA payloads"}, {"SA KE KE Nonce", "2 KE payloads"}, {"SA KE Nonce Nonce", "2 Nonce payloads"},
		{"SA KE Nonce15", "nonce of 15 octets, 16 to 256 are allowed"}, {"SA KE Nonce257", "nonce of 257 octets"},
		{"SA KE Nonce AUTH", "unexpected AUTH"}, {"SA KE Nonce IDi", "unexpected IDi"}, {"SA KE Nonce TSi", "unexpected TSi"},
		{"SA KE Nonce D", "unexpected D"}, {"SA KE Nonce CP", "unexpected CP"}, {"SA KE Nonce EAP", "unexpected EAP"},
		{"SA KE Nonce CERT", "unexpected CERT"}, {"SA KE Nonce SK", "unexpected SK"}, {"SK", "unexpected SK"}, {"SKF", "unexpected SKF"},
		{"N(error)", "no SA"},
	})
	testRules(t, IKESAInit, true, false, []ruleCase{
		{"SA KE Nonce", ""}, {"SA KE Nonce CERTREQ CERTREQ N V", ""}, {"N(COOKIE)", ""}, {"N(REDIRECT)", ""}, {"N(error)", ""}, {"N(error) N V", ""},
		{"SA2 KE Nonce", "2 proposals, one has to be chosen"}, {"SA KE Nonce15", "nonce of 15"}, {"SA KE Nonce Nonce", "2 Nonce"},
		{"", "neither what was asked for nor an error"}, {"N V", "neither"}, {"KE Nonce", "unexpected KE"}, {"SA Nonce", "no KE"},
		{"SA KE Nonce AUTH", "unexpected AUTH"}, {"N(error) AUTH", "unexpected AUTH"}, {"SK", "unexpected SK"},
	})
	testRules(t, IKESAInit, false, true, []ruleCase{{"SA KE Nonce", "IKE_SA_INIT request: no such message"}})
	testRules(t, IKESAInit, true, true, []ruleCase{{"SA KE Nonce", "IKE_SA_INIT response: no such message"}})
}

func TestCheckIKEAuth(t *testing.T) {
	testRules(t, IKEAuth, false, true, []ruleCase{
		{"IDi AUTH SAesp TSi TSr", ""}, {"IDi CERT CERT N CERTREQ CERTREQ IDr AUTH CP SAesp2 TSi TSr V", ""},
		{"IDi AUTH", ""}, {"IDi SAesp TSi TSr", ""}, {"IDi", ""}, {"EAP", ""}, {"AUTH", ""}, {"AUTH N V", ""}, {"EAP N", ""},
		{"", "neither"}, {"N(error)", ""}, {"IDr AUTH", "unexpected IDr"}, {"IDi IDi AUTH", "2 IDi"}, {"IDi IDr IDr AUTH", "2 IDr"},
		{"IDi AUTH AUTH", "2 AUTH"}, {"EAP EAP", "2 EAP"}, {"EAP AUTH", "unexpected AUTH"}, {"IDi EAP", "unexpected EAP"},
		{"IDi AUTH CP CP", "2 CP"}, {"IDi AUTH SAesp SAesp TSi TSr", "2 SA"}, {"IDi AUTH SAesp TSi TSi TSr", "2 TSi"}, {"IDi AUTH SAesp TSi TSr TSr", "2 TSr"},
		{"IDi AUTH SAesp", "do not come together"}, {"IDi AUTH TSi TSr", "do not come together"}, {"IDi AUTH SAesp TSi", "do not come together"},
		{"IDi AUTH SAesp TSr", "do not come together"}, {"IDi AUTH KE", "unexpected KE"}, {"IDi AUTH Nonce", "unexpected Nonce"}, {"IDi AUTH D", "unexpected D"},
		{"IDi AUTH SK", "unexpected SK"}, {"AUTH SAesp TSi TSr", "unexpected SA"},
	})
	testRules(t, IKEAuth, true, true, []ruleCase{
		{"IDr AUTH SAesp TSi TSr", ""}, {"IDr CERT CERT AUTH CP SAesp TSi TSr N V", ""}, {"IDr AUTH", ""}, {"IDr AUTH N(error)", ""},
		{"IDr CERT AUTH EAP", ""}, {"IDr EAP", ""}, {"EAP", ""}, {"AUTH SAesp TSi TSr", ""}, {"AUTH CP SAesp TSi TSr N", ""}, {"N(error)", ""}, {"AUTH N(error)", ""},
		{"", "neither"}, {"N", "neither"}, {"IDi AUTH", "unexpected IDi"}, {"IDr IDr AUTH", "2 IDr"}, {"IDr AUTH AUTH", "2 AUTH"},
		{"IDr AUTH SAesp2 TSi TSr", "2 proposals"}, {"AUTH SAesp2 TSi TSr", "2 proposals"}, {"IDr AUTH SAesp", "do not come together"},
		{"AUTH TSi TSr", "do not come together"}, {"SAesp TSi TSr", "unexpected SA"}, {"IDr AUTH KE", "unexpected KE"}, {"EAP AUTH", "unexpected AUTH"},
		{"CERT", "unexpected CERT"}, {"N(error) SAesp", "unexpected SA"}, {"IDr AUTH SKF", "unexpected SKF"},
	})
}

func TestCheckCreateChildSA(t *testing.T) {
	testRules(t, CreateChildSA, false, true, []ruleCase{
		{"SAesp Nonce TSi TSr", ""}, {"N SAesp2 Nonce KE TSi TSr V", ""}, {"CP SAesp Nonce TSi TSr", ""},
		{"SAspi Nonce KE", ""}, {"SAspi2 Nonce KE N V", ""},
		{"", "no SA"}, {"N(error)", "no SA"}, {"SAesp Nonce TSi", "no TSr"}, {"SAesp Nonce TSr", "unexpected TSr"}, {"SAesp Nonce KE", "proposal for ESP without traffic selectors"},
		{"Nonce TSi TSr", "no SA"}, {"SAesp TSi TSr", "no Nonce"}, {"SAesp Nonce15 TSi TSr", "nonce of 15"}, {"SAesp Nonce Nonce TSi TSr", "2 Nonce"},
		{"SAesp Nonce KE KE TSi TSr", "2 KE"}, {"SAesp SAesp Nonce TSi TSr", "2 SA"}, {"SAspi Nonce KE TSi TSr", "traffic selectors for an IKE SA"},
		{"SAmixed Nonce KE TSi TSr", "traffic selectors for an IKE SA"}, {"SAmixed Nonce KE", "without traffic selectors"},
		{"SAspi Nonce", "no KE"}, {"SAspi KE", "no Nonce"}, {"SA Nonce KE", "IKE SA without its SPI"}, {"SAspi Nonce257 KE", "nonce of 257"}, {"SAspi Nonce KE KE", "2 KE"},
		{"SAspi Nonce KE CP", "unexpected CP"}, {"SAesp Nonce TSi TSr AUTH", "unexpected AUTH"}, {"SAesp Nonce TSi TSr IDi", "unexpected IDi"},
		{"SAesp Nonce TSi TSr D", "unexpected D"}, {"SAesp Nonce TSi TSr EAP", "unexpected EAP"}, {"SAesp Nonce TSi TSr SK", "unexpected SK"},
	})
	testRules(t, CreateChildSA, true, true, []ruleCase{
		{"SAesp Nonce TSi TSr", ""}, {"SAesp Nonce KE TSi TSr CP N V", ""}, {"SAspi Nonce KE", ""}, {"N(error)", ""}, {"N(error) N V", ""},
		{"", "neither"}, {"N", "neither"}, {"N(COOKIE)", "neither"}, {"SAesp2 Nonce TSi TSr", "2 proposals"}, {"SAspi2 Nonce KE", "2 proposals"},
		{"SA Nonce KE", "without its SPI"}, {"SAesp Nonce KE", "without traffic selectors"}, {"SAspi Nonce KE TSi TSr", "traffic selectors for an IKE SA"},
		{"SAesp TSi TSr", "no Nonce"}, {"SAesp Nonce TSi", "no TSr"}, {"Nonce KE", "unexpected Nonce"}, {"SAesp Nonce15 TSi TSr", "nonce of 15"}, {"N(error) D", "unexpected D"},
	})
}

func TestCheckInformational(t *testing.T) {
	for _, response := range []bool{false, true} {
		testRules(t, Informational, response, true, []ruleCase{
			{"", ""}, {"D", ""}, {"D D D", ""}, {"N", ""}, {"N(error) N V D CP", ""}, {"CP", ""}, {"X", ""},
			{"CP CP", "2 CP"}, {"SAesp", "unexpected SA"}, {"AUTH", "unexpected AUTH"}, {"IDi", "unexpected IDi"}, {"KE", "unexpected KE"},
			{"Nonce", "unexpected Nonce"}, {"TSi", "unexpected TSi"}, {"EAP", "unexpected EAP"}, {"CERT", "unexpected CERT"}, {"SK", "unexpected SK"},
		})
	}
}

// Outside of the encrypted payload is nothing but that, or an error.
func TestCheckUnprotected(t *testing.T) {
	for _, x := range []ExchangeType{IKEAuth, CreateChildSA, Informational} {
		for _, response := range []bool{false, true} {
			testRules(t, x, response, false, []ruleCase{
				{"SK", ""}, {"SKF", ""}, {"N SK", ""},
				{"SK SK", "2 SK"}, {"SK SKF", "unexpected SK"}, {"SKF SKF", "2 SKF"}, {"D SK", "unexpected D"}, {"AUTH", "unexpected AUTH"}, {"D", "unexpected D"},
			})
			want := "no SK"
			if response || x == Informational {
				testRules(t, x, response, false, []ruleCase{{"N(error)", ""}, {"N(error) N V", ""}})
				want = "neither"
			}
			testRules(t, x, response, false, []ruleCase{{"", want}, {"N", want}})
		}
	}
	testRules(t, IKEAuth, false, false, []ruleCase{{"N(error)", "no SK"}})
}

func TestCheckSessionResume(t *testing.T) {
	testRules(t, IKESessionResume, false, false, []ruleCase{
		{"Nonce N", ""}, {"N(COOKIE) Nonce N N V", ""}, {"N", "no Nonce"}, {"Nonce15", "nonce of 15"}, {"Nonce Nonce", "2 Nonce"},
		{"SA KE Nonce", "unexpected SA"}, {"Nonce IDi", "unexpected IDi"}, {"SK", "unexpected SK"},
	})
	testRules(t, IKESessionResume, true, false, []ruleCase{
		{"Nonce N", ""}, {"N(COOKIE)", ""}, {"N(REDIRECT)", ""}, {"N(error)", ""}, {"N(NACK)", ""}, {"", "neither"}, {"N", "neither"},
		{"Nonce257", "nonce of 257"}, {"Nonce KE", "unexpected KE"}, {"N(NACK) AUTH", "unexpected AUTH"},
	})
}

func TestCheckUnknownExchange(t *testing.T) {
	for _, x := range []ExchangeType{0, 1, 2, 5, 32, 33, 39, 43, 44, 255} {
		for i := range 4 {
			err := Check(x, i&1 != 0, i&2 != 0, nil)
			wantSyntax(t, err, "no such message")
		}
	}
}

// An unknown critical payload is refused by its type wherever it is, before
// anything else (RFC 7296, 2.5).
func TestCheckCritical(t *testing.T) {
	for x := range rules {
		for _, list := range []string{"X!", "X X! D D CP", "SA KE Nonce X!"} {
			err := Check(x.exchange, x.response, x.protected, payloads(t, list))
			var perr *ProtocolError
			if !errors.As(err, &perr) || perr.Notify != NotifyUnsupportedCriticalPayload || !bytes.Equal(perr.Data, []byte{201}) {
				t.Errorf("%s: %v", list, err)
			}
		}
	}
}

// The critical bit of a known payload says nothing.
func TestCheckKnownCritical(t *testing.T) {
	ps, err := Parse(PayloadDelete, unhex(t, "00800008 01000000"), Limits{})
	if err == nil {
		err = Check(Informational, false, true, ps)
	}
	if err != nil {
		t.Error(err)
	}
}

// All occasions have rules.
func TestRulesAreComplete(t *testing.T) {
	for _, x := range []ExchangeType{IKESAInit, IKEAuth, CreateChildSA, Informational} {
		for i := range 4 {
			o := occasion{x, i&1 != 0, i&2 != 0}
			if has, want := len(rules[o]) > 0, x != IKESAInit || !o.protected; has != want {
				t.Errorf("%+v: %v", o, has)
			}
		}
	}
}
