package child

import (
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
)

// Adopt returns the operations by which a data plane takes over a child that it holds
// since before: its SAs, and its policies. It is the counterpart of Install for a child
// that was carried over from another process.
func (c *SA) Adopt() []esp.Op {
	ops := c.adoptSAs(nil, esp.In)
	want := func(d esp.Direction) bool { return d != esp.Out }
	if c.Waiting == nil && !c.Behind {
		ops = c.adoptSAs(ops, esp.Out)
		want = anyDirection
	}
	policies, err := c.policies()
	if err != nil {
		return ops
	}
	return appendPolicies(ops, policies, want)
}

func (c *SA) adoptSAs(ops []esp.Op, dir esp.Direction) []esp.Op {
	for _, op := range c.appendSAs(nil, dir, Keys{}) {
		ops = append(ops, esp.AdoptSA{SA: op.(esp.AddSA).SA})
	}
	return ops
}

// AdoptLate returns the operations by which a data plane takes over what Replaced has
// left for later: inbound SAs with a request ID.
func AdoptLate(later []esp.Op, reqID uint32) []esp.Op {
	var ops []esp.Op
	for _, op := range later {
		if del, ok := op.(esp.DelSA); ok {
			ops = append(ops, esp.AdoptSA{SA: esp.SA{ID: del.ID, Dir: esp.In, ReqID: reqID}})
		}
	}
	return ops
}

// KeysFit tells whether keys are as long as a suite has them.
func KeysFit(k Keys, s crypto.Suite) bool {
	return len(k.Encr) == crypto.KeyLen(s.Encr) && len(k.Integ) == crypto.KeyLen(s.Integ)
}
