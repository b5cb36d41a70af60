package ipsec

import (
	"strings"

	"github.com/goike/goike/crypto"
)

// libreswanProposal writes a proposal of libreswan's in strongSwan's words: aes_gcm256 or
// aes256, sha2_256 or sha2, dh14 or modp2048, with - + or ; between. What is left out
// libreswan has defaults for.
func libreswanProposal(text string, proto crypto.Proto) string {
	parts := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r == '-' || r == ';' })
	var out []string
	aead, hash, group := false, false, false
	for i, part := range parts {
		for word := range strings.SplitSeq(part, "+") {
			switch {
			case i == 0:
				word = libreswanCipher(word)
				aead = aead || strings.Contains(word, "gcm") || strings.Contains(word, "ccm") || strings.Contains(word, "poly1305")
			case strings.HasPrefix(word, "dh") || strings.HasPrefix(word, "modp") || strings.HasPrefix(word, "ecp") || word == "curve25519":
				word, group = libreswanGroup(word), true
			case aead && word == "null":
				continue
			default:
				word, hash = libreswanHash(word, aead && proto == crypto.IKE), true
			}
			out = append(out, word)
		}
	}
	switch {
	case hash:
	case aead && proto == crypto.IKE:
		out = append(out, "prfsha512", "prfsha256")
	case !aead && proto != crypto.AH:
		out = append(out, "sha512", "sha256")
	}
	if proto == crypto.IKE && !group {
		out = append(out, "modp2048", "modp3072", "modp4096", "modp8192", "ecp256", "ecp384", "ecp521", "curve25519")
	}
	return strings.Join(out, "-")
}

func libreswanCipher(w string) string {
	w = strings.ReplaceAll(w, "_", "")
	switch {
	case w == "aes":
		return "aes256-aes128"
	case strings.HasPrefix(w, "aesgcm") || strings.HasPrefix(w, "aesccm"):
		kind := w[:6]
		bits := strings.TrimPrefix(w, kind)
		icv := "16"
		for _, n := range []string{"a", "b", "c"} {
			if rest, ok := strings.CutPrefix(bits, n); ok {
				icv, bits = map[string]string{"a": "8", "b": "12", "c": "16"}[n], rest
			}
		}
		if bits == "" {
			return "aes256" + kind[3:] + icv + "-aes128" + kind[3:] + icv
		}
		return "aes" + bits + kind[3:] + icv
	case w == "chacha20poly1305", w == "chacha20":
		return "chacha20poly1305"
	case strings.HasPrefix(w, "aesctr"):
		return "aes" + strings.TrimPrefix(w, "aesctr") + "ctr"
	}
	return w
}

// hashes are libreswan's words for them.
var hashes = map[string]string{
	"sha2": "sha256", "sha2_256": "sha256", "sha2_384": "sha384", "sha2_512": "sha512", "sha": "sha1", "aes_xcbc": "aesxcbc", "aes_cmac": "aescmac",
}

func libreswanHash(w string, prf bool) string {
	if known, ok := hashes[w]; ok {
		w = known
	}
	if prf {
		return "prf" + w
	}
	return w
}

func libreswanGroup(w string) string {
	groups := map[string]string{
		"dh14": "modp2048", "dh15": "modp3072", "dh16": "modp4096", "dh17": "modp6144", "dh18": "modp8192", "dh19": "ecp256", "dh20": "ecp384", "dh21": "ecp521", "dh31": "curve25519",
		"dh2": "modp1024", "dh5": "modp1536", "dh22": "modp1024s160", "dh23": "modp2048s224", "dh24": "modp2048s256",
	}
	if g := groups[w]; g != "" {
		return g
	}
	return w
}
