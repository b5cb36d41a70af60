//go:build linux

package interop

import (
	"errors"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// role says who is what: A initiates.
type role struct {
	name   string
	goikeA bool
	goikeB bool
}

// allRoles are those of goiked; and strongSwan alone, which shows that a test
// asks for no more than strongSwan gives.
var allRoles = []role{{"goiked initiates", true, false}, {"goiked responds", false, true}, {"strongSwan alone", false, false}}

// roles runs a test in all roles.
func roles(t *testing.T, test func(t *testing.T, r role)) {
	for _, r := range allRoles {
		t.Run(r.name, func(t *testing.T) { test(t, r) })
	}
}

// pair starts the daemons of a role at the ends of a link without NAT. strong is
// a strongSwan of the two.
func (w *world) pair(t *testing.T, k link, r role) (a, b peer, strong swan) {
	t.Helper()
	ka, kb := k, k
	ka.encap, kb.encap = !r.goikeA, r.goikeA // strongSwan wants it
	endA, _ := w.ends(ka)
	_, endB := w.ends(kb)
	if r.goikeB {
		b = endB.start(t)
	} else {
		strong = endB.startSwan(t, "")
		b = strong
	}
	if r.goikeA {
		return endA.start(t), b, strong
	}
	strong = endA.startSwan(t, "")
	return strong, b, strong
}

// A second child SA by CREATE_CHILD_SA, asked for by either end of the IKE SA.
func TestSecondChild(t *testing.T) {
	for _, pfs := range []string{"", "-curve25519", "-modp2048"} {
		for _, fromB := range []bool{false, true} {
			name := "PFS" + pfs
			if pfs == "" {
				name = "no PFS"
			}
			if fromB {
				name += ", asked for by the responder"
			}
			t.Run(name, func(t *testing.T) {
				roles(t, func(t *testing.T, r role) { testSecondChild(t, pfs, fromB, r) })
			})
		}
	}
}

func testSecondChild(t *testing.T, pfs string, fromB bool, r role) {
	w := newWorld(t)
	a, b, _ := w.pair(t, newLink().two("aes256gcm16"+pfs), r)
	if err := a.Up("lan"); err != nil {
		t.Fatal(err)
	}
	asks := a
	if fromB {
		asks = b
	}
	if err := asks.Up("lan2"); err != nil {
		t.Fatal(err)
	}
	sa := agree(t, a, b, 2)
	for _, c := range sa.Children {
		want := ""
		if c.Values["name"] == "lan2" {
			want = map[string]string{"": "", "-curve25519": "CURVE_25519", "-modp2048": "MODP_2048"}[pfs]
		}
		if got := c.Values["dh-group"]; got != want {
			t.Errorf("%s: key exchange %q, want %q", c.Values["name"], got, want)
		}
	}
	if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
		t.Error("lan:", err)
	}
	if err := w.HostB.Ping(lab.HostB4b, lab.HostA4b, wait); err != nil {
		t.Error("lan2:", err)
	}
}

// One of two children is taken down; the other one stays.
func TestDeleteOneChild(t *testing.T) {
	roles(t, func(t *testing.T, r role) {
		w := newWorld(t)
		a, b, _ := w.pair(t, newLink().two("aes256gcm16"), r)
		for _, child := range []string{"lan", "lan2"} {
			if err := a.Up(child); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.DownChild("lan2"); err != nil {
			t.Fatal(err)
		}
		if sa := agree(t, a, b, 1); sa.Children[0].Values["name"] != "lan" {
			t.Errorf("the wrong child is left: %v", sa.Children[0])
		}
		if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
			t.Error(err)
		}
	})
}

// strongSwan replaces the child SA and the IKE SA: goiked answers.
func TestStrongSwanRekeys(t *testing.T) {
	for _, what := range []string{"--child lan", "--ike site"} {
		t.Run(strings.Trim(what, "-"), func(t *testing.T) {
			roles(t, func(t *testing.T, r role) { testRekey(t, strings.Fields(what), r) })
		})
	}
}

func testRekey(t *testing.T, what []string, r role) {
	w := newWorld(t)
	a, b, s := w.pair(t, newLink(), r)
	if err := a.Up("lan"); err != nil {
		t.Fatal(err)
	}
	before := agree(t, a, b, 1)
	if out, err := s.Swanctl(append([]string{"--rekey"}, what...)...); err != nil {
		t.Fatal(err, out)
	}
	if err := lab.Eventually(wait, func() error { return replaced(a, before, what[0] == "--ike") }); err != nil {
		t.Fatal(err)
	}
	agree(t, a, b, 1)
	w.carries(t)
}

var errNotYet = errors.New("not replaced yet")

// replaced is nil when the child SA, or the IKE SA, is another than before.
func replaced(p peer, before lab.SA, ike bool) error {
	sas, err := p.SAs()
	if err != nil {
		return err
	}
	if len(sas) != 1 || len(sas[0].Children) != 1 {
		return errNotYet
	}
	now := sas[0]
	sameIKE := now.Values["initiator-spi"] == before.Values["initiator-spi"]
	sameChild := now.Children[0].Values["spi-in"] == before.Children[0].Values["spi-in"]
	if sameIKE == ike || sameChild != ike {
		return errNotYet
	}
	return nil
}
