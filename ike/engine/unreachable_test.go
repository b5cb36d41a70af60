package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// What others say about messages of a try is noted for the connections that speak with
// that address, counted, and forgotten with the next try or success; nothing else comes
// of it.
func TestUnreachable(t *testing.T) {
	o := newOffice(t, siteConfig(conf.Start))
	d := o.locate(nil)
	said := func(by, peer, what string) {
		o.handle(Unreached{ike.Unreachable{By: netip.MustParseAddr(by), Peer: netip.MustParseAddrPort(peer), What: what}})
	}
	before := o.s.Conns()[0]
	said("203.0.113.1", "203.0.113.9:500", "no-host")
	if got := o.s.Conns()[0].Unreachable; got != nil {
		t.Errorf("of another address: %+v", got)
	}
	peer := d.Path.Remote.String()
	said("203.0.113.1", peer, "prohibited")
	said("203.0.113.1", peer, "prohibited")
	st := o.s.Conns()[0]
	if u := st.Unreachable; u == nil || u.Times != 2 || u.What != "prohibited" || u.Peer != d.Path.Remote || u.By.String() != "203.0.113.1" {
		t.Fatalf("%+v", u)
	}
	if st.Unreachable = nil; st != before || len(o.orders) != 0 || len(o.dials) != 1 {
		t.Errorf("it has become %+v from %+v: %v", st, before, o.orders)
	}
	said("192.0.2.1", peer, "no-port")
	if u := o.s.Conns()[0].Unreachable; u.Times != 1 || u.What != "no-port" {
		t.Errorf("%+v", u)
	}
	o.fail(d.ID)
	if o.s.Conns()[0].Unreachable == nil {
		t.Error("forgotten while the next try is waited for")
	}
	o.wait(time.Hour)
	if u := o.s.Conns()[0].Unreachable; u != nil {
		t.Errorf("remembered in the next try: %+v", u)
	}
	d = o.locate(nil)
	said("192.0.2.1", peer, "no-port")
	o.up(d.ID, true, "lan")
	if u := o.s.Conns()[0].Unreachable; u != nil {
		t.Errorf("remembered when it is up: %+v", u)
	}
	said("192.0.2.1", peer, "no-port")
	if u := o.s.Conns()[0].Unreachable; u == nil || o.state() != "up" || len(o.orders) != 0 {
		t.Errorf("%+v, %s, %v", u, o.state(), o.orders)
	}
}
