package plane

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/goike/goike/esp"
)

// policy is a policy that is installed.
type policy struct {
	esp.Policy
	added  uint64   // counts up: tells which came last
	bundle *bundle  // Protect: the SAs that serve it
	asking *acquire // Protect, Out
}

// entry is what is installed for one selector: the policies of its owners, that
// in force first. It is never changed, only replaced.
type entry struct {
	sel    esp.Selector
	dir    esp.Direction
	owners []*policy
}

func (e *entry) inForce() *policy { return e.owners[0] }

// addrs are two addresses, or two masks, as four words; IPv4 lies in the last 32 bits
// of its half.
type addrs [4]uint64

func addrsOf(src, dst netip.Addr) addrs {
	s, d := src.As16(), dst.As16()
	return addrs{
		binary.BigEndian.Uint64(s[:]), binary.BigEndian.Uint64(s[8:]),
		binary.BigEndian.Uint64(d[:]), binary.BigEndian.Uint64(d[8:]),
	}
}

func (a addrs) and(m addrs) addrs {
	return addrs{a[0] & m[0], a[1] & m[1], a[2] & m[2], a[3] & m[3]}
}

// maskOf is the mask of a selector's prefixes.
func maskOf(s esp.Selector) addrs {
	var m addrs
	put := func(words []uint64, p netip.Prefix) {
		n := p.Bits()
		if p.Addr().Is4() {
			n += 96
		}
		words[0] = ^(^uint64(0) >> min(n, 64))
		words[1] = ^(^uint64(0) >> max(n-64, 0))
	}
	put(m[:2], s.Src)
	put(m[2:], s.Dst)
	return m
}

// tuple holds the entries whose prefixes have the same lengths, by address.
type tuple struct {
	v4      bool
	mask    addrs
	lowest  uint32 // no policy in it has a lower priority number
	entries *table[addrs, []*entry]
}

// spd holds the policies of one direction. A packet is looked up once in every
// tuple, of which there are as many as there are pairs of prefix lengths in use; those
// that cannot hold anything better are left out. Readers take no lock; writers
// exclude each other.
type spd struct {
	seed   uint64
	added  uint64
	tuples atomic.Pointer[[]*tuple] // by lowest
}

func newSPD(seed uint64) *spd {
	s := &spd{seed: seed}
	s.tuples.Store(new([]*tuple))
	return s
}

// lookup finds the entry for a flow: that of the lowest priority number, then of the
// longest prefixes, then with a protocol, then of the fewest ports.
func (s *spd) lookup(f esp.Flow) *entry {
	at, v4 := addrsOf(f.Src, f.Dst), f.Src.Is4()
	var best *entry
	for _, t := range *s.tuples.Load() {
		if best != nil && best.inForce().Priority < t.lowest {
			break
		}
		if t.v4 != v4 {
			continue
		}
		list, _ := t.entries.get(at.and(t.mask))
		for _, e := range list {
			if e.sel.Matches(f) {
				if best == nil || compare(e, best) < 0 {
					best = e
				}
				break
			}
		}
	}
	return best
}

// compare orders entries: which one comes first for a packet that both match.
func compare(a, b *entry) int {
	return cmp.Or(
		cmp.Compare(a.inForce().Priority, b.inForce().Priority),
		cmp.Compare(b.sel.Src.Bits()+b.sel.Dst.Bits(), a.sel.Src.Bits()+a.sel.Dst.Bits()),
		cmp.Compare(b.sel.Dst.Bits(), a.sel.Dst.Bits()),
		cmp.Compare(anyProto(a.sel), anyProto(b.sel)),
		cmp.Compare(ports(a.sel), ports(b.sel)),
		cmp.Compare(a.inForce().added, b.inForce().added),
	)
}

func anyProto(s esp.Selector) int {
	if s.Proto == 0 {
		return 1
	}
	return 0
}

// ports is how many pairs of ports a selector matches.
func ports(s esp.Selector) uint64 {
	width := func(r esp.PortRange) uint64 { return uint64(r.Last) - uint64(r.First) + 1 }
	return width(s.SrcPorts) * width(s.DstPorts)
}

// add installs a policy and returns that which it replaces, if any.
func (s *spd) add(pol *policy) (old *policy) {
	s.added++
	pol.added = s.added
	t := s.tuple(&pol.Policy)
	key := addrsOf(pol.Sel.Src.Addr(), pol.Sel.Dst.Addr())
	list, _ := t.entries.get(key)
	e := &entry{sel: pol.Sel, dir: pol.Dir}
	if i := indexOf(list, &pol.Policy); i >= 0 {
		e.owners = list[i].owners
	}
	e.owners, old = stacked(e.owners, pol)
	t.put(key, list, e)
	if e.inForce().Priority < t.lowest {
		s.lower(t, e.inForce().Priority)
	}
	return old
}

