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

var (
	addrA2 = netip.MustParseAddr("192.0.2.77")
	addrB2 = netip.MustParseAddr("198.51.100.77")
	addrN  = netip.MustParseAddr("203.0.113.9") // of a NAT
)

// mobile are two hosts that move; each reaches the other from what routes say.
func mobile(t *testing.T, change ...func(a, b *conf.Connection)) (n *network, a, b *SA) {
	t.Helper()
	n = newNetwork(t, append(change, func(a, b *conf.Connection) { a.MOBIKE, b.MOBIKE = true, true })...)
	n.a.routed(addrA, addrB, addrB2)
	n.b.routed(addrB, addrA, addrA2)
	a = n.a.dial()
	n.run()
	n.established(1)
	return n, a, n.b.list()[0]
}

// routed lets a host have an address alone and reach others from it.
func (h *host) routed(own netip.Addr, to ...netip.Addr) {
	h.own, h.routes = []netip.Addr{own}, make(map[netip.Addr]netip.Addr)
	for _, r := range to {
		h.routes[r] = own
	}
}

// roam tells the machines of a host what has changed.
func (h *host) roam() {
	for _, sa := range h.list() {
		h.step(sa, ike.Roamed{Own: h.own})
	}
}

// at fails the test unless IKE SA and children of both sides go between two addresses.
func (n *network) at(x, y netip.Addr, encap bool) {
	n.t.Helper()
	a, b := n.established(1)
	for _, side := range []struct {
		sa            *SA
		h             *host
		local, remote netip.Addr
	}{{a, n.a, x, y}, {b, n.b, y, x}} {
		if p := side.sa.path; p.Local.Addr() != side.local || p.Remote.Addr() != side.remote {
			n.t.Fatalf("%s: the IKE SA goes from %s to %s, want %s and %s\n%s", side.h.name, p.Local, p.Remote, side.local, side.remote, n.story())
		}
		c := side.sa.children[0]
		in, there := side.h.plane.sas[esp.SAID{Dst: side.local, SPI: c.SPIIn, Proto: esp.ProtoESP}]
		out, also := side.h.plane.sas[esp.SAID{Dst: side.remote, SPI: c.SPIOut, Proto: esp.ProtoESP}]
		if !there || !also || in.Src != side.remote || out.Src != side.local || (in.Encap != nil) != encap || (out.Encap != nil) != encap {
			n.t.Errorf("%s: the child has SAs %v and %v\n%s", side.h.name, in, out, strings.Join(side.h.plane.log, "\n"))
		}
		for _, p := range side.h.plane.policies {
			if p.Dir == esp.Out && (p.Src != side.local || p.Dst != side.remote) {
				n.t.Errorf("%s: policy out from %s to %s", side.h.name, p.Src, p.Dst)
			}
		}
		if len(side.h.plane.sas) != 2 {
			n.t.Errorf("%s: %d SAs", side.h.name, len(side.h.plane.sas))
		}
	}
}

// Without a NAT, too, MOBIKE uses port 4500 (RFC 4555, 3.3), and ESP no UDP.
func TestMOBIKEIsAgreed(t *testing.T) {
	for _, c := range []struct{ a, b bool }{{true, true}, {true, false}, {false, true}} {
		n := newNetwork(t, func(a, b *conf.Connection) { a.MOBIKE, b.MOBIKE = c.a, c.b })
		n.a.own, n.b.own = []netip.Addr{addrA, addrA2}, []netip.Addr{addrB, addrB2, netip.MustParseAddr("10.2.0.1")}
		a := n.a.dial()
		n.run()
		_, b := n.established(1)
		both := c.a && c.b
		if a.mobile.on != both || b.mobile.on != both || a.mobile.decides != both || b.mobile.decides {
			t.Errorf("%+v: a %+v, b %+v", c, a.mobile, b.mobile)
		}
		if want := uint16(4500); c.a && (a.path.Remote.Port() != want || b.path.Local.Port() != want) {
			t.Errorf("%+v: paths %v, %v", c, a.path, b.path)
		}
		if a.children[0].Encap || b.children[0].Encap {
			t.Errorf("%+v: ESP in UDP", c)
		}
		if both && (!slices.Equal(a.mobile.peers, []netip.Addr{addrB, addrB2}) || !slices.Equal(b.mobile.peers, []netip.Addr{addrA, addrA2})) {
			t.Errorf("a knows %v of b, b knows %v of a: want those that are in no tunnel", a.mobile.peers, b.mobile.peers)
		}
	}
}

