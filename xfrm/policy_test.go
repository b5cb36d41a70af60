//go:build linux

package xfrm

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/hostnet"
	"github.com/goike/goike/xfrm/message"
)

// priorityOut is the priority of the only outbound policy.
func (b *bed) priorityOut() uint32 {
	b.t.Helper()
	_, is := b.k.snapshot()
	for k, p := range is {
		if k.dir == message.Out {
			return p.Priority
		}
	}
	return 0
}

// Owners with the same selectors, in all orders of coming and going: the one with the
// lowest priority number is in force, of equal ones that which came last.
func TestOwners(t *testing.T) {
	owners := map[uint64]uint32{0: 1001, 1: 1000, 2: 1000}
	for _, order := range permutations([]uint64{0, 1, 2}) {
		for _, leaving := range permutations([]uint64{0, 1, 2}) {
			b := newBed(t)
			var there []uint64
			check := func() {
				t.Helper()
				want := uint32(0)
				for _, o := range there {
					if want == 0 || owners[o] < want {
						want = owners[o]
					}
				}
				if got := b.priorityOut(); got != want {
					t.Errorf("%v came: priority %d, want %d", there, got, want)
				}
			}
			for _, o := range order {
				ps := policies(o, owners[o])
				for i := range ps {
					ps[i].ReqID += uint32(o)
				}
				b.apply(adds(ps)...)
				there = append(there, o)
				check()
			}
			for _, o := range leaving {
				b.guard(policies(0, 0), len(there) > 1)
				b.apply(dels(policies(o, owners[o]))...)
				there = slices.DeleteFunc(there, func(x uint64) bool { return x == o })
				check()
			}
			b.k.empty(t)
		}
	}
}

func permutations(of []uint64) [][]uint64 {
	if len(of) == 1 {
		return [][]uint64{of}
	}
	var out [][]uint64
	for i := range of {
		rest := slices.Delete(slices.Clone(of), i, i+1)
		for _, p := range permutations(rest) {
			out = append(out, append([]uint64{of[i]}, p...))
		}
	}
	return out
}

// guard fails the test when a policy is missing at any moment from now on.
func (b *bed) guard(ps []esp.Policy, on bool) {
	b.t.Helper()
	b.k.mu.Lock()
	defer b.k.mu.Unlock()
	b.k.seen = nil
	if !on {
		return
	}
	var keys []policyKey
	for _, p := range ps {
		k, err := keysOf(&p)
		if err != nil {
			b.t.Fatal(err)
		}
		keys = append(keys, k...)
	}
	b.k.seen = func() {
		for _, k := range keys {
			if b.k.policies[k] == nil {
				b.t.Errorf("for a moment there was no policy %s", keyText(k))
			}
		}
	}
}

// Of equal owners the one that came last is in force; when it goes, the other is.
func TestLastOwner(t *testing.T) {
	b := newBed(t)
	ps1, ps2 := policies(1, 1000), policies(2, 1000)
	for i := range ps2 {
		ps2[i].ReqID++
	}
	reqID := func() uint32 {
		_, is := b.k.snapshot()
		for _, p := range is {
			if p.Dir == message.Out { // the others are for both
				return p.Templates[0].ReqID
			}
		}
		return 0
	}
	b.apply(adds(ps1)...)
	b.apply(adds(ps2)...)
	if reqID() != testReqID+1 {
		t.Error("the first is in force")
	}
	b.k.counted()
	b.apply(adds(ps2)...)
	if calls, _ := b.k.counted(); calls != 0 {
		t.Error("the kernel was told what it knows")
	}
	b.guard(ps1, true)
	b.apply(adds(ps1)...) // once more: it comes last now
	if reqID() != testReqID {
		t.Error("the second is in force")
	}
	b.apply(append(dels(ps1), dels(ps2)[:0]...)...)
	if reqID() != testReqID+1 {
		t.Error("nobody took its place")
	}
}

