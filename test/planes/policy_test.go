//go:build linux

package planes

import (
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/ts"
)

// carried asserts that what f sends goes through one tunnel, and through no other.
func carried(t *testing.T, through *tunnel, others []*tunnel, f func()) {
	t.Helper()
	packets := func(x *tunnel) uint64 { return x.p.b.usage(t, x.idToB()).Packets + x.p.a.usage(t, x.idToA()).Packets }
	before := make([]uint64, len(others))
	for i, x := range others {
		before[i] = packets(x)
	}
	own := packets(through)
	f()
	if packets(through) == own {
		t.Errorf("%s has carried nothing", through.name)
	}
	for i, x := range others {
		if x != through && packets(x) != before[i] {
			t.Errorf("%s has carried what %s is for", x.name, through.name)
		}
	}
}

// testSelectors has tunnels for a network, a host in it, a port, a range of ports, a
// local port and a kind of ICMP: the most specific one carries a packet, whatever the
// order in which they came.
func testSelectors(t *testing.T, p *pair) {
	a, b := p.a.inner[0], p.b.inner[0]
	port := func(first, last uint16) esp.PortRange { return esp.PortRange{First: first, Last: last} }
	mk := func(name string, change func(*tunnel)) *tunnel {
		return p.newTunnel(func(x *tunnel) { x.name = name; change(x) })
	}
	icmp := func(kind uint16) func(*tunnel) {
		return func(x *tunnel) {
			x.upper, x.localPorts, x.remotePorts = 1, port(kind<<8, kind<<8|255), port(kind<<8, kind<<8|255)
		}
	}
	network := mk("network", func(*tunnel) {})
	onehost := mk("host", func(x *tunnel) { x.remote = host(b) })
	ports := mk("ports", func(x *tunnel) { x.upper, x.remotePorts = protoUDP, port(8, 9) })
	oneport := mk("port", func(x *tunnel) {
		x.upper, x.remotePorts = protoUDP, port(9, 9)
		x.priority = child.Priority(ports.policies(true)[0].Sel) - 2 // which does not look how many ports there are
	})
	local := mk("local port", func(x *tunnel) {
		x.local, x.remote, x.upper, x.localPorts = host(a), host(b), protoUDP, port(3000, 3000)
	})
	request, reply := mk("echo request", icmp(8)), mk("echo reply", icmp(0))
	all := []*tunnel{network, onehost, ports, oneport, local, request, reply}
	for _, backwards := range []bool{false, true} {
		for i := range all {
			if backwards {
				i = len(all) - 1 - i
			}
			all[i].up(t)
		}
		udp := func(from netip.Addr, fromPort uint16, to netip.Addr, toPort uint16) func() {
			return func() {
				c := dial(t, from, fromPort)
				defer func() { _ = c.Close() }()
				if err := c.answer(c.send(t, to, toPort, 0), patience); err != nil {
					t.Errorf("%s:%d to %s:%d: %v", from, fromPort, to, toPort, err)
				}
			}
		}
		far, near := p.b.gateway, b // another host in the network, and that which has a tunnel
		carried(t, network, all, udp(a, 0, far, 7))
		carried(t, onehost, all, udp(a, 0, near, 7))
		carried(t, onehost, all, udp(a, 0, near, 8)) // longer prefixes come before ports
		carried(t, local, all, udp(a, 3000, near, 7))
		onehost.down(t)
		carried(t, ports, all2(all, onehost), udp(a, 0, near, 8))
		carried(t, oneport, all2(all, onehost), udp(a, 0, near, 9))
		before := p.b.usage(t, request.idToB()).Packets + p.a.usage(t, reply.idToA()).Packets
		carried(t, request, all2(all, onehost, reply), func() { ping(t, a, far) })
		if n := p.b.usage(t, request.idToB()).Packets + p.a.usage(t, reply.idToA()).Packets; n != before+2 {
			t.Errorf("%d packets of ICMP, want 2", n-before)
		}
		oneport.down(t)
		carried(t, ports, all2(all, onehost, oneport), udp(a, 0, near, 9))
		for _, x := range all2(all, onehost, oneport) {
			x.down(t)
		}
	}
}

