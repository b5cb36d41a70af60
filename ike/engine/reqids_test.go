package engine

import (
	"net/netip"
	"testing"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

func trapOp(name string, reqID uint32) esp.AddPolicy {
	return esp.AddPolicy{Policy: esp.Policy{Name: name, ReqID: reqID}}
}

// The first child of a configuration has the request ID of its traps, whoever comes
// while it is there has another, and after it the next one has it again.
func TestReqIDs(t *testing.T) {
	r := newReqIDs()
	r.applied([]esp.Op{trapOp("a/lan", FirstReqID), trapOp("b/lan", FirstReqID+1)})
	sa := func(spi uint32) esp.SAID { return esp.SAID{Dst: ownAddr.Addr(), SPI: spi, Proto: esp.ProtoESP} }
	take := func(spi uint32, q ike.Reserve, want uint32) {
		t.Helper()
		got := r.choose(q)
		if got != want {
			t.Errorf("SPI %d got request ID %x, want %x", spi, got, want)
		}
		r.reserved(sa(spi), got)
	}
	lan := ike.Reserve{Name: "a/lan"}
	take(1, lan, FirstReqID)
	take(2, lan, FirstChildReqID)
	take(3, ike.Reserve{Name: "a/lan", ReqID: FirstReqID}, FirstReqID) // a rekeying of the first
	take(4, ike.Reserve{Name: "unknown/lan"}, FirstChildReqID+1)
	r.applied([]esp.Op{esp.DelSA{ID: sa(1)}})
	take(5, lan, FirstChildReqID+2)
	moved := netip.MustParseAddr("203.0.113.1")
	r.applied([]esp.Op{esp.MoveSA{ID: sa(3), Dst: moved}})
	take(6, lan, FirstChildReqID+3)
	r.applied([]esp.Op{esp.DelSA{ID: esp.SAID{Dst: moved, SPI: 3, Proto: esp.ProtoESP}}, esp.DelSA{ID: sa(99)}})
	take(7, lan, FirstReqID)
	r.applied([]esp.Op{esp.DelPolicy{Policy: trapOp("b/lan", FirstReqID+1).Policy}})
	take(8, ike.Reserve{Name: "b/lan"}, FirstChildReqID+4)
	// A configuration that was loaded again.
	r.applied([]esp.Op{trapOp("a/lan", FirstReqID+2), esp.DelPolicy{Policy: trapOp("a/lan", FirstReqID).Policy}})
	take(9, lan, FirstReqID+2)
	r.applied([]esp.Op{esp.DelSA{ID: sa(9)}})
	// Policies that follow the address of this host.
	r.applied([]esp.Op{trapOp("a/lan", FirstReqID+2), esp.DelPolicy{Policy: trapOp("a/lan", FirstReqID+2).Policy}})
	take(10, lan, FirstReqID+2)
}

// Policies of child SAs, bypasses and drops do not name request IDs.
func TestReqIDsOfTrapsOnly(t *testing.T) {
	r := newReqIDs()
	own, pass := trapOp("a/lan", 7), trapOp("a/lan", 8)
	own.Policy.Owner, pass.Policy.Action = 1, esp.Bypass
	r.applied([]esp.Op{own, pass})
	if got := r.choose(ike.Reserve{Name: "a/lan"}); got != FirstChildReqID {
		t.Errorf("%x", got)
	}
	r.last = LastReqID - 1
	if got := r.choose(ike.Reserve{}); got != FirstChildReqID {
		t.Errorf("after the last one comes %x", got)
	}
}
