package child

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

var (
	local  = netip.MustParseAddrPort("192.0.2.1:4500")
	remote = netip.MustParseAddrPort("198.51.100.1:4501")
	in     = Keys{Encr: crypto.Secret("in")}
	out    = Keys{Encr: crypto.Secret("out")}
)

func network(p string) []wire.Selector {
	n := netip.MustParsePrefix(p)
	last := n.Addr().As4()
	last[2], last[3] = 255, 255
	return []wire.Selector{{Start: n.Addr(), End: netip.AddrFrom4(last), EndPort: 65535}}
}

func newChild(m conf.Mode) *SA {
	return &SA{
		ID: 7, Conn: "site", Name: "lan", Conf: &conf.Child{Window: 64, Lifetime: 3600e9}, ReqID: 42, Mode: m,
		Suite: crypto.Suite{Proto: crypto.ESP, Encr: crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESGCM16, KeyBits: 256}},
		SPIIn: 0x100, SPIOut: 0x200, Local: network("10.1.0.0/16"), Remote: network("10.2.0.0/16"),
		Path: ike.Path{Local: local, Remote: remote}, Limits: esp.Limits{HardTime: 3600e9},
	}
}

// text writes operations short: "+in:100 +pol:out ...".
func text(ops []esp.Op) string {
	var words []string
	dirs := map[esp.Direction]string{esp.In: "in", esp.Out: "out", esp.Forward: "fwd"}
	for _, op := range ops {
		switch op := op.(type) {
		case esp.AddSA:
			words = append(words, fmt.Sprintf("+%s:%x", dirs[op.SA.Dir], op.SA.ID.SPI))
		case esp.DelSA:
			words = append(words, fmt.Sprintf("-%x", op.ID.SPI))
		case esp.MoveSA:
			words = append(words, fmt.Sprintf("~%x", op.ID.SPI))
		case esp.AddPolicy:
			words = append(words, "+pol:"+dirs[op.Policy.Dir])
		case esp.DelPolicy:
			words = append(words, "-pol:"+dirs[op.Policy.Dir])
		}
	}
	return strings.Join(words, " ")
}

// Inbound comes first when a child comes, policies included: the peer may answer at once
// what this side sends. Policies go last when it goes: no packet finds a gap.
func TestOrder(t *testing.T) {
	c := newChild(conf.Tunnel)
	ops, err := c.Install(in, out)
	if err != nil {
		t.Fatal(err)
	}
	if got := text(ops); got != "+in:100 +out:200 +pol:in +pol:fwd +pol:out" {
		t.Error(got)
	}
	if got := text(c.Remove()); got != "-200 -100 -pol:in -pol:fwd -pol:out" {
		t.Error(got)
	}
	if got := text(c.SwitchOver()); got != "" {
		t.Errorf("nothing was to be switched over: %s", got)
	}
	tr, err := newChild(conf.Transport).Install(in, out)
	if got := text(tr); err != nil || got != "+in:100 +out:200 +pol:in +pol:out" {
		t.Error(got, err)
	}
}

// A child that replaces another receives at once, and sends only after SwitchOver.
func TestSwitchOver(t *testing.T) {
	c := newChild(conf.Tunnel)
	c.Replaces = 3
	ops, err := c.Install(in, out)
	if err != nil {
		t.Fatal(err)
	}
	if got := text(ops); got != "+in:100 +pol:in +pol:fwd" {
		t.Error(got)
	}
	if got := text(c.Move(ike.Path{Local: local, Remote: local}, false, false)); got != "~100 +pol:in +pol:fwd" {
		t.Error(got)
	}
	if got := text(c.SwitchOver()); got != "+out:200 +pol:out" || c.Replaces != 0 {
		t.Error(got, c.Replaces)
	}
	if got := text(c.SwitchOver()); got != "" {
		t.Error("switched over twice: " + got)
	}
}

func TestSAs(t *testing.T) {
	c := newChild(conf.Tunnel)
	c.Encap, c.Keepalive = true, true
	ops, err := c.Install(in, out)
	if err != nil {
		t.Fatal(err)
	}
	a, b := ops[0].(esp.AddSA).SA, ops[1].(esp.AddSA).SA
	if a.ID != (esp.SAID{Dst: local.Addr(), SPI: 0x100, Proto: esp.ProtoESP}) || a.Src != remote.Addr() || string(a.EncrKey) != "in" {
		t.Errorf("inbound: %+v", a.ID)
	}
	if b.ID != (esp.SAID{Dst: remote.Addr(), SPI: 0x200, Proto: esp.ProtoESP}) || b.Src != local.Addr() || string(b.EncrKey) != "out" {
		t.Errorf("outbound: %+v", b.ID)
	}
	for _, sa := range []esp.SA{a, b} {
		want := esp.Encap{Local: 4500, Remote: 4501, Keepalive: true}
		if sa.Encap == nil || *sa.Encap != want || sa.ReqID != 42 || sa.Window != 64 || sa.Mode != esp.Tunnel || sa.ESN {
			t.Errorf("%+v", sa)
		}
	}
	to := ike.Path{Local: local, Remote: netip.MustParseAddrPort("203.0.113.9:1024")}
	moved := c.Move(to, true, true)
	if got := text(moved); got != "~100 ~200 +pol:in +pol:fwd +pol:out" {
		t.Error(got)
	}
	m := moved[1].(esp.MoveSA)
	if m.ID != b.ID || m.Dst != to.Remote.Addr() || m.Encap.Remote != 1024 || c.OutboundID().Dst != to.Remote.Addr() {
		t.Errorf("moved to %+v", m)
	}
}