// del removes the policy of the same selector and owner and returns it.
func (s *spd) del(want *esp.Policy) (old *policy) {
	mask, v4 := maskOf(want.Sel), want.Sel.Src.Addr().Is4()
	tuples := *s.tuples.Load()
	i := slices.IndexFunc(tuples, func(t *tuple) bool { return t.v4 == v4 && t.mask == mask })
	if i < 0 {
		return nil
	}
	t, key := tuples[i], addrsOf(want.Sel.Src.Addr(), want.Sel.Dst.Addr())
	list, _ := t.entries.get(key)
	at := indexOf(list, want)
	if at < 0 {
		return nil
	}
	e := &entry{sel: list[at].sel, dir: list[at].dir}
	if e.owners, old = unstacked(list[at].owners, want.Owner); old == nil {
		return nil
	}
	t.put(key, list, e)
	if t.entries.n == 0 {
		left := slices.Delete(slices.Clone(tuples), i, i+1)
		s.tuples.Store(&left)
	}
	return old
}

// tuple finds the tuple for a policy, or makes it.
func (s *spd) tuple(pol *esp.Policy) *tuple {
	mask, v4 := maskOf(pol.Sel), pol.Sel.Src.Addr().Is4()
	tuples := *s.tuples.Load()
	for _, t := range tuples {
		if t.v4 == v4 && t.mask == mask {
			return t
		}
	}
	t := &tuple{v4: v4, mask: mask, lowest: pol.Priority}
	t.entries = newTable[addrs, []*entry](func(a addrs) uint64 { return mix(s.seed, a[0], a[1], a[2], a[3]) })
	s.publish(append(slices.Clone(tuples), t))
	return t
}

// lower notes that t now holds a policy of a lower priority number. Readers may
// see t itself, so it is replaced by a copy.
func (s *spd) lower(t *tuple, priority uint32) {
	tuples := slices.Clone(*s.tuples.Load())
	lowered := *t
	lowered.lowest = priority
	tuples[slices.Index(tuples, t)] = &lowered
	s.publish(tuples)
}

func (s *spd) publish(tuples []*tuple) {
	slices.SortStableFunc(tuples, func(a, b *tuple) int { return cmp.Compare(a.lowest, b.lowest) })
	s.tuples.Store(&tuples)
}

// put replaces the entry of a selector in a list; one without owners goes.
func (t *tuple) put(key addrs, list []*entry, e *entry) {
	fresh := make([]*entry, 0, len(list)+1)
	for _, other := range list {
		if other.sel != e.sel || other.dir != e.dir {
			fresh = append(fresh, other)
		}
	}
	if len(e.owners) > 0 {
		fresh = append(fresh, e)
		slices.SortFunc(fresh, compare)
	}
	if len(fresh) == 0 {
		t.entries.del(key)
		return
	}
	t.entries.set(key, fresh)
}

func indexOf(list []*entry, pol *esp.Policy) int {
	return slices.IndexFunc(list, func(e *entry) bool { return e.sel == pol.Sel && e.dir == pol.Dir })
}

// stacked returns the owners with pol among them: the lowest priority number first,
// of equal ones that added last.
func stacked(owners []*policy, pol *policy) (with []*policy, old *policy) {
	with, old = unstacked(owners, pol.Owner)
	at := slices.IndexFunc(with, func(o *policy) bool { return o.Priority >= pol.Priority })
	if at < 0 {
		at = len(with)
	}
	return slices.Insert(with, at, pol), old
}

func unstacked(owners []*policy, owner uint64) (without []*policy, old *policy) {
	for _, o := range owners {
		if o.Owner == owner {
			old = o
		} else {
			without = append(without, o)
		}
	}
	return without, old
}

// normal makes selectors of the same meaning equal, and is false for one that is
// nonsense.
func normal(s esp.Selector) (esp.Selector, bool) {
	s.Src, s.Dst = unmapped(s.Src), unmapped(s.Dst)
	ok := s.Src.IsValid() && s.Dst.IsValid() && s.Src.Addr().Is4() == s.Dst.Addr().Is4() &&
		s.SrcPorts.First <= s.SrcPorts.Last && s.DstPorts.First <= s.DstPorts.Last
	return s, ok
}

func unmapped(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// fullLength is the prefix of one address.
func fullLength(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// seedOf makes a hash seed of 8 random octets; it is odd, so that it mixes.
func seedOf(b []byte) uint64 { return bits.RotateLeft64(binary.LittleEndian.Uint64(b), 7) | 1 }
