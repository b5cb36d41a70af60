package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/child"
)

// protecting is the trap of a child between two networks.
func protecting(src, dst string) esp.Policy {
	sel := esp.Selector{Src: netip.MustParsePrefix(src), Dst: netip.MustParsePrefix(dst), SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort}
	return esp.Policy{Sel: sel, Priority: child.Priority(sel) + 1, ReqID: 1}
}

// TestExclusions asks, for packets between two hosts, whether the policies that follow
// from attached networks let them pass in the clear.
func TestExclusions(t *testing.T) {
	for _, c := range []struct {
		name      string
		protected []esp.Policy
		attached  string
		src, dst  string
		clear     bool
	}{
		{"a neighbour under a wider network", []esp.Policy{protecting("10.1.0.0/24", "10.0.0.0/8")}, "10.1.0.0/24", "10.1.0.1", "10.1.0.9", true},
		{"everything is remote", []esp.Policy{protecting("10.1.0.0/24", "0.0.0.0/0")}, "10.1.0.0/24", "10.1.0.1", "10.1.0.9", true},
		{"behind the tunnel", []esp.Policy{protecting("10.1.0.0/24", "0.0.0.0/0")}, "10.1.0.0/24", "10.1.0.1", "10.2.0.9", false},
		{"the network itself is remote", []esp.Policy{protecting("10.1.0.0/24", "10.1.0.0/24")}, "10.1.0.0/24", "10.1.0.1", "10.1.0.9", false},
		{"a neighbour that is protected", []esp.Policy{protecting("0.0.0.0/0", "10.1.0.9/32"), protecting("10.1.0.0/24", "10.0.0.0/8")},
			"10.1.0.0/24", "10.1.0.1", "10.1.0.9", false},
		{"its neighbour", []esp.Policy{protecting("10.1.0.0/24", "10.1.0.9/32"), protecting("10.1.0.0/24", "10.0.0.0/8")},
			"10.1.0.0/24", "10.1.0.1", "10.1.0.8", true},
		{"IPv6", []esp.Policy{protecting("fd01::/64", "::/0")}, "fd01::/64", "fd01::1", "fd01::2", true},
		{"another family", []esp.Policy{protecting("fd01::/64", "::/0")}, "10.1.0.0/24", "fd01::1", "fd02::2", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := exclusions(c.protected, []netip.Prefix{netip.MustParsePrefix(c.attached)})
			all := append(slices.Clone(c.protected), out...)
			var best *esp.Policy
			for i := range all {
				p := &all[i]
				if p.Dir == esp.Out && p.Sel.Src.Contains(netip.MustParseAddr(c.src)) && p.Sel.Dst.Contains(netip.MustParseAddr(c.dst)) &&
					(best == nil || p.Priority < best.Priority) {
					best = p
				}
			}
			if best == nil || (best.Action == esp.Bypass) != c.clear {
				t.Errorf("%+v of %+v", best, all)
			}
		})
	}
}

// Both ways are open, and nothing is between the priorities of a child and its trap.
func TestExclusionIsBothWays(t *testing.T) {
	p := protecting("10.1.0.0/24", "0.0.0.0/0")
	out := exclusions([]esp.Policy{p, p}, []netip.Prefix{netip.MustParsePrefix("10.1.0.7/24")})
	var words []string
	for _, x := range out {
		words = append(words, fmt.Sprintf("%d %s>%s", x.Dir, x.Sel.Src, x.Sel.Dst))
		if x.Action != esp.Bypass || x.Priority >= p.Priority-1 || x.Owner != excludeOwner {
			t.Errorf("%+v", x)
		}
	}
	want := "0 10.1.0.0/24>10.1.0.0/24, 1 10.1.0.0/24>10.1.0.0/24, 2 10.1.0.0/24>10.1.0.0/24"
	if got := strings.Join(words, ", "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// bypasses are the bypass policies that are in force after all operations.
func (o *office) bypasses() map[string]bool {
	in := make(map[string]bool)
	for _, ops := range o.traps {
		for _, op := range ops {
			switch op := op.(type) {
			case esp.AddPolicy:
				if op.Policy.Action == esp.Bypass && op.Policy.Dir == esp.Out {
					in[op.Policy.Sel.Dst.String()] = true
				}
			case esp.DelPolicy:
				if op.Policy.Action == esp.Bypass && op.Policy.Dir == esp.Out {
					delete(in, op.Policy.Sel.Dst.String())
				}
			}
		}
	}
	return in
}

// The policies follow the addresses of this host and the configuration, and are gone
// at the end.
func TestExcludeMyNetwork(t *testing.T) {
	c := siteConfig(conf.OnDemand)
	c.ExcludeMyNetwork = true
	lan := c.Connections[0].Children[0]
	lan.Local = []conf.Selector{{First: netip.MustParseAddr("192.168.1.0"), Last: netip.MustParseAddr("192.168.1.255"), PortLast: 65535}}
	lan.Remote = []conf.Selector{{First: netip.MustParseAddr("0.0.0.0"), Last: netip.MustParseAddr("255.255.255.255"), PortLast: 65535}}
	o := newOffice(t, c)
	attach := func(networks ...string) {
		var list []netip.Prefix
		for _, n := range networks {
			list = append(list, netip.MustParsePrefix(n))
		}
		o.handle(Attached{Networks: list})
	}
	check := func(when string, want ...string) {
		t.Helper()
		got := o.bypasses()
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
		for _, w := range want {
			if !got[w] {
				t.Errorf("%s: %v lacks %s", when, got, w)
			}
		}
	}
	check("at first")
	attach("192.168.1.0/24", "172.16.0.0/12")
	check("attached", "192.168.1.0/24", "172.16.0.0/12")
	before := len(o.traps)
	attach("192.168.1.0/24", "172.16.0.0/12")
	if len(o.traps) != before {
		t.Error("nothing changed, and policies were")
	}
	attach("192.168.1.0/24")
	check("one less", "192.168.1.0/24")
	off := *c
	off.ExcludeMyNetwork = false
	o.handle(Load{Config: &off})
	check("switched off")
	o.handle(Load{Config: c})
	check("switched on", "192.168.1.0/24")
	o.s.Release()
	check("at the end")
}
