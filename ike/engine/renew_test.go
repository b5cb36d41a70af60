package engine

import (
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

func (o *office) reauthDue(ikeID uint64) {
	o.handle(Heard{ike.Report{Kind: ike.ReauthDue, Conn: "site", IKE: ikeID}})
}

// The new IKE SA has everything before the old one is ended, under every unique_ids.
func TestMakeBeforeBreak(t *testing.T) {
	for _, policy := range []conf.UniqueIDs{conf.UniqueReplace, conf.UniqueNo, conf.UniqueNever, conf.UniqueKeep} {
		t.Run(policy.String(), func(t *testing.T) {
			cfg := twoChildren(conf.Start)
			cfg.UniqueIDs = policy
			o := newOffice(t, cfg)
			old := o.locate(nil).ID
			o.both(old, true)
			o.wait(time.Hour)
			o.reauthDue(old)
			d := o.locate(nil)
			if firsts(d) != "lan voice" || d.InitialContact {
				t.Fatalf("%+v", d)
			}
			if o.state() != "connecting" {
				t.Error(o.state())
			}
			o.reauthDue(old)
			o.up(d.ID, true, "lan")
			o.wait(2 * overlap)
			if o.terminated(old) || o.terminated(d.ID) {
				t.Fatalf("too early: %+v", o.orders)
			}
			o.childUp(d.ID, "voice")
			if !o.terminated(old) || o.terminated(d.ID) {
				t.Fatalf("%+v", o.orders)
			}
			o.lose(old, ike.Terminated)
			o.wait(time.Hour)
			if o.state() != "up" || len(o.dials) != 2 || len(o.s.sas) != 1 || o.s.byName["site"].leaving != 0 {
				t.Errorf("%s, %+v", o.state(), o.dials)
			}
		})
	}
}

// An IKE SA that cannot be replaced stays; its end begins another series of tries.
func TestMakeBeforeBreakFails(t *testing.T) {
	o := newOffice(t, twoChildren(conf.OnDemand))
	old := uint64(10)
	o.both(old, false)
	o.wait(time.Hour)
	o.reauthDue(old)
	for range 3 {
		for len(o.tickets) == 0 {
			o.wait(time.Second)
		}
		d := o.locate(nil)
		if firsts(d) != "lan voice" {
			t.Fatalf("%+v", d)
		}
		o.fail(d.ID)
	}
	o.wait(time.Hour)
	if o.state() != "up" || o.terminated(old) || len(o.tickets) > 0 || !o.s.Conns()[0].GivenUp {
		t.Fatalf("%s, %+v", o.state(), o.s.Conns())
	}
	o.lose(old, ike.Expired)
	o.wait(0)
	if d := o.locate(nil); firsts(d) != "lan voice" || !d.InitialContact || o.s.Conns()[0].Try != 1 {
		t.Errorf("%+v", d)
	}
}

// An IKE SA that goes before another has taken its place is replaced all the same, and
// one that nobody here wants is not.
func TestMakeBeforeBreakComesLate(t *testing.T) {
	o := newOffice(t, twoChildren(conf.OnDemand))
	o.both(10, false)
	o.reauthDue(10)
	o.lose(10, ike.NoAnswer)
	d := o.locate(nil)
	if firsts(d) != "lan voice" || !d.InitialContact {
		t.Fatalf("%+v", d)
	}
	o.both(d.ID, true)
	if o.state() != "up" || len(o.orders) > 0 {
		t.Errorf("%s, %+v", o.state(), o.orders)
	}
	cfg := twoChildren(conf.ResponderOnly)
	cfg.Connections[0].Gateways = conf.Gateways{{Any: true}}
	o = newOffice(t, cfg)
	o.both(10, false)
	o.reauthDue(10)
	if len(o.tickets) > 0 || o.state() != "up" {
		t.Errorf("a peer without an address is looked for: %s", o.state())
	}
}

// upFrom tells that an IKE SA of the peer is up, from one of its ports.
func (o *office) upFrom(ikeID uint64, path ike.Path, contact bool) {
	st := &ike.Status{ID: ikeID, Conn: "site", SPIi: ikeID, LocalID: o.id, RemoteID: lowID, Path: path}
	o.handle(Heard{ike.Report{Kind: ike.IKEUp, Conn: "site", IKE: ikeID, SA: st, Path: path, Begun: o.now, InitialContact: contact}})
}

// A peer that authenticates again, and replaces its IKE SA by that, gets the time to set
// up its tunnels.
func TestPeerReauthenticates(t *testing.T) {
	elsewhere := testPath
	elsewhere.Remote = ownAddr
	for _, policy := range []conf.UniqueIDs{conf.UniqueReplace, conf.UniqueNo, conf.UniqueNever, conf.UniqueKeep} {
		t.Run(policy.String(), func(t *testing.T) {
			cfg := twoChildren(conf.ResponderOnly)
			cfg.UniqueIDs = policy
			begin := func(path ike.Path) *office {
				o := newOffice(t, cfg)
				o.upFrom(10, testPath, true)
				o.wait(time.Hour)
				o.upFrom(12, path, false)
				return o
			}
			ends := policy == conf.UniqueReplace || policy == conf.UniqueKeep

			o := begin(testPath)
			o.wait(overlap - time.Second)
			if len(o.orders) > 0 {
				t.Fatalf("ended too early: %+v", o.orders)
			}
			o.wait(2 * time.Second)
			if o.terminated(10) != ends || o.terminated(12) {
				t.Errorf("after the overlap: %+v", o.orders)
			}

			o = begin(testPath)
			o.down(10, nil) // by the peer, as it should be
			o.wait(time.Hour)
			if len(o.orders) > 0 {
				t.Errorf("ended what is new: %+v", o.orders)
			}

			o = begin(testPath)
			o.down(12, nil)
			o.wait(time.Hour)
			if len(o.orders) > 0 {
				t.Errorf("ended what was not replaced: %+v", o.orders)
			}

			o = begin(testPath)
			o.handle(Heard{ike.Report{Kind: ike.IKERekeyed, Conn: "site", IKE: 10, NewID: 14}})
			o.wait(time.Minute)
			if o.terminated(14) != ends || o.terminated(12) {
				t.Errorf("after a rekeying: %+v", o.orders)
			}

			o = begin(elsewhere) // another host
			if o.terminated(10) != (policy == conf.UniqueReplace) || o.terminated(12) != (policy == conf.UniqueKeep) {
				t.Errorf("from elsewhere: %+v", o.orders)
			}
		})
	}
}

// An attempt at another IKE SA ends when the peer of the silent one answers after all.
func TestPeerLivesAfterAll(t *testing.T) {
	o := newOffice(t, siteConfig(conf.Start))
	sa := o.locate(nil).ID
	o.up(sa, true, "lan")
	o.tickets, o.orders = nil, nil
	o.handle(Heard{ike.Report{Kind: ike.ReauthDue, Conn: "site", IKE: sa}})
	other := o.locate(nil).ID
	o.handle(Heard{ike.Report{Kind: ike.PeerLives, Conn: "site", IKE: sa}})
	if len(o.orders) != 1 || o.orders[0].IKE != other {
		t.Fatalf("orders %+v", o.orders)
	}
	if _, ok := o.orders[0].Event.(ike.Terminate); !ok {
		t.Errorf("it was given %+v", o.orders[0].Event)
	}
	o.handle(Heard{ike.Report{Kind: ike.Failed, Conn: "site", IKE: other, Why: &ike.Refusal{Cause: ike.Terminated}}})
	o.wait(time.Hour)
	if c := o.s.Conns()[0]; c.State != "up" || len(o.s.sas) != 1 || len(o.orders) != 1 {
		t.Errorf("%+v, %d IKE SAs, orders %+v", c, len(o.s.sas), o.orders)
	}
}
