package crypto

import (
	"fmt"
	"strings"
	"testing"
)

// proposals reads proposals joined by commas. A word "encr_99" is taken as it is.
func proposals(t *testing.T, p Proto, text string) []Proposal {
	t.Helper()
	var ps []Proposal
	for _, words := range strings.Split(text, ",") {
		if words = strings.TrimSpace(words); words == "" {
			continue
		}
		prop := Proposal{Proto: p}
		for _, w := range strings.Split(words, "-") {
			prop.Algs = append(prop.Algs, raw(t, w))
		}
		ps = append(ps, complete(prop))
	}
	return ps
}

// raw reads a word, or type, number and bits as in "3/12/0".
func raw(t *testing.T, word string) Alg {
	t.Helper()
	if a, ok := wordOf[word]; ok {
		return a
	}
	var a Alg
	if n, err := fmt.Sscanf(word, "%d/%d/%d", &a.Type, &a.ID, &a.KeyBits); n != 3 {
		t.Fatalf("%s: %v", word, err)
	}
	return a
}

func TestSelect(t *testing.T) {
	for _, c := range []struct {
		name         string
		p            Proto
		mine, theirs string
		suite        string // "" if none
		index        int
	}{
		{"the same", IKE, "aes128-sha256-modp2048", "aes128-sha256-modp2048", "aes128-sha256-prfsha256-modp2048", 0},
		{"my order of proposals", IKE, "aes256-sha256-modp2048, aes128-sha256-modp2048",
			"aes128-sha256-modp2048, aes256-sha256-modp2048", "aes256-sha256-prfsha256-modp2048", 1},
		{"my order within one", IKE, "aes256-aes128-sha512-sha256-modp4096-modp2048",
			"aes128-aes256-sha256-sha512-modp2048-modp4096", "aes256-sha512-prfsha512-modp4096", 0},
		// The example of strongSwan's page on proposals: configured, received, selected.
		{"strongSwan's example", IKE, "aes256gcm16-aes192gcm16-prfsha384-prfsha256-ecp384-modp3072",
			"aes192gcm16-aes256gcm16-prfsha256-modp3072", "aes256gcm16-prfsha256-modp3072", 0},
		{"combined before classic", IKE, "aes256gcm16-prfsha256-x25519, aes256-sha256-x25519",
			"aes256-sha256-x25519, aes256gcm16-prfsha256-x25519", "aes256gcm16-prfsha256-curve25519", 1},
		{"only classic in common", IKE, "aes256gcm16-prfsha256-x25519, aes256-sha256-x25519",
			"aes256-sha256-x25519", "aes256-sha256-prfsha256-curve25519", 0},
		{"combined and classic in one", IKE, "aes256gcm16-prfsha256-x25519",
			"aes256-aes256gcm16-sha256-x25519", "aes256gcm16-prfsha256-curve25519", 0},
		{"a combined cipher beside integrity NONE", ESP, "aes256gcm16", "aes256gcm16-3/0/0", "aes256gcm16", 0},
		{"a combined cipher beside integrity", ESP, "aes256gcm16", "aes256gcm16-aes128-sha256", "aes256gcm16", 0},
		{"unknown alternatives", IKE, "aes128-sha256-modp2048",
			"1/99/0-aes128-2/99/0-sha256-prfsha256-3/99/0-4/35/0-modp2048", "aes128-sha256-prfsha256-modp2048", 0},
		{"another key length", IKE, "aes128-sha256-modp2048", "aes256-sha256-modp2048", "", -1},
		{"no key length", IKE, "aes128-sha256-modp2048", "1/12/0-sha256-modp2048", "", -1},
		{"another PRF", IKE, "aes128-sha256-modp2048", "aes128-sha256-prfsha1-modp2048", "", -1},
		{"another group", IKE, "aes128-sha256-modp2048", "aes128-sha256-modp1024", "", -1},
		{"nothing offered", IKE, "aes128-sha256-modp2048", "", "", -1},
		{"nothing configured", IKE, "", "aes128-sha256-modp2048", "", -1},
		{"ESP without integrity", ESP, "aes128-sha256", "aes128-3/0/0", "", -1},
		{"ESP with integrity left out", ESP, "aes128-sha256", "aes128", "", -1},
		{"ESN by my preference", ESP, "aes256gcm16-esn-noesn", "aes256gcm16-noesn-esn", "aes256gcm16-esn", 0},
		{"ESN refused", ESP, "aes256gcm16-esn", "aes256gcm16-noesn", "", -1},
		{"PFS on one side", ESP, "aes256gcm16-x25519", "aes256gcm16", "", -1},
		{"PFS optional on mine", ESP, "aes256gcm16-x25519-none", "aes256gcm16", "aes256gcm16", 0},
		{"PFS optional on theirs", ESP, "aes256gcm16", "aes256gcm16-x25519-none", "aes256gcm16", 0},
		{"PFS optional on both, group first", ESP, "aes256gcm16-x25519-none", "aes256gcm16-none-x25519", "aes256gcm16-curve25519", 0},
		{"PFS optional on both, no group in common", ESP, "aes256gcm16-x25519-none", "aes256gcm16-modp2048-none", "aes256gcm16", 0},
		{"AH", AH, "sha512-sha256", "sha256-sha512", "sha512", 0},
		{"an unknown transform type", IKE, "aes128-sha256-modp2048", "aes128-sha256-modp2048-6/36/0", "", -1},
		{"an additional key exchange that may be NONE", IKE, "aes128-sha256-modp2048", "aes128-sha256-modp2048-6/36/0-6/0/0",
			"aes128-sha256-prfsha256-modp2048", 0}, // RFC 9370, 2.2.2
		{"transform type 0", IKE, "aes128-sha256-modp2048", "aes128-sha256-modp2048-0/1/0", "", -1},
	} {
		mine, theirs := proposals(t, c.p, c.mine), proposals(t, c.p, c.theirs)
		s, i, miss := Select(mine, theirs)
		if c.suite == "" {
			if i != -1 || miss == nil || s != (Suite{}) {
				t.Errorf("%s: selected %s", c.name, s)
			}
			continue
		}
		if miss != nil || i != c.index || s.String() != c.suite || s.Proto != c.p {
			t.Errorf("%s: %s, %d (%v), not %s", c.name, s, i, miss, c.suite)
			continue
		}
		if !Accepts(mine, s) || !Accepts(theirs, s) {
			t.Errorf("%s: %s is not accepted", c.name, s)
		}
	}
}

