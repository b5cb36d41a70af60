//go:build linux

package planes

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/test/lab"
)

// testReplace changes what is installed under a flood, in the way of a rekeying: no
// packet is lost, and none leaves in the clear.
func testReplace(t *testing.T, p *pair) {
	old := p.newTunnel(func(x *tunnel) { x.owner = 1 })
	old.up(t)
	f := startFlood(t, p.a.inner[0], p.b.inner[0])
	f.progress(t)
	for i := range 5 {
		// The policies again, as they are, and those of another owner.
		p.a.apply(t, old.addPolicies(true)...)
		p.b.apply(t, old.addPolicies(false)...)
		next := p.newTunnel(func(x *tunnel) { x.owner, x.reqID = uint64(2+i), old.reqID })
		next.seed++
		next.seed *= uint64(1000 + i)
		next.reserve(t)
		// First who receives, then who sends (RFC 7296, 2.8).
		p.b.apply(t, esp.AddSA{SA: next.in(false)})
		p.a.apply(t, esp.AddSA{SA: next.in(true)})
		p.a.apply(t, append([]esp.Op{esp.AddSA{SA: next.out(true)}}, next.addPolicies(true)...)...)
		p.b.apply(t, append([]esp.Op{esp.AddSA{SA: next.out(false)}}, next.addPolicies(false)...)...)
		f.progress(t)
		// The kernel goes on with the old SA when both came within a second, and what is
		// on the way has to arrive: first goes who sends.
		p.a.apply(t, esp.DelSA{ID: old.out(true).ID})
		p.b.apply(t, esp.DelSA{ID: old.out(false).ID})
		f.progress(t)
		p.a.apply(t, old.remove(true)...)
		p.b.apply(t, old.remove(false)...)
		f.progress(t)
		if n := p.b.usage(t, next.idToB()).Packets; n == 0 {
			t.Errorf("%s: the new SA has carried nothing", p.b.rig)
		}
		old = next
	}
	if lost := f.end(t); lost != 0 {
		t.Errorf("%d messages were lost", lost)
	}
	old.down(t)
}

// move takes a tunnel to other outer addresses, or into and out of UDP, at one end.
func (x *tunnel) move(t testing.TB, atA bool, change func(*tunnel)) {
	t.Helper()
	to := *x
	change(&to)
	var ops []esp.Op
	for _, pair := range [][2]esp.SA{{x.in(atA), to.in(atA)}, {x.out(atA), to.out(atA)}} {
		ops = append(ops, esp.MoveSA{ID: pair[0].ID, Src: pair[1].Src, Dst: pair[1].ID.Dst, Encap: pair[1].Encap})
	}
	s := x.p.b
	if atA {
		s = x.p.a
	}
	s.apply(t, append(ops, to.addPolicies(atA)...)...)
}

// moveBoth takes it there at both ends.
func (x *tunnel) moveBoth(t testing.TB, change func(*tunnel)) {
	t.Helper()
	x.move(t, false, change)
	x.move(t, true, change)
	change(x)
}

// testMove moves SAs under traffic: to another address of A, of the other family, into
// UDP, and back. Their counters go on, and with them the sequence numbers: what follows
// is not taken for a replay.
func testMove(t *testing.T, p *pair) {
	second := netip.MustParseAddr("192.0.2.3")
	if _, err := p.A.Run(t.Context(), "ip", "addr", "add", second.String()+"/24", "dev", "outer"); err != nil {
		t.Fatal(err)
	}
	x := p.newTunnel(func(x *tunnel) {
		x.change = func(sa *esp.SA, _ bool) {
			if sa.Dir == esp.In {
				sa.Window = 4096 // what comes by one socket overtakes what comes by another
			}
		}
	})
	x.up(t)
	f := startFlood(t, p.a.inner[0], p.b.inner[0])
	f.progress(t)
	last := uint64(0)
	for _, change := range []func(*tunnel){
		func(x *tunnel) { x.outerA = second },
		func(x *tunnel) { x.encap = true },
		func(x *tunnel) { x.outerA, x.outerB = p.a.outer[1], p.b.outer[1] },
		func(x *tunnel) { x.outerA, x.outerB, x.encap = p.a.outer[0], p.b.outer[0], false },
	} {
		x.moveBoth(t, change)
		f.progress(t)
		u := p.b.usage(t, x.idToB())
		// The kernel skips numbers: what the packets behind have overtaken is too old.
		if u.Packets <= last || u.Replayed > inFlight || u.AuthFailed != 0 {
			t.Errorf("%s: after moving to %s, UDP %t: %+v, before %d packets", p.b.rig, x.outerA, x.encap, u, last)
		}
		last = u.Packets
	}
	t.Logf("%d messages were lost while only one end had moved", f.end(t))
	x.down(t)
	if _, err := p.A.Run(t.Context(), "ip", "addr", "del", second.String()+"/24", "dev", "outer"); err != nil {
		t.Error(err)
	}
}

// nat translates A's address and port into those of the internet, and back. There is
// no checksum then, which nftables would make wrong where there was none before.
func (p *pair) nat(t testing.TB, to netip.AddrPort) {
	t.Helper()
	p.middle(t,
		fmt.Sprintf("ip daddr %s udp dport %d ip daddr set %s udp dport set 4500 udp checksum set 0", to.Addr(), to.Port(), p.a.outer[0]),
		fmt.Sprintf("oifname toB ip saddr %s udp sport 4500 ip saddr set %s udp sport set %d udp checksum set 0", p.a.outer[0], to.Addr(), to.Port()))
}

// testMapping has a NAT before A that changes its mind. B is told where A is now, once,
// by packets that are authentic and new, and by no others.
func testMapping(t *testing.T, p *pair) {
	nat := netip.AddrPortFrom(lab.InternetB, 20001)
	p.nat(t, nat)
	x := p.newTunnel(func(x *tunnel) { x.encap, x.seenA = true, nat })
	x.up(t)
	at := p.tapSA(t, x.toB)
	a, b := p.a.inner[0], p.b.inner[0]
	exchange(t, a, b, echoPort, 0)
	seen := at.next(t, 1)[0]
	mapped := func(n esp.Notice) bool { _, is := n.(esp.Mapping); return is }
	// A replay from elsewhere is no reason.
	binary.BigEndian.PutUint16(seen[ip4Header:], 5555)
	p.inject(t, seen)
	eventually(t, func() error {
		if u := p.b.usage(t, x.idToB()); u.Replayed != 1 {
			return fmt.Errorf("%+v", u)
		}
		return nil
	})
	if list := p.b.notices.find(mapped); len(list) != 0 {
		t.Errorf("%s: %+v", p.b.rig, list)
	}
	moved := netip.AddrPortFrom(nat.Addr(), 20002)
	p.nat(t, moved)
	c := dial(t, a, 0)
	c.send(t, b, echoPort, 0)
	c.send(t, b, echoPort, 0)
	want := esp.Mapping{ID: x.idToB(), ReqID: x.reqID, New: moved}
	if got := p.b.notices.wait(t, "the new mapping", mapped); got != want {
		t.Errorf("%s: %+v, want %+v", p.b.rig, got, want)
	}
	x.move(t, false, func(x *tunnel) { x.seenA = moved })
	x.seenA = moved
	exchange(t, a, b, echoPort, 0)
	if list := p.b.notices.find(mapped); len(list) > 2 { // one for each packet that came before
		t.Errorf("%s: told %d times", p.b.rig, len(list))
	}
	x.down(t)
}
