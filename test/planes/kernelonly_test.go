//go:build linux

package planes

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/test/lab"
)

// testAH authenticates without encryption, with every integrity algorithm (RFC 4302).
func testAH(t *testing.T, p *pair) {
	for _, integ := range crypto.Algorithms(crypto.Integ) {
		for _, mode := range []esp.Mode{esp.Tunnel, esp.Transport} {
			x := p.newTunnel(func(x *tunnel) {
				x.proto, x.encr, x.integ = esp.ProtoAH, crypto.Alg{}, integ
				if mode == esp.Transport {
					x.transport()
				}
			})
			x.up(t)
			from, to := p.a.inner[0], p.b.inner[0]
			if mode == esp.Transport {
				from, to = p.a.outer[0], p.b.outer[0]
			}
			exchange(t, from, to, echoPort, 100)
			if u := p.b.usage(t, x.idToB()); u.Packets != 1 {
				t.Errorf("%s: %+v", integ, u)
			}
			x.down(t)
		}
	}
	p.plaintext(t)
}

// testIPComp compresses what is worth it, in both modes (RFC 3173).
func testIPComp(t *testing.T, p *pair) {
	for _, mode := range []esp.Mode{esp.Tunnel, esp.Transport} {
		x := p.newTunnel(func(x *tunnel) {
			if x.compress = true; mode == esp.Transport {
				x.transport()
			}
		})
		x.up(t)
		from, to := p.a.inner[0], p.b.inner[0]
		if mode == esp.Transport {
			from, to = p.a.outer[0], p.b.outer[0]
		}
		at := p.tapSA(t, x.toB)
		exchange(t, from, to, echoPort, 1300)
		exchange(t, to, from, echoPort, 1300)
		if n := len(at.next(t, 1)[0]); n > 300 {
			t.Errorf("mode %d: 1300 equal octets were sent in %d", mode, n)
		}
		exchange(t, from, to, echoPort, 10) // goes as it is
		for _, sa := range x.compressors(false) {
			if u := p.b.usage(t, sa.ID); u.Packets == 0 {
				t.Errorf("mode %d: %+v", mode, u)
			}
		}
		x.down(t)
	}
}

// testBEET has the inner addresses in the SA and not in the packet.
func testBEET(t *testing.T, p *pair) {
	x := p.newTunnel(func(x *tunnel) {
		x.mode, x.local, x.remote = esp.BEET, host(p.a.gateway), host(p.b.gateway)
		x.change = func(sa *esp.SA, atA bool) {
			sel := esp.Selector{Src: x.local, Dst: x.remote, SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort}
			if sa.ID.Dst == x.outerA {
				sel.Src, sel.Dst = sel.Dst, sel.Src
			}
			sa.Selectors = []esp.Selector{sel}
		}
	})
	x.up(t)
	at := p.tapSA(t, x.toB)
	exchange(t, p.a.gateway, p.b.gateway, echoPort, 100)
	// SPI, sequence number, IV, UDP and its 100 octets, padding, trailer and ICV: there
	// is no inner header.
	if n := len(at.next(t, 1)[0]); n >= ip4Header+8+8+ip4Header+8+100+2+16 {
		t.Errorf("a packet of length %d", n)
	}
	x.down(t)
}

// outPackets is what the outbound SA of A has carried.
func outPackets(t *testing.T, x *tunnel) uint64 {
	t.Helper()
	return x.p.a.usage(t, x.idToB()).Packets
}

