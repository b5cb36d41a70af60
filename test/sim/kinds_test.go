package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// children are kinds of children that are not of ESP in tunnel mode alone.
var children = map[string]func(t testing.TB, c *conf.Child){
	"AH":                  func(t testing.TB, c *conf.Child) { ah(t, c) },
	"IPComp":              func(_ testing.TB, c *conf.Child) { c.IPComp = true },
	"IPComp inside of AH": func(t testing.TB, c *conf.Child) { ah(t, c); c.IPComp = true },
	"IPComp in transport mode": func(_ testing.TB, c *conf.Child) {
		c.Mode, c.IPComp, c.Local, c.Remote = conf.Transport, true, nil, nil
	},
	"BEET": func(_ testing.TB, c *conf.Child) {
		inner := func(s []conf.Selector, last byte) []conf.Selector {
			a := s[0].First.As4()
			a[3] = last
			return selector(netip.PrefixFrom(netip.AddrFrom4(a), 32))
		}
		c.Mode, c.Local, c.Remote = conf.BEET, inner(c.Local, 10), inner(c.Remote, 10)
	},
}

func ah(t testing.TB, c *conf.Child) {
	c.Protocol, c.Proposals = crypto.AH, proposals(t, crypto.AH, "sha256")
}

// Children of every kind, in a bad network, begun by one side and by both; nothing is
// left of them at the end.
func TestKinds(t *testing.T) {
	for name, change := range children {
		for seed := range uint64(16) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				w := New(seed, storm)
				behavior := []conf.Behavior{conf.ResponderOnly, conf.Start}[seed%2]
				f := flow
				var hosts []*Host
				for _, s := range []struct {
					name string
					addr netip.Addr
					conf *conf.Config
				}{{"b", addrB, siteB(behavior).config(t)}, {"a", addrA, siteA(conf.Start).config(t)}} {
					change(t, s.conf.Connections[0].Children[0])
					hosts = append(hosts, w.Host(s.name, s.addr, s.conf))
				}
				b, a := hosts[0], hosts[1]
				switch name {
				case "IPComp in transport mode":
					f.Src, f.Dst = addrA, addrB
				case "BEET":
					f.Src, f.Dst = netip.MustParseAddr("10.1.0.10"), netip.MustParseAddr("10.2.0.10")
				}
				up := func() bool { return Settled(a, b, 1, f) == nil }
				if !w.Run(2*time.Hour, up) {
					t.Fatalf("%v\n%s", Settled(a, b, 1, f), tail(w.Trace))
				}
				if got := len(a.Plane.Compressing(esp.Out)); got != len(b.Plane.Compressing(esp.In)) || (got == 1) != (name[0] == 'I') {
					t.Errorf("%d IPComp SAs", got)
				}
				a.Configure(conf.Default())
				b.Configure(conf.Default())
				w.Run(time.Hour, func() bool { return a.Shard.Len()+b.Shard.Len() == 0 })
				w.Rest(time.Minute)
				for _, h := range []*Host{a, b} {
					if n := len(h.Plane.sas) + len(h.Plane.policies); n != 0 {
						t.Errorf("%s: %d SAs and policies are left\n%s", h.Name, n, tail(w.Trace))
					}
				}
			})
		}
	}
}

// AH does not come up behind a NAT, and IPComp is left out there.
func TestKindsBehindNAT(t *testing.T) {
	for name, change := range map[string]func(t testing.TB, c *conf.Child){"AH": children["AH"], "IPComp": children["IPComp"]} {
		sb := siteB(conf.ResponderOnly)
		sb.any = true
		w := New(3, calm)
		cb, ca := sb.config(t), siteA(conf.Start).config(t)
		change(t, cb.Connections[0].Children[0])
		change(t, ca.Connections[0].Children[0])
		b := w.Host("b", addrB, cb)
		a := w.Host("a", addrA, ca)
		w.NAT(addrA, natA)
		w.Rest(time.Minute)
		if name == "IPComp" {
			if err := Settled(a, b, 1, flow); err != nil || len(a.Plane.Compressing(esp.Out)) != 0 {
				t.Errorf("%v, %d IPComp SAs", err, len(a.Plane.Compressing(esp.Out)))
			}
			continue
		}
		st := a.Steward.Conns()[0]
		if st.LastError == nil || st.LastError.Cause != ike.NoProposal || len(a.Plane.SAs(esp.In))+len(b.Plane.SAs(esp.In)) != 0 {
			t.Errorf("AH: %+v", st)
		}
		if _, protected, found := a.Plane.Outbound(flow); protected || !found {
			t.Error("AH: what is to be protected is not held back")
		}
	}
}

// Networks that pass in the clear, and that are dropped, beside a tunnel.
func TestShuntsBesideTunnel(t *testing.T) {
	c := siteA(conf.Start).config(t)
	conn := c.Connections[0]
	pass := &conf.Child{Name: "printer", Mode: conf.Pass, Local: selector(netA), Remote: selector(netip.MustParsePrefix("10.2.0.99/32"))}
	everything := selector(netip.MustParsePrefix("0.0.0.0/0"))
	drop := &conf.Child{Name: "nothing else", Mode: conf.Drop, Local: everything, Remote: everything}
	conn.Children = append([]*conf.Child{pass, drop}, conn.Children...)
	w := New(5, calm)
	b := w.Host("b", addrB, siteB(conf.ResponderOnly).config(t))
	a := w.Host("a", addrA, c)
	settles(t, w, a, b, time.Minute)
	f := flow
	for dst, want := range map[string]esp.Action{"10.2.0.10": esp.Protect, "10.2.0.99": esp.Bypass, "192.168.1.1": esp.Discard} {
		f.Dst = netip.MustParseAddr(dst)
		if p := a.Plane.policy(f); p == nil || p.Action != want {
			t.Errorf("%s: %+v, want action %d", dst, p, want)
		}
	}
}
