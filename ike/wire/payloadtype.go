package wire

// The payload types of IKEv2. The types without a struct in this package are
// parsed as *Raw.
const (
	NoNextPayload   PayloadType = 0
	PayloadSA       PayloadType = 33
	PayloadKE       PayloadType = 34
	PayloadIDi      PayloadType = 35
	PayloadIDr      PayloadType = 36
	PayloadCert     PayloadType = 37
	PayloadCertReq  PayloadType = 38
	PayloadAuth     PayloadType = 39
	PayloadNonce    PayloadType = 40
	PayloadNotify   PayloadType = 41
	PayloadDelete   PayloadType = 42
	PayloadVendorID PayloadType = 43
	PayloadTSi      PayloadType = 44
	PayloadTSr      PayloadType = 45
	PayloadSK       PayloadType = 46
	PayloadCP       PayloadType = 47
	PayloadEAP      PayloadType = 48
	PayloadGSPM     PayloadType = 49 // RFC 6467
	PayloadIDg      PayloadType = 50 // RFC 9838, as the next two
	PayloadGSA      PayloadType = 51
	PayloadKD       PayloadType = 52
	PayloadSKF      PayloadType = 53 // RFC 7383
	PayloadPS       PayloadType = 54 // RFC 8019
)
