package crypto

import (
	"errors"
	"strings"
	"testing"
)

// keywords are strongSwan's, by its documentation (Algorithm Proposals), for what the
// registry has: word, transform type, transform ID and key length there.
var keywords = map[string]Alg{
	"null":   {Encr, 11, 0},
	"aes":    {Encr, 12, 128},
	"aes128": {Encr, 12, 128}, "aes192": {Encr, 12, 192}, "aes256": {Encr, 12, 256},
	"aes128ctr": {Encr, 13, 128}, "aes192ctr": {Encr, 13, 192}, "aes256ctr": {Encr, 13, 256},
	"aes128ccm8": {Encr, 14, 128}, "aes192ccm8": {Encr, 14, 192}, "aes256ccm8": {Encr, 14, 256},
	"aes128ccm64": {Encr, 14, 128}, "aes192ccm64": {Encr, 14, 192}, "aes256ccm64": {Encr, 14, 256},
	"aes128ccm12": {Encr, 15, 128}, "aes192ccm12": {Encr, 15, 192}, "aes256ccm12": {Encr, 15, 256},
	"aes128ccm96": {Encr, 15, 128}, "aes192ccm96": {Encr, 15, 192}, "aes256ccm96": {Encr, 15, 256},
	"aes128ccm16": {Encr, 16, 128}, "aes192ccm16": {Encr, 16, 192}, "aes256ccm16": {Encr, 16, 256},
	"aes128ccm128": {Encr, 16, 128}, "aes192ccm128": {Encr, 16, 192}, "aes256ccm128": {Encr, 16, 256},
	"aes128ccm": {Encr, 16, 128}, "aes192ccm": {Encr, 16, 192}, "aes256ccm": {Encr, 16, 256},
	"aes128gcm8": {Encr, 18, 128}, "aes192gcm8": {Encr, 18, 192}, "aes256gcm8": {Encr, 18, 256},
	"aes128gcm64": {Encr, 18, 128}, "aes192gcm64": {Encr, 18, 192}, "aes256gcm64": {Encr, 18, 256},
	"aes128gcm12": {Encr, 19, 128}, "aes192gcm12": {Encr, 19, 192}, "aes256gcm12": {Encr, 19, 256},
	"aes128gcm96": {Encr, 19, 128}, "aes192gcm96": {Encr, 19, 192}, "aes256gcm96": {Encr, 19, 256},
	"aes128gcm16": {Encr, 20, 128}, "aes192gcm16": {Encr, 20, 192}, "aes256gcm16": {Encr, 20, 256},
	"aes128gcm128": {Encr, 20, 128}, "aes192gcm128": {Encr, 20, 192}, "aes256gcm128": {Encr, 20, 256},
	"aes128gcm": {Encr, 20, 128}, "aes192gcm": {Encr, 20, 192}, "aes256gcm": {Encr, 20, 256},
	"aes128gmac": {Encr, 21, 128}, "aes192gmac": {Encr, 21, 192}, "aes256gmac": {Encr, 21, 256},
	"chacha20poly1305": {Encr, 28, 0},
	"sha":              {Integ, 2, 0}, "sha1": {Integ, 2, 0}, "aesxcbc": {Integ, 5, 0}, "aescmac": {Integ, 8, 0},
	"sha256": {Integ, 12, 0}, "sha2_256": {Integ, 12, 0}, "sha384": {Integ, 13, 0}, "sha2_384": {Integ, 13, 0},
	"sha512": {Integ, 14, 0}, "sha2_512": {Integ, 14, 0},
	"prfsha1": {PRF, 2, 0}, "prfaesxcbc": {PRF, 4, 0}, "prfsha256": {PRF, 5, 0}, "prfsha384": {PRF, 6, 0},
	"prfsha512": {PRF, 7, 0}, "prfaescmac": {PRF, 8, 0},
	"none": {KE, 0, 0}, "modpnone": {KE, 0, 0},
	"modp1024": {KE, 2, 0}, "modp1536": {KE, 5, 0}, "modp2048": {KE, 14, 0}, "modp3072": {KE, 15, 0}, "modp4096": {KE, 16, 0},
	"modp6144": {KE, 17, 0}, "modp8192": {KE, 18, 0}, "ecp256": {KE, 19, 0}, "ecp384": {KE, 20, 0}, "ecp521": {KE, 21, 0},
	"modp1024s160": {KE, 22, 0}, "modp2048s224": {KE, 23, 0}, "modp2048s256": {KE, 24, 0}, "ecp192": {KE, 25, 0}, "ecp224": {KE, 26, 0},
	"curve25519": {KE, 31, 0}, "x25519": {KE, 31, 0}, "curve448": {KE, 32, 0}, "x448": {KE, 32, 0},
	"noesn": {ESN, 0, 0}, "esn": {ESN, 1, 0},
}

