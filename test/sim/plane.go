package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// Plane is a data plane without packets of its own: it keeps SAs and policies, and seals
// and opens what it is given (traffic.go).
type Plane struct {
	// Offences are operations that a real plane could not have carried out, or that
	// would have left traffic without protection.
	Offences []string

	reserved map[uint32]bool // SPIs that were handed out and are not in use
	given    map[uint32]bool // SPIs that were ever handed out, by any host
	sas      map[esp.SAID]*held
	added    []*held // in order, those that are gone left out
	policies []rule
	named    map[string]uint32 // request IDs of the configuration's policies, by name
	reqID    uint32            // the last one given to a child
	childID  uint64
	run      int // of the daemon that changes it
	rng      *rand.Rand
}

// held is an SA with what it has carried.
type held struct {
	esp.SA
	carried ike.Instant // when it last did
	used    bool
	run     int
	halves
}

// rule is a policy with the run of the daemon that wants it.
type rule struct {
	esp.Policy
	run int
}

func newPlane(given map[uint32]bool, rng *rand.Rand, lastReqID uint32) *Plane {
	return &Plane{given: given, reserved: make(map[uint32]bool), sas: make(map[esp.SAID]*held), named: make(map[string]uint32), reqID: lastReqID, rng: rng}
}

// alloc draws an SPI or, for IPComp, a CPI of those free for negotiation (RFC 3173). No
// two hosts have the same: those of a daemon that has crashed are still in use elsewhere.
func (p *Plane) alloc(proto esp.Proto) uint32 {
	for {
		spi := 0x100 + p.rng.Uint32N(1<<31)
		if proto == esp.ProtoIPComp {
			spi = 0x100 + p.rng.Uint32N(0xf000-0x100)
		}
		if !p.given[spi] {
			p.given[spi], p.reserved[spi] = true, true
			return spi
		}
	}
}

// reserve answers a Reserve as the engine does: a configured child has the request ID of
// its traps while no other has it.
func (p *Plane) reserve(r ike.Reserve) ike.Reserved {
	if r.ReqID == 0 {
		r.ReqID = p.named[r.Name]
		if r.ReqID == 0 || slices.ContainsFunc(p.added, func(h *held) bool { return h.ReqID == r.ReqID }) {
			p.reqID++
			r.ReqID = p.reqID
		}
	}
	p.childID++
	return ike.Reserved{SPI: p.alloc(r.Proto), ReqID: r.ReqID, ID: p.childID, Beside: p.present(r.Name, r.Src)}
}

// present tells whether there is a child of a name with a peer.
func (p *Plane) present(name string, peer netip.Addr) bool {
	return slices.ContainsFunc(p.policies, func(q rule) bool {
		return q.Dir == esp.In && q.Owner != 0 && q.Name == name && q.Src == peer
	})
}

// keepsAlive tells whether keepalives are sent to a NAT on the way to a peer (RFC 3948,
// 2.3).
func (p *Plane) keepsAlive() bool {
	return slices.ContainsFunc(p.added, func(h *held) bool { return h.Encap != nil && h.Encap.Keepalive })
}

// succeed lets another daemon take over: what it has not touched goes in time.
func (p *Plane) succeed() {
	p.run++
	clear(p.reserved)
	clear(p.named)
}

// stale are the operations that remove what earlier daemons have left.
func (p *Plane) stale() (ops []esp.Op) {
	for _, h := range p.added {
		if h.run < p.run {
			ops = append(ops, esp.DelSA{ID: h.ID})
		}
	}
	for _, r := range p.policies {
		if r.run < p.run {
			ops = append(ops, esp.DelPolicy{Policy: r.Policy})
		}
	}
	return ops
}

func (p *Plane) apply(ops []esp.Op) (err error) {
	for _, op := range ops {
		switch op := op.(type) {
		case esp.AddSA:
			p.addSA(op.SA)
		case esp.AdoptSA:
			if !p.adopt(op.SA) {
				err = errNotHeld
			}
		case esp.DelSA:
			delete(p.reserved, op.ID.SPI)
			if h := p.sas[op.ID]; h != nil {
				delete(p.sas, op.ID)
				p.added = slices.DeleteFunc(p.added, func(x *held) bool { return x == h })
			}
		case esp.MoveSA:
			p.move(op)
		case esp.AddPolicy:
			p.remove(op.Policy)
			p.policies = append(p.policies, rule{op.Policy, p.run})
			if op.Policy.Owner == 0 && op.Policy.Action == esp.Protect {
				p.named[op.Policy.Name] = op.Policy.ReqID
			}
		case esp.DelPolicy:
			p.remove(op.Policy)
			if op.Policy.Owner == 0 {
				delete(p.named, op.Policy.Name)
			}
		}
	}
	return err
}

