package sim

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike/v2"
	"github.com/goike/goike/ike/wire"
)

// Impairments are the faults that a network may have until it heals, by name.
var Impairments = map[string]func(n *Network){
	"loss":        func(n *Network) { n.faults(func(f *Faults) { f.Loss = 0.3 * n.rng.Float64() }) },
	"duplication": func(n *Network) { n.faults(func(f *Faults) { f.Duplicate = 0.3 * n.rng.Float64() }) },
	"corruption":  func(n *Network) { n.faults(func(f *Faults) { f.Corrupt = 0.1 * n.rng.Float64() }) },
	"jitter":      func(n *Network) { n.faults(func(f *Faults) { f.Jitter = n.between(time.Second, 10*time.Second) }) },
	"delay":       func(n *Network) { n.faults(func(f *Faults) { f.Delay = n.between(time.Second, 5*time.Second) }) },
	"mtu":         func(n *Network) { n.eachLink(func(l *Link) { l.MTU = oneOf(n, 300, 400, 600) }) },
	"partition":   func(n *Network) { n.often(3*time.Hour, func() { n.partition(true) }) },
	"one way":     func(n *Network) { n.often(3*time.Hour, func() { n.partition(false) }) },
	"crash": func(n *Network) {
		n.often(4*time.Hour, func() { n.replace(n.anyNode(), n.between(time.Second, time.Hour)) })
	},
	"restart": func(n *Network) { n.often(4*time.Hour, func() { n.replace(n.anyNode(), 100*time.Millisecond) }) },
	"takeover": func(n *Network) {
		n.often(time.Hour, func() { n.succeed(n.anyNode(), n.between(time.Second, 10*time.Second)) })
	},
	"reload":  func(n *Network) { n.often(4*time.Hour, n.change) },
	"removal": func(n *Network) { n.often(6*time.Hour, n.without) },
	"drift": func(n *Network) {
		for _, x := range n.Nodes {
			x.Drift = int64(n.between(time.Second, 10000*time.Second)/time.Second) * oneOf[int64](n, -1, 1)
		}
	},
	"nat expiry": func(n *Network) {
		n.eachNAT(func(a *node) { n.Expiring(a.addr, n.between(10*time.Second, time.Hour)) })
	},
	"nat reboot": func(n *Network) {
		n.often(4*time.Hour, func() { n.eachNAT(func(x *node) { n.Remap(x.addr); n.disturb(x) }) })
	},
	"nat filter":   func(n *Network) { n.eachNAT(func(x *node) { n.nats[x.addr].filters = true }) },
	"nat per peer": func(n *Network) { n.eachNAT(func(x *node) { n.nats[x.addr].perPeer = true }) },
	"roaming":      func(n *Network) { n.often(time.Hour, n.roam) },
	"slow plane": func(n *Network) {
		for _, x := range n.Nodes {
			x.Lag = n.between(time.Second, slowest)
		}
	},
	"slow jobs": func(n *Network) {
		for _, x := range n.Nodes {
			if n.rng.IntN(2) == 0 {
				x.Busy = n.between(10*time.Millisecond, 3*time.Second)
			}
		}
	},
	"no IKE_SA_INIT":       func(n *Network) { n.without1(wire.IKESAInit) },
	"no IKE_AUTH":          func(n *Network) { n.without1(wire.IKEAuth) },
	"no CREATE_CHILD_SA":   func(n *Network) { n.without1(wire.CreateChildSA) },
	"no INFORMATIONAL":     func(n *Network) { n.without1(wire.Informational) },
	"no responses":         func(n *Network) { n.losing(func(h wire.Header) bool { return h.Flags&wire.FlagResponse != 0 }) },
	"down and up commands": func(n *Network) { n.often(2*time.Hour, n.command) },
	"replay":               func(n *Network) { n.replaying() },
	"forgery":              func(n *Network) { n.forging() },
	"nothing":              func(*Network) {},
}

// harmless are the impairments that take no tunnel down for a moment.
var harmless = map[string]bool{"duplication": true, "jitter": true, "drift": true, "nat filter": true, "replay": true, "nothing": true}

// pick draws some impairments.
func (n *Network) pick() []string {
	names, often := slices.Sorted(maps.Keys(Impairments)), oneOf(n, 0.04, 0.2, 0.2)
	var out []string
	for _, name := range names {
		if n.chance(often) {
			out = append(out, name)
		}
	}
	return out
}

// often does something at random times while the network is not healed.
func (n *Network) often(mean time.Duration, f func()) {
	n.After(time.Duration(n.rng.ExpFloat64()*float64(mean)), func() {
		if n.stormy {
			f()
			n.often(mean, f)
		}
	})
}

// eachLink changes both ways between all pairs.
func (n *Network) eachLink(f func(l *Link)) {
	for _, p := range n.Pairs {
		f(n.Link(p.a.addr, p.b.addr))
		f(n.Link(p.b.addr, p.a.addr))
	}
}