func TestKeywords(t *testing.T) {
	for w, a := range keywords {
		if wordOf[w] != a {
			t.Errorf("%q is %+v, not %+v", w, wordOf[w], a)
		}
	}
	for w := range wordOf {
		if _, ok := keywords[w]; !ok {
			t.Errorf("%q is no word of strongSwan", w)
		}
	}
}

// TestOtherKeywords has strongSwan's words for what the registry lacks.
func TestOtherKeywords(t *testing.T) {
	for _, w := range strings.Fields(`des 3des blowfish blowfish128 camellia camellia128 camellia256ctr camellia192ccm16 cast128
		serpent serpent256 twofish twofish128 sha1_160 sha256_96 sha2_256_96 md5 md5_128 camelliaxcbc prfmd5 prfcamelliaxcbc
		modpnull modp768 ecp224bp ecp256bp ecp384bp ecp512bp ntru128 newhope128 mlkem768 kyber3 ke1_mlkem768`) {
		_, err := ParseProposal(IKE, "aes128-sha256-modp2048-"+w)
		if err == nil || !strings.Contains(err.Error(), `"`+w+`" is not supported`) {
			t.Errorf("%s: %v", w, err)
		}
	}
}

func TestParseProposal(t *testing.T) {
	for _, c := range []struct {
		proto      Proto
		words, out string // out is in full: every algorithm by its word
	}{
		{IKE, "aes256gcm16-prfsha384-ecp384", "aes256gcm16 prfsha384 ecp384"},
		{IKE, "aes128-sha256-modp3072", "aes128 prfsha256 sha256 modp3072"},
		{IKE, "modp2048-sha1-aes", "aes128 prfsha1 sha1 modp2048"},
		{IKE, "AES256-SHA2_512-X25519", "aes256 prfsha512 sha512 curve25519"},
		{IKE, " aes128 - sha256 - x448 ", "aes128 prfsha256 sha256 curve448"},
		{IKE, "aes128-sha256-sha1-prfsha512-modp2048", "aes128 prfsha512 sha256 sha1 modp2048"},
		{IKE, "aes128-aesxcbc-ecp256", "aes128 prfaesxcbc aesxcbc ecp256"},
		{IKE, "aes128ctr-aescmac-ecp256", "aes128ctr prfaescmac aescmac ecp256"},
		{IKE, "aes128gcm16-sha256-ecp256", "aes128gcm16 prfsha256 ecp256"}, // sha256 names the PRF, and is dropped
		{IKE, "aes128gcm16-aes256gcm16-chacha20poly1305-prfsha256-curve25519-modp2048",
			"aes128gcm16 aes256gcm16 chacha20poly1305 prfsha256 curve25519 modp2048"},
		{IKE, "aes128-sha256-none-modp2048", "aes128 prfsha256 sha256 modp2048"},
		{IKE, "aes128-aes128-sha256-modp2048", "aes128 prfsha256 sha256 modp2048"},
		{ESP, "aes256gcm16", "aes256gcm16 noesn"},
		{ESP, "aes256gcm16-esn", "aes256gcm16 esn"},
		{ESP, "aes256gcm16-esn-noesn", "aes256gcm16 esn noesn"},
		{ESP, "aes256gcm16-ecp384-none", "aes256gcm16 ecp384 none noesn"},
		{ESP, "aes128-sha256", "aes128 sha256 noesn"},
		{ESP, "aes128-sha256-prfsha256-modp2048", "aes128 sha256 modp2048 noesn"},
		{ESP, "aes128gcm16-sha256", "aes128gcm16 noesn"},
		{ESP, "null-sha256", "null sha256 noesn"},
		{ESP, "aes256gmac", "aes256gmac noesn"},
		{AH, "sha256", "sha256 noesn"},
		{AH, "sha512-sha384-modp2048-esn", "sha512 sha384 modp2048 esn"},
	} {
		p, err := ParseProposal(c.proto, c.words)
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
			continue
		}
		var words []string
		for _, a := range p.Algs {
			words = append(words, a.String())
		}
		if got := strings.Join(words, " "); got != c.out || p.Proto != c.proto {
			t.Errorf("%s: %s, not %s", c.words, got, c.out)
		}
		again, err := ParseProposal(c.proto, p.String())
		if err != nil || !sameProposal(again, p) {
			t.Errorf("%s is written %s, which is %+v (%v)", c.words, p, again, err)
		}
	}
}

