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
