//go:build linux

package xfrm

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// gap is how many sequence numbers an outbound SA leaves out when its addresses
// change: as many as may have been used between the moment in which its state was read
// and that in which it was removed. A number must not be used twice.
const gap = 1 << 16

// moveSA changes the outer addresses and the encapsulation of an SA. Its policies
// stand, so that meanwhile nothing leaves in the clear.
func (a *application) moveSA(m esp.MoveSA) {
	m.ID, m.Src, m.Dst = unmappedID(m.ID), m.Src.Unmap(), m.Dst.Unmap()
	to := esp.SAID{Dst: m.Dst, SPI: m.ID.SPI, Proto: m.ID.Proto}
	s := a.p.sas[m.ID]
	switch {
	case !m.Src.IsValid() || !m.Dst.IsValid() || m.Src.Is4() != m.Dst.Is4():
		a.unmoved(m.ID, errors.New("its new outer addresses are none"))
	case s != nil:
		a.getSA(s.id, s.mark, func(st *message.State, err error) { a.move(s, m, to, st, err) })
	case a.p.sas[to] == nil:
		a.unmoved(m.ID, errors.New("it is not there"))
	}
}

func (a *application) unmoved(id esp.SAID, err error) {
	a.errs = append(a.errs, fmt.Errorf("%s cannot be moved: %w", nameSA(id, ""), err))
}

func (a *application) move(s *sa, m esp.MoveSA, to esp.SAID, st *message.State, err error) {
	if err != nil {
		if gone(err) {
			a.p.forgetSA(s)
		}
		a.unmoved(m.ID, common(err))
		return
	}
	encapsulation := encap(m.Encap, s.dir)
	if s.id.Proto != esp.ProtoESP {
		encapsulation = nil
	}
	samePath := s.id == to && s.src == m.Src && (st.Encap == nil) == (encapsulation == nil)
	if samePath && (encapsulation == nil || sameEncap(st.Encap, encapsulation)) {
		return
	}
	st.Encap = encapsulation
	if samePath {
		a.putSA(message.UpdSA, st, func(r netlink.Reply) { a.moved(s, s, m.ID, r) })
		return
	}
	moved := *s
	moved.id, moved.src, moved.before = to, m.Src, total(s, st)
	now := *st
	now.ID, now.Src = kernelID(to), m.Src
	now.Limits = remaining(st)
	if o := st.Offload; o != nil {
		dev := *o
		dev.IfIndex = cmp.Or(a.p.device(local(&moved)), dev.IfIndex)
		if now.Offload = &dev; s.device != 0 {
			moved.device = dev.IfIndex
		}
	}
	carry(&now, st, s.dir)
	if other := a.p.sas[to]; other != nil && other != s {
		a.dropSA(to)
	}
	a.delSA(s.id, s.mark, ignore)
	a.putSA(message.NewSA, &now, func(r netlink.Reply) { a.moved(s, &moved, m.ID, r) })
}

// moved has the answer to the last request of a move.
func (a *application) moved(s, to *sa, id esp.SAID, r netlink.Reply) {
	if r.Err != nil {
		if s != to || gone(r.Err) {
			a.p.forgetSA(s)
		}
		a.unmoved(id, common(r.Err))
		return
	}
	if s != to {
		a.p.forgetSA(s)
		a.p.enterSA(to)
	}
}

func sameEncap(a, b *message.Encap) bool { return a.SrcPort == b.SrcPort && a.DstPort == b.DstPort }

// carry gives a state the sequence numbers of an earlier form of it.
func carry(st, was *message.State, dir esp.Direction) {
	if was.Replay == nil || st.Flags&message.ESN != was.Flags&message.ESN {
		return
	}
	r := *was.Replay
	r.Bitmap = slices.Clone(r.Bitmap)
	st.Replay, st.Window, st.Dir = &r, was.Window, was.Dir
	if dir != esp.Out {
		return
	}
	if r.OutSeq == 0 && r.OutSeqHigh == 0 {
		return // nothing was sent
	}
	switch {
	case r.OutSeq <= math.MaxUint32-gap:
		r.OutSeq += gap
	case st.Flags&message.ESN != 0:
		r.OutSeq += gap
		r.OutSeqHigh++
	default:
		r.OutSeq = math.MaxUint32 // it can send no more and asks for a successor
	}
}

// total is what an SA has carried so far, with its earlier forms.
func total(s *sa, st *message.State) esp.Usage {
	u := s.before
	u.Bytes += st.Used.Bytes
	u.Packets += st.Used.Packets
	u.Replayed += uint64(st.Stats.Replay) + uint64(st.Stats.ReplayWindow)
	u.AuthFailed += uint64(st.Stats.IntegrityFailed)
	return u
}

// remaining is what is left of the limits of an SA: the kernel will begin anew.
func remaining(st *message.State) message.Limits {
	l := st.Limits
	for _, f := range []struct {
		limit *uint64
		used  uint64
	}{
		{&l.SoftBytes, st.Used.Bytes}, {&l.HardBytes, st.Used.Bytes},
		{&l.SoftPackets, st.Used.Packets}, {&l.HardPackets, st.Used.Packets},
	} {
		if *f.limit != message.Infinite {
			*f.limit = less(*f.limit, f.used)
		}
	}
	age := uint64(max(time.Now().Unix()-int64(st.Used.AddTime), 0))
	for _, limit := range []*uint64{&l.SoftAdd, &l.HardAdd} {
		if *limit != 0 {
			*limit = less(*limit, age)
		}
	}
	return l
}

// less is at least 1: 0 would be no limit.
func less(limit, used uint64) uint64 {
	if used >= limit {
		return 1
	}
	return limit - used
}