func sameProposal(a, b Proposal) bool {
	if a.Proto != b.Proto || len(a.Algs) != len(b.Algs) {
		return false
	}
	for i := range a.Algs {
		if a.Algs[i] != b.Algs[i] {
			return false
		}
	}
	return true
}

func TestProposalString(t *testing.T) {
	for words, want := range map[string]string{
		"aes128-sha256-modp2048":               "aes128-sha256-modp2048",
		"aes128-sha256-prfsha256-modp2048":     "aes128-sha256-modp2048",
		"aes128-sha256-prfsha384-modp2048":     "aes128-sha256-prfsha384-modp2048",
		"prfsha384-modp2048-sha1-sha512-aes":   "aes128-sha1-sha512-prfsha384-modp2048",
		"aes256gcm128-x25519-prfsha256":        "aes256gcm16-prfsha256-curve25519",
		"aes128-sha256-sha1-modp2048":          "aes128-sha256-sha1-modp2048",
		"aes128-sha256-sha1-prfsha1-modp2048":  "aes128-sha256-sha1-prfsha1-modp2048",
		"aes128-sha256-prfsha1-prfsha256-x448": "aes128-sha256-prfsha1-prfsha256-curve448",
	} {
		p, err := ParseProposal(IKE, words)
		if err != nil || p.String() != want {
			t.Errorf("%s: %s (%v), not %s", words, p, err, want)
		}
	}
	odd := Proposal{ESP, []Alg{{Encr, 99, 0}, {9, 1, 0}, {KE, 0, 0}, {ESN, 0, 0}, {ESN, 1, 0}}}
	if s := odd.String(); s != "encr_99-none-noesn-esn-type9_1" {
		t.Error(s)
	}
	if s := (Proposal{}).String(); s != "" {
		t.Error(s)
	}
}

func TestWordErrors(t *testing.T) {
	for _, c := range []struct {
		proto         Proto
		words         string
		index, offset int // 0, 0: no single word is wrong
		reason        string
	}{
		{IKE, "", 1, 0, "empty word"},
		{IKE, "aes128--sha256", 2, 7, "empty word"},
		{IKE, "aes128-sha256-", 3, 14, "empty word"},
		{IKE, "aes128-sha265-modp2048", 2, 7, `unknown algorithm "sha265": did you mean "sha256"?`},
		{IKE, "aes256gmc16-prfsha256-ecp256", 1, 0, `did you mean "aes256gcm16"?`},
		{IKE, "aes128-sha256-modp-2048", 3, 14, `unknown algorithm "modp"; known for IKE: aes(128|192|256)`},
		{IKE, "aes128-sha256-curve2519", 3, 14, `did you mean "curve25519"?`},
		{IKE, "3des-sha1-modp1024", 1, 0, `algorithm "3des" is not supported`},
		{IKE, "aes128-md5-modp1024", 2, 7, `algorithm "md5" is not supported`},
		{IKE, "null-sha256-modp2048", 1, 0, `"null" cannot be used for IKE`},
		{IKE, "aes128gmac-prfsha256-modp2048", 1, 0, `"aes128gmac" cannot be used for IKE`},
		{IKE, "aes128-sha256-modp2048-esn", 4, 23, `"esn" cannot be used for IKE`},
		{AH, "aes128-sha256", 1, 0, `"aes128" cannot be used for AH`},
		{ESP, "aes128-\x1b[31m", 2, 7, `unknown algorithm "\x1b[31m"`},
		{IKE, "aes128-sha256", 0, 0, "IKE proposals need a key exchange group, such as curve25519"},
		{IKE, "aes128gcm16-modp2048", 0, 0, "need a pseudorandom function, such as prfsha256"},
		{IKE, "sha256-modp2048", 0, 0, "IKE proposals need an encryption algorithm, such as aes256gcm16"},
		{IKE, "aes128-modp2048-prfsha256", 0, 0, "aes128 needs an integrity algorithm beside it, such as sha256"},
		{IKE, "aes128-aes128gcm16-sha256-modp2048", 0, 0, "aes128gcm16 and aes128 cannot stand in one IKE proposal"},
		{ESP, "aes128", 0, 0, "aes128 needs an integrity algorithm beside it, such as sha256"},
		{ESP, "null", 0, 0, "null needs an integrity algorithm beside it"},
		{ESP, "sha256", 0, 0, "ESP proposals need an encryption algorithm"},
		{ESP, "prfsha256", 0, 0, "ESP proposals need an encryption algorithm"},
		{AH, "modp2048", 0, 0, "AH proposals need an integrity algorithm, such as sha256"},
		{7, "modp2048", 1, 0, `"modp2048" cannot be used for protocol 7`},
	} {
		p, err := ParseProposal(c.proto, c.words)
		if err == nil || !strings.Contains(err.Error(), c.reason) || p.Algs != nil {
			t.Errorf("%s %q: %v", c.proto, c.words, err)
			continue
		}
		var w *WordError
		if errors.As(err, &w) != (c.index != 0) {
			t.Errorf("%q: %T", c.words, err)
		} else if w != nil && (w.Index != c.index || w.Offset != c.offset) {
			t.Errorf("%q: word %d at %d", c.words, w.Index, w.Offset)
		}
		if strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%q", err)
		}
	}
}

