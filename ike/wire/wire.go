// Package wire is the codec of IKE messages: header and payloads of RFC 7296
// with their registers, one payload a file. It holds no state and no keys.
//
// Parsed payloads alias the buffer they were parsed from: Clone what outlives it.
package wire

import "net/netip"

// PayloadType is the type of a payload (RFC 7296, 3.2), by IANA number.
type PayloadType uint8

// ExchangeType is the type of an exchange (RFC 7296, 3.1), by IANA number.
type ExchangeType uint8

// The exchange types of IKEv2.
const (
	IKESAInit     ExchangeType = 34
	IKEAuth       ExchangeType = 35
	CreateChildSA ExchangeType = 36
	Informational ExchangeType = 37
	// IKESessionResume is IKE_SESSION_RESUME (RFC 5723).
	IKESessionResume ExchangeType = 38
)

// HeaderLen is the length of the IKE header in octets.
const HeaderLen = 28

// Flags of the header (RFC 7296, 3.1).
const (
	FlagInitiator = 0x08
	FlagVersion   = 0x10
	FlagResponse  = 0x20
)

// Header is the IKE header (RFC 7296, 3.1). Append fills in NextPayload and Length.
type Header struct {
	SPIi, SPIr   uint64
	NextPayload  PayloadType
	Major, Minor uint8
	Exchange     ExchangeType
	Flags        uint8
	MessageID    uint32
	Length       uint32
}

// Payload is one payload of a message; the types of this package implement it.
type Payload interface {
	Type() PayloadType
	// Critical tells whether the critical bit is set.
	Critical() bool
	// AppendBody appends the payload without its generic header.
	AppendBody(b []byte) []byte
	// Clone returns a copy that shares no memory with the parsed buffer.
	Clone() Payload
}

// Limits bounds what a parser accepts. The zero value stands for DefaultLimits.
type Limits struct {
	Payloads   int // payloads in a message
	Proposals  int // proposals in an SA payload
	Transforms int // transforms in a proposal
	Selectors  int // traffic selectors in a TS payload
	Attributes int // attributes in a configuration payload
}

// SA is the security association payload (RFC 7296, 3.3).
type SA struct{ Proposals []Proposal }

// Proposal is one proposal of an SA payload. SPI is empty in the first IKE SA
// negotiation, 8 octets in its rekeying, 4 for ESP and AH.
type Proposal struct {
	Num        uint8
	Protocol   Protocol
	SPI        []byte
	Transforms []Transform
}

// Transform is one transform (RFC 7296, 3.3.2). KeyLen is the Key Length
// attribute in bits, 0 when absent. Unknown is set when it carried an attribute
// that this package does not know; such a transform must not be chosen.
type Transform struct {
	Type    TransformType
	ID      uint16
	KeyLen  uint16
	Unknown bool
}

// KE is the key exchange payload (RFC 7296, 3.4).
type KE struct {
	Method uint16
	Data   []byte
}

// ID is the identification payload (RFC 7296, 3.5): IDi or IDr.
type ID struct {
	Responder bool // IDr
	Kind      IDType
	Data      []byte
}

// Cert is the certificate payload (RFC 7296, 3.6).
type Cert struct {
	Encoding CertEncoding
	Data     []byte
}

// CertReq is the certificate request payload (RFC 7296, 3.7).
type CertReq struct {
	Encoding CertEncoding
	Data     []byte
}

// Auth is the authentication payload (RFC 7296, 3.8).
type Auth struct {
	Method AuthMethod
	Data   []byte
}

// Nonce is the nonce payload, 16 to 256 octets (RFC 7296, 3.9).
type Nonce struct{ Data []byte }

// Notify is the notify payload (RFC 7296, 3.10). SPI is empty unless the
// notification concerns a child SA.
type Notify struct {
	Protocol Protocol
	SPI      []byte
	Kind     NotifyType
	Data     []byte
}

// Delete is the delete payload (RFC 7296, 3.11): no SPIs for the IKE SA itself.
type Delete struct {
	Protocol Protocol
	SPIs     [][]byte
}

// VendorID is the vendor ID payload (RFC 7296, 3.12).
type VendorID struct{ Data []byte }

// TS is a traffic selector payload (RFC 7296, 3.13): TSi or TSr.
type TS struct {
	Responder bool // TSr
	Selectors []Selector
}

// Selector is one traffic selector (RFC 7296, 3.13.1). For protocols with
// ports, StartPort and EndPort are ports; for ICMP, type<<8|code; 0-65535 is
// ANY, 65535-0 is OPAQUE.
type Selector struct {
	Proto              uint8
	StartPort, EndPort uint16
	Start, End         netip.Addr
}

// CP is the configuration payload (RFC 7296, 3.15).
type CP struct {
	Kind       CPType
	Attributes []CPAttribute
}

// CPAttribute is one configuration attribute.
type CPAttribute struct {
	Type CPAttributeType
	Data []byte
}

// EAP is the EAP payload, one whole EAP message (RFC 7296, 3.16).
type EAP struct{ Data []byte }

// SK is the encrypted payload (RFC 7296, 3.14): always the last. Body is what
// follows its generic header: IV, ciphertext and ICV. First is the type of the
// first payload inside.
type SK struct {
	First PayloadType
	Body  []byte
}

// SKF is the encrypted fragment payload (RFC 7383, 2.5).
type SKF struct {
	First           PayloadType
	Fragment, Total uint16
	Body            []byte
}

// Raw is a payload of a type that this package does not know. It keeps its
// octets, so that UNSUPPORTED_CRITICAL_PAYLOAD can name it.
type Raw struct {
	Kind         PayloadType
	CriticalFlag bool
	Data         []byte
}
