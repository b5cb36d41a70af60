package wire

import (
	"fmt"
	"regexp"
	"testing"
)

func TestNames(t *testing.T) {
	for want, v := range map[string]fmt.Stringer{
		"NO_PROPOSAL_CHOSEN": NotifyNoProposalChosen, "AUTHENTICATION_FAILED": NotifyAuthenticationFailed,
		"IKEV2_FRAGMENTATION_SUPPORTED": NotifyFragmentationSupported, "USE_ASSIGNED_HoA": NotifyUseAssignedHoA,
		"NOTIFY_12345": NotifyType(12345), "NOTIFY_0": NotifyType(0), "NOTIFY_65535": NotifyType(65535),
		"IKE": ProtocolIKE, "AH": ProtocolAH, "ESP": ProtocolESP, "PROTOCOL_0": Protocol(0), "PROTOCOL_255": Protocol(255),
		"ENCR": TransformENCR, "ESN": TransformESN, "ADDKE7": TransformADDKE7, "TRANSFORM_TYPE_0": TransformType(0),
		"SA": PayloadSA, "IDi": PayloadIDi, "TSr": PayloadTSr, "none": NoNextPayload, "PAYLOAD_1": PayloadType(1),
		"IKE_SA_INIT": IKESAInit, "INFORMATIONAL": Informational, "IKE_INTERMEDIATE": ExchangeType(43), "EXCHANGE_2": ExchangeType(2),
		"ID_FQDN": IDFQDN, "ID_4": IDType(4), "X.509 Certificate - Signature": CertX509Signature, "CERT_ENCODING_5": CertEncoding(5),
		"Shared Key Message Integrity Code": AuthSharedKey, "Digital Signature": AuthDigitalSignature, "AUTH_METHOD_4": AuthMethod(4),
		"CFG_REQUEST": CFGRequest, "CFG_9": CPType(9), "INTERNAL_IP4_ADDRESS": InternalIP4Address, "CP_ATTRIBUTE_32767": CPAttributeType(32767),
	} {
		if v.String() != want {
			t.Errorf("%q, want %q", v, want)
		}
	}
}

// Some numbers as RFC 7296, 3.2, 3.8, 3.10.1 and the later RFCs have them.
func TestNumbers(t *testing.T) {
	for name, c := range map[string][2]int{
		"SK": {int(PayloadSK), 46}, "EAP": {int(PayloadEAP), 48}, "SKF": {int(PayloadSKF), 53},
		"INVALID_KE_PAYLOAD": {int(NotifyInvalidKEPayload), 17}, "CHILD_SA_NOT_FOUND": {int(NotifyChildSANotFound), 44},
		"STATE_NOT_FOUND": {int(NotifyStateNotFound), 47}, "INITIAL_CONTACT": {int(NotifyInitialContact), 16384},
		"NON_FIRST_FRAGMENTS_ALSO": {int(NotifyNonFirstFragmentsAlso), 16395}, "REDIRECT_SUPPORTED": {int(NotifyRedirectSupported), 16406},
		"CHILDLESS_IKEV2_SUPPORTED": {int(NotifyChildlessIKEv2Supported), 16418}, "IKEV2_FRAGMENTATION_SUPPORTED": {int(NotifyFragmentationSupported), 16430},
		"SIGNATURE_HASH_ALGORITHMS": {int(NotifySignatureHashAlgorithms), 16431}, "USE_PPK": {int(NotifyUsePPK), 16435},
		"INTERMEDIATE_EXCHANGE_SUPPORTED": {int(NotifyIntermediateExchangeSupported), 16438}, "ADDITIONAL_KEY_EXCHANGE": {int(NotifyAdditionalKeyExchange), 16441},
		"Digital Signature": {int(AuthDigitalSignature), 14}, "ID_KEY_ID": {int(IDKeyID), 11},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %d, want %d", name, c[0], c[1])
		}
	}
}

// The register has no gaps and no name twice.
func TestNotifyRegister(t *testing.T) {
	seen := map[string]NotifyType{}
	for k, s := range notifyNames {
		if !regexp.MustCompile(`^[A-Z][A-Za-z0-9_]+$`).MatchString(s) {
			t.Errorf("name %q", s)
		}
		if other, ok := seen[s]; ok {
			t.Errorf("%s is %d and %d", s, k, other)
		}
		seen[s] = k
		if k.IsError() != (k < 16384) {
			t.Errorf("%s: error %v", s, k.IsError())
		}
	}
	for k := NotifyInitialContact; k <= NotifyFullTranscriptAuth; k++ {
		if _, ok := notifyNames[k]; !ok {
			t.Errorf("%d has no name", k)
		}
	}
	if !NotifyType(16383).IsError() || NotifyType(16384).IsError() || NotifyType(65535).IsError() {
		t.Error("the border between errors and status is at 16384")
	}
}

func TestProtocolError(t *testing.T) {
	for want, e := range map[string]*ProtocolError{
		"INVALID_SYNTAX":                 {Notify: NotifyInvalidSyntax},
		"INVALID_SYNTAX: no SA payload":  {Notify: NotifyInvalidSyntax, Reason: "no SA payload"},
		"INVALID_KE_PAYLOAD: other wish": {Notify: NotifyInvalidKEPayload, Reason: "other wish", Data: []byte{0, 31}},
	} {
		if e.Error() != want {
			t.Errorf("%q, want %q", e.Error(), want)
		}
	}
}
