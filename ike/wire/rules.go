package wire

// occasion is what the rules depend on: which message it is, and whether the
// payloads are those inside an encrypted payload.
type occasion struct {
	exchange            ExchangeType
	response, protected bool
}

// form is one shape that a message may have. The forms of an occasion are tried
// in their order: the first whose key is among the payloads applies, and a form
// without key applies always. Notifications, vendor IDs and unknown payloads are
// allowed in every form.
type form struct {
	key  PayloadType
	body []span
	also []condition
}

// span is how often payloads of a type may occur.
type span struct {
	of          PayloadType
	least, most int
}

// condition is what counting cannot tell. It returns what is wrong.
type condition func(ps []Payload) string

// rules are the shapes of all messages (RFC 7296, 1.2 to 1.5, 2.16 and appendix C).
var rules = map[occasion][]form{
	{IKESAInit, false, false}: {
		{body: initBody, also: []condition{nonceLength}},
	},
	{IKESAInit, true, false}: {
		{key: PayloadSA, body: initBody, also: []condition{nonceLength, oneProposal}},
		{also: []condition{holdsCookieOrError}},
	},
	{IKESessionResume, false, false}: {
		{body: one(PayloadNonce), also: []condition{nonceLength}},
	},
	{IKESessionResume, true, false}: {
		{key: PayloadNonce, body: one(PayloadNonce), also: []condition{nonceLength}},
		{also: []condition{holdsNackOrError}},
	},
	{IKEAuth, false, true}: {
		{key: PayloadIDi, body: join(one(PayloadIDi), atMostOne(PayloadIDr, PayloadAuth, PayloadCP), certs, child),
			also: []condition{wholeChild}},
		{key: PayloadEAP, body: one(PayloadEAP)},
		{key: PayloadAuth, body: one(PayloadAuth)},
		{also: []condition{holdsError}},
	},
	{IKEAuth, true, true}: {
		{key: PayloadIDr, body: join(one(PayloadIDr), atMostOne(PayloadAuth, PayloadEAP, PayloadCP), certs, child),
			also: []condition{wholeChild, oneProposal}},
		{key: PayloadEAP, body: one(PayloadEAP)},
		{key: PayloadAuth, body: join(one(PayloadAuth), atMostOne(PayloadCP), child),
			also: []condition{wholeChild, oneProposal}},
		{also: []condition{holdsError}},
	},
	{CreateChildSA, false, true}: {
		{key: PayloadTSi, body: newChild, also: []condition{nonceLength, notForIKE}},
		{body: newIKE, also: []condition{nonceLength, forIKE}},
	},
	{CreateChildSA, true, true}: {
		{key: PayloadTSi, body: newChild, also: []condition{nonceLength, notForIKE, oneProposal}},
		{key: PayloadSA, body: newIKE, also: []condition{nonceLength, forIKE, oneProposal}},
		{also: []condition{holdsError}},
	},
	{Informational, false, true}:  {{body: informational}},
	{Informational, true, true}:   {{body: informational}},
	{IKEAuth, false, false}:       {fragment, sealed},
	{IKEAuth, true, false}:        {fragment, sealed, unprotected},
	{CreateChildSA, false, false}: {fragment, sealed},
	{CreateChildSA, true, false}:  {fragment, sealed, unprotected},
	{Informational, false, false}: {fragment, sealed, unprotected},
	{Informational, true, false}:  {fragment, sealed, unprotected},
}

// The parts of the rules.
var (
	initBody = join(one(PayloadSA, PayloadKE, PayloadNonce), anyNumber(PayloadCertReq))
	certs    = anyNumber(PayloadCert, PayloadCertReq)
	child    = atMostOne(PayloadSA, PayloadTSi, PayloadTSr)
	newChild = join(one(PayloadSA, PayloadNonce, PayloadTSi, PayloadTSr), atMostOne(PayloadKE, PayloadCP))
	newIKE   = one(PayloadSA, PayloadNonce, PayloadKE)

	informational = join(anyNumber(PayloadDelete), atMostOne(PayloadCP))
)

// What is outside of encryption: an encrypted payload, or an error about an IKE
// SA, or an SPI, that the sender does not have (RFC 7296, 1.5, 2.21.4).
var (
	sealed      = form{key: PayloadSK, body: one(PayloadSK)}
	fragment    = form{key: PayloadSKF, body: one(PayloadSKF)}
	unprotected = form{also: []condition{holdsError}}
)

func one(ts ...PayloadType) []span       { return spans(1, 1, ts) }
func atMostOne(ts ...PayloadType) []span { return spans(0, 1, ts) }
func anyNumber(ts ...PayloadType) []span { return spans(0, maxMessage, ts) }

func spans(least, most int, ts []PayloadType) (out []span) {
	for _, t := range ts {
		out = append(out, span{t, least, most})
	}
	return out
}

func join(parts ...[]span) (out []span) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
