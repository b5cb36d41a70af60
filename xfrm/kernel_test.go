//go:build linux

package xfrm

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/test/lab"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// halfKernel is the kernel of this machine, which may lack ESP: a fake one has the SAs.
type halfKernel struct {
	*netlink.Conn
	fake *fakeKernel
}

// Do implements Kernel.
func (h *halfKernel) Do(ctx context.Context, requests []netlink.Request) ([]netlink.Reply, error) {
	var whole, fake []netlink.Request
	at := make([]int, len(requests))
	for i, r := range requests {
		switch r.Type {
		case message.NewSA, message.UpdSA, message.GetSA:
			fake = append(fake, r)
			at[i] = -len(fake)
		case message.DelSA:
			fake = append(fake, netlink.Request{Type: r.Type, Body: slices.Clone(r.Body)})
			at[i] = -len(fake)
			whole = append(whole, r)
		default:
			at[i] = len(whole)
			whole = append(whole, r)
		}
	}
	fakes, err := h.fake.Do(ctx, fake)
	if err != nil {
		return nil, err
	}
	reals, err := h.Conn.Do(ctx, whole)
	if err != nil {
		return nil, err
	}
	replies := make([]netlink.Reply, len(requests))
	for i, n := range at {
		if n < 0 {
			replies[i] = fakes[-n-1]
		} else {
			replies[i] = reals[n]
		}
	}
	return replies, nil
}

// Dump implements Kernel.
func (h *halfKernel) Dump(ctx context.Context, r netlink.Request) ([]netlink.Message, error) {
	if r.Type == message.GetSA {
		return h.fake.Dump(ctx, r)
	}
	return h.Conn.Dump(ctx, r)
}

// host is a network namespace of a gateway with a plane in it.
type host struct {
	*lab.Namespace
	t        testing.TB
	kernel   *halfKernel
	listener *netlink.Listener
}

