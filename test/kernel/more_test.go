//go:build linux

package kernel

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// goiked with the kernel's data plane and goiked with its own understand each
// other, in both roles.
func TestUserspacePeer(t *testing.T) {
	w := newWorld(t)
	for _, c := range []tunnelCase{
		{name: "AES-GCM with ESN", link: newLink("aes256gcm16-esn")},
		// The kernel decrypts UDP datagrams that were sent in a train in place, where the
		// capture still looks at them: there is none.
		{name: "AES-CBC in UDP", small: true, link: newLink("aes256-sha512").with(func(k *link) { k.encap = true }), udp: true},
		{name: "over IPv6", link: single(child{esp: "chacha20poly1305", left: netA + "," + nets6A, right: netB + "," + nets6B}).with(func(k *link) { k.v6 = true }),
			paths: []func(*world) path{hosts4, hosts6}},
		{name: "transport", link: single(child{mode: "transport", esp: gcm}), paths: []func(*world) path{outer4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, b := w.ends(c.link)
			w.withPeer(t, c, w.startWith(t, b, "userspace", lab.GoikedOptions{}))
		})
	}
}

// IPComp: what can be compressed is, and what cannot passes, too.
func TestCompressed(t *testing.T) {
	w := newWorld(t)
	c := single(child{esp: gcm, ipcomp: true})
	a, b := w.ends(c)
	w.startSwan(t, b)
	g := w.start(t, a)
	if err := g.Up("lan"); err != nil {
		t.Fatal(err)
	}
	if err := w.hosts4().transfer(make([]byte, 200_000)); err != nil {
		t.Fatal(err)
	}
	_, pairs := a.holds(t, g, 1)
	if n := pairs[0][1].bytes; n > 50_000 {
		t.Errorf("200 000 zeros were sent in %d octets", n)
	}
	random := make([]byte, 50_000)
	_, _ = rand.Read(random)
	if err := w.hosts4().transfer(random); err != nil {
		t.Error("incompressible:", err)
	}
	must(t, w.hosts4())
}

// Route-based: the tunnel is an interface, the policies are bound to it, and all is
// gone afterwards.
func TestRouteBased(t *testing.T) {
	w := newWorld(t)
	before := owned(t, w.A)
	k := newLink(gcm)
	k.global = "[network]\nroute_based = true\n"
	a, b := w.ends(k)
	w.startSwan(t, b)
	g := w.start(t, a)
	if err := g.Up("lan"); err != nil {
		t.Fatal(err)
	}
	must(t, w.hosts4())
	_, pairs := a.holds(t, g, 1)
	ifID := pairs[0][1].fields["if_id"]
	if ifID == "" || ifID == "0" {
		t.Errorf("the SAs are bound to no interface: %v", pairs[0][1])
	}
	for _, p := range policies(t, w.A) {
		if p.fields["if_id"] != ifID {
			t.Errorf("policy %s %s has if_id %q, not %q", p.dir, p.selector, p.fields["if_id"], ifID)
		}
	}
	if out := run(t, w.A, "ip", "-s", "-d", "link", "show", "type", "xfrm"); !strings.Contains(out, "xfrm if_id") || strings.Contains(out, "\n          0       0") {
		t.Errorf("no XFRM interface that has carried packets: %s", out)
	}
	if out := run(t, w.A, "ip", "route", "get", lab.HostB4.String(), "from", lab.HostA4.String(), "iif", "inner"); strings.Contains(out, "dev outer") {
		t.Errorf("the route does not lead into the tunnel: %s", out)
	}
	if code := g.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	unchanged(t, w.A, before)
}

// An algorithm whose module this kernel lacks is named when the configuration is
// loaded.
func TestMissingModule(t *testing.T) {
	w := newWorld(t)
	hide(t, "chacha20poly1305")
	a, _ := w.ends(newLink("chacha20poly1305"))
	g, err := lab.StartGoiked(a.at, w.bins, a.config("kernel"), lab.GoikedOptions{NotReady: true})
	if err != nil {
		t.Fatal(err)
	}
	code, ended := g.Wait(wait)
	if !ended {
		g.Stop()
		t.Fatalf("goiked runs on: %s", g.Output())
	}
	if code != 2 && code != 3 {
		t.Errorf("exit code %d", code)
	}
	if out := grep(g.Output(), "chacha20poly1305"); !strings.Contains(out, "kernel") {
		t.Errorf("no line says that the kernel lacks it: %s", g.Output())
	}
}
