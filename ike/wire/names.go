package wire

var protocolNames = map[Protocol]string{
	ProtocolIKE: "IKE",
	ProtocolAH:  "AH",
	ProtocolESP: "ESP",
	4:           "FC_ESP_HEADER",
	5:           "FC_CT_AUTHENTICATION",
	6:           "GIKE_UPDATE",
}

// String returns the name in the IANA register, or "PROTOCOL_" and the number.
func (p Protocol) String() string { return nameOf(protocolNames, p, "PROTOCOL_") }

var transformTypeNames = map[TransformType]string{
	TransformENCR:   "ENCR",
	TransformPRF:    "PRF",
	TransformINTEG:  "INTEG",
	TransformKE:     "KE",
	TransformESN:    "ESN",
	TransformADDKE1: "ADDKE1",
	TransformADDKE2: "ADDKE2",
	TransformADDKE3: "ADDKE3",
	TransformADDKE4: "ADDKE4",
	TransformADDKE5: "ADDKE5",
	TransformADDKE6: "ADDKE6",
	TransformADDKE7: "ADDKE7",
	TransformKWA:    "KWA",
	TransformGCAUTH: "GCAUTH",
}

// String returns the abbreviation in the IANA register ("SN" is "ESN", as in
// RFC 7296), or "TRANSFORM_TYPE_" and the number.
func (t TransformType) String() string { return nameOf(transformTypeNames, t, "TRANSFORM_TYPE_") }

var payloadTypeNames = map[PayloadType]string{
	NoNextPayload:   "none",
	PayloadSA:       "SA",
	PayloadKE:       "KE",
	PayloadIDi:      "IDi",
	PayloadIDr:      "IDr",
	PayloadCert:     "CERT",
	PayloadCertReq:  "CERTREQ",
	PayloadAuth:     "AUTH",
	PayloadNonce:    "Nonce",
	PayloadNotify:   "N",
	PayloadDelete:   "D",
	PayloadVendorID: "V",
	PayloadTSi:      "TSi",
	PayloadTSr:      "TSr",
	PayloadSK:       "SK",
	PayloadCP:       "CP",
	PayloadEAP:      "EAP",
	PayloadGSPM:     "GSPM",
	PayloadIDg:      "IDg",
	PayloadGSA:      "GSA",
	PayloadKD:       "KD",
	PayloadSKF:      "SKF",
	PayloadPS:       "PS",
}

// String returns the notation in the IANA register ("Ni, Nr" is "Nonce"), or
// "PAYLOAD_" and the number.
func (t PayloadType) String() string { return nameOf(payloadTypeNames, t, "PAYLOAD_") }

var exchangeTypeNames = map[ExchangeType]string{
	IKESAInit:        "IKE_SA_INIT",
	IKEAuth:          "IKE_AUTH",
	CreateChildSA:    "CREATE_CHILD_SA",
	Informational:    "INFORMATIONAL",
	IKESessionResume: "IKE_SESSION_RESUME",
	39:               "GSA_AUTH",
	40:               "GSA_REGISTRATION",
	41:               "GSA_REKEY",
	42:               "GSA_INBAND_REKEY",
	43:               "IKE_INTERMEDIATE",
	44:               "IKE_FOLLOWUP_KE",
}

// String returns the name in the IANA register, or "EXCHANGE_" and the number.
func (x ExchangeType) String() string { return nameOf(exchangeTypeNames, x, "EXCHANGE_") }

var idTypeNames = map[IDType]string{
	IDIPv4Addr:   "ID_IPV4_ADDR",
	IDFQDN:       "ID_FQDN",
	IDRFC822Addr: "ID_RFC822_ADDR",
	IDIPv6Addr:   "ID_IPV6_ADDR",
	IDDERASN1DN:  "ID_DER_ASN1_DN",
	IDDERASN1GN:  "ID_DER_ASN1_GN",
	IDKeyID:      "ID_KEY_ID",
	IDFCName:     "ID_FC_NAME",
	IDNull:       "ID_NULL",
}

// String returns the name in the IANA register, or "ID_" and the number.
func (t IDType) String() string { return nameOf(idTypeNames, t, "ID_") }

