//go:build linux

package planes

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/ts"
)

// tunnel is a child SA between the gateways: an SA in each direction, and policies at
// both. Selectors are as A sees them.
type tunnel struct {
	p             *pair
	name          string
	mode          esp.Mode
	proto         esp.Proto
	encr, integ   crypto.Alg
	local, remote netip.Prefix
	upper         uint8 // the protocol of the selector
	localPorts    esp.PortRange
	remotePorts   esp.PortRange
	outer6        bool
	encap         bool
	owner         uint64
	priority      uint32 // 0: by the selector
	reqID         uint32
	mark          esp.Mark
	ifID          uint32
	compress      bool                       // by SAs of IPComp, too
	change        func(sa *esp.SA, atA bool) // of every SA, may be nil

	outerA, outerB netip.Addr
	seenA          netip.AddrPort // where A is for B, if there is a NAT
	toA, toB       uint32         // the SPIs, by the end that receives
	cpiToA, cpiToB uint32         // the same of IPComp
	seed           uint64
	reserved       bool // SPIs were given by AllocSPI
}

var gcm = crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESGCM16, KeyBits: 128}

// newTunnel describes a tunnel between the IPv4 networks of both sites.
func (p *pair) newTunnel(change func(*tunnel)) *tunnel {
	x := &tunnel{
		p: p, proto: esp.ProtoESP, encr: gcm, local: p.a.network[0], remote: p.b.network[0],
		localPorts: esp.AnyPort, remotePorts: esp.AnyPort, reqID: p.reqID.Add(1),
	}
	if change != nil {
		change(x)
	}
	i := family(x.outer6)
	if !x.outerA.IsValid() {
		x.outerA = p.a.outer[i]
	}
	if !x.outerB.IsValid() {
		x.outerB = p.b.outer[i]
	}
	x.seed = uint64(x.reqID)
	if x.name == "" {
		x.name = fmt.Sprintf("net/child-%d", x.reqID)
	}
	return x
}

// transport makes it a tunnel in transport mode between the gateways.
func (x *tunnel) transport() {
	i := family(x.outer6)
	x.mode, x.local, x.remote = esp.Transport, host(x.p.a.outer[i]), host(x.p.b.outer[i])
}