// testMarks has a tunnel that is for marked packets only, within one for all.
func testMarks(t *testing.T, p *pair) {
	mark := esp.Mark{Value: 0x50, Mask: 0xff}
	all := p.newTunnel(nil)
	marked := p.newTunnel(func(x *tunnel) { x.local, x.remote, x.mark = host(p.a.gateway), host(p.b.inner[0]), mark })
	all.up(t)
	marked.reserve(t)
	p.a.apply(t, marked.add(true)...)
	for _, c := range []struct {
		mark      int
		all, some uint64
	}{{0x50, 0, 1}, {0x1250, 0, 1}, {0x51, 1, 0}, {0, 1, 0}} {
		beforeAll, beforeSome := outPackets(t, all), outPackets(t, marked)
		cl := dial(t, p.a.gateway, 0)
		if err := setOption(cl.UDPConn, unix.SOL_SOCKET, unix.SO_MARK, c.mark); err != nil {
			t.Fatal(err)
		}
		cl.send(t, p.b.inner[0], 2000, 0)
		a, s := outPackets(t, all)-beforeAll, outPackets(t, marked)-beforeSome
		if a != c.all || s != c.some {
			t.Errorf("mark %#x: %d packets through the tunnel for all and %d through that for marked ones, want %d and %d", c.mark, a, s, c.all, c.some)
		}
	}
	p.a.apply(t, marked.remove(true)...)
	p.b.apply(t, esp.DelSA{ID: marked.idToB()})
	all.down(t)
}

// counted has nftables count the packets of a gateway that match, while f runs.
func counted(t *testing.T, ns *lab.Namespace, hook, match string, f func()) int {
	t.Helper()
	nft := func(args ...string) string {
		t.Helper()
		out, err := ns.Run(context.Background(), append([]string{"nft"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	nft("table inet count { chain c { type filter hook " + hook + " priority 0; " + match + " counter; }; }")
	f()
	out := nft("list", "table", "inet", "count")
	nft("delete", "table", "inet", "count")
	n := regexp.MustCompile(`counter packets (\d+)`).FindStringSubmatch(out)
	if n == nil {
		t.Fatalf("no counter: %s", out)
	}
	v, err := strconv.Atoi(n[1])
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// testSetMark has SAs mark what they send and what comes out of them.
func testSetMark(t *testing.T, p *pair) {
	x := p.newTunnel(func(x *tunnel) {
		x.change = func(sa *esp.SA, atA bool) {
			if atA == (sa.Dir == esp.Out) { // from A to B
				sa.SetMark = esp.Mark{Value: 0x99, Mask: 0xff}
			}
		}
	})
	x.up(t)
	a, b := p.a.inner[0], p.b.inner[0]
	for _, c := range []struct {
		at          *side
		hook, match string
	}{
		{p.a, "output", "meta mark & 0xff == 0x99 ip protocol esp"},
		{p.b, "forward", "meta mark & 0xff == 0x99 ip daddr " + b.String()},
	} {
		if n := counted(t, c.at.ns, c.hook, c.match, func() { exchange(t, a, b, echoPort, 0) }); n != 1 {
			t.Errorf("%s at %s: %d packets have the mark, want 1", c.hook, c.at.ns.Name, n)
		}
	}
	x.down(t)
}

// testInterface leads a tunnel through an XFRM interface at A: only what is routed
// there is protected, and the route for the remote network leads there.
func testInterface(t *testing.T, p *pair) {
	run := func(args string) string {
		t.Helper()
		out, err := p.A.Run(t.Context(), strings.Fields(args)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	run(fmt.Sprintf("ip link add %s type xfrm dev outer if_id %d", ifName, ifID))
	run("ip link set " + ifName + " up")
	x := p.newTunnel(nil)
	x.reserve(t)
	p.b.apply(t, x.add(false)...)
	x.ifID = ifID
	p.a.apply(t, x.add(true)...)
	exchange(t, p.a.inner[0], p.b.inner[0], echoPort, 0)
	exchange(t, p.b.inner[0], p.a.inner[0], echoPort, 0)
	if n := outPackets(t, x); n != 2 {
		t.Errorf("the SA has carried %d packets, want 2", n)
	}
	if out := run("ip -o route get " + p.b.inner[0].String()); !strings.Contains(out, "dev "+ifName) {
		t.Errorf("packets for B go: %s", out)
	}
	if out := run("ip -o -s link show " + ifName); !regexp.MustCompile(`RX:.*\\\s+\d+\s+2\s`).MatchString(out) {
		t.Errorf("the interface has counted: %s", out)
	}
	p.a.apply(t, x.remove(true)...)
	x.ifID = 0
	p.b.apply(t, x.remove(false)...)
	run("ip link del " + ifName)
}
