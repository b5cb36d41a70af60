package engine

import (
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// A child that has reached its limit is asked for again at once, again and again; one
// that has not lasted a second a moment later.
func TestExpiredIsMissedAtOnce(t *testing.T) {
	o := newOffice(t, twoChildren(conf.Start))
	sa := o.locate(nil).ID
	o.both(sa, true)
	lan := o.s.sas[sa].children[0].id
	down := func() {
		o.handle(Heard{ike.Report{
			Kind: ike.ChildDown, Conn: "site", Child: "lan", IKE: sa, ChildID: lan, Why: &ike.Refusal{Cause: ike.Expired},
		}})
	}
	for range 5 {
		o.wait(2 * time.Second)
		o.orders = nil
		down()
		if len(o.orders) != 1 || o.orders[0].Event.(ike.Initiate).Child != "lan" {
			t.Fatalf("not asked for: %+v, %+v", o.orders, o.s.Conns())
		}
		lan = o.childUp(sa, "lan")
	}
	o.orders = nil
	down()
	if len(o.orders) != 0 {
		t.Error("asked for without a pause")
	}
	if o.wait(2 * soon); len(o.orders) != 1 {
		t.Error("not asked for")
	}
}

// Traffic after the last try begins another series soon, however long the pauses had
// become.
func TestTrafficAfterTheLastTry(t *testing.T) {
	cfg := twoChildren(conf.OnDemand)
	cfg.Connections[0].KeyingTries = 8
	o := newOffice(t, cfg)
	acquire := func() { o.handle(Acquired{Acquire: esp.Acquire{Policy: "site/lan"}}) }
	acquire()
	for range 8 {
		for len(o.tickets) == 0 {
			o.wait(time.Second)
		}
		o.fail(o.locate(nil).ID)
	}
	if c := o.s.Conns()[0]; !c.GivenUp || c.State != "on-demand" || c.NextTry != ike.Never {
		t.Fatalf("%+v", c)
	}
	acquire()
	if c := o.s.Conns()[0]; c.GivenUp || c.State != "waiting" || c.NextTry == ike.Never || len(o.tickets) > 0 {
		t.Errorf("%+v", c)
	}
	if o.wait(firstRetry); len(o.tickets) != 1 || o.s.Conns()[0].Try != 1 {
		t.Errorf("%+v", o.s.Conns())
	}
}
