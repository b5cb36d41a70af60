package conf

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goike/goike/crypto"
)

// Place names a setting: a key of a connection, of one of its children, or of the
// daemon.
type Place struct {
	Conn  int // index of the connection; -1: a setting of the daemon
	Child int // index of the child in it; -1: a setting of the connection
	// Key is the name of the key in goike.toml; with its section in front for a
	// setting of the daemon, empty for the connection or the child as a whole.
	Key   string
	Index int // which element of a list
}

// Daemon is the place of a setting of the daemon.
func Daemon(key string) Place { return Place{Conn: -1, Child: -1, Key: key} }

// Finding is what Validate found at a place.
type Finding struct {
	Place
	Also    []Place // what else the finding depends on
	Text    string
	Warning bool
}

// Check looks at a configuration that is valid, and says what else there is to know.
type Check func(c *Config) []Finding

// Limits of what is accepted, so that no setting overflows what uses it.
const (
	MaxNetworks          = 250 // of a list: a TS payload holds 255, and one is for the packet that asks
	MinRetransmitTimeout = 10 * time.Millisecond
	MaxRetransmitTries   = 100
	AllowedWindow        = "32 to 4096, or 0 for no replay protection"

	maxName     = 128
	shortPSK    = 16 // octets
	maxGivingUp = 24 * time.Hour
	maxUnixPath = 107
)

// Subsystems are what log levels can be set of.
var Subsystems = []string{"ike", "child"}

// Validate checks everything about a configuration that takes more than one value
// to know, or holds for every format of configuration files. Findings come in no
// particular order.
func Validate(c *Config) []Finding {
	v := &validator{conf: c, names: make(map[string]int), weak: make(map[crypto.Alg]bool)}
	if len(c.ConfFiles) == 0 {
		v.keyless = c.Keyless()
	}
	v.daemon(c)
	for i, conn := range c.Connections {
		v.connection(Place{Conn: i, Child: -1}, conn)
		for j, child := range conn.Children {
			v.child(Place{Conn: i, Child: j}, conn, child, c.Network.RouteBased)
		}
	}
	return v.found
}

type validator struct {
	conf  *Config
	found []Finding
	names map[string]int // connections by name
	weak  map[crypto.Alg]bool
	// keyless are the connections without a key; those of conf_files may bring one.
	keyless map[*Connection]bool
}

func (p Place) key(key string) Place {
	p.Key = key
	return p
}

// of is the place of a key of the connection that a child belongs to.
func (p Place) of(key string) Place { return Place{Conn: p.Conn, Child: -1, Key: key} }

func (v *validator) error(at Place, also []Place, format string, args ...any) {
	v.found = append(v.found, Finding{Place: at, Also: also, Text: fmt.Sprintf(format, args...)})
}

func (v *validator) warn(at Place, also []Place, format string, args ...any) {
	v.found = append(v.found, Finding{Place: at, Also: also, Text: fmt.Sprintf(format, args...), Warning: true})
}

