//go:build linux

package kernel

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// tunnelCase is one tunnel between goiked at A and strongSwan at B.
type tunnelCase struct {
	name string
	link link
	bEncap,
	swapped bool // goiked is at B, strongSwan at A
	paths []func(*world) path // nil: between the hosts, IPv4
	wants map[string]string   // fields of goiked's SAs
	proto string              // of the SAs; "": esp
	udp   bool                // ESP is in UDP
	small bool                // no more than pings
}

// tried replaces goiked by strongSwan: what these tests ask of it is no more than
// strongSwan gives.
var tried = os.Getenv("GOIKE_TRY_STRONGSWAN") != ""

// startA starts the daemon under test.
func (w *world) startA(t *testing.T, e end) lister {
	t.Helper()
	if tried {
		return w.startSwan(t, e)
	}
	return w.start(t, e)
}

// with changes a link.
func (k link) with(change func(*link)) link {
	change(&k)
	return k
}

// single is a link whose only child is another one.
func single(c child) link {
	c.name = "lan"
	if c.mode == "" {
		c.mode = "tunnel"
	}
	if c.mode == "tunnel" && c.left == "" {
		c.left, c.right = netA, netB
	}
	k := newLink("")
	k.children = []child{c}
	return k
}

func hosts4(w *world) path { return w.hosts4() }
func hosts6(w *world) path { return w.hosts6() }
func outer4(w *world) path { return w.outer4() }
func beet4(w *world) path {
	return path{client: w.A, server: w.B, from: lab.GatewayA4, to: lab.GatewayB4}
}

// nat4 is between the gateways, through a NAT.
func nat4(w *world) path {
	p := w.outer4()
	p.seen = lab.InternetB
	return p
}

const (
	nets6A = "fd01:0:0:1::/64"
	nets6B = "fd02:0:0:1::/64"
)

var tunnelCases = []tunnelCase{
	{name: "AES-GCM", link: newLink(gcm), wants: map[string]string{"aead": "rfc4106(gcm(aes)) key 288 icv 128"}},
	{name: "AES-CBC with SHA-256", link: newLink("aes256-sha256"),
		wants: map[string]string{"enc": "cbc(aes) key 256", "auth-trunc": "hmac(sha256) key 256 icv 128"}},
	{name: "ChaCha20", link: newLink("chacha20poly1305"), wants: map[string]string{"aead": "rfc7539esp(chacha20,poly1305) key 288 icv 128"}},
	{name: "ESN", link: newLink("aes256gcm16-esn"), wants: map[string]string{"flags": "af-unspec esn"}},
	{name: "ESN, AES-CBC with SHA-512, window of 1024", wants: map[string]string{"flags": "af-unspec esn", "enc": "cbc(aes) key 128"},
		link: single(child{esp: "aes128-sha512-esn", toml: "  replay_window = 1024", swan: "replay_window = 1024"})},
	{name: "transport", link: single(child{mode: "transport", esp: gcm}), paths: []func(*world) path{outer4}},
	{name: "BEET", link: single(child{mode: "beet", esp: gcm, left: "10.1.0.1/32", right: "10.2.0.1/32"}), paths: []func(*world) path{beet4}},
	{name: "IPComp", link: single(child{esp: gcm, ipcomp: true}), wants: map[string]string{"aead": "rfc4106(gcm(aes)) key 288 icv 128"}},
	{name: "IPv6 in IPv4", link: single(child{esp: gcm, left: netA + "," + nets6A, right: netB + "," + nets6B}),
		paths: []func(*world) path{hosts4, hosts6}},
	{name: "over IPv6", link: single(child{esp: "aes128-sha256", left: netA + "," + nets6A, right: netB + "," + nets6B}).with(func(k *link) { k.v6 = true }),
		paths: []func(*world) path{hosts4, hosts6}},
	{name: "UDP encapsulation that goiked forces", link: newLink(gcm).with(func(k *link) { k.encap = true }), udp: true},
	{name: "UDP encapsulation that strongSwan forces", link: newLink("aes128-sha256"), bEncap: true, udp: true},
}

