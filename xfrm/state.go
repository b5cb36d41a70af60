//go:build linux

package xfrm

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
)

// maxWindow is the widest replay window of the kernel (XFRMA_REPLAY_ESN_MAX).
const maxWindow = 4096

// sa is what the plane knows of an SA that the kernel holds. It has no keys.
type sa struct {
	id       esp.SAID
	src      netip.Addr
	dir      esp.Direction
	reqID    uint32
	mark     *message.Mark
	leftover bool  // of an instance that was killed
	device   int32 // that carries it by packet offload, 0: none
	// before is what it has carried under an earlier form: before its addresses were
	// changed, with which the kernel starts to count anew.
	before esp.Usage
	seen   uint64 // packets at the last Query, and when they had become as many
	seenAt time.Time
}

func kernelID(id esp.SAID) message.ID {
	return message.ID{Dst: id.Dst, SPI: id.SPI, Proto: uint8(id.Proto)}
}

func espID(id message.ID) esp.SAID {
	return esp.SAID{Dst: id.Dst.Unmap(), SPI: id.SPI, Proto: esp.Proto(id.Proto)}
}

func unmappedID(id esp.SAID) esp.SAID {
	id.Dst = id.Dst.Unmap()
	return id
}

// markOf is the kernel's form of a mark; the zero Mark is none.
func markOf(m esp.Mark) *message.Mark {
	if m == (esp.Mark{}) {
		return nil
	}
	return &message.Mark{Value: m.Value, Mask: m.Mask}
}

func familyOf(a netip.Addr) uint16 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// state is the kernel's form of an SA. Its keys are those of sa, not copies. directed
// tells that the kernel knows the direction of SAs.
func state(sa *esp.SA, directed bool) (*message.State, error) {
	if err := checkSA(sa); err != nil {
		return nil, err
	}
	st := &message.State{
		ID: kernelID(sa.ID), Src: sa.Src, Limits: limits(sa.Limits), ReqID: sa.ReqID,
		Mark: markOf(sa.Mark), SetMark: markOf(sa.SetMark), IfID: sa.IfID,
	}
	if err := setAlgorithms(st, sa); err != nil {
		return nil, err
	}
	setMode(st, sa)
	setFlags(st, sa)
	setReplay(st, sa, directed)
	st.Encap = encap(sa.Encap, sa.Dir)
	if sa.ID.Proto != esp.ProtoESP {
		st.Encap = nil
	}
	if sa.Dir == esp.Out {
		st.TFCPad = uint32(sa.TFCPad)
	}
	return st, nil
}

// checkSA refuses what no kernel does.
func checkSA(sa *esp.SA) error {
	switch {
	case !sa.ID.Dst.IsValid() || !sa.Src.IsValid():
		return errors.New("it lacks an outer address")
	case sa.ID.Dst.Is4() != sa.Src.Is4():
		return errors.New("its outer addresses are of two families")
	case sa.Dir != esp.Out && sa.Dir != esp.In:
		return fmt.Errorf("no SA has direction %d", sa.Dir)
	case sa.Mode == esp.BEET && len(sa.Selectors) != 1:
		return errors.New("BEET mode has one selector, the inner addresses")
	}
	return checkForm(sa)
}

// checkForm refuses what no kernel does, whatever the addresses.
func checkForm(sa *esp.SA) error {
	var what string
	switch {
	case sa.Mode > esp.BEET:
		what = fmt.Sprintf("no mode %d", sa.Mode)
	case sa.ID.Proto == esp.ProtoAH && sa.Mode == esp.BEET:
		what = "no AH in BEET mode"
	case sa.Window > maxWindow:
		what = fmt.Sprintf("no replay window of %d packets, but %d at most", sa.Window, maxWindow)
	case sa.ESN && sa.Window == 0:
		what = "no extended sequence numbers without a replay window"
	case sa.ESN && sa.ID.Proto == esp.ProtoIPComp:
		what = "no sequence numbers in IPComp"
	case sa.TFCPad != 0 && (sa.Mode != esp.Tunnel || sa.ID.Proto != esp.ProtoESP):
		what = "padding for traffic flow confidentiality only in ESP in tunnel mode"
	case sa.Encap != nil && sa.ID.Proto == esp.ProtoAH:
		what = "no AH in UDP"
	case sa.Offload > esp.OffloadPacket:
		what = fmt.Sprintf("no offload %d", sa.Offload)
	default:
		return nil
	}
	return fmt.Errorf("the kernel has %s: %w", what, errUnsupported)
}

