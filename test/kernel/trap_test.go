//go:build linux

package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// Traffic brings an on-demand tunnel up, and nothing of it leaves before. Ten
// thousand packets ask for it once.
func TestOnDemand(t *testing.T) {
	w := newWorld(t)
	before := owned(t, w.A)
	k := newLink(gcm)
	k.behavior = "on-demand"
	a, b := w.ends(k)
	s := w.startSwan(t, b)
	g := w.start(t, a)
	if n := len(policies(t, w.A)); n < 1 {
		t.Fatal("no policy waits for traffic")
	}
	if err := flood(w.HostA, lab.HostA4, lab.HostB4, 10_000); err != nil {
		t.Fatal(err)
	}
	must(t, w.hosts4())
	a.holds(t, g, 1)
	oneSA(t, s, 1)
	if n := strings.Count(s.Log(), "CHILD_SA lan{"); n == 0 || strings.Contains(s.Log(), "CHILD_SA lan{2}") {
		t.Errorf("more than one child was negotiated: %s", grep(s.Log(), "CHILD_SA lan{"))
	}
	if n := strings.Count(s.Log(), "is initiating an IKE_SA"); n != 1 {
		t.Errorf("%d IKE SAs were asked for", n)
	}
	// Taken down, it waits for traffic again.
	w.hosts4().closed(t)
	if err := s.Down(); err != nil {
		t.Error(err)
	}
	gone(t, g)
	stateless(t, w.A)
	must(t, w.hosts4())
	if code := g.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	unchanged(t, w.A, before)
}

// flood sends datagrams as fast as it can.
func flood(at *lab.Namespace, from, to interface{ String() string }, n int) error {
	var c net.Conn
	if err := at.Do(func() (err error) {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from.String())}}
		c, err = d.Dial("udp", net.JoinHostPort(to.String(), "9"))
		return err
	}); err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for range n {
		_, _ = c.Write([]byte("a datagram that asks for a tunnel")) // refused by the host, once it arrives
	}
	return nil
}

// grep returns the lines that hold a word.
func grep(text, word string) string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return strings.Join(found, "\n")
}

// Two children of one IKE SA, each with its own SAs and request ID.
func TestTwoChildren(t *testing.T) {
	w := newWorld(t)
	k := newLink("")
	k.children = []child{
		{name: "lan", mode: "tunnel", esp: gcm, left: "10.1.0.0/24", right: "10.2.0.0/24"},
		{name: "lan2", mode: "tunnel", esp: "aes128-sha256", left: "10.1.1.0/24", right: "10.2.1.0/24"},
	}
	a, b := w.ends(k)
	s, g := w.startSwan(t, b), w.start(t, a)
	for i, who := range []lister{g, s} {
		if err := who.Up([]string{"lan", "lan2"}[i]); err != nil {
			t.Fatal(err)
		}
	}
	second := path{client: w.HostA, server: w.HostB, from: lab.HostA4b, to: lab.HostB4b}
	must(t, w.hosts4(), second)
	_, pairs := a.holds(t, g, 2)
	if pairs[0][0].reqid == pairs[1][0].reqid {
		t.Errorf("both children have reqid %d", pairs[0][0].reqid)
	}
	if err := g.DownChild("lan2"); err != nil {
		t.Error(err)
	}
	oneSA(t, g, 1)
	oneSA(t, s, 1)
	must(t, w.hosts4())
	second.blocked(t)
}

// Protocol and port selectors: what they do not cover is not let through, and does
// not leave in the clear where a policy beside it drops it.
func TestSelectors(t *testing.T) {
	w := newWorld(t)
	k := newLink("")
	k.children = []child{
		{name: "lan", mode: "tunnel", esp: gcm, left: "10.1.0.0/24[tcp]", right: "10.2.0.0/24[tcp/7001]"},
		{name: "icmp", mode: "tunnel", esp: gcm, left: "10.1.0.0/24[icmp]", right: "10.2.0.0/24[icmp]"},
		{name: "rest", mode: "drop", left: netA, right: netB},
	}
	a, b := w.ends(k)
	s, g := w.startSwan(t, b), w.start(t, a)
	for _, name := range []string{"lan", "icmp"} {
		if err := g.Up(name); err != nil {
			t.Fatal(err)
		}
	}
	p := w.hosts4()
	if err := p.ping(); err != nil {
		t.Error(err)
	}
	if err := p.transferPort([]byte("covered"), 7001); err != nil {
		t.Error(err)
	}
	if connects(p, 7002) {
		t.Error("TCP port 7002 is reached, which no selector covers")
	}
	path{client: w.HostA, server: w.HostB, from: lab.HostA4b, to: lab.HostB4b}.blocked(t)
	oneSA(t, s, 2)
	for _, want := range []string{"proto tcp dport 7001", "proto icmp"} {
		if !hasPolicy(policies(t, w.A), "out", want) {
			t.Errorf("no policy out with %q: %v", want, policies(t, w.A))
		}
	}
}