var natCases = []tunnelCase{
	{name: "goiked behind the NAT", link: newLink(gcm).with(func(k *link) { k.nat = true }), udp: true},
	{name: "strongSwan behind the NAT", link: newLink("aes128-sha256").with(func(k *link) { k.nat = true }), udp: true, swapped: true},
	{name: "goiked behind the NAT, IPv6 in the tunnel", udp: true, paths: []func(*world) path{hosts6},
		link: single(child{esp: gcm, left: nets6A, right: nets6B}).with(func(k *link) { k.nat = true })},
	{name: "transport, goiked behind the NAT", udp: true, paths: []func(*world) path{nat4},
		link: single(child{mode: "transport", esp: gcm}).with(func(k *link) { k.nat = true })},
}

var ahCases = []tunnelCase{
	{name: "AH, tunnel", proto: "ah", link: single(child{ah: "sha256"}), wants: map[string]string{"auth-trunc": "hmac(sha256) key 256 icv 128"}},
	{name: "AH, transport", proto: "ah", link: single(child{ah: "sha512", mode: "transport"}), paths: []func(*world) path{outer4}},
	{name: "AH with ESN", proto: "ah", link: single(child{ah: "sha256-esn"}), wants: map[string]string{"flags": "af-unspec align4 esn"}},
}

// TestTunnel sets up, uses and takes down each of these tunnels twice: either end
// initiates, and the other one deletes.
func TestTunnel(t *testing.T) { testTunnels(t, newWorld(t), tunnelCases) }

func TestTunnelNAT(t *testing.T) {
	w := newWorld(t)
	if err := w.NAT(); err != nil {
		t.Fatal(err)
	}
	testTunnels(t, w, natCases)
}

func TestTunnelAH(t *testing.T) {
	w := newWorld(t)
	w.ah = true
	testTunnels(t, w, ahCases)
}

func testTunnels(t *testing.T, w *world, cases []tunnelCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			defer func(begun time.Time) { t.Log(timed("all", begun)) }(time.Now())
			w.tunnel(t, c)
		})
	}
}

// tunnel runs one case.
func (w *world) tunnel(t *testing.T, c tunnelCase) {
	t.Cleanup(func() { w.checkWire(t, c) })
	k := c.link
	a, _ := w.ends(k)
	k.encap = c.bEncap
	_, b := w.ends(k)
	own, other := a, b
	if c.swapped {
		own, other = b, a
	}
	w.stopSwan(t, own.at)
	before := owned(t, own.at)
	s := w.startSwan(t, other)
	g := w.startA(t, own)
	initiators := []lister{g, s}
	if k.nat {
		initiators = []lister{map[bool]lister{false: g, true: s}[c.swapped]}
	}
	for i, p := range initiators {
		if err := p.Up("lan"); err != nil {
			t.Fatal(err, "\n", last(g.Log(), 20))
		}
		w.use(t, c)
		c.check(t, own, g)
		if err := []lister{s, g}[i].Down(); err != nil {
			t.Error(err)
		}
		gone(t, g)
		gone(t, s)
	}
	if code := g.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	unchanged(t, own.at, before)
	if n := len(states(t, other.at)); n != 0 {
		t.Errorf("%d SAs are left at strongSwan", n)
	}
}

// use lets traffic pass.
func (w *world) use(t *testing.T, c tunnelCase) {
	t.Helper()
	paths := c.paths
	if paths == nil {
		paths = []func(*world) path{hosts4}
	}
	for _, p := range paths {
		if !c.small {
			must(t, p(w))
		} else if err := errors.Join(p(w).ping(), p(w).back().ping()); err != nil {
			t.Fatal(err)
		}
	}
}

// check compares goiked's SAs in the kernel with what the case says.
func (c tunnelCase) check(t *testing.T, own end, g lister) {
	t.Helper()
	_, pairs := own.holds(t, g, 1)
	proto := "esp"
	if c.proto != "" {
		proto = c.proto
	}
	for _, s := range pairs[0] {
		if s.proto != proto {
			t.Errorf("an SA is %s, not %s", s.proto, proto)
		}
		if mode := c.link.children[0].mode; !c.link.children[0].ipcomp && s.mode != mode {
			t.Errorf("an SA is in %s mode, not %s", s.mode, mode)
		}
		for field, want := range c.wants {
			if got := s.fields[field]; got != want {
				t.Errorf("%s of an SA is %q, not %q: %v", field, got, want, s)
			}
		}
		if encap := s.fields["encap"]; (encap != "") != c.udp || c.udp && !strings.Contains(encap, "espinudp") {
			t.Errorf("encapsulation %q, in UDP: %v", encap, c.udp)
		}
	}
	if pairs[0][0].src != pairs[0][1].dst {
		t.Errorf("outer addresses do not fit: %v", pairs)
	}
}
