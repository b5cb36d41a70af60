package sim

import (
	"net/netip"
	"time"

	"github.com/goike/goike/ike"
)

// nat translates one inside address.
type nat struct {
	inside, outside netip.Addr
	out             map[natKey]uint16 // outside ports
	back            map[uint16]natKey
	last            uint16
	expiry          time.Duration          // of an unused mapping, 0: none
	used            map[uint16]ike.Instant // by outside port
	// perPeer gives the same inside port another outside port for each peer
	// (address- and port-dependent mapping, RFC 4787, 4.1); filters lets nobody in to whom
	// nothing was sent from that port (5).
	perPeer, filters bool
	spoken           map[spoken]bool
}

// natKey is what has a mapping: an inside port and, with perPeer, whom it speaks to.
type natKey struct {
	port uint16
	peer netip.AddrPort
}

// spoken tells that something was sent from an outside port to a peer.
type spoken struct {
	port uint16
	peer netip.AddrPort
}

// inside is the address of the host behind an address.
func (w *World) inside(a netip.Addr) netip.Addr {
	if n := w.nats[a]; n != nil {
		return n.inside
	}
	return a
}

// NAT hides the inside address behind the outside one. Ports change, and only what
// has been sent out can be answered.
func (w *World) NAT(inside, outside netip.Addr) {
	n := &nat{inside: inside, outside: outside, last: 1023}
	n.forget()
	w.nats[inside], w.nats[outside] = n, n
}

// Remap makes the NAT of an address forget its mappings, as a reboot does.
func (w *World) Remap(inside netip.Addr) { w.nats[inside].forget() }

// Expiring makes mappings end that have not been used for a time. The keepalives of a
// data plane that has SAs behind the NAT use them, if they come often enough.
func (w *World) Expiring(inside netip.Addr, d time.Duration) { w.nats[inside].expiry = d }

func (n *nat) forget() {
	n.out, n.back, n.used = make(map[natKey]uint16), make(map[uint16]natKey), make(map[uint16]ike.Instant)
	n.spoken = make(map[spoken]bool)
}

// use looks at a mapping; it ends when it has not been used for too long.
func (w *World) use(n *nat, outside uint16) {
	key, there := n.back[outside]
	if !there {
		return
	}
	if alive := key.port == ike.NATTPort && w.keptAlive(n); !alive && w.expired(n, outside) {
		delete(n.back, outside)
		delete(n.out, key)
		return
	}
	n.used[outside] = w.now
}

// keepalive is how often a data plane sends one (RFC 3948, 4).
const keepalive = 20 * time.Second

// keptAlive tells whether keepalives use the mappings of the data plane's port.
func (w *World) keptAlive(n *nat) bool {
	h := w.hosts[n.inside]
	return n.expiry >= keepalive && h != nil && !h.dead && h.Plane.keepsAlive()
}

func (w *World) expired(n *nat, outside uint16) bool {
	return n.expiry > 0 && w.now.Sub(n.used[outside]) > n.expiry
}

// leave translates the source of a packet on its way out. ESP that is not in UDP does not
// get through.
func (w *World) leave(from, to netip.AddrPort) (netip.AddrPort, bool) {
	n := w.nats[from.Addr()]
	if n == nil || from.Addr() != n.inside {
		return from, true
	}
	if from.Port() == 0 {
		return from, false
	}
	key := natKey{port: from.Port()}
	if n.perPeer {
		key.peer = to
	}
	if port, ok := n.out[key]; ok {
		w.use(n, port)
	}
	port, ok := n.out[key]
	if !ok {
		n.last++
		port = n.last
		n.out[key], n.back[port], n.used[port] = port, key, w.now
	}
	n.spoken[spoken{port, to}] = true
	return netip.AddrPortFrom(n.outside, port), true
}

// arrive translates the destination of a packet on its way in, or keeps it out.
func (w *World) arrive(from, to netip.AddrPort) (netip.AddrPort, bool) {
	n := w.nats[to.Addr()]
	if n == nil {
		return to, true
	}
	w.use(n, to.Port())
	key, ok := n.back[to.Port()]
	if n.filters && !n.spoken[spoken{to.Port(), from}] || n.perPeer && key.peer != from {
		ok = false
	}
	return netip.AddrPortFrom(n.inside, key.port), ok && to.Addr() == n.outside
}

// reaches tells whether a message that a host sends by a path would come through, as far
// as NATs and addresses are concerned.
func (w *World) reaches(path ike.Path) bool {
	from, to := path.Local, path.Remote
	if n := w.nats[from.Addr()]; n != nil {
		return true // its way out is made as it goes
	}
	n := w.nats[to.Addr()]
	if n == nil {
		return w.hosts[to.Addr()] != nil
	}
	key, there := n.back[to.Port()]
	kept := w.keptAlive(n) || !w.expired(n, to.Port())
	return there && kept && (!n.filters || n.spoken[spoken{to.Port(), from}]) && (!n.perPeer || key.peer == from)
}