// all2 is a list without some.
func all2(all []*tunnel, without ...*tunnel) (left []*tunnel) {
	for _, x := range all {
		keep := true
		for _, w := range without {
			keep = keep && x != w
		}
		if keep {
			left = append(left, x)
		}
	}
	return left
}

func ping(t *testing.T, from, to netip.Addr) {
	t.Helper()
	if err := echoes.at[from].Ping(from, to, patience); err != nil {
		t.Error(err)
	}
}

// shunt is a policy without SA, with its counterparts for what comes in.
func shunt(action esp.Action, sel esp.Selector, name string) []esp.Policy {
	out := esp.Policy{Sel: sel, Action: action, Priority: child.Priority(sel), Name: name}
	in, forward := out, out
	in.Dir, in.Sel = esp.In, ts.Reverse(sel)
	forward.Dir, forward.Sel = esp.Forward, in.Sel
	return []esp.Policy{out, in, forward}
}

func adding(list []esp.Policy) (ops []esp.Op) {
	for _, pol := range list {
		ops = append(ops, esp.AddPolicy{Policy: pol})
	}
	return ops
}

func deleting(list []esp.Policy) (ops []esp.Op) {
	for _, pol := range list {
		ops = append(ops, esp.DelPolicy{Policy: pol})
	}
	return ops
}

// testDiscard drops a port of a network that has a tunnel.
func testDiscard(t *testing.T, p *pair) {
	x := p.newTunnel(nil)
	x.up(t)
	drop := shunt(esp.Discard, esp.Selector{
		Src: x.local, Dst: x.remote, Proto: protoUDP, SrcPorts: esp.AnyPort, DstPorts: esp.PortRange{First: 9, Last: 9},
	}, "drop")
	exchange(t, p.a.inner[0], p.b.inner[0], 9, 0)
	p.a.apply(t, adding(drop)...)
	p.blocked(t, p.a.inner[0], p.b.inner[0], 9)
	exchange(t, p.a.inner[0], p.b.inner[0], 8, 0)
	x.down(t)
	p.blocked(t, p.a.inner[0], p.b.inner[0], 9) // also without the tunnel
	p.a.apply(t, deleting(drop)...)
}

// testBypass leaves a network in the clear that a tunnel for everything covers.
func testBypass(t *testing.T, p *pair) {
	a, outside := p.a.inner[0], p.b.outer[0]
	x := p.newTunnel(func(x *tunnel) { x.remote = netip.MustParsePrefix("0.0.0.0/0") })
	own := shunt(esp.Bypass, esp.Selector{Src: x.local, Dst: x.local, SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort}, "own network")
	p.a.apply(t, append(adding(own), x.addPolicies(true)...)...) // nobody answers it
	pass := shunt(esp.Bypass, esp.Selector{
		Src: x.local, Dst: netip.PrefixFrom(outside, 24).Masked(), SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort,
	}, "pass")
	p.blocked(t, a, outside, echoPort)
	p.clean(t)
	for range 2 {
		p.a.apply(t, adding(pass)...)
		exchange(t, a, outside, echoPort, 0)
		p.plaintext(t)
		p.blocked(t, a, p.b.inner[0], echoPort) // all else is protected still
		p.a.apply(t, deleting(pass)...)
		p.blocked(t, a, outside, echoPort)
		p.clean(t)
	}
	p.a.apply(t, append(x.delPolicies(true), deleting(own)...)...)
}