func TestSelectByProtocol(t *testing.T) {
	esp, ah := proposals(t, ESP, "aes256gcm16"), proposals(t, AH, "sha256")
	s, i, miss := Select(append(ah, esp...), append(esp, ah...))
	if s.Proto != AH || i != 1 || miss != nil {
		t.Errorf("%s of %s (%v)", s, s.Proto, miss)
	}
	if _, _, miss := Select(esp, ah); miss == nil || miss.NearestOffered != -1 || miss.NearestConfigured != -1 {
		t.Errorf("%+v", miss)
	}
}

func TestAccepts(t *testing.T) {
	mine := proposals(t, IKE, "aes256gcm16-prfsha256-x25519, aes128-sha256-modp2048")
	good, _, _ := Select(mine, mine[1:])
	if !Accepts(mine, good) {
		t.Fatal(good)
	}
	for name, change := range map[string]func(s *Suite){
		"cipher": func(s *Suite) { s.Encr.KeyBits = 256 }, "no integrity": func(s *Suite) { s.Integ = Alg{} },
		"group": func(s *Suite) { s.KE.ID = KECurve25519 }, "PRF": func(s *Suite) { s.PRF = Alg{} },
		"protocol": func(s *Suite) { s.Proto = ESP }, "mixed": func(s *Suite) { s.Encr = Alg{Encr, EncrAESGCM16, 256} },
	} {
		bad := good
		if change(&bad); Accepts(mine, bad) {
			t.Errorf("%s: %s accepted", name, bad)
		}
	}
	if Accepts(nil, good) || Accepts(mine, Suite{}) {
		t.Error("nothing is accepted")
	}
}

