package engine

import (
	"testing"

	"github.com/goike/goike/esp"
)

// A child is present from its first inbound policy on until they are removed, at the
// address where its peer is.
func TestPresent(t *testing.T) {
	p := newPresent()
	in := esp.Policy{Name: "a/lan", Dir: esp.In, Owner: 7, Src: peerAddr.Addr(), Dst: ownAddr.Addr()}
	out, trap, pass := in, in, in
	out.Dir, trap.Owner, pass.Action = esp.Out, 0, esp.Bypass
	p.applied([]esp.Op{esp.AddPolicy{Policy: out}, esp.AddPolicy{Policy: trap}, esp.AddPolicy{Policy: pass}})
	if p.has("a/lan", peerAddr.Addr()) {
		t.Error("what is no child is one")
	}
	other := in
	other.Owner = 8
	p.applied([]esp.Op{esp.AddPolicy{Policy: in}, esp.AddPolicy{Policy: in}, esp.AddPolicy{Policy: other}})
	if !p.has("a/lan", peerAddr.Addr()) || p.has("a/lan", ownAddr.Addr()) || p.has("b/lan", peerAddr.Addr()) {
		t.Errorf("%+v", p)
	}
	moved := in
	moved.Src = ownAddr.Addr()
	p.applied([]esp.Op{esp.AddPolicy{Policy: moved}, esp.DelPolicy{Policy: other}})
	if p.has("a/lan", peerAddr.Addr()) || !p.has("a/lan", ownAddr.Addr()) {
		t.Errorf("moved: %+v", p)
	}
	p.applied([]esp.Op{esp.DelPolicy{Policy: moved}, esp.DelPolicy{Policy: moved}})
	if len(p.of)+len(p.count) != 0 {
		t.Errorf("left: %+v", p)
	}
}
