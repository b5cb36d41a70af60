package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// Plane is a data plane that only keeps the books.
type Plane struct {
	// Offences are operations that a real plane could not have carried out, or that
	// would have left traffic without protection.
	Offences []string

	reserved map[uint32]bool // SPIs that were handed out and are not in use
	sas      map[esp.SAID]esp.SA
	added    []esp.SAID // in order, those that are gone left out
	policies []esp.Policy
	rng      *rand.Rand
	carried  map[esp.SAID]ike.Instant // when, by inbound SA
}

// alloc draws an SPI or, for IPComp, a CPI of those free for negotiation (RFC 3173).
func (p *Plane) alloc(proto esp.Proto) uint32 {
	spi := 0x100 + p.rng.Uint32N(1<<31)
	if proto == esp.ProtoIPComp {
		spi = 0x100 + p.rng.Uint32N(0xf000-0x100)
	}
	p.reserved[spi] = true
	return spi
}

// keepsAlive tells whether keepalives are sent to a NAT (RFC 3948, 2.3).
func (p *Plane) keepsAlive() bool {
	for _, sa := range p.sas {
		if sa.Encap != nil && sa.Encap.Keepalive {
			return true
		}
	}
	return false
}

func (p *Plane) apply(ops []esp.Op) {
	for _, op := range ops {
		switch op := op.(type) {
		case esp.AddSA:
			p.addSA(op.SA)
		case esp.AdoptSA:
			if _, held := p.sas[op.SA.ID]; !held {
				p.offend("SA %v taken over that is not there", op.SA.ID)
			}
		case esp.DelSA:
			delete(p.sas, op.ID)
			delete(p.carried, op.ID)
			delete(p.reserved, op.ID.SPI)
			p.added = slices.DeleteFunc(p.added, func(id esp.SAID) bool { return id == op.ID })
		case esp.MoveSA:
			p.move(op)
		case esp.AddPolicy:
			p.remove(op.Policy)
			p.policies = append(p.policies, op.Policy)
		case esp.DelPolicy:
			p.remove(op.Policy)
		}
	}
}

func (p *Plane) addSA(sa esp.SA) {
	if _, there := p.sas[sa.ID]; there {
		p.offend("SA %v installed twice", sa.ID)
	}
	// The machine zeroes its keys when it has handed them on.
	sa.EncrKey, sa.IntegKey = slices.Clone(sa.EncrKey), slices.Clone(sa.IntegKey)
	p.sas[sa.ID] = sa
	if sa.Dir == esp.In {
		delete(p.reserved, sa.ID.SPI)
	}
	p.added = append(p.added, sa.ID)
}

func (p *Plane) move(op esp.MoveSA) {
	sa, ok := p.sas[op.ID]
	if !ok {
		p.offend("SA %v moved that is not there", op.ID)
		return
	}
	delete(p.sas, op.ID)
	sa.ID.Dst, sa.Src, sa.Encap = op.Dst, op.Src, op.Encap
	p.sas[sa.ID] = sa
	for i, id := range p.added {
		if id == op.ID {
			p.added[i] = sa.ID
		}
	}
}

func (p *Plane) remove(x esp.Policy) {
	p.policies = slices.DeleteFunc(p.policies, func(y esp.Policy) bool {
		return x.Sel == y.Sel && x.Dir == y.Dir && x.Mark == y.Mark && x.IfID == y.IfID && x.Owner == y.Owner
	})
}

func (p *Plane) offend(format string, args ...any) {
	p.Offences = append(p.Offences, fmt.Sprintf(format, args...))
}

// SAs are the SAs of ESP and AH of one direction, in the order in which they were added.
func (p *Plane) SAs(dir esp.Direction) []esp.SA { return p.list(dir, false) }

// Compressing are those of IPComp.
func (p *Plane) Compressing(dir esp.Direction) []esp.SA { return p.list(dir, true) }

func (p *Plane) list(dir esp.Direction, ipcomp bool) []esp.SA {
	var out []esp.SA
	for _, id := range p.added {
		if sa := p.sas[id]; sa.Dir == dir && (id.Proto == esp.ProtoIPComp) == ipcomp {
			out = append(out, sa)
		}
	}
	return out
}

// idle is how long ago one of these SAs has carried a packet, as Carried tells.
func (p *Plane) idle(now ike.Instant, ids []esp.SAID) ike.Idle {
	last := ike.Idle(-1)
	for _, id := range ids {
		at, ok := p.carried[id]
		if d := ike.Idle(now.Sub(at)); ok && (last < 0 || d < last) {
			last = d
		}
	}
	return last
}

// Carried tells that an inbound SA has carried a packet.
func (p *Plane) Carried(now ike.Instant, id esp.SAID) {
	if p.carried == nil {
		p.carried = make(map[esp.SAID]ike.Instant)
	}
	p.carried[id] = now
}

// Policies are the policies in force.
func (p *Plane) Policies() []esp.Policy { return p.policies }

// present tells whether there is a child of a name with a peer.
func (p *Plane) present(name string, peer netip.Addr) bool {
	return slices.ContainsFunc(p.policies, func(q esp.Policy) bool {
		return q.Dir == esp.In && q.Owner != 0 && q.Name == name && q.Src == peer
	})
}

// policy is the outbound policy in force for a packet, nil for none.
func (p *Plane) policy(f esp.Flow) *esp.Policy {
	var best *esp.Policy
	for i := range p.policies {
		q := &p.policies[i]
		if q.Dir == esp.Out && q.Sel.Matches(f) && (best == nil || q.Priority <= best.Priority) {
			best = q
		}
	}
	return best
}

// Outbound is the SA of ESP or AH that serves a packet: the newest of the request ID
// and mode of the policy in force. found is false when no policy is for it.
func (p *Plane) Outbound(f esp.Flow) (sa esp.SA, protected, found bool) {
	best := p.policy(f)
	if best == nil {
		return sa, false, false
	}
	mode := best.Mode
	if best.IPComp {
		mode = esp.Transport // the IPComp SA has that of the policy
	}
	sa, protected = newest(p.SAs(esp.Out), best.ReqID, mode)
	return sa, protected && best.Action == esp.Protect, true
}

func newest(sas []esp.SA, reqID uint32, mode esp.Mode) (sa esp.SA, ok bool) {
	for _, x := range sas {
		if x.ReqID == reqID && x.Mode == mode {
			sa, ok = x, true
		}
	}
	return sa, ok
}