var certEncodingNames = map[CertEncoding]string{
	CertPKCS7:            "PKCS #7 wrapped X.509 certificate",
	CertPGP:              "PGP Certificate",
	CertDNSSignedKey:     "DNS Signed Key",
	CertX509Signature:    "X.509 Certificate - Signature",
	CertKerberosToken:    "Kerberos Token",
	CertCRL:              "Certificate Revocation List (CRL)",
	CertARL:              "Authority Revocation List (ARL)",
	CertSPKI:             "SPKI Certificate",
	CertX509Attribute:    "X.509 Certificate - Attribute",
	CertRawRSAKey:        "Raw RSA Key",
	CertHashAndURL:       "Hash and URL of X.509 certificate",
	CertHashAndURLBundle: "Hash and URL of X.509 bundle",
	CertOCSP:             "OCSP Content",
	CertRawPublicKey:     "Raw Public Key",
}

// String returns the name in the IANA register, or "CERT_ENCODING_" and the number.
func (e CertEncoding) String() string { return nameOf(certEncodingNames, e, "CERT_ENCODING_") }

var authMethodNames = map[AuthMethod]string{
	AuthRSA:              "RSA Digital Signature",
	AuthSharedKey:        "Shared Key Message Integrity Code",
	AuthDSS:              "DSS Digital Signature",
	AuthECDSA256:         "ECDSA with SHA-256 on the P-256 curve",
	AuthECDSA384:         "ECDSA with SHA-384 on the P-384 curve",
	AuthECDSA521:         "ECDSA with SHA-512 on the P-521 curve",
	AuthSecurePassword:   "Generic Secure Password Authentication Method",
	AuthNull:             "NULL Authentication",
	AuthDigitalSignature: "Digital Signature",
}

// String returns the name in the IANA register, or "AUTH_METHOD_" and the number.
func (m AuthMethod) String() string { return nameOf(authMethodNames, m, "AUTH_METHOD_") }

var cpTypeNames = map[CPType]string{
	CFGRequest: "CFG_REQUEST",
	CFGReply:   "CFG_REPLY",
	CFGSet:     "CFG_SET",
	CFGAck:     "CFG_ACK",
}

// String returns the name in the IANA register, or "CFG_" and the number.
func (t CPType) String() string { return nameOf(cpTypeNames, t, "CFG_") }

var cpAttributeNames = map[CPAttributeType]string{
	InternalIP4Address:   "INTERNAL_IP4_ADDRESS",
	InternalIP4Netmask:   "INTERNAL_IP4_NETMASK",
	InternalIP4DNS:       "INTERNAL_IP4_DNS",
	InternalIP4NBNS:      "INTERNAL_IP4_NBNS",
	InternalIP4DHCP:      "INTERNAL_IP4_DHCP",
	ApplicationVersion:   "APPLICATION_VERSION",
	InternalIP6Address:   "INTERNAL_IP6_ADDRESS",
	InternalIP6DNS:       "INTERNAL_IP6_DNS",
	InternalIP6DHCP:      "INTERNAL_IP6_DHCP",
	InternalIP4Subnet:    "INTERNAL_IP4_SUBNET",
	SupportedAttributes:  "SUPPORTED_ATTRIBUTES",
	InternalIP6Subnet:    "INTERNAL_IP6_SUBNET",
	MIP6HomePrefix:       "MIP6_HOME_PREFIX",
	InternalIP6Link:      "INTERNAL_IP6_LINK",
	InternalIP6Prefix:    "INTERNAL_IP6_PREFIX",
	HomeAgentAddress:     "HOME_AGENT_ADDRESS",
	PCSCFIP4Address:      "P_CSCF_IP4_ADDRESS",
	PCSCFIP6Address:      "P_CSCF_IP6_ADDRESS",
	FTTKAT:               "FTT_KAT",
	ExternalSourceIP4NAT: "EXTERNAL_SOURCE_IP4_NAT_INFO",
	LivenessTimeout:      "TIMEOUT_PERIOD_FOR_LIVENESS_CHECK",
	InternalDNSDomain:    "INTERNAL_DNS_DOMAIN",
	InternalDNSSECTA:     "INTERNAL_DNSSEC_TA",
	EncryptedDNSIP4:      "ENCDNS_IP4",
	EncryptedDNSIP6:      "ENCDNS_IP6",
	EncryptedDNSDigest:   "ENCDNS_DIGEST_INFO",
}

// String returns the name in the IANA register, or "CP_ATTRIBUTE_" and the number.
func (t CPAttributeType) String() string { return nameOf(cpAttributeNames, t, "CP_ATTRIBUTE_") }
