package crypto

// EncrNull authenticates and does not encrypt (RFC 2410); never for IKE.
const EncrNull uint16 = 11

// IntegNone and KENone are the NONE of their transform types: offered, they make
// the type optional (RFC 7296, 3.3.6).
const (
	IntegNone uint16 = 0
	KENone    uint16 = 0
)

var nullRows = []row{
	{typ: Encr, id: EncrNull, name: "NULL", word: "null", weak: "it does not encrypt", protos: forESP},
	{typ: KE, id: KENone, name: "MODP_NONE", word: "none", aliases: []string{"modpnone"}, protos: forChild},
}
