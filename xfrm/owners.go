//go:build linux

package xfrm

import (
	"slices"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/hostnet"
	"github.com/goike/goike/xfrm/message"
)

// leftoverOwner is the owner of policies that a killed instance has left.
const leftoverOwner = ^uint64(0)

// claimKey names what an owner has claimed: an AddPolicy of the same is a replacement.
type claimKey struct {
	sel   esp.Selector
	dir   esp.Direction
	mark  esp.Mark
	ifID  uint32
	owner uint64
}

// claim is a policy that an owner has added.
type claim struct {
	esp.Policy
	added uint64 // counts up: tells which came last
	keys  []policyKey
}

func (c *claim) leftover() bool { return c.Owner == leftoverOwner }

func claimKeyOf(p *esp.Policy) (claimKey, error) {
	sel, err := normal(p.Sel)
	return claimKey{sel: sel, dir: p.Dir, mark: p.Mark, ifID: p.IfID, owner: p.Owner}, err
}

// entry is a policy of the kernel, or what is to become one.
type entry struct {
	key    policyKey
	claims []*claim        // the one to be in force first
	image  *message.Policy // what the kernel has; nil: nothing
	lead   []hostnet.Route // what that asks of routing
	dirty  bool            // it may differ from what the first claim wants
}

// wanted is the claim that is to be in force, nil if there is none.
func (e *entry) wanted() *claim {
	if len(e.claims) == 0 {
		return nil
	}
	return e.claims[0]
}

// shared tells whether children with different SAs want the same inbound policy, as two
// IKE SAs of a peer do that replace each other: each of their SAs may then bring packets
// for it. They have the same outer addresses, else their policies are not the same.
func (e *entry) shared() bool {
	c := e.wanted()
	if c == nil || e.key.dir == message.Out || c.Action != esp.Protect || c.Owner == 0 {
		return false
	}
	return slices.ContainsFunc(e.claims[1:], func(o *claim) bool {
		return o.Action == esp.Protect && o.Owner != 0 && !o.leftover() && o.ReqID != c.ReqID &&
			o.Proto == c.Proto && o.Mode == c.Mode && o.IPComp == c.IPComp && o.Src == c.Src && o.Dst == c.Dst
	})
}

// table says who wants which policies, and which the kernel has. Owners that want the
// same packets to be treated share one policy of the kernel, so the kernel never sees
// two.
type table struct {
	entries map[policyKey]*entry
	claims  map[claimKey]*claim
	added   uint64
	dirty   []*entry
	// leftovers counts the claims of a killed instance by request ID.
	leftovers map[uint32]int
}

func newTable() *table {
	return &table{
		entries: make(map[policyKey]*entry), claims: make(map[claimKey]*claim), leftovers: make(map[uint32]int),
	}
}

// at is the entry of a key, made if need be.
func (t *table) at(k policyKey) *entry {
	e := t.entries[k]
	if e == nil {
		e = &entry{key: k}
		t.entries[k] = e
	}
	return e
}

// touch notes that the kernel may have to be told something about an entry.
func (t *table) touch(e *entry) {
	if !e.dirty {
		e.dirty = true
		t.dirty = append(t.dirty, e)
	}
}

// add claims for an owner and returns what that had before, if anything.
func (t *table) add(p esp.Policy) (c, old *claim, err error) {
	k, err := claimKeyOf(&p)
	if err != nil {
		return nil, nil, err
	}
	keys, err := keysOf(&p)
	if err != nil {
		return nil, nil, err
	}
	t.added++
	c = &claim{Policy: p, added: t.added, keys: keys}
	old = t.claims[k]
	t.put(k, c)
	return c, old, nil
}

// put makes c the claim of k; nil: it has none any more.
func (t *table) put(k claimKey, c *claim) {
	if old := t.claims[k]; old != nil {
		delete(t.claims, k)
		for _, key := range old.keys {
			e := t.at(key)
			e.claims = slices.DeleteFunc(e.claims, func(x *claim) bool { return x == old })
			t.touch(e)
		}
	}
	if c == nil {
		return
	}
	t.claims[k] = c
	for _, key := range c.keys {
		e := t.at(key)
		e.claims = slices.Insert(e.claims, placeOf(e.claims, c), c)
		t.touch(e)
	}
}

// placeOf is where c belongs: the lowest priority number first, of equal ones that
// added last.
func placeOf(claims []*claim, c *claim) int {
	at := slices.IndexFunc(claims, func(o *claim) bool {
		return o.Priority > c.Priority || o.Priority == c.Priority && o.added < c.added
	})
	if at < 0 {
		return len(claims)
	}
	return at
}

// adopt enters a policy that a killed instance has left.
func (t *table) adopt(k policyKey, m *message.Policy) {
	e := t.at(k)
	e.image = m
	c := &claim{Policy: leftoverPolicy(m), keys: []policyKey{k}}
	e.claims = append(e.claims, c)
	t.leftovers[c.ReqID]++
	t.touch(e)
}

// dropLeftover removes a leftover claim, that in force or one behind it.
func (t *table) dropLeftover(e *entry, c *claim) {
	e.claims = slices.DeleteFunc(e.claims, func(x *claim) bool { return x == c })
	if t.leftovers[c.ReqID]--; t.leftovers[c.ReqID] <= 0 {
		delete(t.leftovers, c.ReqID)
	}
}

// leftoverOf is the leftover claim of an entry, nil if it has none.
func (e *entry) leftoverOf() *claim {
	for _, c := range e.claims {
		if c.leftover() {
			return c
		}
	}
	return nil
}

// take returns the entries that may differ from the kernel, in the order in which they
// came to.
func (t *table) take() []*entry {
	list := t.dirty
	t.dirty = nil
	for _, e := range list {
		e.dirty = false
	}
	return list
}

// forget drops an entry of which nothing is left.
func (t *table) forget(e *entry) {
	if len(e.claims) == 0 && e.image == nil && !e.dirty {
		delete(t.entries, e.key)
	}
}
