package wire

import "strconv"

// Protocol is a security protocol identifier (RFC 7296, 3.3.1), by IANA number.
type Protocol uint8

// The security protocols. Notifications about the IKE SA itself carry 0.
const (
	ProtocolIKE Protocol = 1
	ProtocolAH  Protocol = 2
	ProtocolESP Protocol = 3
)

// TransformType is the type of a transform (RFC 7296, 3.3.2), by IANA number.
type TransformType uint8

// The transform types. The additional key exchanges are those of RFC 9370.
const (
	TransformENCR   TransformType = 1
	TransformPRF    TransformType = 2
	TransformINTEG  TransformType = 3
	TransformKE     TransformType = 4
	TransformESN    TransformType = 5
	TransformADDKE1 TransformType = 6
	TransformADDKE2 TransformType = 7
	TransformADDKE3 TransformType = 8
	TransformADDKE4 TransformType = 9
	TransformADDKE5 TransformType = 10
	TransformADDKE6 TransformType = 11
	TransformADDKE7 TransformType = 12
	TransformKWA    TransformType = 13
	TransformGCAUTH TransformType = 14
)

// IDType is the type of an identification (RFC 7296, 3.5), by IANA number.
type IDType uint8

// The identification types.
const (
	IDIPv4Addr   IDType = 1
	IDFQDN       IDType = 2
	IDRFC822Addr IDType = 3
	IDIPv6Addr   IDType = 5
	IDDERASN1DN  IDType = 9
	IDDERASN1GN  IDType = 10
	IDKeyID      IDType = 11
	IDFCName     IDType = 12
	IDNull       IDType = 13
)

// CertEncoding is the encoding of a certificate (RFC 7296, 3.6), by IANA number.
type CertEncoding uint8

// The certificate encodings.
const (
	CertPKCS7            CertEncoding = 1
	CertPGP              CertEncoding = 2
	CertDNSSignedKey     CertEncoding = 3
	CertX509Signature    CertEncoding = 4
	CertKerberosToken    CertEncoding = 6
	CertCRL              CertEncoding = 7
	CertARL              CertEncoding = 8
	CertSPKI             CertEncoding = 9
	CertX509Attribute    CertEncoding = 10
	CertRawRSAKey        CertEncoding = 11
	CertHashAndURL       CertEncoding = 12
	CertHashAndURLBundle CertEncoding = 13
	CertOCSP             CertEncoding = 14
	CertRawPublicKey     CertEncoding = 15
)

// AuthMethod is an authentication method (RFC 7296, 3.8), by IANA number.
type AuthMethod uint8

// The authentication methods.
const (
	AuthRSA              AuthMethod = 1
	AuthSharedKey        AuthMethod = 2
	AuthDSS              AuthMethod = 3
	AuthECDSA256         AuthMethod = 9  // SHA-256 on P-256 (RFC 4754)
	AuthECDSA384         AuthMethod = 10 // SHA-384 on P-384
	AuthECDSA521         AuthMethod = 11 // SHA-512 on P-521
	AuthSecurePassword   AuthMethod = 12 // RFC 6467
	AuthNull             AuthMethod = 13 // RFC 7619
	AuthDigitalSignature AuthMethod = 14 // RFC 7427
)

// CPType is the type of a configuration payload (RFC 7296, 3.15), by IANA number.
type CPType uint8

// The configuration payload types.
const (
	CFGRequest CPType = 1
	CFGReply   CPType = 2
	CFGSet     CPType = 3
	CFGAck     CPType = 4
)

// CPAttributeType is the type of a configuration attribute (RFC 7296, 3.15.1),
// by IANA number, of 15 bits.
type CPAttributeType uint16

// The configuration attributes.
const (
	InternalIP4Address   CPAttributeType = 1
	InternalIP4Netmask   CPAttributeType = 2
	InternalIP4DNS       CPAttributeType = 3
	InternalIP4NBNS      CPAttributeType = 4
	InternalIP4DHCP      CPAttributeType = 6
	ApplicationVersion   CPAttributeType = 7
	InternalIP6Address   CPAttributeType = 8
	InternalIP6DNS       CPAttributeType = 10
	InternalIP6DHCP      CPAttributeType = 12
	InternalIP4Subnet    CPAttributeType = 13
	SupportedAttributes  CPAttributeType = 14
	InternalIP6Subnet    CPAttributeType = 15
	MIP6HomePrefix       CPAttributeType = 16
	InternalIP6Link      CPAttributeType = 17
	InternalIP6Prefix    CPAttributeType = 18
	HomeAgentAddress     CPAttributeType = 19
	PCSCFIP4Address      CPAttributeType = 20
	PCSCFIP6Address      CPAttributeType = 21
	FTTKAT               CPAttributeType = 22
	ExternalSourceIP4NAT CPAttributeType = 23
	LivenessTimeout      CPAttributeType = 24
	InternalDNSDomain    CPAttributeType = 25 // RFC 8598
	InternalDNSSECTA     CPAttributeType = 26
	EncryptedDNSIP4      CPAttributeType = 27 // RFC 9464
	EncryptedDNSIP6      CPAttributeType = 28
	EncryptedDNSDigest   CPAttributeType = 29
)

// nameOf is the name of a register's entry, or prefix and number for those that
// are unknown here.
func nameOf[T ~uint8 | ~uint16](names map[T]string, v T, prefix string) string {
	if s, ok := names[v]; ok {
		return s
	}
	return prefix + strconv.Itoa(int(v))
}
