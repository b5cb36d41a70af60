package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/esp"
)

// nodes draws where daemons run: most have an address of their own, some are behind a
// NAT, and some move. The first does neither.
func (n *Network) nodes(count int) {
	for i := range count {
		c := conf.Default()
		c.MakeBeforeBreak = n.chance(0.5)
		c.UniqueIDs = oneOf(n, conf.UniqueReplace, conf.UniqueReplace, conf.UniqueReplace, conf.UniqueKeep)
		x := &node{conf: c, addr: address(i)}
		switch {
		case i == 0:
		case n.chance(0.2):
			x.nat = true
		default:
			x.roams = n.chance(0.15)
		}
		n.Nodes = append(n.Nodes, x)
	}
}

// topology draws who speaks with whom: everybody with the first, with the next, or with
// everybody. Of two that cannot be found from outside one stays where it is.
func (n *Network) topology() {
	kind := n.rng.IntN(3)
	for i := range n.Nodes {
		for j := range i {
			if kind == 0 && j == 0 || kind == 1 && j == i-1 || kind == 2 {
				if n.Nodes[j].hidden() {
					n.Nodes[i].nat, n.Nodes[i].roams = false, false
				}
			}
		}
	}
	for i := range n.Nodes {
		for j := range i {
			if kind == 0 && j == 0 || kind == 1 && j == i-1 || kind == 2 {
				n.pair(j, i)
			}
		}
	}
}

// hidden tells whether a node is not to be found at a configured address.
func (x *node) hidden() bool { return x.nat || x.roams }

func mustPropose(p crypto.Proto, words ...string) []crypto.Proposal {
	var out []crypto.Proposal
	for _, w := range words {
		got, err := crypto.ParseProposal(p, w)
		if err != nil {
			panic(err) // a constant of this package
		}
		out = append(out, got)
	}
	return out
}

// behaviors draws who begins.
func (n *Network) behaviors(a, b *node) (x, y conf.Behavior) {
	begins := oneOf(n, conf.Start, conf.Start, conf.OnDemand)
	switch {
	case a.hidden():
		return begins, conf.ResponderOnly
	case b.hidden():
		return conf.ResponderOnly, begins
	}
	all := [][2]conf.Behavior{
		{conf.Start, conf.ResponderOnly}, {conf.ResponderOnly, conf.Start}, {conf.Start, conf.Start}, {conf.Start, conf.Start},
		{conf.OnDemand, conf.ResponderOnly}, {conf.OnDemand, conf.Start}, {conf.OnDemand, conf.OnDemand},
	}
	both := oneOf(n, all...)
	return both[0], both[1]
}

// shared is what both ends of a connection have drawn together.
type shared struct {
	name            string
	life, childLife time.Duration
	ike, esp        [2][]string // proposals, of either end
	kind            string
	children        int
	reauth, mobike  bool
}

func (n *Network) agree(i, j int) shared {
	a, b := n.Nodes[i], n.Nodes[j]
	s := shared{name: fmt.Sprintf("%d-%d", i, j), children: 1, reauth: n.chance(0.12), mobike: n.chance(0.3)}
	// With MOBIKE only a check of liveness finds out that a NAT has forgotten the IKE SA
	// (RFC 4555, 3.9), and there is none while ESP comes.
	forgetful := (a.nat || b.nat) && (slices.Contains(n.Impair, "nat reboot") || slices.Contains(n.Impair, "nat expiry"))
	s.mobike = a.roams || b.roams || s.mobike && !forgetful
	s.life, s.childLife = n.between(2*time.Hour, 12*time.Hour), n.between(time.Hour, 3*time.Hour)
	if n.temper.hasty {
		s.life, s.childLife = n.between(time.Minute, time.Hour), n.between(20*time.Second, 20*time.Minute)
	}
	if n.chance(0.2) {
		s.children = 2
	}
	s.kind = oneOf(n, "tunnel", "tunnel", "tunnel", "tunnel", "tunnel", "tunnel", "tunnel", "ah", "ipcomp", "transport")
	if a.hidden() || b.hidden() {
		s.kind = "tunnel"
	}
	both := func(words ...string) [2][]string { return [2][]string{words, words} }
	s.ike = oneOf(n, both("aes256gcm16-prfsha256-curve25519"), both("aes256gcm16-prfsha256-curve25519"), both("aes128-sha256-ecp256"),
		[2][]string{{"aes256gcm16-prfsha256-curve25519", "aes256gcm16-prfsha256-ecp256"}, {"aes256gcm16-prfsha256-ecp256"}})
	s.esp = oneOf(n, both("aes256gcm16"), both("aes256gcm16"), both("aes128-sha256"), both("chacha20poly1305-esn"), both("aes256gcm16-curve25519"),
		[2][]string{{"aes256gcm16-curve25519-ecp256"}, {"aes256gcm16-ecp256"}})
	if s.kind == "ah" {
		s.esp = both("sha256")
	}
	return s
}

