//go:build linux

package planes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/engine"
	"github.com/goike/goike/test/lab"
)

// outerMark is the mark of outer packets.
const outerMark = 0x4711

// patience is how long a condition is waited for.
const patience = 10 * time.Second

// rig is a way to run a data plane in a network namespace.
type rig interface {
	String() string
	// open starts a plane in the namespace of the caller. nattPort is the UDP port for
	// ESP, 0: 4500.
	open(ctx context.Context, nattPort uint16) (*instance, error)
	// kernel: the kernel carries the packets.
	kernel() bool
}

// instance is a plane that runs.
type instance struct {
	engine.DataPlane
	close func() error // as at the end of a daemon
	kill  func()       // as when it is killed, nil where it is of this process
}

// side is a gateway with its data plane.
type side struct {
	*instance
	rig        rig
	ns         *lab.Namespace // the gateway
	host       *lab.Namespace // the host behind it
	nattPort   uint16
	outer      [2]netip.Addr // IPv4, IPv6
	inner      [2]netip.Addr // of the host
	inner2     netip.Addr    // another one of its
	gateway    netip.Addr    // the inner address of the gateway
	network    [2]netip.Prefix
	notices    notices
	stopNotice func()
}

// pair is two gateways.
type pair struct {
	*lab.Network
	a, b  *side
	wire  *lab.Capture // at B's end of the internet
	fence *tunnel
	reqID atomic.Uint32
	spi   atomic.Uint32
}

// ReqIDs of the tests are of this range.
const (
	firstReqID = 100000
	lastReqID  = 199999
)

// openPair opens two planes. Nothing of them is left after the test.
func openPair(t testing.TB, a, b rig) *pair {
	t.Helper()
	return openPairAt(t, a, b, 0)
}

// openPairAt is openPair with another UDP port for A's ESP.
func openPairAt(t testing.TB, a, b rig, nattPort uint16) *pair {
	t.Helper()
	lab.Need(t, "ip", "nft", "ping")
	shared.once.Do(func() { shared.err = setUp() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	n := shared.net
	p := &pair{
		Network: n,
		a: &side{rig: a, nattPort: nattPort, ns: n.A, host: n.HostA, outer: [2]netip.Addr{lab.OuterA4, lab.OuterA6}, inner: [2]netip.Addr{lab.HostA4, lab.HostA6},
			inner2: lab.HostA4b, gateway: lab.GatewayA4, network: [2]netip.Prefix{lab.NetA4, lab.NetA6}},
		b: &side{rig: b, ns: n.B, host: n.HostB, outer: [2]netip.Addr{lab.OuterB4, lab.OuterB6}, inner: [2]netip.Addr{lab.HostB4, lab.HostB6},
			inner2: lab.HostB4b, gateway: lab.GatewayB4, network: [2]netip.Prefix{lab.NetB4, lab.NetB6}},
	}
	p.reqID.Store(firstReqID)
	p.spi.Store(0x10000)
	if err := n.Open(); err != nil {
		t.Fatal(err)
	}
	var err error
	if p.wire, err = n.Internet.Capture("toB", lab.NetA4, lab.NetB4, lab.NetA6, lab.NetB6); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.wire.Stop)
	before := p.dump(t)
	t.Cleanup(func() { p.wantDump(t, before, "after the planes were closed") })
	p.a.open(t)
	p.b.open(t)
	t.Cleanup(func() { p.a.shut(t); p.b.shut(t) })
	p.fence = p.newTunnel(func(x *tunnel) { x.local, x.remote = host(p.a.inner2), host(p.b.inner2) })
	p.fence.up(t)
	p.pass(t)
	return p
}

func (s *side) open(t testing.TB) {
	t.Helper()
	err := s.ns.Do(func() (err error) {
		s.instance, err = s.rig.open(context.Background(), s.nattPort)
		return err
	})
	if err != nil {
		t.Fatalf("%s at %s: %v", s.rig, s.ns.Name, err)
	}
	s.notices.clear()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	plane := s.instance
	go func() {
		defer close(done)
		if err := plane.Watch(ctx, s.notices.put); err != nil {
			s.notices.fail(err)
		}
	}()
	s.stopNotice = func() { cancel(); <-done }
}

// shut ends the plane, if it runs.
func (s *side) shut(t testing.TB) {
	t.Helper()
	if s.instance == nil {
		return
	}
	s.stopNotice()
	if err := s.close(); err != nil {
		t.Errorf("closing %s at %s: %v", s.rig, s.ns.Name, err)
	}
	s.instance = nil
	if err := s.notices.error(); err != nil {
		t.Errorf("watching %s: %v", s.rig, err)
	}
}

// die ends the plane as a crash does.
func (s *side) die() {
	s.stopNotice()
	s.kill()
	s.instance = nil
}

// apply carries out operations, which must not fail.
func (s *side) apply(t testing.TB, ops ...esp.Op) {
	t.Helper()
	if err := s.Apply(t.Context(), ops); err != nil {
		t.Fatalf("%s: %v", s.rig, err)
	}
}

// usage is what an SA has carried.
func (s *side) usage(t testing.TB, id esp.SAID) esp.Usage {
	t.Helper()
	u, err := s.Query(t.Context(), id)
	if err != nil {
		t.Fatalf("%s: %v", s.rig, err)
	}
	return u
}

// notices keeps what a plane tells.
type notices struct {
	mu   sync.Mutex
	list []esp.Notice
	err  error
}

func (n *notices) put(x esp.Notice) {
	n.mu.Lock()
	n.list = append(n.list, x)
	n.mu.Unlock()
}

func (n *notices) fail(err error) {
	n.mu.Lock()
	n.err = errors.Join(n.err, err)
	n.mu.Unlock()
}

func (n *notices) error() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

func (n *notices) clear() {
	n.mu.Lock()
	n.list = nil
	n.mu.Unlock()
}

// find returns the notices that fit.
func (n *notices) find(fits func(esp.Notice) bool) []esp.Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []esp.Notice
	for _, x := range n.list {
		if fits(x) {
			found = append(found, x)
		}
	}
	return found
}

