package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/engine"
	"github.com/goike/goike/ike/wire"
)

// deed is an exchange that a host begins, and what is left after it.
type deed struct {
	exchange wire.ExchangeType
	prepare  func(c *conf.Connection) // for those that begin by themselves after deedTime
	begin    func(h *Host)
}

// deedTime is how long after it has come up the IKE SA is replaced, and the peer asked
// whether it lives, by hosts that are to do so.
const deedTime = 10 * time.Minute

func nothing(*Host)               {}
func unprepared(*conf.Connection) {}
func order(h *Host, event ike.Event) {
	h.give(engine.Order{IKE: h.Shard.Statuses()[0].ID, Event: event})
}
func replacesIKE(c *conf.Connection) { c.Rekey, c.Lifetime, c.Margin = true, 2*deedTime, deedTime }
func asksForLife(c *conf.Connection) { c.DPDDelay = deedTime }
func replacesChild(h *Host)          { soft(h, h.Shard.Statuses()[0].Children[0]) }
func soft(h *Host, c ike.ChildStatus) {
	in := h.Plane.inbound(c.SPIIn, esp.ProtoESP)
	h.give(engine.Noticed{ReqID: c.ReqID, Notice: esp.Expire{ID: in.ID, ReqID: c.ReqID}})
}

// deeds are what a host may begin when the IKE SA is there, by name.
var deeds = map[string]deed{
	"new child":       {wire.CreateChildSA, unprepared, func(h *Host) { order(h, ike.Initiate{Child: "second"}) }},
	"child replaced":  {wire.CreateChildSA, unprepared, replacesChild},
	"IKE SA replaced": {wire.CreateChildSA, replacesIKE, nothing},
	"child deleted":   {wire.Informational, unprepared, func(h *Host) { order(h, ike.Terminate{Child: "lan", Why: "test"}) }},
	"IKE SA deleted":  {wire.Informational, unprepared, func(h *Host) { order(h, ike.Terminate{Why: "test"}) }},
	"liveness":        {wire.Informational, asksForLife, nothing},
	"nothing":         {0, unprepared, nothing},
}

// faults are what happens to one message, by name.
var faults = map[string]func(w *World, p packet){
	"drop":      func(*World, packet) {},
	"duplicate": func(w *World, p packet) { w.carry(calm, p, ""); w.carry(calm, p, "") },
	"delay":     func(w *World, p packet) { w.carry(Faults{Delay: 15 * time.Second}, p, "") }, // it is sent again before
	"reorder":   func(w *World, p packet) { w.carry(Faults{Delay: 35 * time.Millisecond}, p, "") },
	"corrupt":   func(w *World, p packet) { w.carry(Faults{Delay: calm.Delay, Corrupt: 1}, p, "") },
}

// hit lets a fault happen to the first message of an exchange that a host sends from now
// on; the result tells whether there was one.
func (w *World) hit(from *Host, x wire.ExchangeType, response bool, fault func(w *World, p packet)) *bool {
	done := new(bool)
	w.Drop = func(src, dst netip.AddrPort, data []byte) bool {
		h, err := wire.ParseHeader(data)
		if *done || err != nil || src.Addr() != from.Addr || h.Exchange != x || h.Flags&wire.FlagResponse != 0 != response {
			return false
		}
		*done = true
		fault(w, packet{from: src, to: dst, data: data})
		return true
	}
	return done
}

// Every message of setting up a tunnel, request and answer, lost, doubled, late, behind
// the next one and corrupted; begun by one side and by both.
func TestEveryMessageOfSettingUp(t *testing.T) {
	for _, behavior := range []conf.Behavior{conf.ResponderOnly, conf.Start} {
		for _, x := range []wire.ExchangeType{wire.IKESAInit, wire.IKEAuth} {
			for name, fault := range faults {
				for k := range 4 {
					t.Run(fmt.Sprint(behavior, x, name, k), func(t *testing.T) {
						w, a, b := pair(t, uint64(k), calm, siteA(conf.Start), siteB(behavior))
						from := a
						if k%2 == 1 {
							from = b
						}
						hit := w.hit(from, x, k/2 == 1, fault)
						settles(t, w, a, b, 10*time.Minute)
						if one := from == a == (k/2 == 0); !*hit && (one || behavior == conf.Start) && x == wire.IKESAInit {
							t.Error("there was no such message")
						}
					})
				}
			}
		}
	}
}