func family(v6 bool) int {
	if v6 {
		return 1
	}
	return 0
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// key makes a key that both ends know.
func (x *tunnel) key(what string, n int) crypto.Secret {
	h := fnv.New64a()
	_, _ = h.Write([]byte(what))
	r := rand.New(rand.NewPCG(x.seed, h.Sum64()))
	k := make(crypto.Secret, n)
	for i := range k {
		k[i] = byte(r.Uint32())
	}
	return k
}

// reserve has SPIs given by the planes, in the way of the engine.
func (x *tunnel) reserve(t testing.TB) {
	t.Helper()
	alloc := func(s *side, from, to netip.Addr, proto esp.Proto) uint32 {
		spi, err := s.AllocSPI(t.Context(), from, to, proto)
		if err != nil {
			t.Fatalf("%s: %v", s.rig, err)
		}
		return spi
	}
	x.toA, x.toB = alloc(x.p.a, x.outerB, x.outerA, x.proto), alloc(x.p.b, x.outerA, x.outerB, x.proto)
	if x.compress {
		x.cpiToA, x.cpiToB = alloc(x.p.a, x.outerB, x.outerA, esp.ProtoIPComp), alloc(x.p.b, x.outerA, x.outerB, esp.ProtoIPComp)
	}
	x.reserved = true
}

// compressors are the SAs of IPComp of an end: that to A and that to B. They have the
// mode of the tunnel; those of ESP are in transport mode then.
func (x *tunnel) compressors(atA bool) (list []esp.SA) {
	if !x.compress {
		return nil
	}
	for _, fromA := range []bool{true, false} {
		sa := x.sa(atA, fromA)
		sa.ID.Proto, sa.ID.SPI, sa.Mode, sa.Encap = esp.ProtoIPComp, x.cpiToB, x.mode, nil
		sa.Encr, sa.EncrKey, sa.Integ, sa.IntegKey = crypto.Alg{}, nil, crypto.Alg{}, nil
		if sa.Dir = esp.Out; fromA != atA {
			sa.Dir = esp.In
		}
		if !fromA {
			sa.ID.SPI = x.cpiToA
		}
		list = append(list, sa)
	}
	return list
}

// out and in are the SAs of an end.
func (x *tunnel) out(atA bool) esp.SA {
	sa := x.sa(atA, atA)
	sa.Dir = esp.Out
	return x.changed(sa, atA)
}

func (x *tunnel) in(atA bool) esp.SA {
	sa := x.sa(atA, !atA)
	sa.Dir, sa.Window = esp.In, 64
	return x.changed(sa, atA)
}

func (x *tunnel) changed(sa esp.SA, atA bool) esp.SA {
	if x.change != nil {
		x.change(&sa, atA)
	}
	return sa
}

// sa is the SA in the direction from A, or that to A, as an end sees it.
func (x *tunnel) sa(atA, fromA bool) esp.SA {
	outerA := x.addressOfA(atA)
	sa := esp.SA{
		ID: esp.SAID{Dst: x.outerB, SPI: x.toB, Proto: x.proto}, Src: outerA, Mode: x.mode,
		Encr: x.encr, Integ: x.integ, ReqID: x.reqID, Mark: x.mark, IfID: x.ifID,
	}
	way := "from A"
	if !fromA {
		sa.ID.Dst, sa.ID.SPI, sa.Src, way = outerA, x.toA, x.outerB, "to A"
	}
	sa.EncrKey, sa.IntegKey = x.key("encr "+way, crypto.KeyLen(x.encr)), x.key("integ "+way, crypto.KeyLen(x.integ))
	if x.compress {
		sa.Mode = esp.Transport
	}
	if x.encap {
		sa.Encap = &esp.Encap{Local: portOf(x.p.a), Remote: portOf(x.p.b)}
		if !atA {
			sa.Encap.Local, sa.Encap.Remote = sa.Encap.Remote, sa.Encap.Local
			if x.seenA.IsValid() {
				sa.Encap.Remote = x.seenA.Port()
			}
		}
	}
	return sa
}

// addressOfA is A's outer address as an end knows it.
func (x *tunnel) addressOfA(atA bool) netip.Addr {
	if !atA && x.seenA.IsValid() {
		return x.seenA.Addr()
	}
	return x.outerA
}

func portOf(s *side) uint16 {
	if s.nattPort != 0 {
		return s.nattPort
	}
	return 4500
}

// policies are those of an end: out, in and, in tunnel mode, forward.
func (x *tunnel) policies(atA bool) []esp.Policy {
	sel := esp.Selector{Src: x.local, Dst: x.remote, Proto: x.upper, SrcPorts: x.localPorts, DstPorts: x.remotePorts}
	pol := esp.Policy{
		Sel: sel, Proto: x.proto, Mode: x.mode, Src: x.addressOfA(atA), Dst: x.outerB, ReqID: x.reqID,
		Name: x.name, Owner: x.owner, Mark: x.mark, IfID: x.ifID, IPComp: x.compress,
	}
	if !atA {
		pol = reversed(pol, esp.Out)
	}
	if pol.Priority = x.priority; pol.Priority == 0 {
		pol.Priority = child.Priority(pol.Sel)
	}
	list := []esp.Policy{pol, reversed(pol, esp.In)}
	if x.mode == esp.Tunnel {
		list = append(list, reversed(pol, esp.Forward))
	}
	return list
}

func reversed(pol esp.Policy, d esp.Direction) esp.Policy {
	pol.Sel, pol.Src, pol.Dst, pol.Dir = ts.Reverse(pol.Sel), pol.Dst, pol.Src, d
	return pol
}

// add is the operations that install the tunnel at an end.
func (x *tunnel) add(atA bool) []esp.Op {
	ops := []esp.Op{esp.AddSA{SA: x.in(atA)}, esp.AddSA{SA: x.out(atA)}}
	for _, sa := range x.compressors(atA) {
		ops = append(ops, esp.AddSA{SA: sa})
	}
	return append(ops, x.addPolicies(atA)...)
}

func (x *tunnel) addPolicies(atA bool) (ops []esp.Op) {
	for _, pol := range x.policies(atA) {
		ops = append(ops, esp.AddPolicy{Policy: pol})
	}
	return ops
}

func (x *tunnel) delSAs(atA bool) []esp.Op {
	ops := []esp.Op{esp.DelSA{ID: x.out(atA).ID}, esp.DelSA{ID: x.in(atA).ID}}
	for _, sa := range x.compressors(atA) {
		ops = append(ops, esp.DelSA{ID: sa.ID})
	}
	return ops
}

func (x *tunnel) delPolicies(atA bool) (ops []esp.Op) {
	for _, pol := range x.policies(atA) {
		ops = append(ops, esp.DelPolicy{Policy: pol})
	}
	return ops
}

// remove is the operations that take it away at an end.
func (x *tunnel) remove(atA bool) []esp.Op { return append(x.delSAs(atA), x.delPolicies(atA)...) }

// up installs the tunnel at both ends.
func (x *tunnel) up(t testing.TB) {
	t.Helper()
	if !x.reserved {
		x.reserve(t)
	}
	x.p.b.apply(t, x.add(false)...)
	x.p.a.apply(t, x.add(true)...)
}

// down takes it away at both ends.
func (x *tunnel) down(t testing.TB) {
	t.Helper()
	x.p.a.apply(t, x.remove(true)...)
	x.p.b.apply(t, x.remove(false)...)
	x.reserved = false
}

// SAs as their ends name them.
func (x *tunnel) idToA() esp.SAID { return x.in(true).ID }
func (x *tunnel) idToB() esp.SAID { return x.in(false).ID }
