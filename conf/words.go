package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// The words of the enumerations, as configuration files, screens and JSON have them.
var (
	uniqueWords    = [...]string{UniqueReplace: "yes", UniqueNo: "no", UniqueNever: "never", UniqueKeep: "keep"}
	backendWords   = [...]string{BackendAuto: "auto", BackendKernel: "kernel", BackendUserspace: "userspace", BackendNone: "none"}
	versionWords   = [...]string{VersionAuto: "auto", IKEv1: "ikev1", IKEv2: "ikev2"}
	behaviorWords  = [...]string{Start: "start", OnDemand: "on-demand", ResponderOnly: "responder-only"}
	dpdWords       = [...]string{DPDRestart: "restart", DPDClear: "clear", DPDHold: "hold", DPDNone: "none"}
	childlessWords = [...]string{ChildlessAllow: "allow", ChildlessPrefer: "prefer", ChildlessForce: "force", ChildlessNever: "never"}
	authWords      = [...]string{AuthPSK: "psk"}
	modeWords      = [...]string{Tunnel: "tunnel", Transport: "transport", BEET: "beet", Pass: "pass", Drop: "drop"}
	offloadWords   = [...]string{OffloadNone: "no", OffloadAuto: "auto", OffloadCrypto: "crypto", OffloadPacket: "packet"}
)

func wordOf[T ~uint8](words []string, v T) string {
	if int(v) < len(words) {
		return words[v]
	}
	return fmt.Sprintf("unknown (%d)", uint8(v))
}

// String returns the word of the configuration.
func (u UniqueIDs) String() string { return wordOf(uniqueWords[:], u) }

// String returns the word of the configuration.
func (b Backend) String() string { return wordOf(backendWords[:], b) }

// String returns the word of the configuration.
func (v Version) String() string { return wordOf(versionWords[:], v) }

// String returns the word of the configuration.
func (b Behavior) String() string { return wordOf(behaviorWords[:], b) }

// String returns the word of the configuration.
func (a DPDAction) String() string { return wordOf(dpdWords[:], a) }

// String returns the word of the configuration.
func (c Childless) String() string { return wordOf(childlessWords[:], c) }

// String returns the word of the configuration.
func (m AuthMethod) String() string { return wordOf(authWords[:], m) }

// String returns the word of the configuration.
func (m Mode) String() string { return wordOf(modeWords[:], m) }

// String returns the word of the configuration.
func (o Offload) String() string { return wordOf(offloadWords[:], o) }

// String returns the gateway as the configuration has it: an address, a network,
// a host name or "any".
func (g Gateway) String() string {
	if addr, ok := g.Single(); ok {
		return addr.String()
	}
	switch {
	case g.Host != "":
		return g.Host
	case g.Prefix.IsValid():
		return g.Prefix.String()
	}
	return "any"
}

// Single returns the address of a gateway that is one address.
func (g Gateway) Single() (netip.Addr, bool) {
	return g.Prefix.Addr(), g.Prefix.IsSingleIP()
}

// Dialable tells whether the gateway names one host, so that it can be called.
func (g Gateway) Dialable() bool { return g.Host != "" || g.Prefix.IsSingleIP() }

// Covers tells whether an address is one of the gateway's, as far as that is known
// without resolving names.
func (g Gateway) Covers(a netip.Addr) bool {
	return g.Any || g.Prefix.IsValid() && g.Prefix.Contains(a)
}

// String returns the gateways as the configuration writes them, with commas.
func (gs Gateways) String() string { return strings.Join(gs.Words(), ", ") }

// Words returns each gateway as the configuration writes it.
func (gs Gateways) Words() []string {
	words := make([]string, len(gs))
	for i, g := range gs {
		words[i] = g.String()
	}
	return words
}

// Single returns the address of gateways that are one address.
func (gs Gateways) Single() (netip.Addr, bool) {
	if len(gs) != 1 {
		return netip.Addr{}, false
	}
	return gs[0].Single()
}

// Dialable tells whether one of the gateways can be called.
func (gs Gateways) Dialable() bool { return slices.ContainsFunc(gs, Gateway.Dialable) }

// Covers tells whether an address is one of theirs, as Gateway.Covers does.
func (gs Gateways) Covers(a netip.Addr) bool {
	return slices.ContainsFunc(gs, func(g Gateway) bool { return g.Covers(a) })
}

// Any tells whether the peer may have every address.
func (gs Gateways) Any() bool { return slices.ContainsFunc(gs, func(g Gateway) bool { return g.Any }) }
