package crypto

import "slices"

// defaultWords are the proposals for "default": broad enough for any current
// peer, and nothing in them that RFC 8221 or RFC 8247 advise against.
var defaultWords = map[Proto][]string{
	IKE: {
		"aes128gcm16-aes192gcm16-aes256gcm16-chacha20poly1305-prfsha256-prfsha384-prfsha512-" + defaultGroups,
		"aes128-aes192-aes256-sha256-sha384-sha512-" + defaultGroups,
	},
	ESP: {
		"aes128gcm16-aes192gcm16-aes256gcm16-chacha20poly1305",
		"aes128-aes192-aes256-sha256-sha384-sha512",
	},
	AH: {"sha256-sha384-sha512"},
}

const defaultGroups = "curve25519-ecp256-ecp384-ecp521-modp3072-modp4096-modp2048"

// DefaultProposals returns what the word "default" stands for: one proposal of
// combined-mode ciphers and a classic one. ESP and AH have no key exchange in
// them, thus no perfect forward secrecy for rekeyed child SAs.
//
// The algorithms of what it returns are shared, and not to be changed.
func DefaultProposals(p Proto) []Proposal { return slices.Clone(defaultProposals[p]) }

// defaultProposals are read once: every connection without proposals asks for them.
var defaultProposals = parseDefaults()

func parseDefaults() map[Proto][]Proposal {
	all := make(map[Proto][]Proposal)
	for p, words := range defaultWords {
		for _, w := range words {
			if prop, err := ParseProposal(p, w); err == nil {
				all[p] = append(all[p], prop)
			}
		}
	}
	return all
}