func (v *validator) daemon(c *Config) {
	r := c.Retransmit
	tries, base, timeout := Daemon("retransmit.tries"), Daemon("retransmit.base"), Daemon("retransmit.timeout")
	switch {
	case r.Tries < 0 || r.Tries > MaxRetransmitTries:
		v.error(tries, nil, "retransmit.tries is %d; allowed: 0 to %d", r.Tries, MaxRetransmitTries)
	case !(r.Base >= 1 && r.Base <= 10):
		v.error(base, nil, "retransmit.base is %v; allowed: 1 to 10", r.Base)
	case r.Timeout < MinRetransmitTimeout:
		v.error(timeout, nil, "retransmit.timeout is %s; allowed: %s or longer", FormatDuration(r.Timeout), FormatDuration(MinRetransmitTimeout))
	case r.givenUpAfter() > maxGivingUp.Seconds():
		v.error(timeout, []Place{base, tries}, "retransmit.timeout, base and tries give up a silent peer after %.0f hours; allowed: 24 hours at most",
			r.givenUpAfter()/3600)
	}
	l := c.Limits
	if l.Cookie > l.Total || l.PerAddress > l.Total {
		v.error(Daemon("limits.total"), []Place{Daemon("limits.cookie"), Daemon("limits.per_address")},
			"limits.total is %d, below limits.cookie (%d) or limits.per_address (%d); allowed: as much as both or more", l.Total, l.Cookie, l.PerAddress)
	}
	if c.Network.RouteBased && c.Dataplane == BackendUserspace {
		v.error(Daemon("network.route_based"), []Place{Daemon("dataplane.backend")},
			"network.route_based is true, but dataplane.backend is \"userspace\", which has no interface for each connection; allowed with it: \"auto\", \"kernel\"")
	}
	if s := c.Control.Socket; s != "" && (!strings.HasPrefix(s, "/") || len(s) > maxUnixPath) {
		v.error(Daemon("control.socket"), nil, "control.socket is %q; allowed: an absolute path of at most %d octets", s, maxUnixPath)
	}
	if _, _, err := c.Metrics.Address(); err != nil {
		v.error(Daemon("metrics.listen"), nil, "metrics.listen is %q: %v; allowed: %s", c.Metrics.Listen, err, AllowedListen)
	}
}

// givenUpAfter is how many seconds a silent peer is waited for.
func (r Retransmit) givenUpAfter() float64 {
	total := 0.0
	for n := range r.Tries + 1 {
		total += r.Timeout.Seconds() * math.Pow(r.Base, float64(n))
	}
	return total
}

func (v *validator) connection(at Place, c *Connection) {
	if v.name(at, "phase1", c.Name) {
		if first, twice := v.names[c.Name]; twice {
			v.error(at.key("name"), []Place{{Conn: first, Child: -1, Key: "name"}}, "name %q is that of another phase1; allowed: a name used once", c.Name)
		} else {
			v.names[c.Name] = at.Conn
		}
	}
	v.gateway(at, c)
	v.proposals(at, crypto.IKE, c.Proposals)
	v.lifetime(at, "IKE SA", c.Lifetime, c)
	v.key(at, c)
	if c.Reauthenticate && !c.Rekey {
		v.warn(at.key("reauthenticate"), []Place{at.key("rekey")}, "reauthenticate is true, but rekey is false: this host never sets %s up again, the peer has to", quoted(c.Name))
	}
	names := make(map[string]bool, len(c.Children))
	for j, child := range c.Children {
		if names[child.Name] && child.Name != "" {
			v.error(Place{Conn: at.Conn, Child: j, Key: "name"}, nil, "name %q is that of another phase2 of %s; allowed: a name used once in a phase1", child.Name, quoted(c.Name))
		}
		names[child.Name] = true
	}
}

// name checks a name: it is shown on screens and written as CONNECTION/CHILD on
// command lines.
func (v *validator) name(at Place, what, name string) bool {
	const allowed = "allowed: up to 128 characters, no / and no control characters, no space at either end"
	switch {
	case name == "":
		v.error(at.key("name"), nil, "%s has no name; "+allowed, what)
	case len(name) > maxName || strings.Contains(name, "/") || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unprintable):
		v.error(at.key("name"), nil, "name %s cannot be used; "+allowed, quoted(name))
	default:
		return true
	}
	return false
}