func TestProposalSets(t *testing.T) {
	p := proposals(t, ESP, "aes128-aes256-sha256-modp2048-modp3072")[0]
	q := p.Without(KE)
	if q.String() != "aes128-aes256-sha256" || p.String() != "aes128-aes256-sha256-modp2048-modp3072" {
		t.Errorf("%s, %s", q, p)
	}
	if as := p.Of(KE); len(as) != 2 || as[0].ID != KEMODP2048 || len(q.Of(KE)) != 0 {
		t.Errorf("%v", as)
	}
	if !p.Has(Alg{Encr, 12, 256}) || p.Has(Alg{Encr, 12, 192}) || p.Has(Alg{}) {
		t.Error("Has")
	}
}

// miss finds out why two sides do not agree.
func mismatch(t *testing.T, p Proto, mine, theirs string) *Mismatch {
	t.Helper()
	_, _, miss := Select(proposals(t, p, mine), proposals(t, p, theirs))
	if miss == nil {
		t.Fatalf("%s and %s agree", mine, theirs)
	}
	return miss
}

func TestMismatch(t *testing.T) {
	for _, c := range []struct {
		p                       Proto
		mine, theirs            string
		nearest, differs, whole string
	}{
		{IKE, "aes256-sha256-modp2048", "aes128-sha256-modp2048", "aes256-sha256-modp2048",
			"encryption (aes128 / aes256)",
			"peer offers aes128-sha256-modp2048; configured aes256-sha256-modp2048; nearest differs in encryption (aes128 / aes256)"},
		{IKE, "aes256-sha256-modp2048", "aes256-sha256-modp1024", "aes256-sha256-modp2048",
			"key exchange group (modp1024 / modp2048)", ""},
		{IKE, "aes256-sha256-modp2048", "aes128-sha1-modp1024", "aes256-sha256-modp2048",
			"encryption (aes128 / aes256), integrity (sha1 / sha256), pseudorandom function (prfsha1 / prfsha256) " +
				"and key exchange group (modp1024 / modp2048)", ""},
		{IKE, "aes256-sha256-prfsha256-modp2048", "aes256-sha1-prfsha256-modp2048", "aes256-sha256-modp2048",
			"integrity (sha1 / sha256)", ""},
		{IKE, "aes256gcm16-prfsha384-ecp384, aes256-sha384-ecp384", "aes256-sha384-ecp256", "aes256-sha384-ecp384",
			"key exchange group (ecp256 / ecp384)", ""},
		{IKE, "aes256gcm16-prfsha384-ecp384", "aes256-sha384-ecp384", "aes256gcm16-prfsha384-ecp384",
			"encryption (aes256 / aes256gcm16)", ""},
		{IKE, "aes256-sha384-ecp384", "aes256gcm16-prfsha384-ecp384", "aes256-sha384-ecp384",
			"encryption (aes256gcm16 / aes256)", ""},
		{IKE, "aes256-sha384-ecp384", "1/3/0-sha384-ecp384", "aes256-sha384-ecp384", "encryption (encr_3 / aes256)", ""},
		{IKE, "aes256-sha384-ecp384", "aes256-sha384-ecp384-6/36/0", "aes256-sha384-ecp384",
			"transform type 6 (type6_36 / none)", ""},
		{IKE, "aes256-sha384-ecp384", "aes256-sha384-ecp384-0/1/0", "aes256-sha384-ecp384",
			"transform type 0 (type0_1 / none)", ""},
		{ESP, "aes256gcm16-esn", "aes256gcm16-noesn", "aes256gcm16-esn", "extended sequence numbers (noesn / esn)", ""},
		{ESP, "aes256gcm16-x25519", "aes256gcm16", "aes256gcm16-curve25519", "key exchange group (none / curve25519)", ""},
		{ESP, "aes256gcm16", "aes256gcm16-x25519", "aes256gcm16", "key exchange group (curve25519 / none)", ""},
		{ESP, "aes128-sha256", "aes128", "aes128-sha256", "integrity (none / sha256)", ""},
		{IKE, "aes256-sha256-modp2048", "", "", "the peer offers nothing",
			"peer offers nothing; configured aes256-sha256-modp2048"},
		{IKE, "", "aes256-sha256-modp2048", "", "nothing is configured",
			"peer offers aes256-sha256-modp2048; configured nothing"},
	} {
		m := mismatch(t, c.p, c.mine, c.theirs)
		if got := m.NearestWords(); got != c.nearest {
			t.Errorf("%s / %s: nearest %s, not %s", c.mine, c.theirs, got, c.nearest)
		}
		if got := m.Differs(); got != c.differs {
			t.Errorf("%s / %s: differs in %s, not %s", c.mine, c.theirs, got, c.differs)
		}
		if got := m.String(); c.whole != "" && got != c.whole {
			t.Errorf("%s, not %s", got, c.whole)
		}
	}
}