// setMode sets the mode and what may be in the SA. In tunnel mode that is said by the
// policies: an SA has one selector, and its policies many.
func setMode(st *message.State, sa *esp.SA) {
	switch sa.Mode {
	case esp.Tunnel:
		st.Mode = message.Tunnel
		st.Flags |= message.AFUnspec
		return
	case esp.Transport:
		st.Mode = message.Transport
	case esp.BEET:
		st.Mode = message.BEET
	}
	st.Sel.Family = familyOf(sa.ID.Dst)
	if len(sa.Selectors) != 1 {
		return
	}
	// Protocol and ports are left to the policies: other SAs between the same hosts
	// may be for other ones.
	src, dst := unmapped(sa.Selectors[0].Src), unmapped(sa.Selectors[0].Dst)
	if src.IsValid() && dst.IsValid() {
		st.Sel = message.Selector{Src: src, Dst: dst, Family: familyOf(dst.Addr())}
	}
}

// setFlags sets what is done with the outer header. Kernels that know the direction of
// an SA refuse what the other direction alone can have.
func setFlags(st *message.State, sa *esp.SA) {
	if sa.ID.Proto == esp.ProtoAH && sa.ID.Dst.Is4() {
		st.Flags |= message.Align4 // RFC 4302, 3.3.3.2.1; the kernel's habit is another
	}
	if sa.Mode != esp.Tunnel {
		return
	}
	if sa.NoECN {
		st.Flags |= message.NoECN
	}
	if sa.Dir == esp.In {
		if sa.DecapDSCP {
			st.Flags |= message.DecapDSCP
		}
		return
	}
	if sa.NoCopyDF {
		st.Flags |= message.NoPMTUD
	}
	if !sa.CopyDSCP {
		st.ExtraFlags |= message.DontEncapDSCP
	}
}

// setReplay sets the direction and the replay window. An outbound SA has no window;
// but kernels before 6.10, that do not know directions, want one where there is ESN.
func setReplay(st *message.State, sa *esp.SA, directed bool) {
	if sa.ESN {
		st.Flags |= message.ESN
	}
	switch {
	case sa.Dir == esp.In:
		st.Dir = message.SADirIn
		if sa.ID.Proto != esp.ProtoIPComp {
			st.Window = sa.Window
		}
	case sa.ESN && !directed:
		st.Window = 1
	default:
		st.Dir = message.SADirOut
	}
}

// encap is UDP encapsulation as packets of the direction show it.
func encap(e *esp.Encap, dir esp.Direction) *message.Encap {
	switch {
	case e == nil:
		return nil
	case dir == esp.In:
		return &message.Encap{SrcPort: e.Remote, DstPort: e.Local}
	}
	return &message.Encap{SrcPort: e.Local, DstPort: e.Remote}
}

func limits(l esp.Limits) message.Limits {
	return message.Limits{
		SoftBytes: limit(l.SoftBytes), HardBytes: limit(l.HardBytes),
		SoftPackets: limit(l.SoftPackets), HardPackets: limit(l.HardPackets),
		SoftAdd: seconds(l.SoftTime), HardAdd: seconds(l.HardTime),
	}
}

func limit(n uint64) uint64 {
	if n == 0 {
		return message.Infinite
	}
	return n
}

// seconds rounds up: 0 is no limit.
func seconds(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return uint64((d-1)/time.Second) + 1
}

// larval tells whether a state has no SA yet: it is an SPI that is reserved, or a
// packet that waits for an SA.
func larval(st *message.State) bool {
	return st.Encr == nil && st.Auth == nil && st.AEAD == nil && st.Comp == nil
}
