package v2

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

type childSA = child.SA

func TestHandshake(t *testing.T) {
	n, a, b := up(t)
	for _, h := range []*host{n.a, n.b} {
		if got, want := h.kinds(), "IKEUp ChildUp"; got != want {
			t.Errorf("%s reports %s\n%s", h.name, got, n.story())
		}
		if len(h.plane.sas) != 2 || len(h.plane.policies) != 3 {
			t.Errorf("%s: %d SAs, %d policies", h.name, len(h.plane.sas), len(h.plane.policies))
		}
	}
	if len(n.sent) != 4 {
		t.Errorf("%d messages", len(n.sent))
	}
	if n.a.of(ike.IKEUp)[0].SA.Established != n.now || !n.b.of(ike.IKEUp)[0].InitialContact || n.a.of(ike.IKEUp)[0].InitialContact {
		t.Error("the reports are wrong")
	}
	// What only the first exchanges need is gone.
	for _, sa := range []*SA{a, b} {
		if sa.boot != nil || sa.candidates != nil || sa.tickets != nil || sa.queue != nil || sa.active != nil || sa.win.out != nil {
			t.Errorf("left over: %+v", sa)
		}
		if want := n.now.Add(3 * time.Hour); sa.Status().ExpireAt != want || sa.Deadline() != n.now.Add(time.Hour) {
			t.Errorf("expires at %v, deadline %v", sa.Status().ExpireAt, sa.Deadline())
		}
	}
	if c := n.a.plane.policies; len(c) > 0 {
		for _, p := range c {
			if p.Owner != a.children[0].ID || p.Name != "site/lan" || p.ReqID != a.children[0].ReqID {
				t.Errorf("policy %+v", p)
			}
		}
	}
}

// Every key exchange and every cipher sets up a tunnel; both sides use the same
// keys, which established asserts.
func TestSuites(t *testing.T) {
	for _, ke := range []string{
		"curve25519", "curve448", "ecp192", "ecp224", "ecp256", "ecp384", "ecp521",
		"modp1024", "modp1536", "modp2048", "modp3072", "modp1024s160", "modp2048s224", "modp2048s256",
	} {
		suite(t, "aes128gcm16-prfsha256-"+ke, "aes128gcm16")
	}
	for _, c := range []string{
		"aes128-sha1", "aes192-sha256", "aes256-sha384", "aes256-sha512", "aes128ctr-sha256", "aes128-aesxcbc", "aes256-aescmac",
		"aes128gcm8-prfsha1", "aes192gcm12-prfsha384", "aes256gcm16-prfsha512", "aes128ccm8-prfaesxcbc", "aes256ccm16-prfaescmac",
		"chacha20poly1305-prfsha256",
	} {
		suite(t, c+"-curve25519", "aes256gcm16")
	}
	for _, c := range []string{
		"aes128-sha1", "aes256-sha512", "aes128ctr-aesxcbc", "aes256gcm8", "aes192ccm12", "chacha20poly1305", "aes256gmac", "null-sha256",
		"aes256gcm16-esn", "aes128-sha256-modp1024",
	} {
		suite(t, "aes256gcm16-prfsha256-curve25519", c)
	}
}

func suite(t *testing.T, ikeWords, espWords string) {
	t.Run(ikeWords+"/"+espWords, func(t *testing.T) {
		_, a, _ := up(t, func(a, b *conf.Connection) {
			for _, c := range []*conf.Connection{a, b} {
				c.Proposals = proposals(t, crypto.IKE, ikeWords)
				c.Children[0].Proposals = proposals(t, crypto.ESP, espWords)
			}
		})
		if got := a.suite.Proposal().String(); got != proposals(t, crypto.IKE, ikeWords)[0].String() {
			t.Errorf("agreed on %s", got)
		}
		if want := proposals(t, crypto.ESP, espWords)[0].Without(crypto.KE).String(); a.children[0].Suite.Proposal().String() != want {
			t.Errorf("the child has %s, want %s", a.children[0].Suite, want)
		}
	})
}

// The responder's preference decides, and a combined-mode proposal and a classic
// one stand side by side.
func TestPreference(t *testing.T) {
	_, a, _ := up(t, func(a, b *conf.Connection) {
		a.Proposals = proposals(t, crypto.IKE, "aes128-sha256-modp2048-curve25519", "aes256gcm16-prfsha384-curve25519")
		b.Proposals = proposals(t, crypto.IKE, "aes256gcm16-prfsha384-curve25519", "aes128-sha256-modp2048")
		a.Children[0].Proposals = proposals(t, crypto.ESP, "aes128-sha256", "aes256gcm16")
		b.Children[0].Proposals = proposals(t, crypto.ESP, "aes256gcm16", "aes128-sha256")
	})
	if got := a.suite.String(); got != "aes256gcm16-prfsha384-curve25519" {
		t.Error(got)
	}
	if got := a.children[0].Suite.String(); got != "aes256gcm16" {
		t.Error(got)
	}
}