// A trap covers what the child will cover, in both directions, and yields to it.
func TestTrap(t *testing.T) {
	c := newChild(conf.Tunnel)
	ops, err := c.Install(in, out)
	if err != nil {
		t.Fatal(err)
	}
	sel := conf.Selector{First: netip.MustParseAddr("10.1.0.0"), Last: netip.MustParseAddr("10.1.255.255"), PortLast: 65535}
	other := conf.Selector{First: netip.MustParseAddr("10.2.0.0"), Last: netip.MustParseAddr("10.2.255.255"), PortLast: 65535}
	traps, err := Trap(&conf.Child{Local: []conf.Selector{sel}, Remote: []conf.Selector{other}, Protocol: crypto.ESP}, "site/lan", 9, local.Addr(), remote.Addr())
	if err != nil || len(traps) != 3 {
		t.Fatal(traps, err)
	}
	for i, trap := range traps {
		own := ops[2+i].(esp.AddPolicy).Policy
		if trap.Sel != own.Sel || trap.Dir != own.Dir || trap.Action != esp.Protect || trap.Owner != 0 || trap.Name != "site/lan" || trap.ReqID != 9 {
			t.Errorf("trap %+v for %+v", trap, own)
		}
		if trap.Priority <= own.Priority {
			t.Errorf("a trap of priority %d does not yield to %d", trap.Priority, own.Priority)
		}
	}
	if inbound := traps[0]; inbound.Sel != ts.Reverse(traps[2].Sel) || inbound.Dst != local.Addr() {
		t.Errorf("inbound: %+v", inbound)
	}
}

// The more specific selector has the lower number.
func TestPriority(t *testing.T) {
	p := netip.MustParsePrefix
	all := esp.AnyPort
	one := esp.PortRange{First: 80, Last: 80}
	order := []esp.Selector{
		{Src: p("10.1.0.1/32"), Dst: p("10.2.0.1/32"), Proto: 6, SrcPorts: one, DstPorts: one},
		{Src: p("10.1.0.1/32"), Dst: p("10.2.0.1/32"), Proto: 6, SrcPorts: all, DstPorts: one},
		{Src: p("10.1.0.1/32"), Dst: p("10.2.0.1/32"), Proto: 6, SrcPorts: all, DstPorts: all},
		{Src: p("10.1.0.1/32"), Dst: p("10.2.0.1/32"), SrcPorts: all, DstPorts: all},
		{Src: p("10.1.0.0/31"), Dst: p("10.2.0.1/32"), Proto: 6, SrcPorts: all, DstPorts: one},
		{Src: p("10.1.0.0/16"), Dst: p("10.2.0.0/16"), SrcPorts: all, DstPorts: all},
		{Src: p("0.0.0.0/0"), Dst: p("0.0.0.0/0"), SrcPorts: all, DstPorts: all},
	}
	if !slices.IsSortedFunc(order, func(a, b esp.Selector) int { return int(Priority(a)) - int(Priority(b)) }) {
		for _, s := range order {
			t.Errorf("%+v: %d", s, Priority(s))
		}
	}
	longest := esp.Selector{Src: p("fd01::1/128"), Dst: p("fd02::1/128"), Proto: 6, SrcPorts: one, DstPorts: one}
	if n := Priority(longest); n == 0 || n > protectPriority {
		t.Errorf("the most specific has priority %d", n)
	}
}

func TestTooManyPolicies(t *testing.T) {
	c := newChild(conf.Tunnel)
	odd := wire.Selector{Start: netip.MustParseAddr("10.0.0.1"), End: netip.MustParseAddr("10.255.255.254"), EndPort: 65535}
	c.Local, c.Remote = []wire.Selector{odd}, []wire.Selector{odd}
	if _, err := c.Install(in, out); err == nil {
		t.Error("too many policies were taken")
	}
}

// A child that still waits for its outbound keys shows them to no verb.
func TestKeysAreNotPrinted(t *testing.T) {
	c := newChild(conf.Tunnel)
	c.Waiting = &Keys{Encr: crypto.Secret("ENCRYPTION"), Integ: crypto.Secret("INTEGRITY")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		if got := fmt.Sprintf(verb, c) + fmt.Sprintf(verb, *c.Waiting); strings.Contains(got, "ENCR") || strings.Contains(got, "454e43") || strings.Contains(got, "69 78 67") {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
