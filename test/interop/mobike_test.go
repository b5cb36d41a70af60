//go:build linux

package interop

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

var roamedA4 = netip.MustParseAddr("192.0.2.77")

// roamingLink is a link whose end A may get another address.
func roamingLink() link {
	k := newLink()
	k.nat, k.roams = true, true
	k.toml = "dpd_delay = \"30s\"\n"
	return k
}

// restored gives A its outer addresses back when the test is over.
func (w *world) restored(t *testing.T) {
	t.Cleanup(func() {
		w.roam(t, lab.OuterA4)
		if err := w.A.Address("outer", lab.OuterA6.String()+"/64"); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		if out, err := w.A.Run(ctx, "ip", "-6", "route", "replace", "default", "via", "2001:db8:a::1"); err != nil {
			t.Error(err, out)
		}
	})
}

// flush takes A's outer addresses of a family away.
func (w *world) flush(t *testing.T, family string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if out, err := w.A.Run(ctx, "ip", family, "addr", "flush", "dev", "outer"); err != nil {
		t.Fatal(err, out)
	}
}

// roam gives A another outer address in the place of its own.
func (w *world) roam(t *testing.T, to netip.Addr) {
	t.Helper()
	w.flush(t, "-4")
	if err := errors.Join(w.A.Address("outer", to.String()+"/24"), w.A.Default("192.0.2.1")); err != nil {
		t.Fatal(err)
	}
}

// follows waits until the tunnel carries packets, and checks that it is the one that
// it was. A message under way while the address changes is lost; strongSwan repeats its
// own after four seconds.
func (w *world) follows(t *testing.T, atA, atB peer, was, want string, logs func() string) {
	t.Helper()
	if err := w.HostA.Ping(lab.HostA4, lab.HostB4, 2*wait); err != nil {
		t.Fatal(err, logs())
	}
	if err := w.HostB.Ping(lab.HostB4, lab.HostA4, 2*wait); err != nil {
		t.Fatal(err, logs())
	}
	for _, side := range []struct {
		p   peer
		key string
	}{{atA, "local-host"}, {atB, "remote-host"}} {
		if err := lab.Eventually(wait, func() error {
			sa := oneSA(t, side.p, 1)
			if got := sa.Values[side.key]; got != want || sa.Values["initiator-spi"] != was {
				return fmt.Errorf("%T: %s is %s, want %s; initiator's SPI %s, was %s", side.p, side.key, got, want, sa.Values["initiator-spi"], was)
			}
			return nil
		}); err != nil {
			t.Error(err, logs())
		}
	}
}

// A's address changes under traffic, and changes back: the tunnel follows, without
// being set up again, whoever began it.
func TestMOBIKE(t *testing.T) {
	for _, c := range []struct {
		name         string
		swanA, swanB bool
	}{{"goiked moves", false, true}, {"strongSwan moves", true, false}, {"two goiked", false, false}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.restored(t)
			w.flush(t, "-6") // else strongSwan goes over to IPv6, and stays there
			a, b := w.ends(roamingLink())
			a.encap, b.encap = c.swanB, c.swanA
			var atA, atB peer
			if c.swanB {
				b.encap = true // kernel-libipsec knows nothing else
				atB = b.startSwan(t, "")
			} else {
				atB = b.start(t)
			}
			if c.swanA {
				a.encap = true
				atA = a.startSwan(t, "")
			} else {
				atA = a.start(t)
			}
			logs := func() string { return "A: " + last(atA.Log(), 25) + "\nB: " + last(atB.Log(), 25) }
			if err := atA.Up("lan"); err != nil {
				t.Fatal(err, logs())
			}
			spi := oneSA(t, atA, 1).Values["initiator-spi"]
			w.follows(t, atA, atB, spi, lab.OuterA4.String(), logs)
			w.roam(t, roamedA4)
			w.follows(t, atA, atB, spi, roamedA4.String(), logs)
			w.roam(t, lab.OuterA4)
			w.follows(t, atA, atB, spi, lab.OuterA4.String(), logs)
			for p, swan := range map[peer]bool{atA: c.swanA, atB: c.swanB} {
				if n := strings.Count(p.Log(), "moved from "); !swan && n != 2 {
					t.Errorf("goiked says that it moved %d times: %s", n, last(p.Log(), 25))
				}
			}
		})
	}
}

// A NAT appears between the ends when A moves behind it: ESP goes in UDP from then on.
func TestMOBIKEBehindNAT(t *testing.T) {
	w := newWorld(t)
	w.restored(t)
	a, b := w.ends(roamingLink())
	gb, ga := b.start(t), a.start(t)
	logs := func() string { return "A: " + last(ga.Log(), 25) + "\nB: " + last(gb.Log(), 25) }
	if err := ga.Up("lan"); err != nil {
		t.Fatal(err, logs())
	}
	spi := oneSA(t, ga, 1).Values["initiator-spi"]
	w.follows(t, ga, gb, spi, lab.OuterA4.String(), logs)
	if err := w.NAT(); err != nil {
		t.Fatal(err)
	}
	w.roam(t, roamedA4)
	if err := w.HostA.Ping(lab.HostA4, lab.HostB4, 2*wait); err != nil {
		t.Fatal(err, logs())
	}
	if err := lab.Eventually(wait, func() error {
		sa := oneSA(t, gb, 1)
		if sa.Values["remote-host"] != lab.InternetB.String() || sa.Values["nat-remote"] != "yes" || sa.Children[0].Values["encap"] != "yes" || sa.Values["initiator-spi"] != spi {
			return fmt.Errorf("B has %v", sa)
		}
		return nil
	}); err != nil {
		t.Error(err, logs())
	}
}

// Without MOBIKE the tunnel is set up again, in seconds.
func TestAddressLost(t *testing.T) {
	w := newWorld(t)
	w.restored(t)
	k := roamingLink()
	k.behavior, k.toml, k.swan = "start", "mobike = false\n", "mobike = no"
	a, b := w.ends(k)
	b.encap = true
	s := b.startSwan(t, "")
	g := a.start(t)
	if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
		t.Fatal(err, last(g.Log(), 20))
	}
	begun := time.Now()
	w.roam(t, roamedA4)
	logged(t, g, "192.0.2.2 is no longer an address of this host")
	if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
		t.Fatal(err, last(g.Log(), 20), last(s.Log(), 20))
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("%s until packets passed again: %s", took, last(g.Log(), 20))
	}
}
