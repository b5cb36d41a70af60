package v2

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/goike/goike/ike"
)

// A peer without MOBIKE cannot be told: the tunnel is set up anew, at once.
func TestAddressLostWithoutMOBIKE(t *testing.T) {
	n := newNetwork(t)
	n.a.own = []netip.Addr{addrA}
	a := n.a.dial()
	n.run()
	n.established(1)
	n.a.own = []netip.Addr{addrA, addrA2}
	n.a.roam()
	if a.closed {
		t.Fatal("closed for nothing")
	}
	// While there is no other way the address may come back.
	n.a.own, n.a.routes = nil, nil
	n.a.roam()
	n.a.roam()
	if w := n.a.of(ike.Warning); a.closed || len(w) != 1 || !strings.Contains(w[0].Text, "no way to 198.51.100.2") {
		t.Fatalf("closed %v, warned %v", a.closed, w)
	}
	n.a.routed(addrA, addrB)
	n.a.roam()
	if a.closed {
		t.Fatal("closed, although the address is back")
	}
	n.a.routed(addrA2, addrB)
	n.a.roam()
	d := n.a.of(ike.IKEDown)
	if !a.closed || len(d) != 1 || d[0].Why.Cause != ike.Expired || !strings.Contains(d[0].Text, "192.0.2.1 is no longer an address of this host") {
		t.Errorf("closed %v, %+v", a.closed, d)
	}
	n.a.empty()
}

// Without a route to the peer there is nowhere to move to: the tunnel waits, says so
// once, and moves when there is one.
func TestWaitsForAWay(t *testing.T) {
	n, a, _ := mobile(t)
	n.a.own, n.a.routes = []netip.Addr{addrA2}, nil
	n.a.roam()
	n.a.roam()
	n.run()
	if w := n.a.of(ike.Warning); len(w) != 1 || !strings.Contains(w[0].Text, "no way to 198.51.100.2") || a.path.Local.Addr() != addrA {
		t.Fatalf("path %v, warnings %v", a.path, w)
	}
	n.a.routed(addrA2, addrB)
	n.a.roam()
	n.run()
	n.at(addrA2, addrB, false)
}