func (n *Network) pair(i, j int) {
	a, b := n.Nodes[i], n.Nodes[j]
	p := &pairing{a: a, b: b, ping: oneOf(n, 0, 5*time.Minute, 20*time.Minute, time.Hour)}
	s := n.agree(i, j)
	x, y := n.behaviors(a, b)
	p.ca, p.cb = n.connection(s, 0, i, j), n.connection(s, 1, j, i)
	p.ca.Behavior, p.cb.Behavior = x, y
	a.conf.Connections, b.conf.Connections = append(a.conf.Connections, p.ca), append(b.conf.Connections, p.cb)
	for k := range s.children {
		f := esp.Flow{Src: inner(i, j, k), Dst: inner(j, i, k), Proto: 6, SrcPort: 40000, DstPort: 443}
		if s.kind == "transport" {
			f.Src, f.Dst, f.DstPort = a.addr, b.addr, uint16(443+k)
		}
		p.flows = append(p.flows, f)
	}
	p.expect(n)
	n.Pairs = append(n.Pairs, p)
}

// expect works out what is to be expected of a tunnel.
func (p *pairing) expect(n *Network) {
	busy := p.ping > 0 && p.ping <= 20*time.Minute
	for _, c := range []*conf.Connection{p.ca, p.cb} {
		n.temper.slowest = max(n.temper.slowest, c.DPDDelay)
		switch {
		case c.Behavior == conf.Start && c.KeyingTries == 0 && c.DPDAction == conf.DPDRestart:
			p.needs = true
		case c.Behavior == conf.OnDemand && busy:
			p.needs = true
			n.temper.slowest = max(n.temper.slowest, p.ping)
		}
	}
	if p.ca.Rekey && p.cb.Rekey && !p.ca.Reauthenticate {
		return // no gap
	}
	p.gap = time.Minute
	if p.ca.Behavior != conf.Start && p.cb.Behavior != conf.Start {
		p.gap += p.ping
	}
}

// connection draws one end of a connection.
func (n *Network) connection(s shared, end, mine, other int) *conf.Connection {
	c := conf.DefaultConnection()
	c.Name, c.Version, c.PSK = s.name, conf.IKEv2, crypto.Secret("of "+s.name)
	c.Gateways = conf.Gateways{{Prefix: netip.PrefixFrom(address(other), 32)}}
	if n.Nodes[other].hidden() {
		c.Gateways = conf.Gateways{{Any: true}}
	}
	c.Local.ID, c.Remote.ID = fqdn(mine), fqdn(other)
	c.Proposals = mustPropose(crypto.IKE, s.ike[end]...)
	c.MOBIKE, c.Reauthenticate, c.Rekey = s.mobike, s.reauth, n.chance(0.9)
	c.Lifetime = s.life + n.between(time.Second, s.life)
	if n.temper.together {
		c.Lifetime, c.RekeyFuzz = s.life, 0
	}
	c.Margin = min(s.life, s.childLife) / 6
	c.KeyingTries = oneOf(n, 0, 0, 0, 3)
	c.DPDAction = oneOf(n, conf.DPDRestart, conf.DPDRestart, conf.DPDRestart, conf.DPDHold, conf.DPDClear)
	c.DPDDelay = oneOf(n, 5*time.Minute, 20*time.Minute, 20*time.Minute, time.Hour)
	if n.temper.hasty {
		c.DPDDelay = oneOf(n, 30*time.Second, 5*time.Minute)
	}
	c.FragmentSize = oneOf(n, 1280, 576, 300)
	c.SessionResumption = n.chance(0.3)
	c.Childless = oneOf(n, conf.ChildlessAllow, conf.ChildlessAllow, conf.ChildlessPrefer)
	for k := range s.children {
		c.Children = append(c.Children, n.child(s, end, k, mine, other))
	}
	return c
}

func (n *Network) child(s shared, end, k, mine, other int) *conf.Child {
	c := conf.DefaultChild()
	c.Name, c.Lifetime = fmt.Sprint("lan", k), s.childLife
	c.Local, c.Remote = network(mine, other, k), network(other, mine, k)
	switch s.kind {
	case "ah":
		c.Protocol = crypto.AH
	case "ipcomp":
		c.IPComp = true
	case "transport":
		c.Mode = conf.Transport
		c.Local, c.Remote = service(address(mine), 443+k, mine > other), service(address(other), 443+k, other > mine)
	}
	c.Proposals = mustPropose(c.Protocol, s.esp[end]...)
	if n.chance(0.05) {
		c.LifetimePackets = uint64(300 + n.rng.IntN(300))
	}
	return c
}

// service are the packets of a host to or from a port of the one with the higher number.
func service(a netip.Addr, port int, server bool) []conf.Selector {
	s := conf.Selector{First: a, Last: a, Proto: 6, PortLast: 65535}
	if server {
		s.PortFirst, s.PortLast = uint16(port), uint16(port)
	}
	return []conf.Selector{s}
}

func inner(i, j, k int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i), byte(j), byte(64*k + 10)})
}

func fqdn(i int) id.ID { return id.ID{Kind: id.FQDN, Data: fmt.Sprintf("host%d.example", i)} }

func network(i, j, k int) []conf.Selector {
	first, last := netip.AddrFrom4([4]byte{10, byte(i), byte(j), byte(64 * k)}), netip.AddrFrom4([4]byte{10, byte(i), byte(j), byte(64*k + 63)})
	return []conf.Selector{{First: first, Last: last, PortLast: 65535}}
}
