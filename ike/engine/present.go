package engine

import (
	"net/netip"

	"github.com/goike/goike/esp"
)

// present knows which children are in the data plane, by their inbound policies.
type present struct {
	of    map[uint64]childOfPeer // by unique ID
	count map[childOfPeer]int
}

// childOfPeer is a configured child, "connection/child", with a peer at an address.
type childOfPeer struct {
	name string
	peer netip.Addr
}

func newPresent() *present {
	return &present{of: make(map[uint64]childOfPeer), count: make(map[childOfPeer]int)}
}

// has tells whether a child is there with a peer.
func (p *present) has(name string, peer netip.Addr) bool {
	return p.count[childOfPeer{name, peer.Unmap()}] > 0
}

// applied follows what operations do.
func (p *present) applied(ops []esp.Op) {
	for _, op := range ops {
		switch op := op.(type) {
		case esp.AddPolicy:
			if ofChild(op.Policy) {
				p.forget(op.Policy.Owner)
				c := childOfPeer{op.Policy.Name, op.Policy.Src.Unmap()}
				p.of[op.Policy.Owner] = c
				p.count[c]++
			}
		case esp.DelPolicy:
			if ofChild(op.Policy) {
				p.forget(op.Policy.Owner)
			}
		}
	}
}

// ofChild tells whether a policy is the inbound one of a child SA.
func ofChild(p esp.Policy) bool {
	return p.Dir == esp.In && p.Action == esp.Protect && p.Owner != 0 && p.Owner != excludeOwner
}

func (p *present) forget(owner uint64) {
	c, ok := p.of[owner]
	if !ok {
		return
	}
	delete(p.of, owner)
	if p.count[c]--; p.count[c] <= 0 {
		delete(p.count, c)
	}
}
