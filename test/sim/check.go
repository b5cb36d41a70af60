package sim

import (
	"bytes"
	"fmt"

	"github.com/goike/goike/esp"
)

// Carries tells whether a packet from host a reaches host b: a has an SA for it, b
// has the same one inbound, under the same keys and the same addresses as b sees
// them.
func Carries(a, b *Host, f esp.Flow) error {
	out, found := a.Plane.outbound(f)
	switch {
	case !found:
		return fmt.Errorf("%s has no policy for %v > %v: it would leave in the clear", a.Name, f.Src, f.Dst)
	case out == nil:
		return fmt.Errorf("%s has no SA for %v > %v", a.Name, f.Src, f.Dst)
	}
	if in := b.Plane.inbound(out.ID.SPI, out.ID.Proto); in != nil {
		if err := sameSA(&out.SA, &in.SA); err != nil {
			return err
		}
		return decompresses(a, b, f)
	}
	return fmt.Errorf("%s does not know SPI %08x, by which %s sends", b.Name, out.ID.SPI, a.Name)
}

// decompresses tells whether b can read what a has compressed, if a does.
func decompresses(a, b *Host, f esp.Flow) error {
	p := a.Plane.policy(f)
	if !p.IPComp {
		return nil
	}
	out := a.Plane.newest(true, p.ReqID, p.Mode)
	if out == nil {
		return fmt.Errorf("%s has no IPComp SA for %v > %v", a.Name, f.Src, f.Dst)
	}
	if in := b.Plane.inbound(out.ID.SPI, esp.ProtoIPComp); in != nil && in.Mode == out.Mode {
		return nil
	}
	return fmt.Errorf("%s does not know CPI %04x, by which %s sends", b.Name, out.ID.SPI, a.Name)
}

func sameSA(out, in *esp.SA) error {
	switch {
	case out.Encr != in.Encr || out.Integ != in.Integ || out.ESN != in.ESN || out.Mode != in.Mode:
		return fmt.Errorf("SPI %08x: %v %v %v on one side, %v %v %v on the other", out.ID.SPI, out.Encr, out.Integ, out.Mode, in.Encr, in.Integ, in.Mode)
	case !bytes.Equal(out.EncrKey, in.EncrKey) || !bytes.Equal(out.IntegKey, in.IntegKey):
		return fmt.Errorf("SPI %08x: the keys differ", out.ID.SPI)
	case (out.Encap == nil) != (in.Encap == nil):
		return fmt.Errorf("SPI %08x: UDP encapsulation on one side only", out.ID.SPI)
	}
	return nil
}

// Settled is nil when two hosts agree about everything: each has one IKE SA and as
// many children as said, nothing half-open, and traffic passes both ways.
func Settled(a, b *Host, children int, f esp.Flow) error {
	for _, h := range []*Host{a, b} {
		sts := h.Shard.Statuses()
		if len(sts) != 1 || len(sts[0].Children) != children {
			return fmt.Errorf("%s has %d IKE SAs: %v", h.Name, len(sts), sts)
		}
		if in, out := len(h.Plane.SAs(esp.In)), len(h.Plane.SAs(esp.Out)); in != children || out != children {
			return fmt.Errorf("%s has %d SAs in and %d out for %d children", h.Name, in, out, children)
		}
		if in, out := len(h.Plane.Compressing(esp.In)), len(h.Plane.Compressing(esp.Out)); in != out || in != 0 && in != children {
			return fmt.Errorf("%s has %d IPComp SAs in and %d out for %d children", h.Name, in, out, children)
		}
		if len(h.Plane.Offences) > 0 {
			return fmt.Errorf("%s: %s", h.Name, h.Plane.Offences[0])
		}
	}
	x, y := a.Shard.Statuses()[0], b.Shard.Statuses()[0]
	if x.SPIi != y.SPIi || x.SPIr != y.SPIr {
		return fmt.Errorf("different IKE SAs: %x/%x and %x/%x", x.SPIi, x.SPIr, y.SPIi, y.SPIr)
	}
	if children == 0 {
		return nil
	}
	if err := Carries(a, b, f); err != nil {
		return err
	}
	f.Src, f.Dst = f.Dst, f.Src
	f.SrcPort, f.DstPort = f.DstPort, f.SrcPort
	return Carries(b, a, f)
}