func TestTransportMode(t *testing.T) {
	transport := func(c *conf.Connection) {
		c.Children[0].Mode, c.Children[0].Local, c.Children[0].Remote = conf.Transport, nil, nil
	}
	t.Run("both", func(t *testing.T) {
		n, a, _ := up(t, func(a, b *conf.Connection) { transport(a); transport(b) })
		if c := a.children[0]; c.Mode != conf.Transport || fmt.Sprint(c.Local[0].Start, c.Remote[0].End) != "192.0.2.1 198.51.100.2" {
			t.Errorf("%+v", c)
		}
		if len(n.a.plane.policies) != 2 {
			t.Errorf("%d policies", len(n.a.plane.policies))
		}
	})
	t.Run("behind NAT", func(t *testing.T) {
		n := newNetwork(t, func(a, b *conf.Connection) {
			transport(a)
			transport(b)
			b.Gateways = conf.Gateways{{Any: true}}
		})
		n.nat = natA
		n.a.dial()
		n.run()
		if len(n.b.sas) != 1 || len(n.b.list()[0].children) != 1 {
			t.Fatal(n.story())
		}
		c, d := n.a.list()[0].children[0], n.b.list()[0].children[0]
		if c.Mode != conf.Transport || d.Mode != conf.Transport || !c.Encap || !d.Encap {
			t.Errorf("%+v\n%+v", c, d)
		}
		for _, p := range n.sent[2:4] {
			to := map[*host]*SA{n.a: n.b.list()[0], n.b: n.a.list()[0]}[p.from]
			ps := n.open(to, p.data)
			if got := ts.String(wire.FindTS(ps, false).Selectors) + " " + ts.String(wire.FindTS(ps, true).Selectors); got != "192.0.2.1/32 198.51.100.2/32" {
				t.Errorf("on the wire: %s", got)
			}
		}
		// Each side has the addresses that its packets have (RFC 7296, 2.23.1).
		if got := fmt.Sprint(c.Local[0].Start, c.Remote[0].Start, d.Local[0].Start, d.Remote[0].Start); got != "192.0.2.1 198.51.100.2 198.51.100.2 203.0.113.9" {
			t.Error(got)
		}
	})
	for _, left := range []bool{true, false} {
		n := newNetwork(t, func(a, b *conf.Connection) {
			for _, c := range []*conf.Connection{a, b} {
				c.Children[0].Local, c.Children[0].Remote = nil, nil
			}
			if left {
				transport(a)
			} else {
				transport(b)
			}
		})
		n.a.dial()
		n.run()
		for _, h := range []*host{n.a, n.b} {
			if h.conn().Children[0].Mode != conf.Transport {
				continue
			}
			if f := h.failure(); f.Why.Cause != ike.NoProposal || !strings.Contains(f.Text, "mode") {
				t.Errorf("transport mode at %s only: %s", h.name, f.Text)
			}
		}
		if len(n.a.list()[0].children)+len(n.b.list()[0].children) > 0 {
			t.Error("there is a child", n.story())
		}
		n.a.empty()
		n.b.empty()
	}
}

func TestIPv6(t *testing.T) {
	n := newNetwork(t, func(a, b *conf.Connection) {
		a.Gateways = conf.Gateways{{Prefix: netip.MustParsePrefix("2001:db8:b::2/128")}}
		b.Gateways = conf.Gateways{{Prefix: netip.MustParsePrefix("2001:db8:a::1/128")}}
		a.Children[0].Local = append(a.Children[0].Local, subnet("fd01::/64"))
		a.Children[0].Remote = append(a.Children[0].Remote, subnet("fd02::/64"))
		b.Children[0].Remote, b.Children[0].Local = a.Children[0].Local, a.Children[0].Remote
	})
	n.a.addr, n.b.addr = netip.MustParseAddr("2001:db8:a::1"), netip.MustParseAddr("2001:db8:b::2")
	n.a.dial()
	n.run()
	a, _ := n.established(1)
	if len(a.children[0].Local) != 2 || len(n.a.plane.policies) != 6 {
		t.Errorf("%+v, %d policies", a.children[0], len(n.a.plane.policies))
	}
}

// An IKE SA without a child (RFC 6023), and children that follow.
func TestChildless(t *testing.T) {
	n := newNetwork(t)
	a := n.a.dial("")
	n.run()
	n.established(0)
	n.a.step(a, ike.Initiate{Child: "lan"})
	n.run()
	n.established(1)
	if n.a.kinds() != "IKEUp ChildUp" || n.b.kinds() != "IKEUp ChildUp" {
		t.Error(n.story())
	}
}

