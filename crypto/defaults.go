package crypto

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
func DefaultProposals(p Proto) []Proposal {
	var ps []Proposal
	for _, w := range defaultWords[p] {
		if prop, err := ParseProposal(p, w); err == nil {
			ps = append(ps, prop)
		}
	}
	return ps
}
