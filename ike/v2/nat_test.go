package v2

import (
	"net/netip"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// natB is a NAT in front of b: who calls the outside address reaches b.
func natB(p *packet) {
	outside := netip.MustParseAddr("198.51.100.2")
	inside := netip.MustParseAddr("10.9.9.9")
	if p.src.Addr() == inside {
		p.src = netip.AddrPortFrom(outside, p.src.Port())
	}
	if p.dst.Addr() == outside {
		p.dst = netip.AddrPortFrom(inside, p.dst.Port())
	}
}

// Every position of a NAT, and none with encapsulation forced by either side:
// who finds what, and on which ports ESP goes (RFC 7296, 2.23).
func TestNATDetection(t *testing.T) {
	type found struct{ local, remote bool }
	for _, c := range []struct {
		name           string
		nat            []func(*packet)
		forceA, forceB bool
		a, b           found
		encap          bool
	}{
		{name: "none"},
		{name: "in front of a", nat: []func(*packet){natA}, a: found{local: true}, b: found{remote: true}, encap: true},
		{name: "in front of b", nat: []func(*packet){natB}, a: found{remote: true}, b: found{local: true}, encap: true},
		{name: "in front of both", nat: []func(*packet){natA, natB}, a: found{true, true}, b: found{true, true}, encap: true},
		{name: "forced by a", forceA: true, b: found{remote: true}, encap: true},
		{name: "forced by b", forceB: true, a: found{remote: true}, encap: true},
		{name: "forced by both", forceA: true, forceB: true, a: found{remote: true}, b: found{remote: true}, encap: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetwork(t, func(a, b *conf.Connection) {
				a.ForceEncap, b.ForceEncap = c.forceA, c.forceB
				b.Gateways = conf.Gateways{{Any: true}}
			})
			for _, f := range c.nat {
				earlier := n.nat
				n.nat = func(p *packet) {
					if earlier != nil {
						earlier(p)
					}
					f(p)
				}
			}
			n.a.dial()
			if len(c.nat) > 0 && c.b.local {
				n.b.addr = netip.MustParseAddr("10.9.9.9")
			}
			n.run()
			a, b := n.established(1)
			for _, x := range []struct {
				sa     *SA
				want   found
				forced bool
			}{{a, c.a, c.forceA}, {b, c.b, c.forceB}} {
				s := x.sa.Status()
				if (found{s.NATLocal, s.NATRemote}) != x.want || s.ForceEncap != x.forced {
					t.Errorf("found %+v", s)
				}
				child := x.sa.children[0]
				if child.Encap != c.encap || child.Keepalive != x.want.local {
					t.Errorf("child %+v", child)
				}
				port := uint16(ike.Port)
				if c.encap {
					port = ike.NATTPort
				}
				if s.Path.Local.Port() != port {
					t.Errorf("path %v", s.Path)
				}
			}
			if e := n.a.plane.sas[a.children[0].InboundID()].Encap; (e != nil) != c.encap || e != nil && (e.Local != 4500 || e.Keepalive != c.a.local) {
				t.Errorf("encapsulation %+v", e)
			}
		})
	}
}

// A peer that sends no NAT detection does without.
func TestNoNATDetection(t *testing.T) {
	r := runs(t)["charon-xcbc.json"]
	h, ps := parsed(t, r.InitRequest)
	if n := detectNAT(h, pathOf("1.2.3.4:1", "5.6.7.8:9"), ps[:3]); n != (natState{}) {
		t.Errorf("%+v", n)
	}
}

// The responder answers to where a request came from, and follows a peer whose NAT
// mapping has changed; the children move too. Only authentic messages do that.
func TestMappingChanges(t *testing.T) {
	n := newNetwork(t, func(_, b *conf.Connection) { b.Gateways = conf.Gateways{{Any: true}} })
	n.nat = natA
	a := n.a.dial()
	n.run()
	_, b := n.established(1)
	n.nat = nil
	data := craft(t, a, 37)
	a.win.nextSend++
	to := pathOf("198.51.100.2:4500", "203.0.113.10:6000")
	broken := append([]byte(nil), data...)
	broken[len(broken)-1]++
	before := snapshot(b)
	n.b.step(b, ike.Datagram{Path: to, Data: broken})
	if snapshot(b) != before {
		t.Error("a message that is not authentic moved something")
	}
	n.b.step(b, ike.Datagram{Path: to, Data: append([]byte(nil), data...)})
	if b.path != to || b.children[0].Path != to {
		t.Errorf("path %v, child %v", b.path, b.children[0].Path)
	}
	if last := n.sent[len(n.sent)-1]; last.src != to.Local || last.dst != to.Remote {
		t.Errorf("answered to %v", last.dst)
	}
	if sa := n.b.plane.sas[b.children[0].OutboundID()]; sa.Encap == nil || sa.Encap.Remote != 6000 || sa.ID.Dst != to.Remote.Addr() {
		t.Errorf("%+v", sa)
	}
	if got := n.b.kinds(); got != "IKEUp ChildUp Warning" {
		t.Error(got)
	}
	// A repetition of the request from elsewhere is answered there, and moves nothing.
	elsewhere := pathOf("198.51.100.2:4500", "203.0.113.66:1")
	before = snapshot(b)
	n.b.step(b, ike.Datagram{Path: elsewhere, Data: append([]byte(nil), data...)})
	if last := n.sent[len(n.sent)-1]; last.dst != elsewhere.Remote || snapshot(b) != before {
		t.Errorf("answered to %v", last.dst)
	}
	// The data plane may find out first.
	n.b.step(b, ike.Notice{Notice: esp.Mapping{ID: b.children[0].InboundID(), New: elsewhere.Remote}})
	if b.path.Remote != elsewhere.Remote || b.children[0].Path.Remote != elsewhere.Remote {
		t.Errorf("path %v", b.path)
	}
	before = snapshot(b)
	n.b.step(b, ike.Notice{Notice: esp.Mapping{ID: esp.SAID{Dst: addrB, SPI: 1, Proto: esp.ProtoESP}, New: to.Remote}})
	if snapshot(b) != before {
		t.Error("a notice about another SA moved something")
	}
}

// Who is not behind a NAT stays where it is, wherever its requests come from; the
// answer goes to where the request came from (RFC 7296, 2.11).
func TestNoNATNoMove(t *testing.T) {
	n, a, b := up(t)
	data := craft(t, a, 37)
	from := pathOf("198.51.100.2:500", "192.0.2.1:4711")
	path := b.path
	n.b.step(b, ike.Datagram{Path: from, Data: data})
	if last := n.sent[len(n.sent)-1]; last.dst != from.Remote || b.path != path {
		t.Errorf("answered to %v, path %v", last.dst, b.path)
	}
}
