package sim

import (
	"fmt"
	"hash/maphash"
	"reflect"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// The bounds of what one host may hold in a network of a few hosts with a child or two
// each: an IKE SA per peer and direction of negotiation, each beside one that it
// replaces, with room for those that storms leave to time out.
const (
	maxIKESAs = 64
	maxQueue  = 32
)

var hashSeed = maphash.MakeSeed()

// lastSent is the last request of an IKE SA.
type lastSent struct {
	id   uint32
	kind wire.ExchangeType
	hash uint64
}

// violated notes the first violation of an invariant.
func (w *World) violated(format string, args ...any) {
	if w.breach == nil {
		w.breach = fmt.Errorf(format, args...)
	}
}

// numbered looks at the message IDs of requests: each is that of the request before it,
// which is then repeated octet by octet, or the next one (RFC 7296, 2.1, 2.2).
func (h *Host) numbered(data []byte) {
	m, err := wire.ParseHeader(data)
	if err != nil {
		h.world.violated("%s sends a message with a bad header: %v", h.Name, err)
		return
	}
	if m.Flags&wire.FlagResponse != 0 || m.SPIr == 0 || m.Exchange == wire.IKESAInit {
		return
	}
	key := [2]uint64{m.SPIi, m.SPIr}
	now := lastSent{m.MessageID, m.Exchange, maphash.Bytes(hashSeed, data)}
	last, known := h.sendIDs[key]
	switch {
	case !known, now.id == last.id+1:
	case now.id != last.id:
		h.world.violated("%s: request %d after %d of IKE SA %016x", h.Name, now.id, last.id, m.SPIi)
	case now.kind != last.kind || now.hash != last.hash && m.NextPayload != wire.PayloadSKF:
		h.world.violated("%s: request %d of IKE SA %016x is sent again and is another one", h.Name, now.id, m.SPIi)
	}
	h.sendIDs[key] = now
}

// installed looks at the data plane after operations: what two hosts know by the same
// SPI has the same keys, and no packet that is to be protected goes out in the clear.
func (w *World) installed(h *Host, ops []esp.Op) {
	for _, op := range ops {
		switch op := op.(type) {
		case esp.AddSA:
			w.agree(h, op.SA)
		case esp.DelPolicy:
			for _, t := range h.guarded {
				if h.Plane.policy(t) == nil {
					w.violated("%s: without a policy a packet %v > %v leaves in the clear", h.Name, t.Src, t.Dst)
				}
			}
		}
	}
	if len(h.Plane.Offences) > 0 {
		w.violated("%s: %s", h.Name, h.Plane.Offences[0])
	}
}

func (w *World) agree(h *Host, sa esp.SA) {
	mine, there := h.Plane.sas[sa.ID]
	if !there {
		return
	}
	for _, peer := range w.order {
		if peer == h || peer.dead {
			continue
		}
		for _, other := range peer.Plane.sas {
			if other.ID.SPI != mine.ID.SPI || other.ID.Proto != mine.ID.Proto || other.Dir == mine.Dir {
				continue
			}
			if err := sameSA(mine, other); err != nil {
				w.violated("%s and %s: %v", h.Name, peer.Name, err)
			}
		}
	}
}

// bounded looks at what a host holds in memory.
func (h *Host) bounded() error {
	if n := h.Shard.Len(); n > maxIKESAs {
		return fmt.Errorf("%s has %d IKE SAs", h.Name, n)
	}
	for _, st := range h.Shard.Statuses() {
		if len(st.Queued) > maxQueue || len(st.Children) > maxQueue {
			return fmt.Errorf("%s: IKE SA %d: %d exchanges wait, %d children", h.Name, st.ID, len(st.Queued), len(st.Children))
		}
	}
	if n := h.waiting; n > maxIKESAs*4 {
		return fmt.Errorf("%s waits for %d results", h.Name, n)
	}
	return nil
}

// atRest is nil when nothing is under way in a host and nothing is left of what has
// been: the SAs of the data plane are those of the children that are there, no SPI is
// reserved, no ticket open.
func (h *Host) atRest() error {
	children := 0
	for _, st := range h.Shard.Statuses() {
		if len(st.Active)+len(st.Queued) > 0 {
			return fmt.Errorf("%s: IKE SA %d is busy: %v %v", h.Name, st.ID, st.Active, st.Queued)
		}
		children += len(st.Children)
	}
	if n := len(h.Plane.sas); n != 2*children {
		return fmt.Errorf("%s: %d SAs in the data plane for %d children", h.Name, n, children)
	}
	if n := len(h.Plane.reserved); n > 0 {
		return fmt.Errorf("%s: %d SPIs are reserved and not used", h.Name, n)
	}
	return h.tickets()
}

// tickets counts what machines and steward still wait for, which neither tells.
func (h *Host) tickets() error {
	if n := reflect.ValueOf(h.Steward).Elem().FieldByName("tickets").Len(); n > 0 {
		return fmt.Errorf("%s: the steward has %d open tickets", h.Name, n)
	}
	for all := reflect.ValueOf(h.Shard).Elem().FieldByName("bySPI").MapRange(); all.Next(); {
		sa := all.Value().Elem().FieldByName("machine").Elem().Elem()
		if n := sa.FieldByName("tickets").Len() + sa.FieldByName("leftovers").Len(); n > 0 {
			return fmt.Errorf("%s: an IKE SA has %d open tickets and leftovers", h.Name, n)
		}
	}
	return nil
}

// gone is nil when nothing is left of a host's connections, no timer either.
func (h *Host) gone() error {
	if n := h.Shard.Len() + h.Shard.HalfOpen(); n > 0 {
		return fmt.Errorf("%s: %d IKE SAs are left", h.Name, n)
	}
	if n := len(h.Plane.sas) + len(h.Plane.policies) + len(h.Plane.reserved); n > 0 {
		return fmt.Errorf("%s: %d SAs, %d policies, %d reserved SPIs are left", h.Name, len(h.Plane.sas), len(h.Plane.policies), len(h.Plane.reserved))
	}
	if h.next() != ike.Never {
		return fmt.Errorf("%s: a timer is left", h.Name)
	}
	s := reflect.ValueOf(h.Steward).Elem()
	for _, field := range []string{"sas", "unique", "tickets", "policies", "downs"} {
		if n := s.FieldByName(field).Len(); n > 0 {
			return fmt.Errorf("%s: the steward has %d %s left", h.Name, n, field)
		}
	}
	return nil
}
