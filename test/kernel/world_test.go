//go:build linux

package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// wait is how long something may take that takes a moment: all is several times
// slower in a virtual machine.
const wait = 20 * time.Second

// programs are what the tests need beside the daemons under test.
var programs = []string{"swanctl", "ip", "nft", "ping", "sh"}

// world is the network of one test, watched.
type world struct {
	*lab.Network
	t     *testing.T
	wire  *lab.Capture // between the internet and site B
	bins  lab.Binaries
	swans map[*lab.Namespace]swan // that run
	ah    bool                    // AH is expected on the wire, whose packets can be read
}

// newWorld makes the network of a test. At its end nothing may have passed the
// outer link that must not, whatever the test was about.
func newWorld(t *testing.T) *world {
	t.Helper()
	lab.Need(t, programs...)
	l := lab.ForTest(t)
	n, err := lab.NewNetwork(l)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Network: n, t: t, swans: map[*lab.Namespace]swan{}}
	bin, err := l.Mkdir("bin")
	if err != nil {
		t.Fatal(err)
	}
	if w.bins, err = lab.Build(bin); err != nil {
		t.Fatal(err)
	}
	if w.wire, err = w.Internet.Capture("toB", lab.NetA4, lab.NetB4, lab.NetA6, lab.NetB6); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.wire.Stop()
		if err := w.clean(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			_ = w.wire.Write(l.Dir + "/outer.pcap")
		}
	})
	return w
}

// run runs a program in a namespace to its end.
func run(t *testing.T, at *lab.Namespace, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	out, err := at.Run(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// shut keeps site B from sending in the clear while strongSwan has no SA: it sets no trap
// up in its place, and only what goiked lets out is to be seen on the outer link.
func (w *world) shut(t *testing.T) {
	t.Helper()
	run(t, w.B, "nft", fmt.Sprintf(`table inet shut {
	chain out {
		type filter hook forward priority 0;
		ip saddr %s ip daddr %s rt ipsec missing drop
		ip6 saddr %s ip6 daddr %s rt ipsec missing drop
	}
}`, netB, netA, lab.NetB6, lab.NetA6))
}

// unshut lets goiked show at site B that it lets nothing out.
func (w *world) unshut(t *testing.T) {
	t.Helper()
	run(t, w.B, "nft", "delete table inet shut")
}

// owned is all that a daemon could have changed in a namespace: SAs, policies,
// rules, routes and interfaces, without what counts or ages.
func owned(t *testing.T, at *lab.Namespace) string {
	t.Helper()
	all := run(t, at, "sh", "-c", `ip -batch - <<-E && ip -6 -batch - <<-E
		xfrm state list nokeys
		xfrm policy list nosock
		rule show
		route show table all
		link show
	E
		rule show
		route show table all
	E`)
	var s strings.Builder
	for line := range strings.Lines(all) {
		if !strings.Contains(line, "fe80:") { // the kernel takes its time to give these to links
			s.WriteString(line)
		}
	}
	return s.String()
}

// unchanged waits until a namespace is as it was.
func unchanged(t *testing.T, at *lab.Namespace, before string) {
	t.Helper()
	if err := lab.Eventually(wait, func() error {
		if now := owned(t, at); now != before {
			return fmt.Errorf("%s is not as it was before: %s", at.Name, difference(before, now))
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// difference lists the lines that only one of two texts has.
func difference(before, now string) string {
	count := map[string]int{}
	for line := range strings.Lines(before) {
		count[line]--
	}
	for line := range strings.Lines(now) {
		count[line]++
	}
	var s strings.Builder
	for _, text := range []string{before, now} {
		for line := range strings.Lines(text) {
			if n := count[line]; n != 0 {
				fmt.Fprintf(&s, "\n%+d %s", n, strings.TrimRight(line, "\n"))
				count[line] = 0
			}
		}
	}
	return s.String()
}

// path is a way through the tunnel.
type path struct {
	client, server *lab.Namespace
	from, to       netip.Addr
	seen           netip.Addr // the client as the server sees it, when it is not "from"
}

func (p path) back() path {
	to := p.from
	if p.seen.IsValid() {
		to = p.seen
	}
	return path{client: p.server, server: p.client, from: p.to, to: to}
}

// The ways between the hosts, and between the gateways themselves.
func (w *world) hosts4() path {
	return path{client: w.HostA, server: w.HostB, from: lab.HostA4, to: lab.HostB4}
}
func (w *world) hosts6() path {
	return path{client: w.HostA, server: w.HostB, from: lab.HostA6, to: lab.HostB6}
}
func (w *world) outer4() path {
	return path{client: w.A, server: w.B, from: lab.OuterA4, to: lab.OuterB4}
}

// ping waits until an echo comes back.
func (p path) ping() error { return p.client.Ping(p.from, p.to, wait) }

// pass lets a ping pass in each direction, and some octets of TCP both ways.
func (p path) pass() error {
	if err := errors.Join(p.ping(), p.back().ping()); err != nil {
		return err
	}
	return p.transfer(make([]byte, 20_000))
}

// must pass, each of them.
func must(t *testing.T, paths ...path) {
	t.Helper()
	for _, p := range paths {
		if err := p.pass(); err != nil {
			t.Fatal(err)
		}
	}
}

const tcpPort = 7000

// transfer sends data over TCP, and back.
func (p path) transfer(data []byte) error { return p.transferPort(data, tcpPort) }

func (p path) transferPort(data []byte, port uint16) error {
	var l net.Listener
	if err := p.server.Do(func() (err error) {
		l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.to, port)))
		return err
	}); err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	served := make(chan error, 1)
	go func() { served <- echo(l) }()
	var c net.Conn
	if err := p.client.Do(func() (err error) {
		d := net.Dialer{Timeout: wait, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.from, 0))}
		c, err = d.Dial("tcp", netip.AddrPortFrom(p.to, port).String())
		return err
	}); err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(wait))
	go func() { _, _ = c.Write(data) }() // an error shows in what comes back
	got := make([]byte, len(data))
	if _, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("%d octets of TCP from %s to %s: %w", len(data), p.from, p.to, err)
	}
	if !bytes.Equal(got, data) {
		return errors.New("other octets came back")
	}
	_ = c.Close()
	return <-served
}

// echo sends what comes on one connection back.
func echo(l net.Listener) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(wait))
	_, err = io.Copy(c, c)
	return err
}

// closed waits until no TCP connection has anything to say any more.
func (p path) closed(t *testing.T) {
	t.Helper()
	for _, at := range []*lab.Namespace{p.client, p.server} {
		if err := lab.Eventually(wait, func() error {
			for line := range strings.Lines(run(t, at, "cat", "/proc/net/tcp")) {
				if words := strings.Fields(line); len(words) > 3 && words[0] != "sl" && words[3] != timeWait {
					return fmt.Errorf("%s: %s", at.Name, line)
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}

const timeWait = "06" // in /proc/net/tcp

// blocked checks that nothing comes through.
func (p path) blocked(t *testing.T) {
	t.Helper()
	if err := p.client.PingOnce(p.from, p.to); err == nil {
		t.Errorf("%s reaches %s", p.from, p.to)
	}
}
