package engine

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/goike/goike/ike"
)

func refusedBy(n int, why ike.Refusal) ike.Report {
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)}), ike.Port)
	return ike.Report{Kind: ike.Failed, Conn: "site", Why: &why, SA: &ike.Status{Path: ike.Path{Remote: from}}, Traffic: ike.Traffic{Plain: ike.Packets{Received: uint32(n)}}}
}

// What peers have begun in vain is remembered, like with like, and no more of it than
// there is room for.
func TestRefusals(t *testing.T) {
	var rs refusals
	for i := range 3 {
		rs.remember(ike.Instant(i), refusedBy(1, ike.Refusal{Cause: ike.WrongKey, Subject: ike.SharedKey}))
		rs.remember(ike.Instant(i), refusedBy(1, ike.Refusal{Cause: ike.WrongKey, Subject: ike.PeerIdentity}))
	}
	own := refusedBy(2, ike.Refusal{Cause: ike.NoAnswer})
	own.SA.Initiator = true
	rs.remember(9, own)
	rs.remember(9, refusedBy(2, ike.Refusal{Cause: ike.NoProposal, ByPeer: true}))
	rs.remember(9, ike.Report{Kind: ike.Failed, Conn: "site", Why: &ike.Refusal{Cause: ike.Internal}})
	if len(rs) != 2 || rs[0].Times != 3 || rs[0].At != 2 || rs[0].Why.Subject != ike.SharedKey || rs[1].Path.Remote.Port() != ike.Port || rs[1].Traffic.Plain.Received != 1 {
		t.Fatalf("%+v", rs)
	}
	for n := range 1000 {
		rs.remember(ike.Instant(10+n), refusedBy(1000+n, ike.Refusal{Cause: ike.NoConnection}))
	}
	if len(rs) != mostRefused || rs[mostRefused-1].At != 1009 || rs[0].At != 1010-mostRefused {
		t.Errorf("%d are remembered", len(rs))
	}
}

// A steward tells what was refused, the latest first, and what an attempt has sent.
func TestRefusedOfSteward(t *testing.T) {
	e, _ := start(t, siteConfig(0), upAtOnce)
	defer closeNow(e)
	for n := range 2 {
		e.steward.in.put(Heard{refusedBy(n+1, ike.Refusal{Cause: ike.WrongKey})})
	}
	list := e.Refused(t.Context())
	if len(list) != 2 || fmt.Sprint(list[0].Path.Remote) != "198.51.0.2:500" || list[1].Times != 1 {
		t.Fatalf("%+v", list)
	}
	if got := e.Conns()[0].Traffic.Plain.Received; got != 2 {
		t.Errorf("the connection has received %d messages", got)
	}
}
