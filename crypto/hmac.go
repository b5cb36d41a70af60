package crypto

// HMAC as integrity algorithm (transform type 3; RFC 2404, RFC 4868).
const (
	IntegHMACSHA1   uint16 = 2
	IntegHMACSHA256 uint16 = 12
	IntegHMACSHA384 uint16 = 13
	IntegHMACSHA512 uint16 = 14
)

// HMAC as pseudorandom function (transform type 2; RFC 2104, RFC 4868).
const (
	PRFHMACSHA1   uint16 = 2
	PRFHMACSHA256 uint16 = 5
	PRFHMACSHA384 uint16 = 6
	PRFHMACSHA512 uint16 = 7
)

const weakSHA1 = "SHA-1 is being retired"

var hmacRows = []row{
	{typ: Integ, id: IntegHMACSHA1, name: "HMAC_SHA1_96", word: "sha1", aliases: []string{"sha"},
		key: 20, impliesP: PRFHMACSHA1, weak: weakSHA1, protos: forAll},
	{typ: Integ, id: IntegHMACSHA256, name: "HMAC_SHA2_256_128", word: "sha256", aliases: []string{"sha2_256"},
		key: 32, impliesP: PRFHMACSHA256, protos: forAll},
	{typ: Integ, id: IntegHMACSHA384, name: "HMAC_SHA2_384_192", word: "sha384", aliases: []string{"sha2_384"},
		key: 48, impliesP: PRFHMACSHA384, protos: forAll},
	{typ: Integ, id: IntegHMACSHA512, name: "HMAC_SHA2_512_256", word: "sha512", aliases: []string{"sha2_512"},
		key: 64, impliesP: PRFHMACSHA512, protos: forAll},
	{typ: PRF, id: PRFHMACSHA1, name: "PRF_HMAC_SHA1", word: "prfsha1", key: 20, weak: weakSHA1, protos: forIKE},
	{typ: PRF, id: PRFHMACSHA256, name: "PRF_HMAC_SHA2_256", word: "prfsha256", key: 32, protos: forIKE},
	{typ: PRF, id: PRFHMACSHA384, name: "PRF_HMAC_SHA2_384", word: "prfsha384", key: 48, protos: forIKE},
	{typ: PRF, id: PRFHMACSHA512, name: "PRF_HMAC_SHA2_512", word: "prfsha512", key: 64, protos: forIKE},
}
