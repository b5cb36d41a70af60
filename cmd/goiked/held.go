//go:build linux

package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/engine"
	"github.com/goike/goike/ike/record"
	"github.com/goike/goike/internal/keep"
)

// heldFormat is that of SAs that a data plane hands over; another one is refused.
const heldFormat = 1

// handOver ends the data plane and keeps its SAs for the next process, where the data
// plane is this process. Nothing may be sent afterwards.
func (d *daemon) handOver() {
	if d.out.handOver == nil {
		return
	}
	held, err := d.out.handOver()
	if err != nil {
		d.warn("the tunnel device: " + err.Error())
	}
	records := make([]keep.Record, len(held))
	for i := range held {
		records[i] = keep.Record{SPI: keep.DataPlane, Part: uint64(i), Data: encodeHeld(&held[i])} //nolint:gosec // an index
		held[i].Zero()
	}
	_ = d.store.Write(records) // Usable tells
	for _, r := range records {
		clear(r.Data)
	}
}

// inherit gives the data plane what an earlier one has handed over, and returns the rest.
func (d *daemon) inherit(left []keep.Record) (rest []engine.Kept) {
	var held []esp.Held
	for _, r := range left {
		if r.SPI != keep.DataPlane {
			rest = append(rest, engine.Kept(r))
			continue
		}
		h, err := decodeHeld(r.Data)
		if clear(r.Data); err != nil {
			d.warn(fmt.Sprintf("what the data plane has handed over is not used: %v", err))
			continue
		}
		held = append(held, h)
	}
	if d.out.inherit != nil && len(held) > 0 {
		d.out.inherit(held)
		return rest
	}
	for i := range held {
		held[i].Zero()
	}
	return rest
}

// encodeHeld writes down an SA of the userspace plane.
func encodeHeld(h *esp.Held) []byte {
	sa := &h.SA
	w := &record.Writer{}
	w.U8(heldFormat)
	w.Addr(sa.ID.Dst)
	w.U32(sa.ID.SPI)
	w.U8(uint8(sa.ID.Proto))
	w.Addr(sa.Src)
	w.U8(uint8(sa.Dir))
	w.U8(uint8(sa.Mode))
	for _, a := range []crypto.Alg{sa.Encr, sa.Integ} {
		w.U8(uint8(a.Type))
		w.U16(a.ID)
		w.U16(a.KeyBits)
	}
	w.Bytes(sa.EncrKey)
	w.Bytes(sa.IntegKey)
	w.U32(sa.Window)
	w.U32(sa.ReqID)
	w.U16(sa.TFCPad)
	for _, v := range []bool{sa.ESN, sa.NoCopyDF, sa.CopyDSCP, sa.DecapDSCP, sa.NoECN, sa.Encap != nil} {
		w.Bool(v)
	}
	if e := sa.Encap; e != nil {
		w.U16(e.Local)
		w.U16(e.Remote)
		w.Bool(e.Keepalive)
	}
	l := &sa.Limits
	for _, n := range []uint64{
		l.SoftBytes, l.HardBytes, l.SoftPackets, l.HardPackets, uint64(l.SoftTime), uint64(l.HardTime), //nolint:gosec // bits
		h.Last, h.Bytes, h.Packets, uint64(h.Age), //nolint:gosec // bits
	} {
		w.U64(n)
	}
	writeSelectors(w, sa.Selectors)
	w.U32(uint32(len(h.Seen))) //nolint:gosec // at most 128
	for _, word := range h.Seen {
		w.U64(word)
	}
	return w.B
}

func writeSelectors(w *record.Writer, list []esp.Selector) {
	w.U32(uint32(len(list))) //nolint:gosec // a few
	for _, s := range list {
		for _, p := range []netip.Prefix{s.Src, s.Dst} {
			w.Addr(p.Addr())
			w.U8(uint8(p.Bits())) //nolint:gosec // at most 128
		}
		w.U8(s.Proto)
		for _, p := range []esp.PortRange{s.SrcPorts, s.DstPorts} {
			w.U16(p.First)
			w.U16(p.Last)
		}
	}
}

// heldReader reads what encodeHeld has written.
type heldReader struct{ record.Reader }

// decodeHeld is the reverse of encodeHeld. Whether the SA can be is for the plane to say.
func decodeHeld(b []byte) (h esp.Held, err error) {
	r := &heldReader{record.Reader{B: b}}
	if f := r.U8(); r.Err == nil && f != heldFormat {
		return h, fmt.Errorf("an SA in format %d, this goiked knows format %d", f, heldFormat)
	}
	sa := &h.SA
	sa.ID = esp.SAID{Dst: r.Addr(), SPI: r.U32(), Proto: esp.Proto(r.U8())}
	sa.Src = r.Addr()
	sa.Dir, sa.Mode = esp.Direction(r.Below(uint8(esp.In)+1)), esp.Mode(r.Below(uint8(esp.BEET)+1))
	sa.Encr, sa.Integ = r.alg(), r.alg()
	sa.EncrKey, sa.IntegKey = r.Bytes(), r.Bytes()
	sa.Window, sa.ReqID, sa.TFCPad = r.U32(), r.U32(), r.U16()
	for _, v := range []*bool{&sa.ESN, &sa.NoCopyDF, &sa.CopyDSCP, &sa.DecapDSCP, &sa.NoECN} {
		*v = r.Bool()
	}
	if r.Bool() {
		sa.Encap = &esp.Encap{Local: r.U16(), Remote: r.U16(), Keepalive: r.Bool()}
	}
	l := &sa.Limits
	l.SoftBytes, l.HardBytes, l.SoftPackets, l.HardPackets = r.U64(), r.U64(), r.U64(), r.U64()
	l.SoftTime, l.HardTime = r.duration(), r.duration()
	h.Last, h.Bytes, h.Packets, h.Age = r.U64(), r.U64(), r.U64(), r.duration()
	sa.Selectors = r.selectors()
	for n := r.Count(8); n > 0 && r.Err == nil; n-- {
		h.Seen = append(h.Seen, r.U64())
	}
	if err := r.End(); err != nil {
		h.Zero()
		return esp.Held{}, err
	}
	return h, nil
}

func (r *heldReader) alg() crypto.Alg {
	return crypto.Alg{Type: crypto.Type(r.U8()), ID: r.U16(), KeyBits: r.U16()}
}

// duration is one that is not negative.
func (r *heldReader) duration() time.Duration {
	d := time.Duration(r.U64()) //nolint:gosec // looked at
	if d < 0 {
		r.Fail()
	}
	return d
}

func (r *heldReader) selectors() (list []esp.Selector) {
	for n := r.Count(17); n > 0 && r.Err == nil; n-- {
		s := esp.Selector{Src: r.prefix(), Dst: r.prefix(), Proto: r.U8()}
		s.SrcPorts = esp.PortRange{First: r.U16(), Last: r.U16()}
		s.DstPorts = esp.PortRange{First: r.U16(), Last: r.U16()}
		list = append(list, s)
	}
	return list
}

func (r *heldReader) prefix() netip.Prefix {
	a, bits := r.Addr(), int(r.U8())
	p := netip.PrefixFrom(a, bits)
	if !p.IsValid() {
		r.Fail()
	}
	return p
}
