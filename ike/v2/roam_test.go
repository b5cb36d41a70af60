package v2

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// watched are two mobile hosts, of which a asks b every half minute whether it lives.
func watched(t *testing.T, change ...func(a, b *conf.Connection)) (n *network, a, b *SA) {
	t.Helper()
	return mobile(t, append(change, func(a, _ *conf.Connection) { a.DPDDelay = 30 * time.Second })...)
}

// cut loses the messages that an address sends and gets.
func (n *network) cut(dead func(a netip.Addr) bool) {
	n.intercept = func(p packet) []packet { return lose(p, dead(p.src.Addr()) || dead(p.dst.Addr())) }
}

func isRequest(t testing.TB, p packet) bool { return header(t, p.data).Flags&wire.FlagResponse == 0 }

// The cookie of a return routability check is drawn, not derived from what the peer has,
// too (RFC 4555, 4.2.5).
func TestCookie2IsDrawn(t *testing.T) {
	n, _, b := mobile(t)
	var cookies []string
	n.b.hold = true
	for range 2 {
		n.intercept = func(packet) []packet { return nil }
		x := &routability{}
		b.push(x)
		before := len(n.sent)
		n.b.step(b, ike.Timeout{})
		if len(n.sent) != before {
			t.Fatal("sent before anything was drawn")
		}
		n.b.release()
		if len(n.sent) != before+1 {
			t.Fatal("nothing was sent")
		}
		cookies = append(cookies, string(x.nonce))
		b.end()
	}
	if cookies[0] == cookies[1] || len(cookies[0]) < 8 || len(cookies[0]) > 64 {
		t.Errorf("cookies %x", cookies)
	}
}

// A request to move that goes by several paths may be taken from one of them by the peer,
// and be answered by another: it is told again until both mean the same.
func TestUpdateByTwoPaths(t *testing.T) {
	n, a, b := mobile(t)
	n.a.own = []netip.Addr{addrA, addrA2}
	n.b.own = []netip.Addr{addrB}
	n.a.routes = map[netip.Addr]netip.Addr{addrB: addrA2}
	answers := 0
	n.intercept = func(p packet) []packet {
		if p.from == n.a && p.src.Addr() == addrA2 && isRequest(t, p) {
			return lose(p, answers == 0) // until it was sent by the other path
		}
		if p.from == n.b && p.dst.Addr() == addrA && !isRequest(t, p) {
			answers++
			return lose(p, true)
		}
		return []packet{p}
	}
	n.a.roam()
	n.pass(2 * time.Minute)
	if answers == 0 {
		t.Fatal("the request did not go by the other path")
	}
	if a.nat != (natState{}) || b.nat != (natState{}) {
		t.Errorf("a NAT is seen where there is none: %+v, %+v", a.nat, b.nat)
	}
	n.at(addrA2, addrB, false)
}

// What an older path answers late does not lead back to it.
func TestLateAnswer(t *testing.T) {
	n, a, _ := mobile(t)
	n.a.own = []netip.Addr{addrA, addrA2}
	var late []packet
	n.intercept = func(p packet) []packet {
		if p.from == n.b && p.dst.Addr() == addrA {
			late = append(late, p)
			return nil
		}
		return []packet{p}
	}
	a.push(&liveness{})
	n.a.step(a, ike.Timeout{})
	n.run()
	if len(late) != 1 {
		t.Fatalf("%d answers are late", len(late))
	}
	n.a.routes = map[netip.Addr]netip.Addr{addrB: addrA2}
	n.a.roam()
	n.a.roam()
	n.intercept = nil
	n.queue = append(late, n.queue...)
	n.pass(time.Minute)
	n.at(addrA2, addrB, false)
}

// A responder whose routes choose another of its addresses stays at the one in use: it
// is not for it to choose.
func TestResponderStays(t *testing.T) {
	n, _, b := mobile(t)
	n.b.own = []netip.Addr{addrB, addrB2}
	n.b.routes = map[netip.Addr]netip.Addr{addrA: addrB2}
	n.b.roam()
	n.run()
	n.at(addrA, addrB, false)
	if b.mobile.was != (ike.Path{}) {
		t.Errorf("waits to leave %v", b.mobile.was)
	}
	if a := n.a.list()[0]; !slices.Contains(a.mobile.peers, addrB2) {
		t.Errorf("a knows %v", a.mobile.peers)
	}
}