func TestMismatchWords(t *testing.T) {
	m := mismatch(t, IKE, "aes256-sha256-modp2048, aes128-sha256-modp2048", "aes192-sha256-modp2048, 1/3/0-sha1-modp1024")
	if m.OfferedWords() != "aes192-sha256-modp2048, encr_3-sha1-modp1024" {
		t.Error(m.OfferedWords())
	}
	if m.ConfiguredWords() != "aes256-sha256-modp2048, aes128-sha256-modp2048" {
		t.Error(m.ConfiguredWords())
	}
	if m.NearestOffered != 0 || m.NearestConfigured != 0 || len(m.Differences) != 1 || m.Differences[0].Type != Encr {
		t.Errorf("%+v", m)
	}
	esp, ah := proposals(t, ESP, "aes256gcm16"), proposals(t, AH, "sha256")
	_, _, m = Select(esp, ah)
	if m.Differs() != "protocol (AH / ESP)" || m.NearestWords() != "" || m.String() != "peer offers sha256; configured aes256gcm16" {
		t.Errorf("%s; %s", m.Differs(), m)
	}
}

// TestMismatchIsBounded offers all that a stranger can put into a message.
func TestMismatchIsBounded(t *testing.T) {
	wide := Proposal{Proto: IKE} // 8,192 transforms of 8 octets: a datagram of 64 KB
	for typ := range 256 {
		for id := range 32 {
			wide.Algs = append(wide.Algs, Alg{Type(typ), uint16(65535 - id), 65535})
		}
	}
	many := []Proposal{wide}
	for range 254 {
		many = append(many, Proposal{Proto: IKE, Algs: wide.Algs[:40]})
	}
	_, _, m := Select(DefaultProposals(IKE), many)
	if m == nil {
		t.Fatal("agreed")
	}
	const limit = maxListed + 3
	for what, s := range map[string]string{
		"offered": m.OfferedWords(), "configured": m.ConfiguredWords(), "nearest": m.NearestWords(), "differs": m.Differs(),
	} {
		if s == "" || len(s) > limit {
			t.Errorf("%s: %d octets", what, len(s))
		}
	}
	s := m.String()
	if len(s) > 3*limit+100 {
		t.Errorf("%d octets", len(s))
	}
	for _, r := range s {
		if r < ' ' || r > '~' {
			t.Fatalf("prints %q", r)
		}
	}
	if words := shorten(wide); !strings.HasSuffix(words, "-...") {
		t.Errorf("%s", words)
	}
	if words := shorten(Proposal{Proto: IKE}); words != "an empty proposal" {
		t.Error(words)
	}
	five := proposals(t, ESP, "aes128gcm16, aes192gcm16, aes256gcm16, aes128-sha256, aes256-sha256, null-sha256")
	if words := listProposals(five); words != "aes128gcm16, aes192gcm16, aes256gcm16, aes128-sha256, and 2 more" {
		t.Error(words)
	}
}

func TestSuite(t *testing.T) {
	s := Suite{Proto: ESP, Encr: Alg{Encr, 20, 256}, ESN: Alg{ESN, 1, 0}}
	if s.String() != "aes256gcm16-esn" || len(s.Algs()) != 2 || s.Proposal().String() != "aes256gcm16-esn" {
		t.Error(s)
	}
	s.ESN.ID = ESNNo
	if s.String() != "aes256gcm16" || len(s.Algs()) != 2 {
		t.Error(s)
	}
	if z := (Suite{}); z.String() != "" || z.Algs() != nil {
		t.Error(z)
	}
}
