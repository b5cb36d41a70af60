package udp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/goike/goike/test/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// family is what tests of both address families need.
type family struct {
	name string
	any  netip.Addr
	a, b netip.Addr // addresses of the test host
}

var families = []family{
	{"IPv4", netip.IPv4Unspecified(), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")},
	{"IPv6", netip.IPv6Unspecified(), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")},
}

// hostMTU is the MTU of the loopback interface of the test host.
const hostMTU = 1500

// newHost makes a host with the addresses of both families on its loopback
// interface.
func newHost(t testing.TB) *lab.Namespace {
	t.Helper()
	lab.Need(t)
	return addressed(t, lab.ForTest(t))
}

// peerAddrs are addresses of the peer of newPair, of each family.
var peerAddrs = []netip.Addr{netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("2001:db8:1::2")}

// newPair makes a host like newHost and another, joined by a link: policies of the
// kernel have no effect on the loopback interface.
func newPair(t testing.TB) (host, peer *lab.Namespace) {
	t.Helper()
	lab.Need(t)
	l := lab.ForTest(t)
	host = addressed(t, l)
	peer, err := l.Namespace("peer", false)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(lab.Link(host, "eth0", peer, "eth0"),
		host.Address("eth0", "198.51.100.1/24", "2001:db8:1::1/64"),
		peer.Address("eth0", "198.51.100.2/24", "2001:db8:1::2/64"))
	if err != nil {
		t.Fatal(err)
	}
	return host, peer
}

func addressed(t testing.TB, l *lab.Lab) *lab.Namespace {
	t.Helper()
	ns, err := l.Namespace("host", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, a := range []netip.Addr{f.a, f.b} {
			address(t, ns, netip.PrefixFrom(a, a.BitLen()).String())
		}
	}
	inside(t, ns, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetMTU(lo, hostMTU)
	})
	return ns
}

// address gives the loopback interface an address and waits until packets reach
// it: the kernel makes the route of an IPv6 address in its own time.
func address(t testing.TB, ns *lab.Namespace, prefix string) {
	t.Helper()
	if err := ns.Address("lo", prefix); err != nil {
		t.Fatal(err)
	}
	a := netip.MustParsePrefix(prefix).Addr()
	host := &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
	want := &netlink.Route{Table: unix.RT_TABLE_LOCAL, Dst: host}
	inside(t, ns, func() error {
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			found, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, want, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
			if err != nil || len(found) > 0 {
				return err
			}
			if time.Now().After(end) {
				return errors.New("no route to " + prefix)
			}
		}
	})
}

func inside(t testing.TB, ns *lab.Namespace, f func() error) {
	t.Helper()
	if err := ns.Do(f); err != nil {
		t.Fatal(err)
	}
}

// listen opens a socket on the host, which is closed with the test and whose
// reads do not wait forever.
func listen(t testing.TB, ns *lab.Namespace, o Options) *Socket {
	t.Helper()
	return opened(t, ns, o, Listen)
}

func listenRaw(t testing.TB, ns *lab.Namespace, o Options) *Socket {
	t.Helper()
	return opened(t, ns, o, ListenRaw)
}

func opened(t testing.TB, ns *lab.Namespace, o Options, open func(context.Context, Options) (*Socket, error)) *Socket {
	t.Helper()
	var s *Socket
	inside(t, ns, func() (err error) {
		s, err = open(t.Context(), o)
		return err
	})
	t.Cleanup(func() { _ = s.Close() })
	if err := s.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return s
}

// buffers makes packets to read into.
func buffers(n, size int) []Packet {
	ps := make([]Packet, n)
	for i := range ps {
		ps[i].Data = make([]byte, size)
	}
	return ps
}

// receive reads datagrams, taking trains apart, until there are n.
func receive(t testing.TB, s *Socket, n int) []Packet {
	t.Helper()
	var out []Packet
	for len(out) < n {
		ps := buffers(8, 1<<16)
		got, err := s.ReadBatch(ps)
		if err != nil {
			t.Fatalf("after %d of %d datagrams: %v", len(out), n, err)
		}
		for _, p := range ps[:got] {
			out = append(out, apart(p)...)
		}
	}
	if len(out) > n {
		t.Fatalf("%d datagrams, want %d", len(out), n)
	}
	return out
}

// apart is the datagrams of a train.
func apart(p Packet) []Packet {
	if p.Seg == 0 {
		return []Packet{p}
	}
	var out []Packet
	for rest := p.Data; len(rest) > 0; {
		n := min(p.Seg, len(rest))
		one := p
		one.Data, one.Seg = rest[:n], 0
		out = append(out, one)
		rest = rest[n:]
	}
	return out
}

func send(t testing.TB, s *Socket, ps ...Packet) {
	t.Helper()
	if err := s.WriteBatch(ps); err != nil {
		t.Fatal(err)
	}
}

// wantFailure asserts that err is a *PacketError.
func wantFailure(t testing.TB, err error, index, count int, why error) {
	t.Helper()
	var pe *PacketError
	if !errors.As(err, &pe) {
		t.Fatalf("got error %v, want one of packet %d", err, index)
	}
	if pe.Index != index || pe.Count != count || !errors.Is(err, why) {
		t.Errorf("got %v, want %d failures, the first of packet %d: %v", err, count, index, why)
	}
}
