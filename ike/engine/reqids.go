package engine

import (
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// The request IDs of this daemon are in a range of their own, so that leftovers of
// a crash can be told from what others have installed: first those of configured
// children, then those of child SAs that need one of their own. The last one is for
// what a data plane needs besides.
const (
	FirstReqID      = 0x4000_0000
	FirstChildReqID = 0x4100_0000
	LastReqID       = 0x4fff_ffff
)

// reqIDs gives request IDs to child SAs. One of a configured child has that of its
// trap policies, so that it stays the same for as long as the configuration does;
// where several peers share a configuration only the first can have it, and the
// others get new ones, so that no SA serves another peer's policies.
type reqIDs struct {
	last  uint32              // given to child SAs
	named map[string]uint32   // of trap policies, by "connection/child"
	of    map[uint32]string   // the same, turned round
	held  map[esp.SAID]uint32 // inbound SAs, and SPIs, that have one of those
	count map[uint32]int      // of held
}

func newReqIDs() *reqIDs {
	return &reqIDs{
		last: FirstChildReqID - 1, named: make(map[string]uint32), of: make(map[uint32]string),
		held: make(map[esp.SAID]uint32), count: make(map[uint32]int),
	}
}

// choose is the request ID for a reservation.
func (r *reqIDs) choose(q ike.Reserve) uint32 {
	if q.ReqID != 0 {
		return q.ReqID
	}
	if id := r.named[q.Name]; id != 0 && r.count[id] == 0 {
		return id
	}
	r.last++
	if r.last >= LastReqID {
		r.last = FirstChildReqID
	}
	return r.last
}

// reserved notes who has a request ID.
func (r *reqIDs) reserved(id esp.SAID, reqID uint32) {
	if _, ok := r.of[reqID]; ok {
		r.held[id] = reqID
		r.count[reqID]++
	}
}

// applied follows what operations do to request IDs. Where policies take the place of
// others with the same ID, what is added counts.
func (r *reqIDs) applied(ops []esp.Op) {
	for _, op := range ops {
		if del, ok := op.(esp.DelPolicy); ok {
			r.unname(del.Policy)
		}
	}
	for _, op := range ops {
		switch op := op.(type) {
		case esp.AddPolicy:
			if p := op.Policy; p.Owner == 0 && p.Action == esp.Protect {
				r.named[p.Name], r.of[p.ReqID] = p.ReqID, p.Name
			}
		case esp.AdoptSA:
			r.adopt(op)
		case esp.DelSA:
			r.release(op.ID)
		case esp.MoveSA:
			if reqID, ok := r.held[op.ID]; ok {
				delete(r.held, op.ID)
				r.held[esp.SAID{Dst: op.Dst, SPI: op.ID.SPI, Proto: op.ID.Proto}] = reqID
			}
		}
	}
}

// adopt notes an SA of an earlier process.
func (r *reqIDs) adopt(op esp.Op) {
	id, reqID, ok := adopted(op)
	switch {
	case !ok:
	case reqID >= FirstChildReqID:
		r.last = max(r.last, reqID)
	default:
		r.held[id] = reqID
		r.count[reqID]++
	}
}

func (r *reqIDs) unname(p esp.Policy) {
	if p.Owner != 0 || p.Action != esp.Protect {
		return
	}
	delete(r.of, p.ReqID)
	if r.named[p.Name] == p.ReqID {
		delete(r.named, p.Name)
	}
}

func (r *reqIDs) release(id esp.SAID) {
	reqID, ok := r.held[id]
	if !ok {
		return
	}
	delete(r.held, id)
	if r.count[reqID]--; r.count[reqID] <= 0 {
		delete(r.count, reqID)
	}
}