func TestValidate(t *testing.T) {
	aes, gcm := Alg{Encr, 12, 128}, Alg{Encr, 20, 256}
	sha, prf, group, noesn := Alg{Integ, 12, 0}, Alg{PRF, 5, 0}, Alg{KE, 31, 0}, Alg{ESN, 0, 0}
	for _, c := range []struct {
		p      Proposal
		reason string // empty: valid
	}{
		{Proposal{IKE, []Alg{aes, prf, sha, group}}, ""},
		{Proposal{IKE, []Alg{gcm, prf, group}}, ""},
		{Proposal{ESP, []Alg{gcm, noesn}}, ""},
		{Proposal{ESP, []Alg{aes, sha, noesn, {KE, 0, 0}, group}}, ""},
		{Proposal{AH, []Alg{sha, noesn}}, ""},
		{Proposal{IKE, []Alg{gcm, prf, sha, group}}, "combined-mode encryption takes no integrity algorithm, but sha256 is given"},
		{Proposal{IKE, []Alg{gcm, gcm, prf, group}}, `"aes256gcm16" appears twice`},
		{Proposal{IKE, []Alg{{Encr, 12, 129}, prf, sha, group}}, `unknown algorithm "encr_12_129"`},
		{Proposal{IKE, []Alg{{}}}, `unknown algorithm "none"`},
		{Proposal{IKE, []Alg{{9, 9, 9}}}, `unknown algorithm "type9_9_9"`},
		{Proposal{IKE, []Alg{aes, prf, sha, group, noesn}}, `"noesn" cannot be used for IKE`},
		{Proposal{IKE, []Alg{aes, prf, sha, {KE, 0, 0}}}, `"none" cannot be used for IKE`},
		{Proposal{ESP, []Alg{gcm}}, "ESP proposals need esn or noesn"},
		{Proposal{AH, []Alg{sha}}, "AH proposals need esn or noesn"},
		{Proposal{ESP, []Alg{gcm, prf, noesn}}, `"prfsha256" cannot be used for ESP`},
		{Proposal{ESP, nil}, "ESP proposals need an encryption algorithm"},
		{Proposal{IKE, nil}, "IKE proposals need an encryption algorithm"},
		{Proposal{AH, nil}, "AH proposals need an integrity algorithm"},
		{Proposal{0, nil}, "no proposals for protocol 0"},
	} {
		err := c.p.Validate()
		if (err == nil) != (c.reason == "") || err != nil && !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%+v: %v", c.p, err)
		}
	}
}

func FuzzParseProposal(f *testing.F) {
	for _, s := range []string{
		"aes256gcm16-prfsha384-ecp384", "aes128-sha256-modp3072", "aes128gcm16-aes256gcm16-sha256-x25519-esn", "null-sha1",
		"sha256-none-noesn", "aes128--", "3des-md5", "unknown", strings.Repeat("aes-", 50),
	} {
		f.Add(byte(1), s)
		f.Add(byte(3), s)
	}
	f.Fuzz(func(t *testing.T, proto byte, words string) {
		p, err := ParseProposal(Proto(proto), words)
		if err != nil {
			var w *WordError
			if errors.As(err, &w) && (w.Index < 1 || w.Offset < 0 || w.Offset > len(words)) {
				t.Fatalf("%+v", w)
			}
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatalf("%q is not valid: %v", words, err)
		}
		again, err := ParseProposal(Proto(proto), p.String())
		if err != nil || !sameProposal(again, p) {
			t.Fatalf("%q is written %q, which is %+v (%v)", words, p, again, err)
		}
	})
}
