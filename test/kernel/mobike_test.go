//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// A child in transport mode is for the hosts themselves. When A's address changes it is
// replaced by one for the new address, on the same IKE SA, and so are the policies that
// hold what leaves in the meantime: the capture asserts that nothing leaves in the clear.
func TestMOBIKEInTransportMode(t *testing.T) {
	w := newWorld(t)
	k := newLink("")
	k.children = []child{{name: "lan", mode: "transport", esp: gcm}}
	k.roams, k.behavior = true, "on-demand"
	a, b := w.ends(k)
	s := w.startSwan(t, b)
	g := w.start(t, a)
	logs := func() string { return "A: " + last(g.Log(), 30) + "\nB: " + last(s.Log(), 30) }
	if err := g.Up("lan"); err != nil {
		t.Fatal(err, logs())
	}
	must(t, w.outer4())
	run(t, w.A, "ip", "addr", "flush", "dev", "inner") // else it is tried, too, and taken for a packet in the clear
	was := oneSA(t, g, 1).Values["initiator-spi"]
	to := netip.MustParseAddr("192.0.2.77")
	run(t, w.A, "ip", "-6", "addr", "flush", "dev", "outer")
	run(t, w.A, "ip", "-4", "addr", "flush", "dev", "outer")
	if err := errors.Join(w.A.Address("outer", to.String()+"/24"), w.A.Default("192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	if err := lab.Eventually(wait, func() error {
		for _, p := range policies(t, w.A) {
			if strings.Contains(p.selector, lab.OuterA4.String()+"/") {
				return fmt.Errorf("policy %s of direction %s", p.selector, p.dir)
			}
		}
		for _, st := range states(t, w.A) {
			if st.src != to.String() && st.dst != to.String() {
				return fmt.Errorf("SA %s > %s", st.src, st.dst)
			}
		}
		if sa := oneSA(t, s, 1); sa.Values["remote-host"] != to.String() || sa.Values["initiator-spi"] != was {
			return fmt.Errorf("strongSwan has %v", sa)
		}
		return nil
	}); err != nil {
		t.Fatal(err, logs())
	}
	moved := w.outer4()
	moved.from = to
	must(t, moved)
}
