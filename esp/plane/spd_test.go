package plane

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/goike/goike/esp"
)

func flow(proto byte, src, dst string) esp.Flow {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	return esp.Flow{Src: s.Addr(), Dst: d.Addr(), Proto: proto, SrcPort: s.Port(), DstPort: d.Port()}
}

func namedPolicy(name string, priority uint32, s esp.Selector) *policy {
	return &policy{Policy: esp.Policy{Name: name, Priority: priority, Sel: s}}
}

func with(s esp.Selector, proto uint8, src, dst esp.PortRange) esp.Selector {
	s.Proto, s.SrcPorts, s.DstPorts = proto, src, dst
	return s
}

func TestPrecedence(t *testing.T) {
	any4 := selector("0.0.0.0/0", "0.0.0.0/0")
	net16 := selector("10.1.0.0/16", "10.2.0.0/16")
	net24 := selector("10.1.0.0/16", "10.2.3.0/24")
	one := esp.PortRange{First: 80, Last: 80}
	some := esp.PortRange{First: 80, Last: 90}
	f := flow(protoTCP, "10.1.0.5:80", "10.2.3.4:80")
	opaque := f
	opaque.Opaque, opaque.SrcPort, opaque.DstPort = true, 0, 0
	for _, c := range []struct {
		name     string
		policies []*policy
		flow     esp.Flow
		want     string
	}{
		{"none", nil, f, ""},
		{"other network", []*policy{namedPolicy("a", 1, selector("10.3.0.0/16", "10.2.0.0/16"))}, f, ""},
		{"other family", []*policy{namedPolicy("a", 1, selector("::/0", "::/0"))}, f, ""},
		{"priority before prefix", []*policy{namedPolicy("a", 5, net24), namedPolicy("b", 4, any4)}, f, "b"},
		{"longer prefix", []*policy{namedPolicy("a", 5, any4), namedPolicy("b", 5, net24), namedPolicy("c", 5, net16)}, f, "b"},
		{"prefix before protocol", []*policy{namedPolicy("a", 5, with(net16, protoTCP, one, one)), namedPolicy("b", 5, net24)}, f, "b"},
		{"protocol", []*policy{namedPolicy("a", 5, net16), namedPolicy("b", 5, with(net16, protoTCP, esp.AnyPort, esp.AnyPort))}, f, "b"},
		{"other protocol", []*policy{namedPolicy("a", 5, net16), namedPolicy("b", 5, with(net16, protoUDP, esp.AnyPort, esp.AnyPort))}, f, "a"},
		{"ports", []*policy{
			namedPolicy("a", 5, with(net16, protoTCP, esp.AnyPort, some)),
			namedPolicy("b", 5, with(net16, protoTCP, esp.AnyPort, one)),
			namedPolicy("c", 5, with(net16, protoTCP, esp.AnyPort, esp.AnyPort)),
		}, f, "b"},
		{"other port", []*policy{namedPolicy("a", 5, with(net16, protoTCP, esp.AnyPort, esp.PortRange{First: 81, Last: 90}))}, f, ""},
		{"no ports to see", []*policy{
			namedPolicy("a", 5, with(net16, protoTCP, esp.AnyPort, one)), namedPolicy("b", 6, net16),
		}, opaque, "b"},
		{"oldest of equals", []*policy{
			namedPolicy("a", 5, with(net16, protoTCP, one, esp.AnyPort)), namedPolicy("b", 5, with(net16, protoTCP, esp.AnyPort, one)),
		}, f, "a"},
		{"IPv6", []*policy{namedPolicy("a", 5, selector("fd00::/8", "::/0")), namedPolicy("b", 5, selector("fd00::/9", "::/0"))},
			flow(protoTCP, "[fd01::1]:1", "[fe80::1]:1"), "b"},
	} {
		// In every order of installation but where it decides.
		for rotate := range max(1, len(c.policies)) {
			if c.name == "oldest of equals" && rotate > 0 {
				break
			}
			s := newSPD(1)
			for i := range c.policies {
				s.add(c.policies[(i+rotate)%len(c.policies)])
			}
			got := ""
			if e := s.lookup(c.flow); e != nil {
				got = e.inForce().Name
			}
			if got != c.want {
				t.Errorf("%s, order %d: found %q, want %q", c.name, rotate, got, c.want)
			}
		}
	}
}