func (n *Network) faults(f func(f *Faults)) { n.eachLink(func(l *Link) { f(&l.Faults) }) }

func (n *Network) eachNAT(f func(x *node)) {
	for _, x := range n.Nodes {
		if x.nat {
			f(x)
		}
	}
}

func (n *Network) anyNode() *node { return n.Nodes[n.rng.IntN(len(n.Nodes))] }

// partition cuts a link for a time, in one direction or both.
func (n *Network) partition(both bool) {
	p := n.Pairs[n.rng.IntN(len(n.Pairs))]
	cut := func(on bool) {
		n.Link(p.a.addr, p.b.addr).Cut = on
		n.Link(p.b.addr, p.a.addr).Cut = on && both
		p.dark.disturbed = n.now
	}
	cut(true)
	n.After(n.between(time.Second, 2*time.Hour), func() { cut(false) })
}

// change reloads a node with other lifetimes.
func (n *Network) change() {
	x := n.anyNode()
	if len(x.conf.Connections) == 0 {
		return
	}
	c := *x.conf
	c.Connections = slices.Clone(c.Connections)
	i := n.rng.IntN(len(c.Connections))
	conn := *c.Connections[i]
	conn.Children = slices.Clone(conn.Children)
	child := *conn.Children[0]
	child.Lifetime = max(child.Lifetime*9/10, 20*time.Second)
	conn.Children[0] = &child
	c.Connections[i] = &conn
	x.conf = &c
	n.reload(x)
}

// without takes a connection out of a node's configuration for a while.
func (n *Network) without() {
	x := n.anyNode()
	full := x.conf
	if x.dead || len(full.Connections) == 0 {
		return
	}
	c := *full
	c.Connections = c.Connections[1:]
	gone := full.Connections[0]
	x.conf = &c
	n.reload(x)
	n.After(n.between(time.Second, time.Hour), func() {
		again := *x.conf
		again.Connections = append([]*conf.Connection{gone}, again.Connections...)
		x.conf = &again
		n.reload(x)
	})
}

// without1 loses most messages of an exchange for some time, again and again.
func (n *Network) without1(x wire.ExchangeType) {
	n.losing(func(h wire.Header) bool { return h.Exchange == x })
}

func (n *Network) losing(which func(h wire.Header) bool) {
	before := n.Drop
	rng := rand.New(rand.NewPCG(n.rng.Uint64(), 9)) //nolint:gosec // a simulation
	n.Drop = func(from, to netip.AddrPort, data []byte) bool {
		if before != nil && before(from, to, data) {
			return true
		}
		h, err := wire.ParseHeader(data)
		lost := err == nil && which(h) && (int64(n.now)/int64(20*time.Minute))%8 == 0 && rng.Float64() < 0.9
		if lost {
			n.disturbAll()
		}
		return lost
	}
}

// command takes a connection down at one end, and up again some time later.
func (n *Network) command() {
	p := n.Pairs[n.rng.IntN(len(n.Pairs))]
	x := oneOf(n, p.a, p.b)
	if x.dead {
		return
	}
	x.Down(p.ca.Name)
	n.disturb(x)
	n.After(n.between(time.Second, 10*time.Minute), func() {
		n.disturb(x)
		if !x.dead {
			x.Up(p.ca.Name, "")
		}
	})
}

// disturbAll tells that something has happened that takes any tunnel down.
func (n *Network) disturbAll() {
	for _, x := range n.Nodes {
		n.disturb(x)
	}
}

// roam gives a node that roams another address.
func (n *Network) roam() {
	x := n.anyNode()
	if !x.roams || x.dead {
		return
	}
	x.Move(netip.AddrFrom4([4]byte{198, 51, byte(100 + n.rng.IntN(100)), byte(1 + n.rng.IntN(250))}))
	n.disturb(x)
}

// replaying sends again what was sent some time ago, as anybody on the way can.
func (n *Network) replaying() {
	n.often(20*time.Minute, func() {
		if p := n.recorded[n.rng.IntN(len(n.recorded))]; p.data != nil {
			n.carry(Faults{}, p, "replayed")
		}
	})
}

// forging sends what looks like messages of IKE SAs that there are, as anybody can who has
// seen one: notifies without protection, and garbage in the place of what is protected.
func (n *Network) forging() {
	n.often(20*time.Minute, func() {
		p := n.recorded[n.rng.IntN(len(n.recorded))]
		if len(p.data) < wire.HeaderLen {
			return
		}
		h, err := wire.ParseHeader(p.data)
		if err != nil {
			return
		}
		p.data = slices.Clone(p.data)
		switch n.rng.IntN(3) {
		case 0:
			p.data = v2.Machines{}.InvalidSPI(h)
		case 1:
			p.data[wire.HeaderLen+n.rng.IntN(len(p.data)-wire.HeaderLen)] ^= 1
		case 2:
			p.data[23] += byte(n.rng.IntN(3)) // the message ID
			p.data[19] ^= byte(wire.FlagResponse)
		}
		n.carry(Faults{}, p, "forged")
	})
}
