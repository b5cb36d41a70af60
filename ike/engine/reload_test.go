package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// reloaded gives an office with an IKE SA and a child another configuration, and returns
// what was ordered and changed by that.
func reloaded(t *testing.T, b conf.Behavior, change func(*conf.Connection)) (o *office, sa uint64, traps []esp.Op) {
	t.Helper()
	o = newOffice(t, netsConfig(b))
	if b != conf.Start {
		o.handle(Up{Waiter: 1, Conn: "site"})
	}
	sa = o.locate(nil).ID
	o.up(sa, true, "lan")
	c := netsConfig(b)
	change(c.Connections[0])
	o.orders, o.traps = nil, nil
	o.handle(Load{Config: c})
	for _, ops := range o.traps {
		traps = append(traps, ops...)
	}
	return o, sa, traps
}

// What can be taken over in place, or by rekeying, orders nothing and changes no policy.
func TestReloadInPlace(t *testing.T) {
	for _, change := range []func(*conf.Connection){
		func(c *conf.Connection) { c.DPDDelay += time.Second },
		func(c *conf.Connection) { c.KeyingTries = 7 },
		func(c *conf.Connection) { c.Children[0].Description = "x" },
		func(c *conf.Connection) { c.Children[0].Lifetime += time.Hour }, // the machine's to rekey
	} {
		for _, b := range []conf.Behavior{conf.Start, conf.OnDemand} {
			o, _, traps := reloaded(t, b, change)
			if len(o.orders)+len(traps) > 0 || len(o.dials) != 1 {
				t.Errorf("ordered %+v, policies %v, dialled %d", o.orders, traps, len(o.dials))
			}
		}
	}
}

// A connection that becomes one on demand stays up, and is not set up again when it ends.
func TestReloadBehavior(t *testing.T) {
	o, sa, traps := reloaded(t, conf.Start, func(c *conf.Connection) { c.Behavior = conf.OnDemand })
	if len(o.orders)+len(traps) > 0 {
		t.Fatalf("ordered %+v, policies %v", o.orders, traps)
	}
	o.down(sa, &ike.Refusal{Cause: ike.PeerRefused})
	o.wait(time.Hour)
	if len(o.tickets) > 0 || len(o.dials) != 1 {
		t.Error("it was set up again")
	}
}

// A child whose networks changed is taken down and set up again by the same IKE SA.
func TestReloadChild(t *testing.T) {
	o, sa, traps := reloaded(t, conf.Start, func(c *conf.Connection) { c.Children[0].Kernel.Priority = 7 })
	var ended, began bool
	for _, x := range o.orders {
		switch ev := x.Event.(type) {
		case ike.Terminate:
			ended = x.IKE == sa && ev.ChildID == o.childID && !began
		case ike.Initiate:
			began = x.IKE == sa && ev.Child == "lan"
		}
	}
	if !ended || !began && o.s.Next() == ike.Never {
		t.Errorf("ordered %+v", o.orders)
	}
	removed, added := 0, 0
	for _, op := range traps {
		switch op.(type) {
		case esp.DelPolicy:
			removed++
		case esp.AddPolicy:
			added++
		}
	}
	if removed != 3 || added != 3 {
		t.Errorf("%d policies removed, %d added: %v", removed, added, traps)
	}
	if len(o.dials) != 1 || o.terminated(sa) {
		t.Error("the IKE SA did not stay")
	}
}

// A child that was added comes up by the IKE SA that is there; one that was removed goes
// alone and is not set up again.
func TestReloadAddAndRemoveChild(t *testing.T) {
	o, sa, _ := reloaded(t, conf.Start, func(c *conf.Connection) {
		more := *c.Children[0]
		more.Name = "more"
		c.Children = append(c.Children, &more)
	})
	o.wait(time.Minute)
	if len(o.orders) != 1 || o.orders[0].IKE != sa || o.orders[0].Event.(ike.Initiate).Child != "more" {
		t.Fatalf("ordered %+v", o.orders)
	}
	o.orders = nil
	o.handle(Load{Config: netsConfig(conf.Start)})
	o.wait(time.Minute)
	if len(o.orders) != 1 || o.orders[0].Event.(ike.Terminate).Child != "more" {
		t.Errorf("ordered %+v", o.orders)
	}
	if len(o.dials) != 1 {
		t.Error("the IKE SA did not stay")
	}
}

// Of 1,000 connections one is changed: the other 999 get no order and no policy, and
// machines that ask find the same connection as before.
func TestReloadTouchesOnlyWhatChanged(t *testing.T) {
	old := manyConnections(1000)
	o := newOffice(t, old)
	next := manyConnections(1000)
	next.Connections[500].ForceEncap = true
	o.orders, o.traps, o.dials, o.tickets = nil, nil, nil, nil
	before := append([]*link(nil), o.s.links...)
	plan := conf.Diff(old, next)
	next = plan.Keep(old, next)
	begun := time.Now()
	o.handle(Load{Config: next})
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it took %s", took)
	}
	for i, l := range o.s.links {
		if (l == before[i]) != (i != 500) || (l.conn == old.Connections[i]) != (i != 500) {
			t.Errorf("connection %d", i)
		}
	}
	for _, ops := range o.traps {
		for _, op := range ops {
			name := ""
			switch op := op.(type) {
			case esp.AddPolicy:
				name = op.Policy.Name
			case esp.DelPolicy:
				name = op.Policy.Name
			}
			if name != "conn500/lan" {
				t.Errorf("policy of %q", name)
			}
		}
	}
	if len(o.traps) != 1 || len(o.orders) > 0 || len(o.tickets) > 1 {
		t.Errorf("%d changes of policies, %d orders, %d searches", len(o.traps), len(o.orders), len(o.tickets))
	}
	for _, change := range plan {
		if want := change.Name == "conn500"; want != (change.Verdict != conf.Unchanged) {
			t.Errorf("%v", change)
		}
	}
}

// netsConfig is siteConfig with networks, so that policies need no addresses.
func netsConfig(b conf.Behavior) *conf.Config {
	c := siteConfig(b)
	host := conf.Selector{First: peerAddr.Addr(), Last: peerAddr.Addr(), PortLast: 65535}
	c.Connections[0].Children[0] = &conf.Child{Name: "lan", Local: []conf.Selector{host}, Remote: []conf.Selector{host}}
	return c
}

func manyConnections(n int) *conf.Config {
	c := netsConfig(conf.OnDemand)
	one := c.Connections[0]
	c.Connections = nil
	for i := range n {
		conn, lan := *one, *one.Children[0]
		conn.Name, conn.Children = fmt.Sprintf("conn%d", i), []*conf.Child{&lan}
		c.Connections = append(c.Connections, &conn)
	}
	return c
}

// A configuration of 1,000 connections with one changed, compared and taken over.
func BenchmarkReload(b *testing.B) {
	old := manyConnections(1000)
	o := &office{outcomes: make(map[uint64]Outcome)}
	o.s = NewSteward(StewardConfig{Seed: 1, FirstID: 1, StepID: 2}, o)
	o.handle(Load{Config: old})
	for i := 0; b.Loop(); i++ {
		next := manyConnections(1000)
		next.Connections[500].RemotePort = uint16(i)
		next = conf.Diff(old, next).Keep(old, next)
		o.handle(Load{Config: next})
		old = next
		o.traps = nil
	}
}