func TestOwners(t *testing.T) {
	sel := selector("10.1.0.0/16", "10.2.0.0/16")
	f := flow(protoTCP, "10.1.0.5:80", "10.2.3.4:80")
	pol := func(name string, owner uint64, priority uint32) *policy {
		p := namedPolicy(name, priority, sel)
		p.Owner = owner
		return p
	}
	for _, c := range []struct {
		name  string
		steps []any // *policy: add; uint64: delete the owner's
		want  []string
	}{
		{"trap yields and comes back", []any{pol("trap", 0, 11), pol("child", 5, 10), uint64(5)}, []string{"trap", "child", "trap"}},
		{"trap added later yields too", []any{pol("child", 5, 10), pol("trap", 0, 11), uint64(5), uint64(0)}, []string{"child", "child", "trap", ""}},
		{"last of equals", []any{pol("one", 1, 10), pol("two", 2, 10), uint64(2)}, []string{"one", "two", "one"}},
		{"older goes", []any{pol("one", 1, 10), pol("two", 2, 10), uint64(1)}, []string{"one", "two", "two"}},
		{"replaced by its owner", []any{pol("one", 1, 10), pol("better", 1, 9), pol("worse", 1, 20)}, []string{"one", "better", "worse"}},
		{"added again it is the last", []any{pol("one", 1, 10), pol("two", 2, 10), pol("one again", 1, 10)}, []string{"one", "two", "one again"}},
		{"unknown owner", []any{pol("one", 1, 10), uint64(9), uint64(1), uint64(1)}, []string{"one", "one", "", ""}},
	} {
		s := newSPD(1)
		for i, step := range c.steps {
			switch step := step.(type) {
			case *policy:
				s.add(step)
			case uint64:
				s.del(&pol("", step, 0).Policy)
			}
			got := ""
			if e := s.lookup(f); e != nil {
				got = e.inForce().Name
			}
			if got != c.want[i] {
				t.Errorf("%s: after step %d found %q, want %q", c.name, i, got, c.want[i])
			}
		}
		if e := s.lookup(f); e == nil && len(*s.tuples.Load()) != 0 {
			t.Errorf("%s: empty tuples are left", c.name)
		}
	}
}

// slow is the SPD as it is described: every policy is looked at.
type slow []*entry

func (s slow) lookup(f esp.Flow) *entry {
	var best *entry
	for _, e := range s {
		if e.sel.Matches(f) && (best == nil || compare(e, best) < 0) {
			best = e
		}
	}
	return best
}

func randomPrefix(r *rand.Rand) netip.Prefix {
	a := netip.AddrFrom4([4]byte{10, byte(r.IntN(4)), byte(r.IntN(4)), byte(r.IntN(4))})
	if r.IntN(3) == 0 {
		a = netip.AddrFrom16([16]byte{0: 0xfd, 7: byte(r.IntN(4)), 8: byte(r.IntN(4)), 15: byte(r.IntN(4))})
		return netip.PrefixFrom(a, []int{0, 8, 64, 65, 72, 127, 128}[r.IntN(7)]).Masked()
	}
	return netip.PrefixFrom(a, []int{0, 8, 16, 22, 24, 30, 31, 32}[r.IntN(8)]).Masked()
}

func randomSelector(r *rand.Rand) esp.Selector {
	for {
		s := esp.Selector{Src: randomPrefix(r), Dst: randomPrefix(r), SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort}
		if s.Src.Addr().Is4() != s.Dst.Addr().Is4() {
			continue
		}
		if r.IntN(3) == 0 {
			s.Proto = []uint8{protoTCP, protoUDP}[r.IntN(2)]
		}
		if r.IntN(3) == 0 {
			s.DstPorts = esp.PortRange{First: uint16(r.IntN(3)), Last: uint16(2 + r.IntN(3))}
		}
		return s
	}
}