// Every pair of addresses has its turn before the peer is given up, however rarely a
// request is repeated.
func TestEveryPathIsTried(t *testing.T) {
	for _, tries := range []int{0, 1, 2, 5} {
		t.Run(fmt.Sprint(tries), func(t *testing.T) {
			n, _, _ := watched(t)
			var peers []netip.Addr
			for i := range byte(5) {
				peers = append(peers, netip.AddrFrom4([4]byte{198, 51, 100, 100 + i}))
				n.a.own = append(n.a.own, netip.AddrFrom4([4]byte{192, 0, 2, 100 + i}))
			}
			n.b.own = append([]netip.Addr{addrB}, peers...)
			n.a.roam()
			n.b.roam()
			n.run()
			n.a.conf.Retransmit.Tries = tries
			last := [2]netip.Addr{n.a.own[5], peers[4]}
			n.intercept = func(p packet) []packet {
				works := [2]netip.Addr{p.src.Addr(), p.dst.Addr()} == last || [2]netip.Addr{p.dst.Addr(), p.src.Addr()} == last
				return lose(p, !works)
			}
			n.pass(10 * time.Minute)
			n.at(last[0], last[1], false)
			if up := len(n.a.of(ike.IKEUp)); up != 1 {
				t.Errorf("%d IKE SAs", up)
			}
		})
	}
}

// When no path works the peer is given up in the end.
func TestNoPathWorks(t *testing.T) {
	for _, tries := range []int{0, 1, 5} {
		n, _, _ := watched(t)
		n.a.own = append(n.a.own, addrA2)
		n.a.conf.Retransmit.Tries = tries
		n.cut(func(netip.Addr) bool { return true })
		n.pass(20 * time.Minute)
		if d := n.a.of(ike.IKEDown); len(d) != 1 || d[0].Why.Cause != ike.NoAnswer {
			t.Errorf("tries %d: %s", tries, n.story())
		}
		n.a.empty()
	}
}

// The address at which the peer was reached first is not forgotten when another is in
// use.
func TestFirstAddressIsKept(t *testing.T) {
	n, _, _ := watched(t)
	n.b.own = []netip.Addr{addrB, addrB2}
	n.b.roam()
	n.run()
	n.cut(func(a netip.Addr) bool { return a == addrB })
	n.pass(2 * time.Minute)
	n.at(addrA, addrB2, false)
	n.cut(func(a netip.Addr) bool { return a == addrB2 })
	n.pass(2 * time.Minute)
	n.at(addrA, addrB, false)
}

// A peer that moves without end and answers nothing does not fill the memory.
func TestMovesWithoutEnd(t *testing.T) {
	n, a, b := mobile(t)
	n.intercept = func(packet) []packet { return nil }
	for i := range uint16(50) {
		data := craft(t, a, wire.Informational, &wire.Notify{Kind: wire.NotifyUpdateSAAddresses})
		a.win.nextSend++
		n.b.step(b, ike.Datagram{Path: ike.Path{Local: b.path.Local, Remote: netip.AddrPortFrom(addrA2, 5000+i)}, Data: data})
	}
	if b.path.Remote.Port() != 5049 {
		t.Fatalf("path %v", b.path)
	}
	if len(b.queue) > 1 {
		t.Errorf("%d exchanges wait", len(b.queue))
	}
	for range 5 {
		n.b.own = append(n.b.own, netip.AddrFrom4([4]byte{198, 51, 100, byte(len(n.b.own) + 100)}))
		n.b.roam()
	}
	if len(b.queue) > 2 {
		t.Errorf("%d exchanges wait", len(b.queue))
	}
}

// A peer may refuse an address. When there is no other that of before stays in use.
func TestUpdateIsRefused(t *testing.T) {
	n, a, _ := mobile(t, func(_, b *conf.Connection) {
		b.Children[0].Remote = append(b.Children[0].Remote, subnet("192.0.2.77/32"))
	})
	n.a.own = []netip.Addr{addrA, addrA2}
	n.a.routes = map[netip.Addr]netip.Addr{addrB: addrA2}
	n.a.roam()
	n.run()
	n.at(addrA, addrB, false)
	if w := n.a.of(ike.Warning); len(w) != 1 || !strings.Contains(w[0].Text, "UNACCEPTABLE_ADDRESSES") {
		t.Errorf("warnings %v", w)
	}
	n.a.own = []netip.Addr{addrA2}
	n.a.roam()
	n.pass(time.Minute)
	if a.path.Local.Addr() != addrA || a.mobile.was != (ike.Path{}) {
		t.Errorf("path %v, was %v", a.path, a.mobile.was)
	}
}

// What this side does not take as the peer's address.
func TestUnacceptable(t *testing.T) {
	n, _, b := mobile(t)
	n.b.own = []netip.Addr{addrB, addrB2}
	n.b.roam()
	n.run()
	path := func(local, remote string) ike.Path { return pathOf(local+":4500", remote) }
	for _, c := range []struct {
		path ike.Path
		want bool
	}{
		{path("198.51.100.2", "192.0.2.77:4500"), false},
		{path("198.51.100.2", "10.1.0.1:4500"), true},
		{path("198.51.100.2", "198.51.100.77:4500"), true},
		{path("198.51.100.2", "192.0.2.77:0"), true},
	} {
		if got := b.unacceptable(c.path); got != c.want {
			t.Errorf("%v: %v", c.path, got)
		}
	}
	b.conn.LocalAddr = addrB
	if b.unacceptable(path("198.51.100.2", "192.0.2.77:4500")) || !b.unacceptable(path("198.51.100.77", "192.0.2.77:4500")) {
		t.Error("local_address does not count")
	}
}

