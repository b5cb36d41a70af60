//go:build linux

package interop

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// secondB is another address of the gateway B: what it is redirected to.
var secondB = netip.MustParseAddr("198.51.100.3")

// withSecond gives B its second address while the test runs.
func (w *world) withSecond(t *testing.T) {
	t.Helper()
	change := func(verb string) error {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		_, err := w.B.Run(ctx, "ip", "address", verb, secondB.String()+"/24", "dev", "outer")
		return err
	}
	if err := change("add"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := change("del"); err != nil {
			t.Error(err)
		}
	})
}

// TestRedirect has the responder send the initiator to another gateway: there the tunnel
// comes up, and the old IKE SA goes (RFC 5685, 5).
func TestRedirect(t *testing.T) {
	for _, r := range append(allRoles, role{"goiked at both ends", true, true}) {
		t.Run(r.name, func(t *testing.T) {
			w := newWorld(t)
			w.withSecond(t)
			k := newLink()
			ka, kb := k, k
			ka.encap, kb.encap = !r.goikeA, r.goikeA
			a, _ := w.ends(ka)
			_, b := w.ends(kb)
			var atA, atB peer
			var redirect func(to netip.Addr) (string, error)
			if r.goikeB {
				g := b.startAnywhere(t)
				atB = g
				redirect = func(to netip.Addr) (string, error) {
					out, _, err := g.Ctl("redirect", "--name", "site", "--gateway", to.String())
					return out, err
				}
			} else {
				s := b.startSwanAnywhere(t)
				atB = s
				redirect = func(to netip.Addr) (string, error) {
					return s.Swanctl("--redirect", "--ike", "site", "--gateway", to.String())
				}
			}
			if r.goikeA {
				atA = a.start(t)
			} else {
				atA = a.startSwan(t, "")
			}
			if err := atA.Up("lan"); err != nil {
				t.Fatal(err)
			}
			w.carries(t)
			if out, err := redirect(secondB); err != nil {
				t.Fatal(out, err)
			}
			if err := lab.Eventually(wait, func() error {
				sas, err := atA.SAs()
				if err == nil && (len(sas) != 1 || sas[0].Values["remote-host"] != secondB.String() || len(sas[0].Children) != 1) {
					err = fmt.Errorf("A has %v", sas)
				}
				return err
			}); err != nil {
				t.Fatal(err, last(atA.Log(), 20), last(atB.Log(), 20))
			}
			agree(t, atA, atB, 1)
			w.carries(t)
			if !r.goikeB && !strings.Contains(atB.Log(), "N(REDIR_FROM)") && !strings.Contains(atB.Log(), "redirected from") {
				t.Error(last(atB.Log(), 40))
			}
		})
	}
}

// TestNotRedirected shows that a peer that does not follow redirects is left alone, and
// that who asks is told.
func TestNotRedirected(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	a, b := w.ends(k)
	a.encap = true
	g := b.start(t)
	s := a.startSwan(t, "follow_redirects = no")
	if err := s.Up("lan"); err != nil {
		t.Fatal(err)
	}
	if _, code, err := g.Ctl("redirect", "--peer-ip", "192.0.2.0/24", "--gateway", secondB.String()); code != 1 || !strings.Contains(fmt.Sprint(err), "does not support redirects") {
		t.Errorf("%d %v", code, err)
	}
	if _, code, err := g.Ctl("redirect", "--peer-id", "*.nowhere.org", "--gateway", secondB.String()); code != 1 || !strings.Contains(fmt.Sprint(err), "no matching SAs to redirect") {
		t.Errorf("%d %v", code, err)
	}
	agree(t, s, g, 1)
	w.carries(t)
}

// startAnywhere starts goiked at all addresses of the gateway.
func (e end) startAnywhere(t *testing.T) goike {
	t.Helper()
	config := strings.Replace(e.config(), fmt.Sprintf("local_address = %q\n", e.local), "", 1)
	g, err := lab.StartGoiked(e.at, binaries(t), config, lab.GoikedOptions{})
	if g != nil && g.Process != nil {
		t.Cleanup(func() { g.Stop() })
	}
	if err != nil {
		t.Fatal(err)
	}
	return goike{g}
}

// startSwanAnywhere starts strongSwan at all addresses of the gateway.
func (e end) startSwanAnywhere(t *testing.T) swan {
	t.Helper()
	e.shut(t)
	s, err := lab.StartStrongSwan(e.at, "")
	if s != nil && s.Process != nil {
		t.Cleanup(func() { s.Stop() })
	}
	if err == nil {
		err = s.Load(strings.Replace(e.swanctl(), fmt.Sprintf("local_addrs = %s\n", e.local), "", 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	return swan{s}
}