// Both sides can lose their address, and each gets it told to the other.
func TestMOBIKEMoves(t *testing.T) {
	t.Run("of the initiator", func(t *testing.T) {
		n, _, _ := mobile(t)
		n.a.routed(addrA2, addrB, addrB2)
		n.a.roam()
		n.run()
		n.at(addrA2, addrB, false)
		if m := n.b.of(ike.IKEMoved); len(m) != 1 || !strings.Contains(m[0].Text, addrA2.String()) || m[0].SA == nil {
			t.Errorf("b reports %v", m)
		}
		if m := n.a.of(ike.IKEMoved); len(m) != 1 || !strings.Contains(m[0].Text, "from 192.0.2.1 ") {
			t.Errorf("a reports %v", m)
		}
	})
	t.Run("of the responder", func(t *testing.T) {
		n, _, _ := mobile(t)
		n.b.routed(addrB2, addrA, addrA2)
		n.b.roam()
		n.run()
		n.at(addrA, addrB2, false)
	})
	t.Run("of both, and back", func(t *testing.T) {
		n, _, _ := mobile(t)
		n.a.own, n.b.own = []netip.Addr{addrA, addrA2}, []netip.Addr{addrB, addrB2}
		n.a.roam()
		n.b.roam()
		n.run()
		n.a.routed(addrA2, addrB, addrB2)
		n.a.roam()
		n.run()
		n.b.routed(addrB2, addrA, addrA2)
		n.b.roam()
		n.run()
		n.at(addrA2, addrB2, false)
		n.a.routed(addrA, addrB, addrB2)
		n.a.roam()
		n.run()
		n.at(addrA, addrB2, false)
	})
	t.Run("after the IKE SA was replaced by the responder", func(t *testing.T) {
		n, _, b := mobile(t)
		b.push(&rekeyExchange{})
		n.b.step(b, ike.Timeout{})
		n.run()
		if a := n.a.list()[0]; a.initiator || !a.mobile.decides {
			t.Fatalf("initiator %v, decides %v", a.initiator, a.mobile.decides)
		}
		n.a.routed(addrA2, addrB, addrB2)
		n.a.roam()
		n.run()
		n.at(addrA2, addrB, false)
	})
}

// What has not changed is not told.
func TestMOBIKERests(t *testing.T) {
	n, _, _ := mobile(t)
	sent := len(n.sent)
	n.a.roam()
	n.b.roam()
	n.run()
	if len(n.sent) != sent {
		t.Errorf("%d messages for nothing", len(n.sent)-sent)
	}
	n.a.own = append(n.a.own, addrA2)
	n.a.roam()
	n.run()
	if b := n.b.list()[0]; !slices.Equal(b.mobile.peers, []netip.Addr{addrA, addrA2}) || len(n.sent) != sent+2 {
		t.Errorf("%d messages, b knows %v", len(n.sent)-sent, b.mobile.peers)
	}
}