// Of a network that holds everything the part counts to which both sides have agreed.
func TestTunnelledPart(t *testing.T) {
	n, a, _ := mobile(t, func(a, _ *conf.Connection) { a.Children[0].Remote = []conf.Selector{subnet("0.0.0.0/0")} })
	inside := netip.MustParseAddr("10.2.3.4")
	if !a.tunnelled(a.conn, inside, remoteSide) || a.tunnelled(a.conn, addrB2, remoteSide) || a.tunnelled(a.conn, addrA2, localSide) {
		t.Errorf("children %v\n%s", a.children[0].Remote, n.story())
	}
	a.conn.Children[0].Remote, a.conn.Children[0].Mode = []conf.Selector{subnet("198.51.100.77/32")}, conf.Transport
	if a.tunnelled(a.conn, addrB2, remoteSide) {
		t.Error("transport mode has no inside")
	}
}

// Children that are for the hosts themselves cannot move: they are replaced by such for
// the addresses in use, in transport mode and in tunnel mode.
func TestHostsThemselvesMove(t *testing.T) {
	for _, mode := range []conf.Mode{conf.Transport, conf.Tunnel} {
		t.Run(mode.String(), func(t *testing.T) {
			n, _, _ := mobile(t, func(a, b *conf.Connection) {
				for _, c := range []*conf.Connection{a, b} {
					c.Children[0].Mode, c.Children[0].Local, c.Children[0].Remote = mode, nil, nil
				}
			})
			for i, to := range []struct{ a, b netip.Addr }{{addrA2, addrB}, {addrA2, addrB2}, {addrA, addrB2}} {
				n.a.routed(to.a, addrB, addrB2)
				n.b.routed(to.b, addrA, addrA2)
				n.a.roam()
				n.b.roam()
				n.run()
				n.a.settle(n.a.list()[0])
				n.b.settle(n.b.list()[0])
				n.at(to.a, to.b, false)
				a, b := n.established(1)
				for h, sa := range map[netip.Addr]*SA{to.a: a, to.b: b} {
					if l := sa.children[0].Local; len(l) != 1 || l[0].Start != h || l[0].End != h {
						t.Fatalf("move %d: the child is for %v, the host is at %s\n%s", i, l, h, n.story())
					}
				}
				if up := len(n.a.of(ike.IKEUp)); up != 1 {
					t.Errorf("%d IKE SAs", up)
				}
			}
		})
	}
}

// A child that is being replaced while its host moves is completed where its SPI was
// reserved, and moves on from there.
func TestMoveWhileReplacing(t *testing.T) {
	for _, mover := range []string{"the side that replaces", "the other side"} {
		t.Run(mover, func(t *testing.T) {
			n, a, b := mobile(t)
			replacing, h := a, n.a
			if mover != "the side that replaces" {
				replacing, h = b, n.b
			}
			lost := 0
			n.intercept = func(p packet) []packet {
				yes := lost == 0 && header(t, p.data).Exchange == wire.CreateChildSA && !isRequest(t, p)
				if yes {
					lost++
				}
				return lose(p, yes)
			}
			replacing.replace(replacing.children[0])
			h.step(replacing, ike.Timeout{})
			n.run()
			if lost != 1 {
				t.Fatal("nothing was lost")
			}
			n.a.routed(addrA2, addrB)
			n.a.roam()
			n.pass(time.Minute)
			n.a.settle(a)
			n.b.settle(b)
			n.at(addrA2, addrB, false)
			for _, h := range []*host{n.a, n.b} {
				if len(h.plane.astray) > 0 {
					t.Errorf("%s: SAs %v are not where their SPIs were reserved", h.name, h.plane.astray)
				}
			}
		})
	}
}

// ESP that comes from elsewhere moves ESP alone; the peer's own word then counts for all.
func TestMappingOfESPAlone(t *testing.T) {
	port := uint16(61000)
	n := newNetwork(t, func(a, b *conf.Connection) {
		a.MOBIKE, b.MOBIKE, b.Gateways = true, true, conf.Gateways{{Any: true}}
	})
	n.nat = func(p *packet) {
		switch {
		case p.src.Addr() == addrA:
			p.src = netip.AddrPortFrom(addrN, port)
		case p.dst.Addr() == addrN:
			p.dst = netip.AddrPortFrom(addrA, 4500)
		}
	}
	a := n.a.dial()
	n.run()
	_, b := n.established(1)
	was := b.path
	moved := netip.AddrPortFrom(addrN, 62000)
	n.b.step(b, ike.Notice{Notice: esp.Mapping{ID: b.children[0].InboundID(), New: moved}})
	if b.path != was || b.children[0].Path.Remote != moved {
		t.Fatalf("path %v, child %v", b.path, b.children[0].Path)
	}
	a.pushUpdate()
	n.a.step(a, ike.Timeout{})
	n.run()
	if b.path != was || b.children[0].Path != was {
		t.Errorf("path %v, child %v, the peer says %v", b.path, b.children[0].Path, was)
	}
}