// A responder that does not announce it gets a child, or nothing.
func TestNotChildless(t *testing.T) {
	strip := func(n *network) {
		n.intercept = func(p packet) []packet {
			h := header(n.t, p.data)
			if h.Exchange == wire.IKESAInit && p.from == n.b {
				_, ps := parsed(t, p.data)
				for i, x := range ps {
					if notify, ok := x.(*wire.Notify); ok && notify.Kind == wire.NotifyChildlessIKEv2Supported {
						ps = append(ps[:i:i], ps[i+1:]...)
						break
					}
				}
				data, err := wire.Append(nil, h, ps...)
				if err != nil {
					t.Fatal(err)
				}
				n.b.list()[0].boot.firstReply = data
				p.data = data
			}
			return []packet{p}
		}
	}
	n := newNetwork(t)
	strip(n)
	n.a.dial("")
	n.run()
	n.established(1)

	n = newNetwork(t, func(a, _ *conf.Connection) { a.Children = nil })
	strip(n)
	n.a.dial("")
	n.run()
	if f := n.a.failure(); !strings.Contains(f.Text, "RFC 6023") || len(n.a.sas) != 0 {
		t.Error(f.Text)
	}

	n = newNetwork(t)
	strip(n)
	n.a.plane.askErr = errNoPRF
	n.a.dial()
	n.run()
	if f := n.a.failure(); f.Why.Cause != ike.Internal || f.Child != "" {
		t.Error(f.Text)
	}
}

// Several children: the first in IKE_AUTH, the others follow; a name that is not
// configured fails by itself.
func TestSeveralChildren(t *testing.T) {
	n := newNetwork(t, func(a, b *conf.Connection) {
		for i := range 3 {
			l, r := fmt.Sprintf("172.16.%d.0/24", i), fmt.Sprintf("172.17.%d.0/24", i)
			addChild(t, a, fmt.Sprint("net", i), l, r, "aes128gcm16-curve25519")
			addChild(t, b, fmt.Sprint("net", i), r, l, "aes128gcm16-curve25519")
		}
	})
	n.a.dial("nonsense", "net0", "lan", "net1", "net2", "lan")
	n.run()
	a, _ := n.established(4)
	if a.children[0].Name != "net0" || a.children[0].Suite.KE.ID != 0 || a.children[2].Suite.KE.ID != crypto.KECurve25519 {
		t.Errorf("%+v", a.children)
	}
	if f := n.a.failure(); f.Child != "nonsense" || f.Why.Cause != ike.NoConnection {
		t.Error(f.Text)
	}
	// The responder can ask too.
	n.a.step(a, ike.Terminate{Child: "net2"})
	n.run()
	n.b.step(n.b.list()[0], ike.Initiate{Child: "net2"})
	n.run()
	n.established(4)
}

// The selectors of the packet that asks go first, and the responder takes the
// child that holds them (RFC 7296, 2.9).
func TestPacketGoesFirst(t *testing.T) {
	n := newNetwork(t, func(_, b *conf.Connection) {
		addChild(t, b, "narrow", "10.2.9.0/24", "10.1.9.0/24", "aes256gcm16")
		b.Children[0], b.Children[1] = b.Children[1], b.Children[0]
	})
	sa := n.a.dial("")
	n.run()
	for _, c := range []struct{ src, dst, want, first string }{
		{"10.1.9.1/32", "10.2.9.9/32", "lan", "10.1.9.1/32[tcp/4711] 10.1.0.0/16"},
		{"10.77.0.1/32", "10.2.9.9/32", "lan", "10.1.0.0/16"}, // not of this child
	} {
		packet := esp.Selector{
			Src: netip.MustParsePrefix(c.src), Dst: netip.MustParsePrefix(c.dst), Proto: 6,
			SrcPorts: esp.PortRange{First: 4711, Last: 4711}, DstPorts: esp.PortRange{First: 80, Last: 80},
		}
		before := len(n.sent)
		n.a.step(sa, ike.Initiate{Child: "lan", Packet: &packet})
		n.run()
		_, b := n.established(1)
		if b.children[0].Name != c.want {
			t.Errorf("b took %s", b.children[0].Name)
		}
		if got := ts.String(wire.FindTS(n.open(b, n.sent[before].data), false).Selectors); got != c.first {
			t.Errorf("TSi is %s, want %s", got, c.first)
		}
		n.a.step(sa, ike.Terminate{Child: "lan"})
		n.run()
	}
}

// natA is a NAT in front of a.
func natA(p *packet) {
	outside := netip.MustParseAddr("203.0.113.9")
	if p.src.Addr() == addrA {
		p.src = netip.AddrPortFrom(outside, p.src.Port()+1000)
	}
	if p.dst.Addr() == outside {
		p.dst = netip.AddrPortFrom(addrA, p.dst.Port()-1000)
	}
}