// testTrap has policies without SA: packets ask for one, once, and none leaves.
func testTrap(t *testing.T, p *pair) {
	const burst = 10000
	x := p.newTunnel(func(x *tunnel) { x.name, x.owner = "office/lan", 0 })
	p.a.apply(t, x.addPolicies(true)...)
	p.b.apply(t, x.addPolicies(false)...)
	c := dial(t, p.a.inner[0], 4711)
	m := c.send(t, p.b.inner[0], echoPort8, 0)
	acquires := func(n esp.Notice) bool { _, is := n.(esp.Acquire); return is }
	got := p.a.notices.wait(t, "a packet without SA", acquires)
	want := esp.Acquire{Policy: "office/lan", ReqID: x.reqID, Packet: esp.Selector{
		Src: host(p.a.inner[0]), Dst: host(p.b.inner[0]), Proto: protoUDP,
		SrcPorts: esp.PortRange{First: 4711, Last: 4711}, DstPorts: esp.PortRange{First: echoPort8, Last: echoPort8},
	}}
	if got != want {
		t.Errorf("%s: %+v, want %+v", p.a.rig, got, want)
	}
	started := time.Now()
	for i := range burst {
		if m = c.send(t, p.b.inner[0], echoPort8, 0); i%1000 == 0 {
			p.pass(t)
		}
	}
	p.pass(t)
	if list := p.a.notices.find(acquires); len(list) > 1+int(time.Since(started)/(5*time.Second)) {
		t.Errorf("%s: %d packets in %s, %d questions", p.a.rig, burst, time.Since(started), len(list))
	}
	echoes.sync(t, p.b.inner[0], echoPort8)
	if echoes.got(m) != 0 {
		t.Error("a packet has passed without SA")
	}
	p.clean(t)
	x.up(t)
	if !p.a.rig.kernel() { // it keeps the packet that asked last
		if err := c.answer(m, patience); err != nil {
			t.Errorf("%s: the packet that asked got no answer: %v", p.a.rig, err)
		}
	}
	exchange(t, p.a.inner[0], p.b.inner[0], echoPort, 0)
	x.down(t)
}

// testOwners has two children with the same selectors, and their trap: whatever the
// order in which they come and go, the child that came last carries the packets, and
// without a child they are held.
func testOwners(t *testing.T, p *pair) {
	mk := func(name string, owner uint64) *tunnel {
		return p.newTunnel(func(x *tunnel) { x.name, x.owner = name, owner })
	}
	trap := mk("trap", 0)
	trap.priority = child.Priority(trap.policies(true)[0].Sel) + 1
	for _, trapped := range []bool{false, true} {
		for _, firstLeaves := range []bool{true, false} {
			if trapped {
				p.a.apply(t, trap.addPolicies(true)...)
				p.b.apply(t, trap.addPolicies(false)...)
			}
			one, two := mk("one", 1), mk("two", 2)
			all := []*tunnel{one, two}
			send := func() { exchange(t, p.a.inner[0], p.b.inner[0], echoPort, 0) }
			one.up(t)
			carried(t, one, nil, send)
			two.up(t)
			carried(t, two, all, send)
			first, second := one, two
			if !firstLeaves {
				first, second = two, one
			}
			first.down(t)
			carried(t, second, nil, send)
			first.up(t) // it is the last one now
			carried(t, first, all, send)
			second.down(t)
			carried(t, first, nil, send)
			first.down(t)
			if trapped {
				p.blocked(t, p.a.inner[0], p.b.inner[0], echoPort)
				p.a.apply(t, trap.delPolicies(true)...)
				p.b.apply(t, trap.delPolicies(false)...)
			}
		}
	}
}

// testPlaintextIn sends to B in the clear what policy wants to be protected. The plane
// in user space sees only what comes in as ESP: what comes in the clear is left to the
// firewall there, and the test shows nothing.
func testPlaintextIn(t *testing.T, p *pair) {
	if !p.b.rig.kernel() {
		return
	}
	x := p.newTunnel(nil)
	x.up(t)
	for _, to := range []netip.Addr{p.b.inner[0], p.b.gateway} {
		m := newMessage(0)
		p.inject(t, udpPacket(netip.AddrPortFrom(p.a.inner[0], 1234), netip.AddrPortFrom(to, echoPort), m))
		p.pass(t)
		echoes.sync(t, to, echoPort)
		if echoes.got(text(m)) != 0 {
			t.Errorf("%s: a packet for %s was taken in the clear", p.b.rig, to)
		}
	}
	p.plaintext(t) // the test's own
	exchange(t, p.a.inner[0], p.b.inner[0], echoPort, 0)
	x.down(t)
}