var errNotHeld = errors.New("no such SA")

func (p *Plane) addSA(sa esp.SA) {
	if p.sas[sa.ID] != nil {
		p.offend("SA %v installed twice", sa.ID)
	}
	// The machine zeroes its keys when it has handed them on.
	sa.EncrKey, sa.IntegKey = slices.Clone(sa.EncrKey), slices.Clone(sa.IntegKey)
	h := &held{SA: sa, run: p.run}
	p.sas[sa.ID] = h
	if sa.Dir == esp.In {
		delete(p.reserved, sa.ID.SPI)
	}
	p.added = append(p.added, h)
}

func (p *Plane) adopt(sa esp.SA) bool {
	h := p.sas[sa.ID]
	if h != nil {
		h.run = p.run
	}
	return h != nil
}

func (p *Plane) move(op esp.MoveSA) {
	h := p.sas[op.ID]
	if h == nil {
		p.offend("SA %v moved that is not there", op.ID)
		return
	}
	delete(p.sas, op.ID)
	h.ID.Dst, h.Src, h.Encap = op.Dst, op.Src, op.Encap
	p.sas[h.ID] = h
}

func (p *Plane) remove(x esp.Policy) {
	p.policies = slices.DeleteFunc(p.policies, func(y rule) bool {
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
	for _, h := range p.added {
		if h.Dir == dir && (h.ID.Proto == esp.ProtoIPComp) == ipcomp {
			out = append(out, h.SA)
		}
	}
	return out
}

// inbound finds an SA that receives by its SPI.
func (p *Plane) inbound(spi uint32, proto esp.Proto) *held {
	for _, h := range p.added {
		if h.Dir == esp.In && h.ID.SPI == spi && h.ID.Proto == proto {
			return h
		}
	}
	return nil
}

// idle is how long ago one of these SAs has carried a packet, negative for never.
func (p *Plane) idle(now ike.Instant, ids []esp.SAID) ike.Idle {
	last := ike.Idle(-1)
	for _, id := range ids {
		h := p.sas[id]
		if h == nil || !h.used {
			continue
		}
		if d := ike.Idle(now.Sub(h.carried)); last < 0 || d < last {
			last = d
		}
	}
	return last
}

// Policies are the policies in force.
func (p *Plane) Policies() []esp.Policy {
	var out []esp.Policy
	for _, r := range p.policies {
		out = append(out, r.Policy)
	}
	return out
}

// policy is the outbound policy in force for a packet, nil for none.
func (p *Plane) policy(f esp.Flow) *esp.Policy { return p.policyOf(esp.Out, f) }

// policyOf is the policy of one direction in force for a packet, nil for none.
func (p *Plane) policyOf(dir esp.Direction, f esp.Flow) *esp.Policy {
	var best *esp.Policy
	for i := range p.policies {
		q := &p.policies[i].Policy
		if q.Dir == dir && (best == nil || q.Priority <= best.Priority) && q.Sel.Matches(f) {
			best = q
		}
	}
	return best
}

// Outbound is the SA of ESP or AH that serves a packet: the newest of the request ID
// and mode of the policy in force. found is false when no policy is for it.
func (p *Plane) Outbound(f esp.Flow) (sa esp.SA, protected, found bool) {
	h, found := p.outbound(f)
	if h == nil {
		return sa, false, found
	}
	return h.SA, true, true
}

func (p *Plane) outbound(f esp.Flow) (sa *held, found bool) {
	best := p.policy(f)
	switch {
	case best == nil:
		return nil, false
	case best.Action != esp.Protect:
		return nil, true
	case best.IPComp: // the IPComp SA has the mode of the policy
		return p.newest(false, best.ReqID, esp.Transport), true
	}
	return p.newest(false, best.ReqID, best.Mode), true
}

// newest is the outbound SA of a request ID and mode that was added last, nil for none.
func (p *Plane) newest(ipcomp bool, reqID uint32, mode esp.Mode) *held {
	for _, h := range slices.Backward(p.added) {
		if h.Dir == esp.Out && h.ReqID == reqID && h.Mode == mode && (h.ID.Proto == esp.ProtoIPComp) == ipcomp {
			return h
		}
	}
	return nil
}
