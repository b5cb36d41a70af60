package crypto

// Key exchange methods (transform type 4).
const (
	KEMODP1024     uint16 = 2
	KEMODP1536     uint16 = 5
	KEMODP2048     uint16 = 14
	KEMODP3072     uint16 = 15
	KEMODP4096     uint16 = 16
	KEMODP6144     uint16 = 17
	KEMODP8192     uint16 = 18
	KEECP256       uint16 = 19
	KEECP384       uint16 = 20
	KEECP521       uint16 = 21
	KEMODP1024s160 uint16 = 22
	KEMODP2048s224 uint16 = 23
	KEMODP2048s256 uint16 = 24
	KEECP192       uint16 = 25
	KEECP224       uint16 = 26
	KECurve25519   uint16 = 31
	KECurve448     uint16 = 32
)

// Extended sequence numbers (transform type 5).
const (
	ESNNo  uint16 = 0
	ESNYes uint16 = 1
)

const (
	weakGroup   = "it is within reach of well-funded attackers"
	weakRFC5114 = "the origin of its prime is not documented"
)

var modpRows = []row{
	{typ: KE, id: KEMODP1024, name: "MODP_1024", word: "modp1024", weak: weakGroup, protos: forAll},
	{typ: KE, id: KEMODP1536, name: "MODP_1536", word: "modp1536", weak: weakGroup, protos: forAll},
	{typ: KE, id: KEMODP2048, name: "MODP_2048", word: "modp2048", protos: forAll},
	{typ: KE, id: KEMODP3072, name: "MODP_3072", word: "modp3072", protos: forAll},
	{typ: KE, id: KEMODP4096, name: "MODP_4096", word: "modp4096", protos: forAll},
	{typ: KE, id: KEMODP6144, name: "MODP_6144", word: "modp6144", protos: forAll},
	{typ: KE, id: KEMODP8192, name: "MODP_8192", word: "modp8192", protos: forAll},
	{typ: KE, id: KEMODP1024s160, name: "MODP_1024_160", word: "modp1024s160", weak: weakGroup, protos: forAll},
	{typ: KE, id: KEMODP2048s224, name: "MODP_2048_224", word: "modp2048s224", weak: weakRFC5114, protos: forAll},
	{typ: KE, id: KEMODP2048s256, name: "MODP_2048_256", word: "modp2048s256", weak: weakRFC5114, protos: forAll},
}

var ecpRows = []row{
	{typ: KE, id: KEECP192, name: "ECP_192", word: "ecp192", weak: "it has 96 bits of strength", protos: forAll},
	{typ: KE, id: KEECP224, name: "ECP_224", word: "ecp224", weak: "it has 112 bits of strength", protos: forAll},
	{typ: KE, id: KEECP256, name: "ECP_256", word: "ecp256", protos: forAll},
	{typ: KE, id: KEECP384, name: "ECP_384", word: "ecp384", protos: forAll},
	{typ: KE, id: KEECP521, name: "ECP_521", word: "ecp521", protos: forAll},
}

var montgomeryRows = []row{
	{typ: KE, id: KECurve25519, name: "CURVE_25519", word: "curve25519", aliases: []string{"x25519"}, protos: forAll},
	{typ: KE, id: KECurve448, name: "CURVE_448", word: "curve448", aliases: []string{"x448"}, protos: forAll},
}

var esnRows = []row{
	{typ: ESN, id: ESNNo, name: "NO_EXT_SEQ", word: "noesn", protos: forChild},
	{typ: ESN, id: ESNYes, name: "EXT_SEQ", word: "esn", protos: forChild},
}
