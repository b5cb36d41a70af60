//go:build linux

package interop

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/goike/goike/test/lab"
)

var roamedB4 = netip.MustParseAddr("198.51.100.77")

// makes are who is at A and at B: strongSwan or goiked.
var makes = []struct {
	name         string
	swanA, swanB bool
}{{"goiked to strongSwan", false, true}, {"strongSwan to goiked", true, false}, {"two goiked", false, false}}

// launch starts what is at either end.
func launch(t *testing.T, a, b end, swanA, swanB bool) (atA, atB peer, logs func() string) {
	t.Helper()
	a.encap, b.encap = swanA || swanB, swanA || swanB // kernel-libipsec knows nothing else
	begin := func(e end, isSwan bool) peer {
		if isSwan {
			return e.startSwan(t, "")
		}
		return e.start(t)
	}
	atB = begin(b, swanB)
	atA = begin(a, swanA)
	return atA, atB, func() string { return "A: " + last(atA.Log(), 40) + "\nB: " + last(atB.Log(), 40) }
}

// wherever waits until both ends say that the tunnel goes between two addresses, and is
// the one that it was.
func wherever(t *testing.T, atA, atB peer, spi string, a, b netip.Addr, logs func() string) {
	t.Helper()
	for _, side := range []struct {
		p             peer
		local, remote netip.Addr
	}{{atA, a, b}, {atB, b, a}} {
		if err := lab.Eventually(wait, func() error {
			v := oneSA(t, side.p, 1).Values
			if v["local-host"] != side.local.String() || v["remote-host"] != side.remote.String() || v["initiator-spi"] != spi {
				return fmt.Errorf("%T: the tunnel goes from %s to %s, want %s to %s; initiator's SPI %s, was %s",
					side.p, v["local-host"], v["remote-host"], side.local, side.remote, v["initiator-spi"], spi)
			}
			return nil
		}); err != nil {
			t.Fatal(err, logs())
		}
	}
}

// Both ends have an address of either family. When IPv4 is silent the tunnel goes over
// to IPv6, and back when that is silent. (strongSwan does not look for another path as
// long as its routes choose the one in use.)
func TestMOBIKELeavesASilentPath(t *testing.T) {
	for _, c := range makes {
		if c.swanA {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			t.Cleanup(func() {
				if err := w.Open(); err != nil {
					t.Error(err)
				}
			})
			k := newLink()
			k.nat, k.roams, k.toml = true, true, "dpd_delay = \"5s\"\n"
			k.daemon = "[retransmit]\ntimeout = \"1s\"\n"
			a, b := w.ends(k)
			atA, atB, logs := launch(t, a, b, c.swanA, c.swanB)
			if err := atA.Up("lan"); err != nil {
				t.Fatal(err, logs())
			}
			spi := oneSA(t, atA, 1).Values["initiator-spi"]
			wherever(t, atA, atB, spi, lab.OuterA4, lab.OuterB4, logs)
			for _, cut := range []struct {
				family string
				a, b   netip.Addr
			}{{"ipv4", lab.OuterA6, lab.OuterB6}, {"ipv6", lab.OuterA4, lab.OuterB4}} {
				if err := w.Drop("meta nfproto " + cut.family); err != nil {
					t.Fatal(err)
				}
				if err := w.HostA.Ping(lab.HostA4, lab.HostB4, 6*wait); err != nil {
					t.Fatal(cut.family, err, logs())
				}
				wherever(t, atA, atB, spi, cut.a, cut.b, logs)
				w.carries(t)
			}
		})
	}
}

// The responder's address changes, and changes back: it tells the initiator, which goes
// after it.
func TestMOBIKEOfTheResponder(t *testing.T) {
	for _, c := range makes {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			ip := func(args ...string) {
				t.Helper()
				ctx, cancel := context.WithTimeout(context.Background(), wait)
				defer cancel()
				if out, err := w.B.Run(ctx, append([]string{"ip"}, args...)...); err != nil {
					t.Error(err, out)
				}
			}
			moveB := func(to netip.Addr) {
				t.Helper()
				ip("-4", "addr", "flush", "dev", "outer")
				if err := errors.Join(w.B.Address("outer", to.String()+"/24"), w.B.Default("198.51.100.1")); err != nil {
					t.Error(err)
				}
			}
			ip("-6", "addr", "flush", "dev", "outer") // IPv4 is all there is
			t.Cleanup(func() {
				moveB(lab.OuterB4)
				if err := w.B.Address("outer", lab.OuterB6.String()+"/64"); err != nil {
					t.Error(err)
				}
				ip("-6", "route", "replace", "default", "via", "2001:db8:b::1")
			})
			k := newLink()
			k.nat, k.roams, k.toml = true, true, "dpd_delay = \"30s\"\n"
			a, b := w.ends(k)
			atA, atB, logs := launch(t, a, b, c.swanA, c.swanB)
			if err := atA.Up("lan"); err != nil {
				t.Fatal(err, logs())
			}
			spi := oneSA(t, atA, 1).Values["initiator-spi"]
			for _, to := range []netip.Addr{roamedB4, lab.OuterB4} {
				moveB(to)
				wherever(t, atA, atB, spi, lab.OuterA4, to, logs)
				if err := errors.Join(w.HostA.Ping(lab.HostA4, lab.HostB4, wait), w.HostB.Ping(lab.HostB4, lab.HostA4, wait)); err != nil {
					t.Fatal(err, logs())
				}
			}
		})
	}
}