// Thousands of policies that come, are replaced and go: what is found is what
// looking at all of them finds.
func TestManyPolicies(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := newSPD(12345)
	installed := make(map[esp.Selector]map[uint64]*policy)
	for range 6000 {
		sel := randomSelector(r)
		owner := uint64(r.IntN(3))
		if r.IntN(4) == 0 {
			s.del(&esp.Policy{Sel: sel, Owner: owner})
			delete(installed[sel], owner)
			continue
		}
		pol := &policy{Policy: esp.Policy{Sel: sel, Owner: owner, Priority: uint32(r.IntN(4))}}
		s.add(pol)
		if installed[sel] == nil {
			installed[sel] = make(map[uint64]*policy)
		}
		installed[sel][owner] = pol
	}
	var all slow
	for sel, owners := range installed {
		if e := (&entry{sel: sel}); len(owners) > 0 {
			for _, pol := range owners {
				e.owners = append(e.owners, pol)
			}
			slices.SortFunc(e.owners, func(a, b *policy) int {
				if a.Priority != b.Priority {
					return int(a.Priority) - int(b.Priority)
				}
				return int(b.added) - int(a.added)
			})
			all = append(all, e)
		}
	}
	if len(all) < 1000 {
		t.Fatalf("only %d selectors", len(all))
	}
	for range 3000 {
		sel := randomSelector(r)
		f := esp.Flow{Src: sel.Src.Addr(), Dst: sel.Dst.Addr(), Proto: []uint8{1, protoTCP, protoUDP}[r.IntN(3)], DstPort: uint16(r.IntN(6))}
		got, want := s.lookup(f), all.lookup(f)
		if (got == nil) != (want == nil) || got != nil && got.inForce() != want.inForce() {
			t.Fatalf("for %+v found %+v, want %+v", f, got, want)
		}
	}
}

// A policy that is replaced again and again, among others that come and go, is
// found at all times.
func TestReplaceWithoutGap(t *testing.T) {
	s := newSPD(7)
	sel := selector("10.1.0.0/16", "10.2.0.0/16")
	f := flow(protoTCP, "10.1.0.5:80", "10.2.3.4:80")
	s.add(namedPolicy("constant", 100, sel))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if e := s.lookup(f); e == nil || e.inForce().Name == "other" {
					t.Errorf("found %+v", e)
					return
				}
			}
		})
	}
	for i := range 3000 {
		p := namedPolicy("child", uint32(90+i%20), sel)
		p.Owner = 1
		s.add(p)
		other := namedPolicy("other", 50, selector(fmt.Sprintf("10.1.%d.0/24", 1+i%250), fmt.Sprintf("10.3.%d.0/24", i%256)))
		s.add(other)
		if i%3 == 0 {
			s.del(&p.Policy)
		}
		if i%100 == 99 {
			s.del(&other.Policy)
		}
	}
	close(stop)
	wg.Wait()
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1, 100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newSPD(99)
			for i := range n {
				s.add(namedPolicy("x", 1000, selector("10.1.0.0/16", fmt.Sprintf("10.%d.%d.0/24", 2+i>>8, i&255))))
			}
			f := flow(protoTCP, "10.1.0.5:80", "10.2.0.4:80")
			b.ReportAllocs()
			for b.Loop() {
				if s.lookup(f) == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}

func BenchmarkAddPolicy(b *testing.B) {
	s := newSPD(99)
	for i := 0; b.Loop(); i++ {
		s.add(namedPolicy("x", 1000, selector("10.1.0.0/16", fmt.Sprintf("10.%d.%d.%d/32", i>>16&255, i>>8&255, i&255))))
	}
}
