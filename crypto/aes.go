package crypto

// AES as a cipher (transform type 1).
const (
	EncrAESCBC   uint16 = 12
	EncrAESCTR   uint16 = 13
	EncrAESCCM8  uint16 = 14
	EncrAESCCM12 uint16 = 15
	EncrAESCCM16 uint16 = 16
	EncrAESGCM8  uint16 = 18
	EncrAESGCM12 uint16 = 19
	EncrAESGCM16 uint16 = 20
	// EncrNullAESGMAC authenticates and does not encrypt (RFC 4543); ESP only.
	EncrNullAESGMAC uint16 = 21
)

// AES as a message authentication code.
const (
	IntegAESXCBC  uint16 = 5
	IntegAESCMAC  uint16 = 8
	PRFAES128XCBC uint16 = 4
	PRFAES128CMAC uint16 = 8
)

const weakICV = "its integrity check value has 64 bits"

var aesBits = []uint16{128, 192, 256}

var aesRows = []row{
	{typ: Encr, id: EncrAESCBC, name: "AES_CBC", word: "aes#", aliases: []string{"aes"},
		bits: aesBits, protos: forIKEESP},
	{typ: Encr, id: EncrAESCTR, name: "AES_CTR", word: "aes#ctr",
		bits: aesBits, salt: 4, protos: forIKEESP},
	{typ: Encr, id: EncrAESCCM8, name: "AES_CCM_8", word: "aes#ccm8", aliases: []string{"aes#ccm64"},
		bits: aesBits, salt: 3, combined: true, weak: weakICV, protos: forIKEESP},
	{typ: Encr, id: EncrAESCCM12, name: "AES_CCM_12", word: "aes#ccm12", aliases: []string{"aes#ccm96"},
		bits: aesBits, salt: 3, combined: true, protos: forIKEESP},
	{typ: Encr, id: EncrAESCCM16, name: "AES_CCM_16", word: "aes#ccm16", aliases: []string{"aes#ccm128", "aes#ccm"},
		bits: aesBits, salt: 3, combined: true, protos: forIKEESP},
	{typ: Encr, id: EncrAESGCM8, name: "AES_GCM_8", word: "aes#gcm8", aliases: []string{"aes#gcm64"},
		bits: aesBits, salt: 4, combined: true, weak: weakICV, protos: forIKEESP},
	{typ: Encr, id: EncrAESGCM12, name: "AES_GCM_12", word: "aes#gcm12", aliases: []string{"aes#gcm96"},
		bits: aesBits, salt: 4, combined: true, protos: forIKEESP},
	{typ: Encr, id: EncrAESGCM16, name: "AES_GCM_16", word: "aes#gcm16", aliases: []string{"aes#gcm128", "aes#gcm"},
		bits: aesBits, salt: 4, combined: true, protos: forIKEESP},
	{typ: Encr, id: EncrNullAESGMAC, name: "NULL_AES_GMAC", word: "aes#gmac",
		bits: aesBits, salt: 4, combined: true, weak: "it does not encrypt", protos: forESP},
}

var aesMACRows = []row{
	{typ: Integ, id: IntegAESXCBC, name: "AES_XCBC_96", word: "aesxcbc", key: 16, impliesP: PRFAES128XCBC, protos: forAll},
	{typ: Integ, id: IntegAESCMAC, name: "AES_CMAC_96", word: "aescmac", key: 16, impliesP: PRFAES128CMAC, protos: forAll},
	{typ: PRF, id: PRFAES128XCBC, name: "PRF_AES128_XCBC", word: "prfaesxcbc", key: 16, protos: forIKE},
	{typ: PRF, id: PRFAES128CMAC, name: "PRF_AES128_CMAC", word: "prfaescmac", key: 16, protos: forIKE},
}