// matrix makes a world of two hosts with an IKE SA and a child, of which a has begun the
// first, each about to do something.
func matrix(t *testing.T, seed uint64, x, y deed) (*World, *Host, *Host) {
	w := New(seed, calm)
	one := func(s site, d deed) *conf.Config {
		c := s.config(t)
		conn := c.Connections[0]
		conn.Rekey, conn.Lifetime, conn.RekeyFuzz, conn.DPDDelay = false, conf.Forever, 0, 0
		conn.Children[0].Lifetime = conf.Forever
		second := *conn.Children[0]
		second.Name, second.Local, second.Remote = "second", selector(net2(s.mine)), selector(net2(s.other))
		conn.Children = append(conn.Children, &second)
		d.prepare(conn)
		if conn.Rekey = true; conn.Lifetime == conf.Forever {
			conn.Margin = 0
		}
		return c
	}
	b := w.Host("b", addrB, one(siteB(conf.ResponderOnly), y))
	a := w.Host("a", addrA, one(siteA(conf.ResponderOnly), x))
	a.Up("site", "lan")
	if !w.Run(time.Minute, func() bool { return Settled(a, b, 1, flow) == nil }) {
		t.Fatalf("%v\n%s", Settled(a, b, 1, flow), tail(w.Trace))
	}
	w.Rest(a.Shard.Statuses()[0].Established.Add(deedTime).Sub(w.now) - 2*calm.Delay)
	return w, a, b
}

func net2(p netip.Prefix) netip.Prefix {
	a := p.Addr().As4()
	a[0] = 172
	return netip.PrefixFrom(netip.AddrFrom4(a), p.Bits())
}

// left is how many children and IKE SAs there are when two deeds are over.
func left(x, y string) (ikes, children int) {
	is := func(s string) bool { return x == s || y == s }
	if is("IKE SA deleted") {
		return 0, 0
	}
	children = 1
	if is("child deleted") {
		children--
	}
	if is("new child") {
		children++
	}
	return 1, children
}

// Every exchange between peers that have an IKE SA, begun by either of them, while the
// other does nothing, or begins any other one, with the request and the answer lost,
// doubled, late, behind the next message and corrupted. In the end both have the same.
func TestEveryMessage(t *testing.T) {
	for x, first := range deeds {
		for y, other := range deeds {
			t.Run(x+", "+y, func(t *testing.T) {
				for fault, f := range faults {
					for k := range 4 {
						mine, theirs := first, other
						if k%2 == 1 {
							mine, theirs = other, first
						}
						w, a, b := matrix(t, uint64(k), mine, theirs)
						from, to := a, b
						if k%2 == 1 {
							from, to = b, a
						}
						if k/2 == 1 {
							from = to
						}
						hit := w.hit(from, first.exchange, k/2 == 1, f)
						w.Rest(calm.Delay * 3 / 2) // what b does by itself has begun, what a does has not
						mine.begin(a)
						theirs.begin(b)
						w.Rest(10 * time.Minute)
						what := fmt.Sprintf("%s, %d", fault, k)
						if !*hit && x != "nothing" && y == "nothing" {
							t.Fatalf("%s: there was no such message\n%s", what, tail(w.Trace))
						}
						concluded(t, what, w, a, b, x, y)
					}
				}
			})
		}
	}
}

// concluded fails the test unless two hosts are at rest and agree on what two deeds have
// left.
func concluded(t *testing.T, what string, w *World, a, b *Host, x, y string) {
	t.Helper()
	ikes, children := left(x, y)
	for _, h := range []*Host{a, b} {
		if n := h.Shard.Len(); n != ikes {
			t.Fatalf("%s: %s has %d IKE SAs, not %d\n%s", what, h.Name, n, ikes, tail(w.Trace))
		}
		if err := h.atRest(); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, tail(w.Trace))
		}
	}
	if w.breach != nil {
		t.Fatalf("%s: %v\n%s", what, w.breach, tail(w.Trace))
	}
	if ikes == 0 {
		return
	}
	f := flow
	if slices.Contains([]string{x, y}, "child deleted") {
		f.Src, f.Dst = net2(netip.PrefixFrom(f.Src, 32)).Addr(), net2(netip.PrefixFrom(f.Dst, 32)).Addr()
	}
	if err := Settled(a, b, children, f); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, tail(w.Trace))
	}
}
