package sim

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"reflect"
	"time"

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

// sentBefore is what a host has sent, by the SPIs of the IKE SA. One that succeeds
// another goes on with it.
type sentBefore struct {
	requests, responses map[[2]uint64]lastSent
	ivs                 map[[3]uint64]uint64 // hashes, by SPIs and IV
}

func newSentBefore() sentBefore {
	return sentBefore{make(map[[2]uint64]lastSent), make(map[[2]uint64]lastSent), make(map[[3]uint64]uint64)}
}

// lastSent is the last request, or response, of an IKE SA.
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

// examine looks at a message that a host sends.
func (h *Host) examine(data []byte) {
	m, err := wire.ParseHeader(data)
	if err != nil {
		h.world.violated("%s sends a message with a bad header: %v", h.Name, err)
		return
	}
	if m.SPIr == 0 || m.Exchange == wire.IKESAInit || m.NextPayload != wire.PayloadSK && m.NextPayload != wire.PayloadSKF {
		return
	}
	hash := maphash.Bytes(hashSeed, data)
	h.fresh(m, data, hash)
	h.numbered(m, hash)
}

// numbered looks at the message IDs of requests, and of responses: each is that of the
// one before it, which is then repeated octet by octet, or the next one (RFC 7296, 2.1,
// 2.2). To a peer that cannot be told otherwise that an IKE SA ends, a delete may go out
// beside a request under way.
func (h *Host) numbered(m wire.Header, hash uint64) {
	before, what := h.sent.requests, "request"
	if m.Flags&wire.FlagResponse != 0 {
		before, what = h.sent.responses, "response"
	}
	key := [2]uint64{m.SPIi, m.SPIr}
	now := lastSent{m.MessageID, m.Exchange, hash}
	last, known := before[key]
	switch {
	case !known, now.id == last.id+1:
	case now.id != last.id:
		h.world.violated("%s: %s %d after %d of IKE SA %016x", h.Name, what, now.id, last.id, m.SPIi)
	case now.kind != last.kind || now.hash != last.hash && m.NextPayload != wire.PayloadSKF:
		h.world.violated("%s: %s %d of IKE SA %016x is sent again and is another one", h.Name, what, now.id, m.SPIi)
	}
	before[key] = now
}

// fresh looks at the IV of a message: no other message of the same keys has had it.
func (h *Host) fresh(m wire.Header, data []byte, hash uint64) {
	at := wire.HeaderLen + 4
	if m.NextPayload == wire.PayloadSKF {
		at += 4
	}
	if len(data) < at+8 {
		return
	}
	key := [3]uint64{m.SPIi, m.SPIr, binary.BigEndian.Uint64(data[at:])}
	if old, known := h.sent.ivs[key]; known && old != hash {
		h.world.violated("%s: two messages of IKE SA %016x have the IV %016x", h.Name, m.SPIi, key[2])
	}
	h.sent.ivs[key] = hash
}

// installed looks at the data plane after operations: what two hosts know by the same
// SPI has the same keys, and no packet that is to be protected goes out in the clear.
func (w *World) installed(h *Host, ops []esp.Op) {
	for _, op := range ops {
		switch op := op.(type) {
		case esp.AddSA:
			w.agree(h, op.SA.ID)
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

// agree looks at an SA that was added: the other end has, or has had, the same keys, and
// no other SA has had them.
func (w *World) agree(h *Host, id esp.SAID) {
	x := h.Plane.sas[id]
	if x == nil || id.Proto == esp.ProtoIPComp {
		return
	}
	ends := w.known[id.SPI]
	if ends == nil {
		ends = &[2]esp.SA{}
		w.known[id.SPI] = ends
	}
	ends[x.Dir&1] = x.SA
	if out, in := &ends[esp.Out], &ends[esp.In]; out.ID.SPI == in.ID.SPI {
		if err := sameSA(out, in); err != nil {
			w.violated("%s and another: %v", h.Name, err)
		}
	}
	key := string(x.EncrKey) + string(x.IntegKey)
	if spi, known := w.keys[key]; known && spi != id.SPI {
		w.violated("%s: SPIs %08x and %08x have the same keys", h.Name, spi, id.SPI)
	}
	w.keys[key] = id.SPI
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
	want, known := 0, make(map[uint32]bool)
	for _, st := range h.Shard.Statuses() {
		if len(st.Active)+len(st.Queued) > 0 {
			return fmt.Errorf("%s: IKE SA %d is busy: %v %v", h.Name, st.ID, st.Active, st.Queued)
		}
		for _, c := range st.Children {
			known[c.SPIIn], known[c.SPIOut] = true, true
			if want += 2; c.CPIIn != 0 && c.CPIOut != 0 {
				known[uint32(c.CPIIn)], known[uint32(c.CPIOut)] = true, true
				want += 2
			}
		}
	}
	late, err := h.lateSAs(known)
	if err != nil {
		return err
	}
	if n := len(h.Plane.sas) - late; n != want {
		return fmt.Errorf("%s: %d SAs in the data plane, children have %d", h.Name, n, want)
	}
	if n := len(h.Plane.reserved); n > 0 {
		return fmt.Errorf("%s: %d SPIs are reserved and not used", h.Name, n)
	}
	if err := h.balanced(); err != nil {
		return err
	}
	return h.tickets()
}

// keptLate is how long the inbound SA of a child stays that another has replaced, and a
// moment for the data plane.
const keptLate = 6 * time.Second

// lateSAs counts the SAs of children that are gone, which take packets that come late, and
// no longer than they may.
func (h *Host) lateSAs(known map[uint32]bool) (n int, err error) {
	before := h.late
	h.late = make(map[esp.SAID]ike.Instant)
	for _, sa := range h.Plane.added {
		if known[sa.ID.SPI] {
			continue
		}
		since, seen := before[sa.ID]
		if !seen {
			since = h.world.now
		}
		if h.late[sa.ID] = since; sa.Dir == esp.Out || h.world.now.Sub(since) > keptLate {
			err = fmt.Errorf("%s: SA %v in the data plane is of no child", h.Name, sa.ID)
		}
		n++
	}
	return n, err
}

// tickets counts what machines and steward still wait for, which neither tells.
func (h *Host) tickets() error {
	if n := reflect.ValueOf(h.Steward).Elem().FieldByName("tickets").Len(); n > 0 {
		return fmt.Errorf("%s: the steward has %d open tickets", h.Name, n)
	}
	for all := reflect.ValueOf(h.Shard).Elem().FieldByName("bySPI").MapRange(); all.Next(); {
		sa := all.Value().Elem().FieldByName("machine").Elem().Elem()
		if n := sa.FieldByName("tickets").Len(); n > 0 {
			return fmt.Errorf("%s: an IKE SA has %d open tickets", h.Name, n)
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
	if len(h.kept) > 0 {
		return fmt.Errorf("%s: the state of %d IKE SAs is kept that there are not", h.Name, len(h.kept))
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