// Within one Apply nothing is ever missing that stands before and after.
func TestNoWindow(t *testing.T) {
	b := newBed(t)
	trap := policies(0, 1001)
	b.apply(adds(trap)...)
	b.guard(trap, true)
	up, down := b.child(1, 1000)
	b.apply(up...)
	again, downAgain := b.child(2, 1000)
	b.apply(append(slices.Clone(down), again...)...) // the old goes before the new comes
	b.apply(append(dels(trap), adds(trap)...)...)
	b.apply(downAgain...)
	discard := policies(0, 1001)
	for i := range discard {
		discard[i].Action = esp.Discard
	}
	b.apply(adds(discard)...)
	b.guard(nil, false)
}

// Random operations, random refusals: the table and the kernel agree, no policy is
// missing, and in the end nothing is left.
func TestRandomOperations(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		b := newBed(t)
		trap := policies(0, 1001)
		b.apply(adds(trap)...)
		downs := make(map[uint64][]esp.Op)
		for range 40 {
			b.guard(trap, true)
			b.k.refuse = func(message.Type, *message.State, *message.Policy) error {
				if rng.IntN(20) == 0 {
					return []error{unix.ENOBUFS, unix.ENOMEM, unix.EINVAL}[rng.IntN(3)]
				}
				return nil
			}
			owner := 1 + rng.Uint64N(5)
			ops := downs[owner]
			if ops == nil {
				b.k.mu.Lock()
				refuse := b.k.refuse
				b.k.refuse = nil
				b.k.mu.Unlock()
				ops, downs[owner] = b.child(owner, 1000)
				b.k.refuse = refuse
			} else {
				delete(downs, owner)
			}
			if rng.IntN(10) == 0 {
				b.k.dead = errors.New("gone wrong")
			}
			err := b.Apply(t.Context(), ops)
			b.k.refuse, b.k.dead = nil, nil
			if err != nil && downs[owner] != nil {
				_ = b.Apply(t.Context(), downs[owner])
				delete(downs, owner)
			}
			b.apply()
		}
		b.guard(nil, false)
		for _, ops := range downs {
			b.apply(ops...)
		}
		b.apply(dels(trap)...)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		b.k.empty(t)
	}
}

func TestFormsOfPolicies(t *testing.T) {
	v6 := netip.MustParseAddr("2001:db8::2")
	for name, c := range map[string]struct {
		change func(*esp.Policy)
		want   []message.Template
	}{
		"tunnel":    {func(*esp.Policy) {}, []message.Template{{Src: here, Dst: there, Proto: 50, ReqID: testReqID, Mode: message.Tunnel}}},
		"AH":        {func(p *esp.Policy) { p.Proto = esp.ProtoAH }, []message.Template{{Src: here, Dst: there, Proto: 51, ReqID: testReqID, Mode: message.Tunnel}}},
		"transport": {func(p *esp.Policy) { p.Mode = esp.Transport }, []message.Template{{Proto: 50, ReqID: testReqID}}},
		"BEET":      {func(p *esp.Policy) { p.Mode = esp.BEET }, []message.Template{{Src: here, Dst: there, Proto: 50, ReqID: testReqID, Mode: message.BEET}}},
		"IPComp": {func(p *esp.Policy) { p.IPComp = true }, []message.Template{
			{Src: here, Dst: there, Proto: 108, ReqID: testReqID, Mode: message.Tunnel}, {Proto: 50, ReqID: testReqID},
		}},
		"IPComp in transport mode": {func(p *esp.Policy) { p.IPComp, p.Mode = true, esp.Transport }, []message.Template{
			{Proto: 108, ReqID: testReqID}, {Proto: 50, ReqID: testReqID},
		}},
		"IPComp inbound": {func(p *esp.Policy) { p.IPComp, p.Dir = true, esp.In }, []message.Template{
			{Src: here, Dst: there, Proto: 108, ReqID: testReqID, Mode: message.Tunnel, Optional: true}, {Proto: 50, ReqID: testReqID},
		}},
		"any local address": {func(p *esp.Policy) { p.Src = netip.Addr{} },
			[]message.Template{{Dst: there, Proto: 50, ReqID: testReqID, Mode: message.Tunnel}}},
		"IPv6 outside": {func(p *esp.Policy) { p.Src, p.Dst = netip.Addr{}, v6 },
			[]message.Template{{Dst: v6, Proto: 50, ReqID: testReqID, Mode: message.Tunnel}}},
		"nobody known": {func(p *esp.Policy) { p.Src, p.Dst = netip.Addr{}, netip.IPv6Unspecified() },
			[]message.Template{{Proto: 50, ReqID: testReqID, Mode: message.Tunnel}}},
		"bypass":  {func(p *esp.Policy) { p.Action = esp.Bypass }, nil},
		"discard": {func(p *esp.Policy) { p.Action = esp.Discard }, nil},
		"marked": {func(p *esp.Policy) { p.Mark, p.IfID = esp.Mark{Value: 1, Mask: 3}, 5 },
			[]message.Template{{Src: here, Dst: there, Proto: 50, ReqID: testReqID, Mode: message.Tunnel}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			p := policies(1, 1000)[0]
			c.change(&p)
			b.apply(esp.AddPolicy{Policy: p})
			_, is := b.k.snapshot()
			for k, m := range is {
				if !slices.EqualFunc(m.Templates, c.want, sameTemplate) {
					t.Errorf("%+v, want %+v", m.Templates, c.want)
				}
				if (m.Action == message.Block) != (p.Action == esp.Discard) || k.ifID != p.IfID || k.mark.Value != p.Mark.Value {
					t.Errorf("%+v", m)
				}
				for _, x := range m.Templates {
					if want := familyOf(there); x.Family != want && p.Dst != v6 {
						t.Errorf("family %d", x.Family)
					}
				}
			}
			if len(is) != 1 {
				t.Errorf("%d policies", len(is))
			}
			b.apply(esp.DelPolicy{Policy: p})
			b.k.empty(t)
		})
	}
}

