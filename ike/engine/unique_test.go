package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
)

// unique_ids: which of two IKE SAs of the same identities stays.
func TestUnique(t *testing.T) {
	for _, c := range []struct {
		policy  conf.UniqueIDs
		contact bool
		ends    uint64 // 0: none
		silent  bool
	}{
		{conf.UniqueReplace, false, 10, false}, {conf.UniqueReplace, true, 10, true}, {conf.UniqueNo, false, 0, false},
		{conf.UniqueNo, true, 10, true}, {conf.UniqueNever, true, 0, false}, {conf.UniqueKeep, false, 12, false}, {conf.UniqueKeep, true, 10, true},
	} {
		t.Run(fmt.Sprint(c.policy, c.contact), func(t *testing.T) {
			cfg := siteConfig(conf.ResponderOnly)
			cfg.UniqueIDs = c.policy
			o := newOffice(t, cfg)
			o.up(10, false, "lan")
			o.wait(time.Minute)
			o.handle(Heard{ike.Report{Kind: ike.IKEUp, Conn: "site", IKE: 12, InitialContact: c.contact, Begun: o.now, SA: &ike.Status{ID: 12, LocalID: o.id, RemoteID: lowID}}})
			if c.ends == 0 {
				if len(o.orders) > 0 {
					t.Errorf("ordered: %+v", o.orders)
				}
				return
			}
			if len(o.orders) != 1 || o.orders[0].IKE != c.ends || o.orders[0].Event.(ike.Terminate).Silent != c.silent {
				t.Errorf("ordered: %+v", o.orders)
			}
		})
	}
}

// Of two IKE SAs that both sides began at the same time, both sides keep that of the
// side with the lower identity, in whatever order they see them come up.
func TestCrossing(t *testing.T) {
	for _, own := range []id.ID{highID, {Kind: id.IPv4, Data: "\x00\x00\x00\x01"}} {
		for _, oursFirst := range []bool{true, false} {
			weLose := own == highID
			o := newOffice(t, siteConfig(conf.Start))
			o.id = own
			ours := o.locate(nil).ID
			o.wait(time.Second)
			if oursFirst {
				o.upSince(0, ours, true, "lan")
				o.wait(time.Second)
				o.upSince(0, 20, false, "lan")
			} else {
				o.upSince(0, 20, false, "lan")
				o.wait(time.Second)
				if !weLose { // otherwise it has been given up
					o.upSince(0, ours, true, "lan")
				}
			}
			loser := uint64(20)
			if weLose {
				loser = ours
			}
			if len(o.orders) != 1 || !o.terminated(loser) {
				t.Fatalf("own identity %s, ours first: %v: ordered %+v", own, oursFirst, o.orders)
			}
			if weLose && !oursFirst {
				o.fail(loser)
			} else {
				o.down(loser, nil)
			}
			o.wait(time.Hour)
			if o.state() != "up" || len(o.dials) != 1 || len(o.s.sas) != 1 {
				t.Errorf("afterwards: %s, %+v", o.state(), o.dials)
			}
		}
	}
}

// A peer that restarts right after an IKE SA has come up is believed.
func TestRestartIsNoCrossing(t *testing.T) {
	for _, own := range []id.ID{highID, {Kind: id.IPv4, Data: "\x00\x00\x00\x01"}} {
		o := newOffice(t, siteConfig(conf.Start))
		o.id = own
		old := o.locate(nil).ID
		o.up(old, true, "lan")
		o.wait(time.Second)
		o.upSince(o.now.Add(-time.Millisecond), 20, false, "lan")
		if len(o.orders) != 1 || !o.terminated(old) {
			t.Errorf("ordered: %+v", o.orders)
		}
	}
}

// crossing brings up two IKE SAs that both sides of a connection began at the same
// time, on one of the sides, and tells which of them it ends: that of its own, or that
// of the peer.
func crossingAt(t *testing.T, policy conf.UniqueIDs, contact bool, own, peer id.ID, oursFirst bool) (ours, theirs bool) {
	cfg := siteConfig(conf.Start)
	cfg.UniqueIDs = policy
	o := newOffice(t, cfg)
	mine := o.locate(nil).ID
	const other = 20
	up := func(ikeID uint64, initiator bool) {
		spi := uint64(1) // of the side with the lower identity
		if initiator != (compareIDs(own, peer) < 0) {
			spi = 2
		}
		st := &ike.Status{ID: ikeID, Conn: "site", Initiator: initiator, SPIi: spi, LocalID: own, RemoteID: peer, Path: testPath}
		o.handle(Heard{ike.Report{Kind: ike.IKEUp, Conn: "site", IKE: ikeID, SA: st, InitialContact: contact}})
	}
	o.wait(time.Second)
	if oursFirst {
		up(mine, true)
		o.wait(time.Second)
		up(other, false)
	} else {
		up(other, false)
		if o.wait(time.Second); !o.terminated(mine) {
			up(mine, true)
		}
	}
	o.wait(time.Minute)
	return o.terminated(mine), o.terminated(other)
}

// Whatever unique_ids says, in whatever order the two sides see two IKE SAs come up
// that have crossed, and whether the answers say INITIAL_CONTACT or not: both sides keep
// the same one, or, where they may, both.
func TestCrossingMatrix(t *testing.T) {
	for _, policy := range []conf.UniqueIDs{conf.UniqueReplace, conf.UniqueNo, conf.UniqueNever, conf.UniqueKeep} {
		for _, contact := range []bool{true, false} {
			one := policy != conf.UniqueNever // each side has begun without knowing of the other, and says so
			for order := range 4 {
				name := fmt.Sprint(policy, " contact ", contact, " order ", order)
				lowOwn, lowPeer := crossingAt(t, policy, contact, lowID, highID, order&1 == 0)
				highOwn, highPeer := crossingAt(t, policy, contact, highID, lowID, order&2 == 0)
				ofLow, ofHigh := lowOwn || highPeer, lowPeer || highOwn
				if ofLow {
					t.Errorf("%s: the IKE SA of the lower identity is ended", name)
				}
				if one && (!lowPeer || !highOwn) {
					t.Errorf("%s: the other one is ended by the lower: %v, by the higher: %v", name, lowPeer, highOwn)
				}
				if !one && ofHigh {
					t.Errorf("%s: ended though both may stay", name)
				}
			}
		}
	}
}