func hasPolicy(all []policy, dir, word string) bool {
	for _, p := range all {
		if p.dir == dir && strings.Contains(p.selector, word) {
			return true
		}
	}
	return false
}

// connects tells whether a TCP connection to a port that is listened on comes
// about within two seconds.
func connects(p path, port uint16) bool {
	var l net.Listener
	if err := p.server.Do(func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf("%s:%d", p.to, port))
		return err
	}); err != nil {
		return false
	}
	defer func() { _ = l.Close() }()
	err := p.client.Do(func() error {
		d := net.Dialer{Timeout: 2 * time.Second, LocalAddr: &net.TCPAddr{IP: p.from.AsSlice()}}
		c, err := d.DialContext(context.Background(), "tcp", fmt.Sprintf("%s:%d", p.to, port))
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	return err == nil
}

// Everything goes through the tunnel, but what is for directly attached networks;
// and this follows when a network is attached later.
func TestExcludeMyNetwork(t *testing.T) {
	w := newWorld(t)
	before := owned(t, w.A)
	k := newLink("")
	k.children = []child{{name: "lan", mode: "tunnel", esp: gcm, left: netA, right: "0.0.0.0/0"}}
	k.global = "[ipsec]\nexclude_my_network = true\n"
	a, b := w.ends(k)
	w.startSwan(t, b)
	g := w.start(t, a)
	if err := g.Up("lan"); err != nil {
		t.Fatal(err)
	}
	must(t, w.hosts4())
	own := path{client: w.A, server: w.HostA, from: lab.GatewayA4, to: lab.HostA4}
	if err := own.ping(); err != nil {
		t.Error("the attached network:", err)
	}
	a.holds(t, g, 1)
	// Another network is attached. What still goes through the tunnel meanwhile ends at B.
	run(t, w.B, "ip", "route", "add", "blackhole", "10.77.0.0/24")
	if err := errors.Join(w.A.Address("inner", "10.77.0.1/24"), w.HostA.Address("eth0", "10.77.0.10/24")); err != nil {
		t.Fatal(err)
	}
	if err := w.A.Ping(lab.GatewayA4, netip.MustParseAddr("10.77.0.10"), wait); err != nil {
		t.Error("the network attached later:", err)
	}
	run(t, w.A, "ip", "address", "del", "10.77.0.1/24", "dev", "inner")
	if err := g.Down(); err != nil {
		t.Error(err)
	}
	if code := g.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	unchanged(t, w.A, before)
}

// Shunts: what is dropped does not leave, and what passes does so in the clear,
// also where a tunnel covers it.
func TestShunts(t *testing.T) {
	w := newWorld(t)
	before := owned(t, w.A)
	k := newLink("")
	k.children = []child{
		{name: "lan", mode: "tunnel", esp: gcm, left: "10.1.0.0/24", right: "10.2.0.0/24"},
		{name: "no", mode: "drop", left: "10.1.1.0/24", right: "10.2.1.0/24"},
		{name: "clear", mode: "pass", left: "192.0.2.2", right: "198.51.100.2[tcp/7000]"},
	}
	k.behavior = "on-demand"
	a, b := w.ends(k)
	s, g := w.startSwan(t, b), w.start(t, a)
	path{client: w.HostA, server: w.HostB, from: lab.HostA4b, to: lab.HostB4b}.blocked(t)
	if sas, err := g.SAs(); err != nil || len(sas) > 0 {
		t.Errorf("dropped traffic set up %v (%v)", sas, err)
	}
	must(t, w.hosts4())
	oneSA(t, s, 1)
	for dir, want := range map[string]int{"block": 3, "allow": 3} {
		n := 0
		for _, p := range policies(t, w.A) {
			if shunt(p) == dir {
				n++
			}
		}
		if n != want {
			t.Errorf("%d policies to %s, not %d: %v", n, dir, want, policies(t, w.A))
		}
	}
	if code := g.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	unchanged(t, w.A, before)
}

// shunt tells what a policy without templates does.
func shunt(p policy) string {
	switch {
	case len(p.tmpls) > 0:
		return ""
	case p.fields["action"] == "block":
		return "block"
	}
	return "allow"
}