func TestPoliciesThatAreNone(t *testing.T) {
	b := newBed(t)
	for words, change := range map[string]func(*esp.Policy){
		"direction 7": func(p *esp.Policy) { p.Dir = 7 },
		"action 7":    func(p *esp.Policy) { p.Action = 7 },
		"mode 7":      func(p *esp.Policy) { p.Mode = 7 },
		"protocol 7":  func(p *esp.Policy) { p.Proto = 7 },
		"selector":    func(p *esp.Policy) { p.Sel.Dst = prefix("::/0") },
		"ICMP":        func(p *esp.Policy) { p.Sel.Proto, p.Sel.SrcPorts, p.Sel.DstPorts = 1, single(1), single(2) },
		"at most 64": func(p *esp.Policy) {
			p.Sel.Proto, p.Sel.SrcPorts, p.Sel.DstPorts = 6, esp.PortRange{First: 1, Last: 65534}, esp.PortRange{First: 1, Last: 65534}
		},
	} {
		p := policies(1, 1000)[0]
		change(&p)
		b.refused(words+"|gateway/office", esp.AddPolicy{Policy: p})
		b.apply(esp.DelPolicy{Policy: p})
		b.k.empty(t)
	}
}

// Selectors that share a policy of the kernel share it in peace.
func TestSharedParts(t *testing.T) {
	b := newBed(t)
	p1, p2 := policies(1, 1000)[0], policies(2, 1000)[0]
	p1.Sel.Proto, p2.Sel.Proto = 6, 6
	p1.Sel.DstPorts, p2.Sel.DstPorts = esp.PortRange{First: 80, Last: 82}, esp.PortRange{First: 79, Last: 81}
	b.apply(esp.AddPolicy{Policy: p1}, esp.AddPolicy{Policy: p2})
	if _, is := b.k.snapshot(); len(is) != 3 {
		t.Errorf("%d policies, want 79, 80-81, 82", len(is))
	}
	b.apply(esp.DelPolicy{Policy: p1})
	if _, is := b.k.snapshot(); len(is) != 2 {
		t.Errorf("%d policies, want 79, 80-81", len(is))
	}
	b.apply(esp.DelPolicy{Policy: p2})
	b.k.empty(t)
}