func (v *validator) gateway(at Place, c *Connection) {
	gs := c.Gateways
	here := at.key("remote_gateway")
	if len(gs) == 0 || slices.Contains(gs, Gateway{}) {
		v.error(here, nil, "%s has no remote_gateway; allowed: %s", quoted(c.Name), AllowedGateway)
		return
	}
	for i, g := range gs {
		if slices.Contains(gs[:i], g) {
			v.error(here, nil, "remote_gateway holds %s twice; allowed: each once", g)
		}
		if addr, ok := g.Single(); ok && addr == c.LocalAddr {
			v.error(at.key("local_address"), []Place{here}, "local_address and remote_gateway are both %s; allowed: two hosts", addr)
		}
	}
	if c.LocalAddr.IsValid() && !slices.ContainsFunc(gs, func(g Gateway) bool { return !g.Prefix.IsValid() || g.Prefix.Addr().Is4() == c.LocalAddr.Is4() }) {
		v.error(at.key("local_address"), []Place{here},
			"local_address %s and remote_gateway %s are of different address families; allowed: both IPv4 or both IPv6", c.LocalAddr, gs)
	}
	if gs.Dialable() {
		return
	}
	const text = "connection_behavior is %q, but remote_gateway %q is no single peer to call; allowed with it: \"responder-only\""
	if c.Behavior != ResponderOnly {
		v.error(at.key("connection_behavior"), []Place{here}, text, c.Behavior, gs)
	}
	for i, child := range c.Children {
		if child.Behavior != nil && *child.Behavior != ResponderOnly {
			v.error(Place{Conn: at.Conn, Child: i, Key: "connection_behavior"}, []Place{here}, text, *child.Behavior, gs)
		}
	}
}

func (v *validator) key(at Place, c *Connection) {
	also := []Place{at.key("pre_shared_key_file"), at.key("authentication"), at.key("local_auth"), at.key("remote_auth")}
	switch psk := at.key("pre_shared_key"); {
	case v.keyless[c]:
		v.error(psk, also, "%s has no key to authenticate with; allowed: pre_shared_key or pre_shared_key_file (goikectl genpsk prints a key), or a [[secret]] whose owners are its identities", quoted(c.Name))
	case len(c.PSK) > 0 && len(c.PSK) < shortPSK:
		v.warn(psk, also, "the pre-shared key of %s has %d octets: whoever records a failed attempt can guess it; goikectl genpsk prints a good one", quoted(c.Name), len(c.PSK))
	}
}

// lifetime checks that an SA lives longer than the time before its end at which
// its replacement begins.
func (v *validator) lifetime(at Place, what string, lifetime time.Duration, c *Connection) {
	if lifetime == Forever || !c.Rekey {
		return
	}
	also := []Place{at.of("margintime"), at.of("rekey_fuzz"), at.of("rekey")}
	most := c.Margin + c.Jitter()
	switch {
	case lifetime <= c.Margin:
		v.error(at.key("lifetime"), also, "lifetime of the %s, %s, is not longer than margintime, %s; allowed: a longer lifetime, a shorter margintime, or rekey = false",
			what, FormatDuration(lifetime), FormatDuration(c.Margin))
	case lifetime <= most:
		v.warn(at.key("lifetime"), also, "lifetime of the %s, %s, is not longer than margintime with rekey_fuzz, up to %s: it is replaced after a quarter of its lifetime at the earliest",
			what, FormatDuration(lifetime), FormatDuration(most))
	}
}

// proposals checks each proposal, and warns once of each weak algorithm.
func (v *validator) proposals(at Place, proto crypto.Proto, ps []crypto.Proposal) {
	at = at.key("proposals")
	if len(ps) == 0 {
		v.error(at, nil, "proposals is empty; allowed: one proposal or more, or no proposals key for the default ones")
	}
	for i, p := range ps {
		at.Index = i
		if p.Proto != proto {
			v.error(at, nil, "proposal %q is for %s; allowed: one for %s", p, p.Proto, proto)
		} else if err := p.Validate(); err != nil {
			v.error(at, nil, "proposal %q: %v", p, err)
		}
		for _, a := range p.Algs {
			if reason, weak := crypto.Weak(a); weak && !v.weak[a] && !implied(p, a) {
				v.weak[a] = true
				v.warn(at, nil, "%s is weak: %s", a, reason)
			}
		}
	}
}

// implied tells whether an algorithm is the PRF that comes with an integrity
// algorithm, so that nobody wrote it.
func implied(p crypto.Proposal, a crypto.Alg) bool {
	for _, integ := range p.Of(crypto.Integ) {
		if prf, ok := crypto.ImpliedPRF(integ); ok && prf == a {
			return true
		}
	}
	return false
}