func newHost(t testing.TB) *host {
	t.Helper()
	lab.Need(t, "ip")
	l := lab.ForTest(t)
	ns, err := l.Namespace("gateway", true)
	if err != nil {
		t.Fatal(err)
	}
	router, err := l.Namespace("router", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		lab.Link(ns, "eth0", router, "eth0"), router.Address("eth0", "192.0.2.2/24"),
		ns.Address("eth0", "192.0.2.1/24", "10.1.0.9/16"), ns.Default("192.0.2.2"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	h := &host{Namespace: ns, t: t, kernel: &halfKernel{fake: newFake(t)}}
	h.do(func() (err error) {
		if h.kernel.Conn, err = netlink.Open(); err != nil {
			return err
		}
		h.listener, err = h.kernel.Listen(message.GroupAcquire, message.GroupExpire, message.GroupSA, message.GroupPolicy, message.GroupMapping)
		return err
	})
	t.Cleanup(func() {
		if err := h.listener.Close(); err != nil {
			t.Error(err)
		}
		if err := h.kernel.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *host) do(f func() error) {
	h.t.Helper()
	if err := h.Do(f); err != nil {
		h.t.Fatal(err)
	}
}

// plane makes a plane that is watched. Notices go into the channel.
func (h *host) plane(warn func(string)) (*Plane, chan esp.Notice) {
	h.t.Helper()
	p, err := New(h.t.Context(), Config{Kernel: h.kernel, Notices: h.listener, FirstReqID: firstReqID, LastReqID: lastReqID, Warn: warn})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.t.Context())
	notices, done := make(chan esp.Notice, 1024), make(chan error, 1)
	go func() { done <- p.Watch(ctx, func(n esp.Notice) { notices <- n }) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
		if err := p.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return p, notices
}

// xfrm is what "ip xfrm" shows.
func (h *host) xfrm() string {
	h.t.Helper()
	var out strings.Builder
	for _, what := range []string{"policy", "state"} {
		text, err := h.Run(h.t.Context(), "ip", "xfrm", what)
		if err != nil {
			h.t.Fatal(err)
		}
		out.WriteString(text)
	}
	return out.String()
}

func (h *host) apply(p *Plane, ops ...esp.Op) {
	h.t.Helper()
	if err := p.Apply(h.t.Context(), ops); err != nil {
		h.t.Fatal(err)
	}
}

// A thousand children come and go: nothing is left.
func TestThousandChildren(t *testing.T) {
	h := newHost(t)
	before := h.xfrm()
	p, _ := h.plane(func(s string) { t.Error(s) })
	const children = 1000
	downs := make([][]esp.Op, children)
	for i := range children {
		spi, err := p.AllocSPI(t.Context(), there, here, esp.ProtoESP)
		if err != nil {
			t.Fatal(err)
		}
		in, out := inSA(spi), outSA(uint32(0x10000+i))
		ps := policies(uint64(i+1), 1000)
		in.ReqID += uint32(i)
		out.ReqID = in.ReqID
		net := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(100 + i/250), byte(i % 250), 0}), 24)
		for j := range ps {
			ps[j].ReqID = in.ReqID
			if ps[j].Dir == esp.Out {
				ps[j].Sel.Dst = net
			} else {
				ps[j].Sel.Src = net
			}
		}
		h.apply(p, append([]esp.Op{esp.AddSA{SA: in}, esp.AddSA{SA: out}}, adds(ps)...)...)
		downs[i] = append([]esp.Op{esp.DelSA{ID: out.ID}, esp.DelSA{ID: in.ID}}, dels(ps)...)
	}
	if n := strings.Count(h.xfrm(), "src 10."); n != 3*children {
		t.Errorf("%d policies", n)
	}
	for _, ops := range downs {
		h.apply(p, ops...)
	}
	if after := h.xfrm(); after != before {
		t.Errorf("left behind:\n%s", after)
	}
	h.kernel.fake.empty(t)
}

// What the kernel takes, it shows as it was meant.
func TestPoliciesOfTheKernel(t *testing.T) {
	h := newHost(t)
	p, _ := h.plane(func(s string) { t.Error(s) })
	base := policies(1, 1000)
	changes := []func(*esp.Policy){
		func(*esp.Policy) {},
		func(p *esp.Policy) { p.Mode = esp.Transport },
		func(p *esp.Policy) { p.Mode = esp.BEET },
		func(p *esp.Policy) { p.IPComp = true },
		func(p *esp.Policy) { p.Proto = esp.ProtoAH },
		func(p *esp.Policy) { p.Action = esp.Bypass },
		func(p *esp.Policy) { p.Action = esp.Discard },
		func(p *esp.Policy) { p.Sel.Proto, p.Sel.SrcPorts, p.Sel.DstPorts = 1, single(0x800), esp.AnyPort },
		func(p *esp.Policy) { p.Sel.Proto, p.Sel.DstPorts = 6, esp.PortRange{First: 1000, Last: 2000} },
		func(p *esp.Policy) { p.Mark, p.IfID = esp.Mark{Value: 5, Mask: 7}, 9 },
		func(p *esp.Policy) { p.Src, p.Dst = netip.Addr{}, netip.Addr{} },
		func(p *esp.Policy) { p.Sel.Src, p.Sel.Dst = prefix("fd01::/64"), prefix("fd02::/64") },
		func(p *esp.Policy) {
			p.Src, p.Dst = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
		},
	}
	for i, change := range changes {
		ps := slices.Clone(base)
		for j := range ps {
			change(&ps[j])
		}
		if ps[0].Mode == esp.Transport {
			ps = ps[:2]
		}
		h.apply(p, adds(ps)...)
		if err := p.agrees(t.Context()); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		h.apply(p, dels(ps)...)
		if is := h.xfrm(); is != "" {
			t.Fatalf("%d: left behind:\n%s", i, is)
		}
	}
}

// agrees compares the table with the kernel.
func (p *Plane) agrees(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, d, err := p.compare(ctx)
	if err == nil && d != (difference{}) {
		err = fmt.Errorf("%v", d)
	}
	return err
}

func wait[T esp.Notice](t *testing.T, notices chan esp.Notice) T {
	t.Helper()
	for {
		select {
		case n := <-notices:
			if x, ok := n.(T); ok {
				return x
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was told")
		}
	}
}

// A packet for a trap asks, with what it is.
func TestAcquireOfTheKernel(t *testing.T) {
	h := newHost(t)
	p, notices := h.plane(func(s string) { t.Error(s) })
	h.apply(p, adds(policies(0, 1001))...)
	var port uint16
	h.do(func() error {
		from := &net.UDPAddr{IP: net.IPv4(10, 1, 0, 9)}
		c, err := net.DialUDP("udp4", from, &net.UDPAddr{IP: net.IPv4(10, 2, 0, 9), Port: 443})
		if err != nil {
			return err
		}
		port = c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		_, _ = c.Write([]byte("?")) // it is held back
		return c.Close()
	})
	a := wait[esp.Acquire](t, notices)
	want := esp.Selector{Src: prefix("10.1.0.9/32"), Dst: prefix("10.2.0.9/32"), Proto: 17, SrcPorts: single(port), DstPorts: single(443)}
	if a.Policy != "gateway/office" || a.ReqID != testReqID || a.Packet != want {
		t.Errorf("%+v", a)
	}
}

// Another program flushes policies: they are back, and it is said once.
func TestFlushOfTheKernel(t *testing.T) {
	h := newHost(t)
	said := make(chan string, 16)
	p, _ := h.plane(func(s string) { said <- s })
	h.apply(p, adds(policies(0, 1001))...)
	before := h.xfrm()
	if _, err := h.Run(t.Context(), "ip", "xfrm", "policy", "flush"); err != nil {
		t.Fatal(err)
	}
	select {
	case s := <-said:
		if !strings.Contains(s, "3 policies and 0 SAs of goike were gone") {
			t.Error(s)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was said")
	}
	after := h.xfrm()
	if len(strings.Split(after, "\n")) != len(strings.Split(before, "\n")) {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	if _, err := h.Run(t.Context(), "ip", "xfrm", "policy", "delete", "dir", "out", "src", "10.1.0.0/16", "dst", "10.2.0.0/16"); err != nil {
		t.Fatal(err)
	}
	if s := <-said; !strings.Contains(s, "1 policy") {
		t.Error(s)
	}
	if err := p.agrees(t.Context()); err != nil {
		t.Error(err)
	}
}

// A policy of another program is in the way, and stays.
func TestForeignPolicyOfTheKernel(t *testing.T) {
	h := newHost(t)
	p, _ := h.plane(func(s string) { t.Error(s) })
	add := strings.Fields("ip xfrm policy add dir out src 10.1.0.0/16 dst 10.2.0.0/16 priority 7")
	if _, err := h.Run(t.Context(), add...); err != nil {
		t.Fatal(err)
	}
	before := h.xfrm()
	ps := policies(1, 1000)[:1]
	if err := p.Apply(t.Context(), adds(ps)); err == nil || !contains(err, "another program") {
		t.Error(err)
	}
	h.apply(p, dels(ps)...)
	if after := h.xfrm(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// What a killed instance has left is known again by its tag.
func TestTakeOverOfTheKernel(t *testing.T) {
	h := newHost(t)
	old, err := New(t.Context(), Config{Kernel: h.kernel, FirstReqID: firstReqID, LastReqID: lastReqID})
	if err != nil {
		t.Fatal(err)
	}
	ps := policies(1, 1000)
	drop := ps[0]
	drop.Action, drop.Sel.Dst = esp.Discard, prefix("10.9.0.0/16")
	h.apply(old, adds(append(ps, drop))...)
	p, notices := h.plane(func(s string) { t.Error(s) })
	h.apply(p, adds(policies(0, 1001))...)
	if a := wait[esp.Acquire](t, notices); a.Policy != "gateway/office" || a.Packet.Src.IsValid() {
		t.Errorf("%+v", a)
	}
	if n := strings.Count(h.xfrm(), "priority 1000"); n != 4 {
		t.Errorf("%d policies", n)
	}
	h.apply(p, adds(policies(2, 1000))...)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if is := h.xfrm(); is != "" {
		t.Errorf("left behind:\n%s", is)
	}
}

// The answers of this machine's kernel, with ESP or without.
func TestProbeOfTheKernel(t *testing.T) {
	h := newHost(t)
	if err := Probe(t.Context(), h.kernel.Conn); err != nil {
		t.Log(err)
		wantUnsupported(t, err, true)
	}
	if is := h.xfrm(); is != "" {
		t.Errorf("left behind:\n%s", is)
	}
}