// wait waits for a notice that fits.
func (n *notices) wait(t testing.TB, what string, fits func(esp.Notice) bool) esp.Notice {
	t.Helper()
	var got esp.Notice
	eventually(t, func() error {
		found := n.find(fits)
		if len(found) == 0 {
			return fmt.Errorf("no notice of %s; there are %+v", what, n.find(func(esp.Notice) bool { return true }))
		}
		got = found[0]
		return nil
	})
	return got
}

func eventually(t testing.TB, f func() error) {
	t.Helper()
	if err := lab.Eventually(patience, f); err != nil {
		t.Fatal(err)
	}
}

// wantDump waits until the dump is what it was before.
func (p *pair) wantDump(t testing.TB, before []string, when string) {
	t.Helper()
	err := lab.Eventually(patience, func() error { return different(p.dump(t), before) })
	if err != nil {
		t.Errorf("%s: %v", when, err)
	}
}

// settle waits until the capture has seen all that was sent: it sends a packet of IKE
// behind it.
func (p *pair) settle(t testing.TB) {
	t.Helper()
	conn, err := listen(p.Internet, netip.AddrPortFrom(lab.InternetB, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	before := p.wire.Seen().IKE
	if _, err := conn.WriteToUDPAddrPort([]byte("behind all"), netip.AddrPortFrom(lab.OuterB4, 500)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if p.wire.Seen().IKE == before {
			return errors.New("the capture sees nothing")
		}
		return nil
	})
}

// clean asserts that nothing has passed the internet that must not, and begins anew.
func (p *pair) clean(t testing.TB) {
	t.Helper()
	p.settle(t)
	if err := p.wire.Clean(); err != nil {
		t.Error(err)
		dir := shared.lab.Keep(t.Name(), time.Time{})
		t.Logf("%s (%v)", dir, errors.Join(os.MkdirAll(dir, 0o755), p.wire.Write(filepath.Join(dir, "outer.pcap"))))
	}
	p.wire.Reset()
}

// plaintext asserts that something has passed the internet in the clear, and begins
// anew.
func (p *pair) plaintext(t testing.TB) {
	t.Helper()
	p.settle(t)
	if err := p.wire.Clean(); err == nil {
		t.Error("nothing was seen in the clear")
	}
	p.wire.Reset()
}