// A policy of several parts is installed whole or not at all.
func TestRefusedPart(t *testing.T) {
	b := newBed(t)
	p := policies(1, 1000)[0]
	p.Sel.Proto, p.Sel.DstPorts = 6, esp.PortRange{First: 1, Last: 6}
	n := 0
	b.k.refuse = errno(unix.ENOBUFS, func(m message.Type, _ *message.State, _ *message.Policy) bool {
		n++
		return m == message.NewPolicy && n == 3
	})
	b.refused("memory", esp.AddPolicy{Policy: p})
	b.k.empty(t)
}

func TestRoutes(t *testing.T) {
	b := newBed(t)
	want := func(routes ...hostnet.Route) {
		t.Helper()
		if !slices.Equal(b.net.routes, routes) {
			t.Errorf("routes are %v, want %v", b.net.routes, routes)
		}
	}
	office := hostnet.Route{Dst: prefix("10.2.0.0/16"), Local: prefix("10.1.0.0/16"), Via: there}
	trap := policies(0, 1001)
	b.apply(adds(trap)...)
	want(office)
	sets := b.net.sets
	up, down := b.child(1, 1000)
	b.apply(up...)
	b.apply(down...)
	if b.net.sets != sets {
		t.Error("routes were set anew without need")
	}
	shunt := policies(3, 10)[0]
	shunt.Sel.Dst, shunt.Action = prefix("10.2.9.0/24"), esp.Bypass
	closed := shunt
	closed.Sel.Dst, closed.Action, closed.Dst = prefix("10.3.0.0/16"), esp.Discard, netip.Addr{}
	device := policies(4, 10)[0]
	device.Sel.Dst, device.IfID = prefix("10.4.0.0/16"), 5
	nowhere := device
	nowhere.Sel.Dst, nowhere.IfID = prefix("10.5.0.0/16"), 6
	some := shunt
	some.Sel.Dst, some.Sel.Proto = prefix("10.2.8.0/24"), 6
	same := shunt
	same.Sel.Dst, same.Sel.Src = prefix("10.2.0.0/16"), prefix("10.1.7.0/24")
	ops := []esp.Op{}
	for _, p := range []esp.Policy{shunt, closed, device, nowhere, some, same} {
		ops = append(ops, esp.AddPolicy{Policy: p})
	}
	b.apply(ops...)
	want(office, hostnet.Route{Dst: prefix("10.2.9.0/24"), Bypass: true},
		hostnet.Route{Dst: prefix("10.4.0.0/16"), Local: prefix("10.1.0.0/16"), Device: "xfrm5"})
	b.net.err = errors.New("no room")
	b.refused("routes|no room", dels(trap)...)
	b.refused("routes|no room")
	b.net.err = nil
	b.apply()
	if len(b.net.routes) != 3 || b.net.routes[0] != (hostnet.Route{Dst: prefix("10.2.0.0/16"), Bypass: true}) {
		t.Errorf("%v", b.net.routes)
	}
	b.apply(dels([]esp.Policy{shunt, closed, device, nowhere, some, same})...)
	want()
}

// An interface that everything goes to does not carry the packets to the peer itself,
// nor those of networks that are excluded.
func TestRoutesOfInterfaces(t *testing.T) {
	b := newBed(t)
	all := policies(1, 1000)[0]
	all.Sel.Dst, all.IfID = prefix("0.0.0.0/0"), 5
	near := all
	near.Sel.Dst, near.Action, near.Priority, near.Dst = prefix("10.1.0.0/16"), esp.Bypass, 900, netip.Addr{}
	b.apply(esp.AddPolicy{Policy: all}, esp.AddPolicy{Policy: near})
	routes := []hostnet.Route{
		{Dst: prefix("0.0.0.0/0"), Local: prefix("10.1.0.0/16"), Device: "xfrm5"},
		{Dst: prefix("10.1.0.0/16"), Bypass: true},
		{Dst: netip.PrefixFrom(there, 32), Bypass: true},
	}
	if !slices.Equal(b.net.routes, routes) {
		t.Errorf("routes are %v, want %v", b.net.routes, routes)
	}
}
