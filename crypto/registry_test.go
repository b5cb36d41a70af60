package crypto

import (
	"strings"
	"testing"
)

// iana is what the registry holds of "IKEv2 Parameters": transform type, transform ID,
// the name there, strongSwan's name, key octets (salt included, least key length first).
var iana = []struct {
	typ        Type
	id         uint16
	name       string
	strongSwan string
	keys       []int
}{
	{Encr, 11, "ENCR_NULL", "NULL", []int{0}},
	{Encr, 12, "ENCR_AES_CBC", "AES_CBC", []int{16, 24, 32}},
	{Encr, 13, "ENCR_AES_CTR", "AES_CTR", []int{20, 28, 36}},
	{Encr, 14, "ENCR_AES_CCM_8", "AES_CCM_8", []int{19, 27, 35}},
	{Encr, 15, "ENCR_AES_CCM_12", "AES_CCM_12", []int{19, 27, 35}},
	{Encr, 16, "ENCR_AES_CCM_16", "AES_CCM_16", []int{19, 27, 35}},
	{Encr, 18, "ENCR_AES_GCM_8", "AES_GCM_8", []int{20, 28, 36}},
	{Encr, 19, "ENCR_AES_GCM_12", "AES_GCM_12", []int{20, 28, 36}},
	{Encr, 20, "ENCR_AES_GCM_16", "AES_GCM_16", []int{20, 28, 36}},
	{Encr, 21, "ENCR_NULL_AUTH_AES_GMAC", "NULL_AES_GMAC", []int{20, 28, 36}},
	{Encr, 28, "ENCR_CHACHA20_POLY1305", "CHACHA20_POLY1305", []int{36}},
	{PRF, 2, "PRF_HMAC_SHA1", "PRF_HMAC_SHA1", []int{20}},
	{PRF, 4, "PRF_AES128_XCBC", "PRF_AES128_XCBC", []int{16}},
	{PRF, 5, "PRF_HMAC_SHA2_256", "PRF_HMAC_SHA2_256", []int{32}},
	{PRF, 6, "PRF_HMAC_SHA2_384", "PRF_HMAC_SHA2_384", []int{48}},
	{PRF, 7, "PRF_HMAC_SHA2_512", "PRF_HMAC_SHA2_512", []int{64}},
	{PRF, 8, "PRF_AES128_CMAC", "PRF_AES128_CMAC", []int{16}},
	{Integ, 2, "AUTH_HMAC_SHA1_96", "HMAC_SHA1_96", []int{20}},
	{Integ, 5, "AUTH_AES_XCBC_96", "AES_XCBC_96", []int{16}},
	{Integ, 8, "AUTH_AES_CMAC_96", "AES_CMAC_96", []int{16}},
	{Integ, 12, "AUTH_HMAC_SHA2_256_128", "HMAC_SHA2_256_128", []int{32}},
	{Integ, 13, "AUTH_HMAC_SHA2_384_192", "HMAC_SHA2_384_192", []int{48}},
	{Integ, 14, "AUTH_HMAC_SHA2_512_256", "HMAC_SHA2_512_256", []int{64}},
	{KE, 2, "1024-bit MODP Group", "MODP_1024", []int{0}},
	{KE, 5, "1536-bit MODP Group", "MODP_1536", []int{0}},
	{KE, 14, "2048-bit MODP Group", "MODP_2048", []int{0}},
	{KE, 15, "3072-bit MODP Group", "MODP_3072", []int{0}},
	{KE, 16, "4096-bit MODP Group", "MODP_4096", []int{0}},
	{KE, 17, "6144-bit MODP Group", "MODP_6144", []int{0}},
	{KE, 18, "8192-bit MODP Group", "MODP_8192", []int{0}},
	{KE, 19, "256-bit random ECP group", "ECP_256", []int{0}},
	{KE, 20, "384-bit random ECP group", "ECP_384", []int{0}},
	{KE, 21, "521-bit random ECP group", "ECP_521", []int{0}},
	{KE, 22, "1024-bit MODP Group with 160-bit Prime Order Subgroup", "MODP_1024_160", []int{0}},
	{KE, 23, "2048-bit MODP Group with 224-bit Prime Order Subgroup", "MODP_2048_224", []int{0}},
	{KE, 24, "2048-bit MODP Group with 256-bit Prime Order Subgroup", "MODP_2048_256", []int{0}},
	{KE, 25, "192-bit Random ECP Group", "ECP_192", []int{0}},
	{KE, 26, "224-bit Random ECP Group", "ECP_224", []int{0}},
	{KE, 31, "Curve25519", "CURVE_25519", []int{0}},
	{KE, 32, "Curve448", "CURVE_448", []int{0}},
	{ESN, 0, "No Extended Sequence Numbers", "NO_EXT_SEQ", []int{0}},
	{ESN, 1, "Extended Sequence Numbers", "EXT_SEQ", []int{0}},
}

