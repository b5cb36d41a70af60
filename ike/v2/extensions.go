package v2

// extensions are what both sides of an IKE SA have agreed to understand. They outlive a
// rekeying.
type extensions struct {
	redirectable bool // the peer began, and follows redirects (RFC 5685)
	follows      bool // we began, and have said that we follow them
	sync         bool // both understand the synchronisation of message IDs (RFC 6311)
}
