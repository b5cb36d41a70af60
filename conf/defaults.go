package conf

import (
	"time"

	"github.com/goike/goike/crypto"
)

// The defaults that are no zero value.
const (
	DefaultLifetime      = 3 * time.Hour
	DefaultChildLifetime = time.Hour
	DefaultMargin        = 9 * time.Minute
	DefaultRekeyFuzz     = 100 // percent
	DefaultKeyingTries   = 3
	DefaultDPDDelay      = 30 * time.Second
	DefaultDPDFailures   = 5
	DefaultRemotePort    = 500
	DefaultFragmentSize  = 1280 // octets, the least that every IPv6 link carries
	DefaultWindow        = 32   // packets
	DefaultLogLevel      = "info"
)

// DefaultRetransmit is how requests are repeated: as strongSwan repeats them.
var DefaultRetransmit = Retransmit{Timeout: 4 * time.Second, Base: 1.8, Tries: 5}

// DefaultLimits are the limits of half-open IKE SAs.
var DefaultLimits = HalfOpenLimits{Cookie: 100, PerAddress: 100, Total: 50000}

// Default returns a configuration without connections, every setting at its
// default.
func Default() *Config {
	return &Config{
		Network:          Network{InstallRoutes: true},
		ExcludeMyNetwork: true,
		Log:              Log{Level: DefaultLogLevel},
		Retransmit:       DefaultRetransmit,
		Limits:           DefaultLimits,
	}
}

// DefaultConnection returns a connection with every setting at its default;
// proposals are left to DefaultProposals of package crypto, since they depend on
// what else is asked for. Name, gateway and key are still wanting.
func DefaultConnection() *Connection {
	return &Connection{
		RemotePort:    DefaultRemotePort,
		Lifetime:      DefaultLifetime,
		KeyingTries:   DefaultKeyingTries,
		Rekey:         true,
		Margin:        DefaultMargin,
		RekeyFuzz:     DefaultRekeyFuzz,
		DPDDelay:      DefaultDPDDelay,
		DPDFailures:   DefaultDPDFailures,
		MOBIKE:        true,
		Fragmentation: true,
		FragmentSize:  DefaultFragmentSize,

		FollowRedirects: true,
	}
}

// DefaultChild returns a child with every setting but its proposals at its
// default. Name and, in tunnel mode, networks are still wanting.
func DefaultChild() *Child {
	return &Child{Protocol: crypto.ESP, Lifetime: DefaultChildLifetime, Window: DefaultWindow}
}