func TestRegistryIsIANAs(t *testing.T) {
	want := map[Alg]bool{}
	for _, i := range iana {
		for n, key := range i.keys {
			a := Alg{Type: i.typ, ID: i.id}
			if len(i.keys) > 1 {
				a.KeyBits = aesBits[n]
			}
			want[a] = true
			if !a.Known() || a.StrongSwanName() != i.strongSwan || KeyLen(a) != key {
				t.Errorf("%s: known %v, called %s, %d octets of key", i.name, a.Known(), a.StrongSwanName(), KeyLen(a))
			}
		}
	}
	got := map[Alg]bool{}
	for _, typ := range []Type{Encr, PRF, Integ, KE, ESN} {
		for _, a := range Algorithms(typ) {
			if a.Type != typ || got[a] || !want[a] {
				t.Errorf("%s (%+v) is unknown to IANA, listed twice or of another type", a, a)
			}
			got[a] = true
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d algorithms, not %d", len(got), len(want))
	}
	for _, typ := range []Type{0, 6, 255} {
		if as := Algorithms(typ); as != nil {
			t.Errorf("type %d: %v", typ, as)
		}
	}
}

// TestRegistrySound asserts that no two algorithms share a number or a word.
func TestRegistrySound(t *testing.T) {
	numbers, words := map[rowKey]bool{}, map[string]Alg{}
	for _, f := range families {
		for i := range f {
			r := &f[i]
			if k := (rowKey{r.typ, r.id}); numbers[k] {
				t.Errorf("%s: its number is taken", r.name)
			} else {
				numbers[k] = true
			}
			if r.name == "" || len(r.protos) == 0 || r.combined && r.typ != Encr {
				t.Errorf("%+v", r)
			}
			m := map[string]Alg{}
			r.addWords(m)
			for w, a := range m {
				if b, taken := words[w]; taken {
					t.Errorf("%q is %v and %v", w, a, b)
				}
				if w != strings.ToLower(w) || strings.ContainsAny(w, "-#, ") {
					t.Errorf("%q is no word", w)
				}
				words[w] = a
			}
		}
	}
}

func TestUnknown(t *testing.T) {
	for _, c := range []struct {
		a          Alg
		word, swan string
	}{
		{Alg{}, "none", ""},
		{Alg{Type: Encr, ID: 3}, "encr_3", "(3)"},
		{Alg{Type: Encr, ID: 1234, KeyBits: 256}, "encr_1234_256", "(1234)"},
		{Alg{Type: Encr, ID: 12, KeyBits: 512}, "encr_12_512", "AES_CBC"},
		{Alg{Type: Encr, ID: 12}, "encr_12", "AES_CBC"},
		{Alg{Type: Encr, ID: 28, KeyBits: 256}, "encr_28_256", "CHACHA20_POLY1305"},
		{Alg{Type: PRF, ID: 1}, "prf_1", "(1)"},
		{Alg{Type: Integ, ID: 1}, "integ_1", "(1)"},
		{Alg{Type: Integ, ID: 0}, "integ_0", "(0)"},
		{Alg{Type: KE, ID: 35}, "ke_35", "(35)"},
		{Alg{Type: ESN, ID: 2}, "esn_2", "(2)"},
		{Alg{Type: 6, ID: 36}, "type6_36", "(36)"},
		{Alg{Type: 0, ID: 1}, "type0_1", "(1)"},
	} {
		if c.a.String() != c.word || c.a.StrongSwanName() != c.swan {
			t.Errorf("%+v: %s, %s", c.a, c.a, c.a.StrongSwanName())
		}
		if c.a.Known() || KeyLen(c.a) != 0 {
			t.Errorf("%+v is known", c.a)
		}
		if _, weak := Weak(c.a); weak {
			t.Errorf("%+v is weak", c.a)
		}
		if _, ok := ImpliedPRF(c.a); ok {
			t.Errorf("%+v implies a PRF", c.a)
		}
	}
}

func TestNames(t *testing.T) {
	for typ, want := range map[Type]string{
		Encr: "encryption", PRF: "pseudorandom function", Integ: "integrity", KE: "key exchange group",
		ESN: "extended sequence numbers", 6: "transform type 6",
	} {
		if typ.String() != want {
			t.Errorf("%d: %s", uint8(typ), typ)
		}
	}
	for p, want := range map[Proto]string{IKE: "IKE", AH: "AH", ESP: "ESP", 4: "protocol 4"} {
		if p.String() != want {
			t.Errorf("%d: %s", uint8(p), p)
		}
	}
}

// TestWeak names all that RFC 8221, 5 and 6, and RFC 8247, 2, advise against, and what
// is short or unexplained.
func TestWeak(t *testing.T) {
	weak := map[string]bool{
		"null": true, "aes128gmac": true, "aes192gmac": true, "aes256gmac": true,
		"aes128ccm8": true, "aes192ccm8": true, "aes256ccm8": true, "aes128gcm8": true, "aes192gcm8": true, "aes256gcm8": true,
		"sha1": true, "prfsha1": true,
		"modp1024": true, "modp1536": true, "modp1024s160": true, "modp2048s224": true, "modp2048s256": true,
		"ecp192": true, "ecp224": true,
	}
	for _, typ := range []Type{Encr, PRF, Integ, KE, ESN} {
		for _, a := range Algorithms(typ) {
			reason, is := Weak(a)
			if is != weak[a.String()] || is != (reason != "") {
				t.Errorf("%s: weak %v, %q", a, is, reason)
			}
			delete(weak, a.String())
		}
	}
	if len(weak) != 0 {
		t.Errorf("not seen: %v", weak)
	}
}

func TestCombined(t *testing.T) {
	for _, a := range Algorithms(Encr) {
		want := a.ID >= EncrAESCCM8 && a.ID != EncrAESCTR
		if Combined(a) != want {
			t.Errorf("%s: %v", a, !want)
		}
	}
	for _, a := range []Alg{{}, {Type: Integ, ID: EncrAESGCM16}, {Type: Encr, ID: 999}} {
		if Combined(a) {
			t.Errorf("%+v", a)
		}
	}
}

func TestImpliedPRF(t *testing.T) {
	for _, a := range Algorithms(Integ) {
		p, ok := ImpliedPRF(a)
		if !ok || !p.Known() || p.String() != "prf"+a.String() {
			t.Errorf("%s implies %s", a, p)
		}
	}
}

func TestDefaults(t *testing.T) {
	for p, n := range map[Proto]int{IKE: 2, ESP: 2, AH: 1, 9: 0} {
		ps := DefaultProposals(p)
		if len(ps) != n {
			t.Errorf("%s: %d proposals", p, len(ps))
		}
		for _, prop := range ps {
			if err := prop.Validate(); err != nil || prop.Proto != p {
				t.Errorf("%s: %v", prop, err)
			}
			for _, a := range prop.Algs {
				if reason, weak := Weak(a); weak {
					t.Errorf("%s by default, but %s", a, reason)
				}
			}
		}
	}
}