// A NAT appears between the hosts when one moves behind it, and vanishes when that
// leaves it.
func TestMOBIKEAndNAT(t *testing.T) {
	n, a, b := mobile(t)
	n.nat = func(p *packet) {
		switch {
		case p.src.Addr() == addrA2:
			p.src = netip.AddrPortFrom(addrN, 61000)
		case p.dst.Addr() == addrN:
			p.dst = netip.AddrPortFrom(addrA2, 4500)
		}
	}
	n.a.routed(addrA2, addrB, addrB2)
	n.b.routes[addrN] = addrB
	n.a.roam()
	n.run()
	if !a.nat.local || a.nat.remote || !b.nat.remote || b.nat.local || b.path.Remote != netip.AddrPortFrom(addrN, 61000) {
		t.Fatalf("a %+v, b %+v at %v\n%s", a.nat, b.nat, b.path, n.story())
	}
	out := n.a.plane.sas[esp.SAID{Dst: addrB, SPI: a.children[0].SPIOut, Proto: esp.ProtoESP}]
	if out.Encap == nil || !out.Encap.Keepalive || out.Src != addrA2 {
		t.Errorf("a sends by %+v", out)
	}
	out = n.b.plane.sas[esp.SAID{Dst: addrN, SPI: b.children[0].SPIOut, Proto: esp.ProtoESP}]
	if out.Encap == nil || out.Encap.Remote != 61000 || out.Encap.Keepalive {
		t.Errorf("b sends by %+v", out)
	}
	n.a.routed(addrA, addrB, addrB2)
	n.a.roam()
	n.run()
	n.at(addrA, addrB, false)
}

// A NAT that has forgotten its mapping is noticed by the next liveness check.
func TestMOBIKEMapping(t *testing.T) {
	port := uint16(61000)
	n := newNetwork(t, func(a, b *conf.Connection) {
		a.MOBIKE, b.MOBIKE, a.DPDDelay = true, true, time.Minute
	})
	n.nat = func(p *packet) {
		switch {
		case p.src.Addr() == addrA:
			p.src = netip.AddrPortFrom(addrN, port)
		case p.dst.Addr() == addrN:
			p.dst = netip.AddrPortFrom(addrA, 4500)
		}
	}
	n.b.conn().Gateways = conf.Gateways{{Any: true}}
	n.b.conn().Remote.ID = testConn(t, false).Remote.ID
	n.a.dial()
	n.run()
	_, b := n.established(1)
	if b.path.Remote != netip.AddrPortFrom(addrN, port) {
		t.Fatal(b.path)
	}
	port = 62000
	n.pass(70 * time.Second)
	if want := netip.AddrPortFrom(addrN, port); b.path.Remote != want || b.children[0].Path.Remote != want {
		t.Errorf("b: %v, child %v, want %v\n%s", b.path, b.children[0].Path, want, n.story())
	}
}

// When the path in use is silent the others are tried, and the first that works is
// taken; it stays in use.
func TestMOBIKEProbes(t *testing.T) {
	dead := map[netip.Addr]bool{}
	n := newNetwork(t, func(a, b *conf.Connection) {
		a.MOBIKE, b.MOBIKE, a.DPDDelay = true, true, 30*time.Second
	})
	n.a.routed(addrA, addrB, addrB2)
	n.b.routed(addrB, addrA, addrA2)
	n.b.own = []netip.Addr{addrB, addrB2}
	n.intercept = func(p packet) []packet {
		if dead[p.src.Addr()] || dead[p.dst.Addr()] {
			return nil
		}
		return []packet{p}
	}
	n.a.dial()
	n.run()
	n.established(1)
	dead[addrB] = true
	n.pass(90 * time.Second)
	n.at(addrA, addrB2, false)
	n.a.roam()
	n.run()
	n.pass(time.Minute)
	n.at(addrA, addrB2, false)
	if up := len(n.a.of(ike.IKEUp)); up != 1 {
		t.Errorf("%d IKE SAs", up)
	}
}

// Addresses that change again while the peer is being told come through in the end.
func TestMOBIKEMovesAgain(t *testing.T) {
	n, _, _ := mobile(t)
	lose := true
	n.intercept = func(p packet) []packet {
		if lose {
			return nil
		}
		return []packet{p}
	}
	n.a.routed(addrA2, addrB, addrB2)
	n.a.roam()
	n.run()
	third := netip.MustParseAddr("192.0.2.99")
	n.a.routed(third, addrB, addrB2)
	n.b.routes[third] = addrB
	n.a.roam()
	n.run()
	lose = false
	n.pass(time.Minute)
	n.at(third, addrB, false)
}

