package child

import (
	"net/netip"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

var kernel = conf.Kernel{
	MarkIn: conf.Mark{Value: 1, Mask: 0xf}, MarkOut: conf.Mark{Value: 2, Mask: 0xf},
	SetMarkIn: conf.Mark{Value: 3, Mask: 0xf}, SetMarkOut: conf.Mark{Value: 4, Mask: 0xf},
	IfIDIn: 5, IfIDOut: 6, Offload: conf.OffloadPacket, NoCopyDF: true, NoCopyECN: true, CopyDSCPIn: true, NoCopyDSCPOut: true,
	TFCPad: 1400, Priority: 77,
}

func installed(t *testing.T, c *SA) []esp.Op {
	t.Helper()
	ops, err := c.Install(in, out)
	if err != nil {
		t.Fatal(err)
	}
	return ops
}

// What the configuration asks of the data plane reaches SAs and policies; without it
// they are as strongSwan has them: DSCP goes out, ECN is carried over, DF is copied.
func TestKernelOptions(t *testing.T) {
	c := newChild(conf.Tunnel)
	for _, op := range installed(t, c)[:2] {
		sa := op.(esp.AddSA).SA
		if !sa.CopyDSCP || sa.DecapDSCP || sa.NoECN || sa.NoCopyDF || sa.TFCPad != 0 || sa.Mark != (esp.Mark{}) || sa.IfID != 0 || sa.Offload != 0 || sa.Selectors != nil {
			t.Errorf("by default %+v", sa)
		}
	}
	c.Conf.Kernel = kernel
	ops := installed(t, c)
	a, b := ops[0].(esp.AddSA).SA, ops[1].(esp.AddSA).SA
	if a.Mark != (esp.Mark{}) || a.SetMark != (esp.Mark{Value: 3, Mask: 0xf}) || a.IfID != 5 || !a.DecapDSCP || a.NoCopyDF || a.TFCPad != 0 {
		t.Errorf("inbound: %+v", a)
	}
	if b.Mark != (esp.Mark{Value: 2, Mask: 0xf}) || b.SetMark != (esp.Mark{Value: 4, Mask: 0xf}) || b.IfID != 6 || b.DecapDSCP || !b.NoCopyDF || b.TFCPad != 1400 {
		t.Errorf("outbound: %+v", b)
	}
	for _, sa := range []esp.SA{a, b} {
		if sa.CopyDSCP || !sa.NoECN || sa.Offload != esp.OffloadPacket {
			t.Errorf("%+v", sa)
		}
	}
	for _, op := range ops[2:] {
		p := op.(esp.AddPolicy).Policy
		mark, ifID := esp.Mark{Value: 1, Mask: 0xf}, uint32(5)
		if p.Dir == esp.Out {
			mark, ifID = esp.Mark{Value: 2, Mask: 0xf}, 6
		}
		if p.Mark != mark || p.IfID != ifID || p.Priority != 77 {
			t.Errorf("policy %+v", p)
		}
	}
	c.Conf.Kernel.MarkInSA, c.NoTFC = true, true
	ops = installed(t, c)
	if a, b := ops[0].(esp.AddSA).SA, ops[1].(esp.AddSA).SA; a.Mark != (esp.Mark{Value: 1, Mask: 0xf}) || b.TFCPad != 0 {
		t.Errorf("mark_in_sa: %+v; padding: %d", a.Mark, b.TFCPad)
	}
}

// Traps are as the child's policies, and yield to them whatever their priority.
func TestTrapOptions(t *testing.T) {
	c := newChild(conf.BEET)
	c.Conf.Kernel, c.Conf.Mode, c.Conf.Protocol, c.Conf.IPComp = kernel, conf.Tunnel, crypto.AH, true
	c.Mode, c.Suite.Proto = conf.Tunnel, crypto.AH
	host := func(s string) []conf.Selector {
		p := netip.MustParsePrefix(s)
		return []conf.Selector{{First: p.Addr(), Last: network(s)[0].End, PortLast: 65535}}
	}
	c.Conf.Local, c.Conf.Remote = host("10.1.0.0/16"), host("10.2.0.0/16")
	traps, err := Trap(c.Conf, "site/lan", 9, local.Addr(), remote.Addr())
	if err != nil || len(traps) != 3 {
		t.Fatal(traps, err)
	}
	for i, op := range installed(t, c)[2:] {
		want := op.(esp.AddPolicy).Policy
		want.Priority, want.Owner, want.ReqID = want.Priority+1, 0, 9
		if traps[i] != want {
			t.Errorf("trap %+v\nwant %+v", traps[i], want)
		}
	}
}

// Compression: IPComp in the child's mode inside of the other SA in transport mode,
// with the same request ID, under both names through its life (RFC 3173).
func TestCompression(t *testing.T) {
	for _, proto := range []crypto.Proto{crypto.ESP, crypto.AH} {
		c := newChild(conf.Tunnel)
		c.Suite.Proto, c.CPIIn, c.CPIOut, c.Conf.Kernel = proto, 0x111, 0x222, kernel
		c.Conf.Kernel.TFCPad = 0
		ops := installed(t, c)
		if got := text(ops); got != "+in:100 +in:111 +out:200 +out:222 +pol:in +pol:fwd +pol:out" {
			t.Error(got)
		}
		for i := range 4 {
			sa := ops[i].(esp.AddSA).SA
			if comp := i%2 == 1; comp {
				if sa.ID.Proto != esp.ProtoIPComp || sa.Mode != esp.Tunnel || sa.Encr != (crypto.Alg{}) || sa.EncrKey != nil || sa.Integ != (crypto.Alg{}) ||
					sa.IntegKey != nil || sa.Window != 0 || sa.ESN || sa.Limits != (esp.Limits{}) || sa.Offload != 0 || sa.Encap != nil || sa.SetMark != (esp.Mark{}) || !sa.NoECN {
					t.Errorf("IPComp: %+v", sa)
				}
			} else if sa.ID.Proto != c.Proto() || sa.Mode != esp.Transport || sa.Limits.HardTime == 0 || sa.Selectors != nil || sa.EncrKey == nil {
				t.Errorf("protecting: %+v", sa)
			}
			if sa.ReqID != 42 || sa.IfID == 0 {
				t.Errorf("request ID %d, interface %d", sa.ReqID, sa.IfID)
			}
		}
		p := ops[4].(esp.AddPolicy).Policy
		if !p.IPComp || p.Mode != esp.Tunnel || p.Proto != c.Proto() {
			t.Errorf("policy %+v", p)
		}
		to := ike.Path{Local: local, Remote: netip.MustParseAddrPort("203.0.113.9:500")}
		moved := c.Move(to, false, false)
		if got := text(moved); got != "~100 ~111 ~200 ~222 +pol:in +pol:fwd +pol:out" {
			t.Error(got)
		}
		if m := moved[3].(esp.MoveSA); m.ID.Dst != remote.Addr() || m.Dst != to.Remote.Addr() || m.ID.Proto != esp.ProtoIPComp {
			t.Errorf("moved %+v", m)
		}
		if got := text(c.Remove()); got != "-200 -222 -100 -111 -pol:in -pol:fwd -pol:out" {
			t.Error(got)
		}
	}
	c := newChild(conf.Tunnel)
	c.CPIIn, c.CPIOut, c.Replaces = 0x111, 0x222, 3
	if got := text(installed(t, c)); got != "+in:100 +in:111 +pol:in +pol:fwd" {
		t.Error(got)
	}
	if got := text(c.SwitchOver()); got != "+out:200 +out:222 +pol:out" {
		t.Error(got)
	}
	tr := newChild(conf.Transport)
	tr.CPIIn, tr.CPIOut, tr.Local, tr.Remote = 0x111, 0x222, []wire.Selector{ts.Host(local.Addr())}, []wire.Selector{ts.Host(remote.Addr())}
	for _, op := range installed(t, tr)[:4] {
		if sa := op.(esp.AddSA).SA; sa.Mode != esp.Transport || len(sa.Selectors) != 1 {
			t.Errorf("%+v", sa)
		}
	}
}

// The SAs of one pair of hosts know it, whatever protocol and port the child is for.
func TestSelectors(t *testing.T) {
	web := ts.Host(netip.MustParseAddr("10.2.0.1"))
	web.Proto, web.StartPort, web.EndPort = 6, 443, 443
	host := ts.Host(netip.MustParseAddr("10.1.0.1"))
	for _, m := range []conf.Mode{conf.Tunnel, conf.Transport, conf.BEET} {
		c := newChild(m)
		c.Local, c.Remote = []wire.Selector{host}, []wire.Selector{web}
		ops := installed(t, c)
		a, b := ops[0].(esp.AddSA).SA, ops[1].(esp.AddSA).SA
		if m == conf.Tunnel {
			if a.Selectors != nil || b.Selectors != nil {
				t.Errorf("tunnel: %v %v", a.Selectors, b.Selectors)
			}
			continue
		}
		want := esp.Selector{Src: netip.MustParsePrefix("10.1.0.1/32"), Dst: netip.MustParsePrefix("10.2.0.1/32"), SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort}
		if len(b.Selectors) != 1 || b.Selectors[0] != want || len(a.Selectors) != 1 || a.Selectors[0] != ts.Reverse(want) {
			t.Errorf("%v: %v %v", m, a.Selectors, b.Selectors)
		}
		if m == conf.BEET && (a.Mode != esp.BEET || text(ops) != "+in:100 +out:200 +pol:in +pol:fwd +pol:out" || ops[2].(esp.AddPolicy).Policy.Mode != esp.BEET) {
			t.Error(text(ops))
		}
		c.Remote = append(c.Remote, ts.Host(netip.MustParseAddr("10.2.0.2")))
		if m == conf.Transport && installed(t, c)[0].(esp.AddSA).SA.Selectors != nil {
			t.Error("two pairs are no one pair")
		}
	}
}

// What passes comes before whatever protects, what drops behind it, and among
// themselves the more specific is first.
func TestShunt(t *testing.T) {
	any4, err := conf.ParseSelector("0.0.0.0/0")
	if err != nil {
		t.Fatal(err)
	}
	one, err := conf.ParseSelector("fd01::1[tcp/80]")
	if err != nil {
		t.Fatal(err)
	}
	shunt := func(m conf.Mode, s conf.Selector) []esp.Policy {
		c := &conf.Child{Mode: m, Local: []conf.Selector{s}, Remote: []conf.Selector{s}}
		c.Kernel.MarkIn, c.Kernel.IfIDOut = conf.Mark{Value: 1, Mask: 1}, 6
		ps, err := Shunt(c, "site/hole")
		if err != nil || len(ps) != 3 {
			t.Fatal(ps, err)
		}
		for i, p := range ps {
			if p.Dir != directions[i] || p.Owner != 0 || p.ReqID != 0 || p.Name != "site/hole" || p.Src.IsValid() || p.Dst.IsValid() {
				t.Errorf("%+v", p)
			}
			if (p.IfID == 6) != (p.Dir == esp.Out) || (p.Mark.Mask == 1) == (p.Dir == esp.Out) {
				t.Errorf("mark %v, interface %d", p.Mark, p.IfID)
			}
		}
		return ps
	}
	wide, narrow := shunt(conf.Pass, any4), shunt(conf.Pass, one)
	dropWide, dropNarrow := shunt(conf.Drop, any4), shunt(conf.Drop, one)
	if wide[0].Action != esp.Bypass || dropWide[0].Action != esp.Discard {
		t.Error(wide[0].Action, dropWide[0].Action)
	}
	order := []uint32{0, narrow[0].Priority, wide[0].Priority, Priority(narrow[0].Sel), Priority(wide[0].Sel) + 1, dropNarrow[0].Priority, dropWide[0].Priority}
	for i := range order[1:] {
		if order[i] >= order[i+1] {
			t.Errorf("priorities %v", order)
		}
	}
	c := &conf.Child{Mode: conf.Drop, Local: []conf.Selector{any4}, Remote: []conf.Selector{any4}, Kernel: conf.Kernel{Priority: 12}}
	if ps, err := Shunt(c, "x"); err != nil || ps[2].Priority != 12 {
		t.Error(ps, err)
	}
	c.Remote = []conf.Selector{one}
	if ps, err := Shunt(c, "x"); err == nil {
		t.Errorf("of two families: %v", ps)
	}
}

// A sample holds whatever a child's SAs and policies ask for.
func TestSample(t *testing.T) {
	gcm := crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESGCM16, KeyBits: 256}
	c := &conf.Child{Protocol: crypto.ESP, Window: 64, Kernel: conf.Kernel{MarkOut: conf.Mark{Value: 1, Mask: 1}, IfIDOut: 3, TFCPad: 9, NoCopyDF: true}}
	s := Sample(c, gcm, crypto.Alg{}, false)
	if s.ID != (esp.SAID{Proto: esp.ProtoESP}) || s.Dir != esp.In || s.Encr != gcm || s.Mark.Mask != 1 || s.IfID != 3 || s.TFCPad != 9 || !s.NoCopyDF || s.Window != 64 {
		t.Errorf("%+v", s)
	}
	if s := Sample(c, crypto.Alg{}, crypto.Alg{}, true); s.ID != (esp.SAID{Proto: esp.ProtoIPComp}) || s.Mode != esp.Tunnel || s.Window != 0 || s.IfID != 3 {
		t.Errorf("%+v", s)
	}
	c.Protocol = crypto.AH
	if s := Sample(c, crypto.Alg{}, crypto.Alg{}, false); s.ID.Proto != esp.ProtoAH {
		t.Errorf("%+v", s)
	}
}
