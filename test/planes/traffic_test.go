//go:build linux

package planes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// The ports of the echo servers.
const (
	echoPort  = 7
	echoPort8 = 8
	echoPort9 = 9
)

// echoes are UDP echo servers on every address of hosts and gateways.
var echoes servers

type servers struct {
	at      map[netip.Addr]*lab.Namespace
	sockets []*net.UDPConn
	wg      sync.WaitGroup
	mu      sync.Mutex
	seen    map[string]int // messages, by their text
}

func (e *servers) open(n *lab.Network) error {
	e.at = map[netip.Addr]*lab.Namespace{
		lab.HostA4: n.HostA, lab.HostA4b: n.HostA, lab.HostA6: n.HostA, lab.GatewayA4: n.A, lab.OuterA4: n.A, lab.OuterA6: n.A,
		lab.HostB4: n.HostB, lab.HostB4b: n.HostB, lab.HostB6: n.HostB, lab.GatewayB4: n.B, lab.OuterB4: n.B, lab.OuterB6: n.B,
	}
	e.seen = make(map[string]int)
	for addr, ns := range e.at {
		for port := uint16(echoPort); port <= echoPort9; port++ {
			conn, err := listen(ns, netip.AddrPortFrom(addr, port))
			if err != nil {
				return err
			}
			e.sockets = append(e.sockets, conn)
			e.wg.Go(func() { e.serve(conn) })
		}
	}
	return nil
}

func (e *servers) serve(conn *net.UDPConn) {
	b := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		e.mu.Lock()
		e.seen[text(b[:n])]++
		e.mu.Unlock()
		_, _ = conn.WriteToUDPAddrPort(b[:n], from)
	}
}

func (e *servers) close() {
	for _, s := range e.sockets {
		_ = s.Close()
	}
	e.wg.Wait()
}

// sync waits until a server has answered all that has arrived at it before: a message
// from its own host goes the same way.
func (e *servers) sync(t testing.TB, at netip.Addr, port uint16) {
	t.Helper()
	c := dial(t, at, 0)
	defer func() { _ = c.Close() }()
	if err := c.answer(c.send(t, at, port, 0), patience); err != nil {
		t.Fatalf("the server at %s port %d: %v", at, port, err)
	}
}

// got tells how often a message has arrived anywhere.
func (e *servers) got(message string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen[message]
}

func listen(ns *lab.Namespace, at netip.AddrPort) (conn *net.UDPConn, err error) {
	err = ns.Do(func() (err error) {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return conn, nil
}

// routeInner has the internet lead packets of protected networks on: what leaves in
// the clear arrives, and is found.
func routeInner(n *lab.Network) error {
	var errs []error
	for _, r := range []string{
		lab.NetA4.String() + " via " + lab.OuterA4.String(), lab.NetB4.String() + " via " + lab.OuterB4.String(),
		lab.NetA6.String() + " via " + lab.OuterA6.String(), lab.NetB6.String() + " via " + lab.OuterB6.String(),
	} {
		args := append([]string{"ip", "route", "add"}, strings.Fields(r)...)
		if strings.Contains(r, ":") {
			args = append([]string{"ip", "-6", "route", "add"}, strings.Fields(r)...)
		}
		_, err := n.Internet.Run(context.Background(), args...)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

var messages atomic.Uint64

// newMessage is one that was never sent before, of at least size octets.
func newMessage(size int) []byte {
	b := fmt.Appendf(nil, "<message %d>", messages.Add(1))
	return append(b, bytes.Repeat([]byte{'.'}, max(0, size-len(b)))...)
}

// text is a message without what fills it up.
func text(b []byte) string { return strings.TrimRight(string(b), ".") }

// client sends from one address.
type client struct {
	*net.UDPConn
	from netip.Addr
}

func dial(t testing.TB, from netip.Addr, port uint16) *client {
	t.Helper()
	conn, err := listen(echoes.at[from], netip.AddrPortFrom(from, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{conn, from}
}

// send sends a message that it makes, and returns its text.
func (c *client) send(t testing.TB, to netip.Addr, port uint16, size int) string {
	t.Helper()
	b := newMessage(size)
	// EPERM and the like are said of packets that policy holds back.
	if _, err := c.WriteToUDPAddrPort(b, netip.AddrPortFrom(to, port)); err != nil {
		t.Logf("%s to %s: %v", c.from, to, err)
	}
	return text(b)
}

// answer waits for the echo of a message; earlier ones are passed over.
func (c *client) answer(want string, limit time.Duration) error {
	b := make([]byte, 1<<16)
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	for {
		n, _, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return err
		}
		if text(b[:n]) == want {
			return nil
		}
	}
}

// exchange sends a message and waits for its echo. It is sent once.
func exchange(t testing.TB, from, to netip.Addr, port uint16, size int) {
	t.Helper()
	c := dial(t, from, 0)
	defer func() { _ = c.Close() }()
	m := c.send(t, to, port, size)
	if err := c.answer(m, patience); err != nil {
		t.Fatalf("%s to %s port %d, %d octets: no answer (%v); it has arrived %d times", from, to, port, size, err, echoes.got(m))
	}
}

// pass asserts that messages pass between the hosts, in both directions.
func (p *pair) pass(t testing.TB) {
	t.Helper()
	exchange(t, p.a.inner2, p.b.inner2, echoPort, 0)
}

// blocked asserts that a message does not arrive: one sent after it, by the tunnel
// that is always there, arrives first.
func (p *pair) blocked(t testing.TB, from, to netip.Addr, port uint16) {
	t.Helper()
	c := dial(t, from, 0)
	defer func() { _ = c.Close() }()
	m := c.send(t, to, port, 0)
	p.pass(t)
	echoes.sync(t, to, port)
	if n := echoes.got(m); n != 0 {
		t.Errorf("%s to %s port %d: it has arrived", from, to, port)
	}
}
