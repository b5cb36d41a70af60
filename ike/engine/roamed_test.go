package engine

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// A peer that was not to be reached is tried again as soon as the network has changed,
// and the tries begin to count anew. One that has refused is left alone.
func TestRoamedRetries(t *testing.T) {
	o := newOffice(t, siteConfig(conf.Start))
	o.tickets = o.tickets[1:] // for the trap
	for range 5 {             // more than keying_tries
		if d := o.locate(errors.New("the network is unreachable")); d != nil || o.state() != "waiting" {
			t.Fatalf("dialled %v, state %s", d, o.state())
		}
		o.tickets = nil
		o.wait(2 * time.Second)
		if len(o.tickets) > 0 {
			t.Fatal("tried again, although nothing has changed")
		}
		o.handle(Roamed{})
		o.tickets = nil // of the trap
		o.wait(time.Second)
		if len(o.tickets) != 1 {
			t.Fatalf("%d searches, state %s", len(o.tickets), o.state())
		}
	}
	o.fail(o.locate(nil).ID)
	o.handle(Roamed{})
	o.tickets = nil
	o.wait(2 * time.Second)
	if len(o.tickets) > 0 {
		t.Error("tried again, although the peer has refused")
	}
}

// Policies for this host's own address follow it: the new ones are there before the old
// ones go.
func TestTrapsFollow(t *testing.T) {
	o := newOffice(t, siteConfig(conf.OnDemand))
	o.locate(nil)
	first := o.traps[len(o.traps)-1]
	for _, local := range []netip.Addr{ownAddr.Addr(), netip.MustParseAddr("192.0.2.77")} {
		before := len(o.traps)
		o.handle(Roamed{})
		if len(o.tickets) != 1 {
			t.Fatalf("%d searches", len(o.tickets))
		}
		path := testPath
		path.Local = netip.AddrPortFrom(local, ike.Port)
		ticket := o.tickets[0]
		o.tickets = nil
		o.handle(Located{Ticket: ticket, Paths: []ike.Path{{Local: path.Local, Remote: netip.MustParseAddrPort("203.0.113.99:500")}, path}})
		if local == ownAddr.Addr() {
			if len(o.traps) != before {
				t.Fatalf("changed for nothing: %v", o.traps[before:])
			}
			continue
		}
		if len(o.traps) != before+1 {
			t.Fatalf("%d changes", len(o.traps)-before)
		}
		ops, added, gone := o.traps[before], 0, 0
		for _, op := range ops {
			switch op := op.(type) {
			case esp.AddPolicy:
				p := op.Policy
				if added++; p.Src != local && p.Dst != local || p.Dir == esp.Out && !p.Sel.Src.Contains(local) || gone > 0 {
					t.Errorf("policy %+v", p)
				}
				if p.ReqID != first[0].(esp.AddPolicy).Policy.ReqID {
					t.Errorf("request ID %d", p.ReqID)
				}
			case esp.DelPolicy:
				gone++
			}
		}
		if added != 3 || gone != 3 {
			t.Errorf("%d policies are new, %d go", added, gone)
		}
	}
	o.s.Release()
	if last := o.traps[len(o.traps)-1]; len(last) != 3 {
		t.Errorf("%v is removed in the end", last)
	}
}
