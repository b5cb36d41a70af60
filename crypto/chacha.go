package crypto

// EncrChaCha20Poly1305 is the transform of RFC 7634.
const EncrChaCha20Poly1305 uint16 = 28

var chachaRows = []row{
	{typ: Encr, id: EncrChaCha20Poly1305, name: "CHACHA20_POLY1305", word: "chacha20poly1305",
		key: 32, salt: 4, combined: true, protos: forIKEESP},
}