// A responder refuses an update by a path that was not to have a NAT, and moves
// nothing (RFC 4555, 3.8).
func TestNoNATsAllowed(t *testing.T) {
	n, a, b := mobile(t)
	was := b.path
	update := []wire.Payload{
		&wire.Notify{Kind: wire.NotifyUpdateSAAddresses},
		&wire.Notify{Kind: wire.NotifyNoNATsAllowed, Data: noNATs(ike.Path{Local: was.Local, Remote: netip.AddrPortFrom(addrA2, 4500)})},
	}
	if got := notifies(n.exchange(a, b, wire.Informational, update...)); got != "UNEXPECTED_NAT_DETECTED" || b.path != was {
		t.Errorf("answered %s, path %v", got, b.path)
	}
	if want := "c6336402c0000201" + "1194" + "1194"; fmt.Sprintf("%x", noNATs(ike.Path{
		Local: netip.MustParseAddrPort("192.0.2.1:4500"), Remote: netip.MustParseAddrPort("198.51.100.2:4500"),
	})) != want {
		t.Errorf("NO_NATS_ALLOWED is not source and destination addresses, then ports (RFC 4555, 4.2.6)")
	}
}

// A peer whose message has come through the tunnel cannot be followed there.
func TestUnacceptableAddress(t *testing.T) {
	n, a, b := mobile(t)
	was := b.path
	data := craft(t, a, wire.Informational, &wire.Notify{Kind: wire.NotifyUpdateSAAddresses})
	inside := ike.Path{Local: was.Local, Remote: netip.MustParseAddrPort("10.1.0.1:4500")}
	before := len(n.sent)
	n.b.step(b, ike.Datagram{Path: inside, Data: data})
	if got := notifies(n.open(a, n.sent[before].data)); got != "UNACCEPTABLE_ADDRESSES" || b.path != was || b.children[0].Path != was {
		t.Errorf("answered %s, path %v", got, b.path)
	}
}

// COOKIE2 comes back as it came, and a peer that returns another is not trusted (RFC
// 4555, 3.7).
func TestReturnRoutability(t *testing.T) {
	n, a, b := mobile(t)
	ps := n.exchange(a, b, wire.Informational, &wire.Notify{Kind: wire.NotifyCookie2, Data: []byte("0123456789abcdef")})
	if c := wire.FindNotify(ps, wire.NotifyCookie2); c == nil || string(c.Data) != "0123456789abcdef" {
		t.Errorf("answered %v", notifies(ps))
	}
	n, _, b = mobile(t)
	x := &routability{}
	b.push(x)
	asked := false
	n.intercept = func(p packet) []packet {
		if p.from == n.b {
			asked = true
			return nil
		}
		return []packet{p}
	}
	n.b.step(b, ike.Timeout{})
	if !asked || len(x.nonce) < 8 || len(x.nonce) > 64 {
		t.Fatalf("asked %v, cookie of %d octets", asked, len(x.nonce))
	}
	x.reply(b, n.now, &message{payloads: []wire.Payload{&wire.Notify{Kind: wire.NotifyCookie2, Data: []byte("another")}}}, &ike.Effects{})
	if !b.closed {
		t.Error("another cookie is taken")
	}
}

// Only the side that began chooses, and only what is authentic counts.
func TestMOBIKERefused(t *testing.T) {
	n, a, b := mobile(t)
	was := a.path
	data := craft(t, b, wire.Informational, &wire.Notify{Kind: wire.NotifyUpdateSAAddresses})
	n.a.step(a, ike.Datagram{Path: ike.Path{Local: was.Local, Remote: netip.AddrPortFrom(addrN, 4500)}, Data: data})
	if a.path != was || a.children[0].Path.Remote.Addr() != was.Remote.Addr() {
		t.Errorf("the responder has moved the initiator to %v", a.path)
	}
	n, a, b = mobile(t)
	data = craft(t, a, wire.Informational, &wire.Notify{Kind: wire.NotifyUpdateSAAddresses})
	data[len(data)-1] ^= 1
	was = b.path
	n.b.step(b, ike.Datagram{Path: ike.Path{Local: was.Local, Remote: netip.AddrPortFrom(addrN, 4500)}, Data: data})
	if b.path != was {
		t.Errorf("a forged message has moved b to %v", b.path)
	}
}
