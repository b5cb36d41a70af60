package engine

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

var (
	spoke1 = netip.MustParseAddr("198.51.100.11")
	spoke2 = netip.MustParseAddr("198.51.100.12")
)

func hub() *conf.Config {
	c := siteConfig(conf.ResponderOnly)
	c.Connections[0].Gateways = conf.Gateways{{Any: true}}
	c.UniqueIDs = conf.UniqueNever // the peers of the tests all have one identity
	return c
}

// A connection for any peer is set up with each that a command names, side by side.
func TestGuests(t *testing.T) {
	o := newOffice(t, hub())
	for i, spoke := range []netip.Addr{spoke1, spoke2} {
		o.handle(Up{Waiter: uint64(i + 1), Child: "lan", Local: ownAddr.Addr(), Remote: spoke})
		d := o.locate(nil)
		if d == nil || d.Conn.Gateways[0].Prefix.Addr() != spoke || d.Conn.LocalAddr != ownAddr.Addr() || d.Conn.Name != "site" {
			t.Fatalf("%+v", d)
		}
		o.up(d.ID, true, "lan")
		if out, ok := o.outcomes[uint64(i+1)]; !ok || out.Err != nil {
			t.Errorf("%s: %+v", spoke, out)
		}
	}
	if o.state() != "up" || len(o.s.guests) != 2 {
		t.Errorf("%s, %d guests", o.state(), len(o.s.guests))
	}
	o.handle(Up{Waiter: 3, Child: "lan", Local: ownAddr.Addr(), Remote: spoke1}) // is up
	if out, ok := o.outcomes[3]; !ok || out.Err != nil || len(o.dials) != 2 {
		t.Errorf("%+v", out)
	}
	o.handle(Down{Waiter: 4, Match: control.TerminateRequest{Conn: "site"}})
	for _, d := range o.dials {
		if !o.terminated(d.ID) {
			t.Errorf("IKE SA #%d goes on", d.ID)
		}
		o.down(d.ID, nil)
	}
	if len(o.s.guests) != 0 || o.state() != "listening" || o.s.Next() != ike.Never {
		t.Errorf("left: %d guests, %s, %v", len(o.s.guests), o.state(), o.s.Next())
	}
}

// What the peer has set up already is used, and what cannot be reached is tried once.
func TestGuestOfPeer(t *testing.T) {
	o := newOffice(t, hub())
	st := &ike.Status{ID: 50, Conn: "site", SPIi: 50, LocalID: highID, RemoteID: lowID, Path: ike.Path{Remote: netip.AddrPortFrom(spoke1, 500)}}
	o.handle(Heard{ike.Report{Kind: ike.IKEUp, Conn: "site", IKE: 50, SA: st}})
	o.handle(Up{Waiter: 1, Child: "lan", Remote: spoke1})
	o.wait(settleTime)
	if len(o.tickets)+len(o.dials) > 0 || len(o.orders) != 1 || o.orders[0].IKE != 50 {
		t.Fatalf("searches %d, dials %d, orders %+v", len(o.tickets), len(o.dials), o.orders)
	}
	o.handle(Heard{ike.Report{Kind: ike.ChildUp, Conn: "site", Child: "lan", IKE: 50, ChildID: 7, SA: st}})
	if out, ok := o.outcomes[1]; !ok || out.Err != nil {
		t.Errorf("%+v", out)
	}
	o.handle(Up{Waiter: 2, Child: "lan", Remote: spoke2})
	d := o.locate(nil)
	o.fail(d.ID)
	if out, ok := o.outcomes[2]; !ok || out.Err == nil || len(o.s.guests) != 1 {
		t.Errorf("%+v, %d guests", out, len(o.s.guests))
	}
	o.down(50, nil)
	if len(o.s.guests) != 0 || o.s.Next() != ike.Never {
		t.Errorf("%d guests", len(o.s.guests))
	}
}

// Guests go with the connection that they are of, and a peer has to be one of its own.
func TestGuestsGo(t *testing.T) {
	c := hub()
	o := newOffice(t, c)
	o.handle(Up{Waiter: 1, Child: "lan", Remote: spoke1})
	d := o.locate(nil)
	o.up(d.ID, true, "lan")
	same := *c
	o.handle(Load{Config: &same})
	if len(o.s.guests) != 1 || o.terminated(d.ID) {
		t.Error("a guest was touched whose connection reads as before")
	}
	changed := hub()
	changed.Connections[0].KeyingTries = 7
	o.handle(Load{Config: changed})
	if len(o.s.guests) != 0 || !o.terminated(d.ID) {
		t.Error("a guest outlives its connection")
	}
	c = hub()
	c.Connections[0].Gateways = conf.Gateways{{Prefix: netip.MustParsePrefix("203.0.113.0/24")}}
	o = newOffice(t, c)
	o.handle(Up{Waiter: 1, Child: "lan", Remote: spoke1})
	if out := o.outcomes[1]; out.Err == nil || !strings.Contains(out.Err.Error(), "203.0.113.0/24") {
		t.Errorf("%+v", out)
	}
	c.Connections[0].Gateways = conf.Gateways{{Prefix: netip.PrefixFrom(spoke2, 32)}}
	c.Connections[0].LocalAddr = ownAddr.Addr()
	o = newOffice(t, c)
	for i, up := range []Up{{Remote: spoke1}, {Remote: spoke2, Local: spoke1}} {
		up.Waiter, up.Child = uint64(i+1), "lan"
		o.handle(up)
		if out := o.outcomes[up.Waiter]; out.Err == nil || !strings.Contains(out.Err.Error(), spoke1.String()) {
			t.Errorf("%+v: %+v", up, out)
		}
	}
	o.handle(Up{Waiter: 3, Child: "lan", Remote: spoke2, Local: ownAddr.Addr()})
	if d := o.locate(nil); d == nil || len(o.s.guests) != 0 {
		t.Errorf("%+v", d)
	}
}
