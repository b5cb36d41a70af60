package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/internal/udp"
	"github.com/goike/goike/test/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// family has the addresses of the two hosts of the tests. The daemon has two.
type family struct {
	name         string
	any          netip.Addr
	daemon, also netip.Addr
	peer         netip.Addr
	nobody       netip.Addr // there is no route to it
}

var families = []family{
	{"IPv4", netip.IPv4Unspecified(), addr("192.0.2.1"), addr("192.0.2.3"), addr("192.0.2.2"), addr("203.0.113.1")},
	{"IPv6", netip.IPv6Unspecified(), addr("2001:db8::1"), addr("2001:db8::3"), addr("2001:db8::2"), addr("2001:db8:ffff::1")},
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func at(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// newHosts makes the daemon's host and that of its peer.
func newHosts(t testing.TB) (daemon, peer *lab.Namespace) {
	t.Helper()
	lab.Need(t)
	l := lab.ForTest(t)
	daemon, err := l.Namespace("daemon", false)
	if err != nil {
		t.Fatal(err)
	}
	if peer, err = l.Namespace("peer", false); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(lab.Link(daemon, "eth0", peer, "eth0"),
		daemon.Address("eth0", "192.0.2.1/24", "192.0.2.3/24", "2001:db8::1/64", "2001:db8::3/64"),
		peer.Address("eth0", "192.0.2.2/24", "2001:db8::2/64"))
	if err != nil {
		t.Fatal(err)
	}
	settle(t, daemon, "2001:db8::1", "2001:db8::3")
	settle(t, peer, "2001:db8::2")
	return daemon, peer
}

// settle waits until packets reach IPv6 addresses: the kernel makes their routes in
// its own time.
func settle(t testing.TB, ns *lab.Namespace, addrs ...string) {
	t.Helper()
	err := ns.Do(func() error {
		for _, a := range addrs {
			want := &netlink.Route{Table: unix.RT_TABLE_LOCAL, Dst: &net.IPNet{IP: net.ParseIP(a), Mask: net.CIDRMask(128, 128)}}
			for {
				found, err := netlink.RouteListFiltered(netlink.FAMILY_V6, want, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
				if err := errors.Join(err, t.Context().Err()); err != nil {
					return err
				}
				if len(found) > 0 {
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// inbox collects what arrives.
type inbox[T any] struct {
	mu    sync.Mutex
	items []T
	more  chan struct{}
}

func newInbox[T any]() *inbox[T] { return &inbox[T]{more: make(chan struct{}, 1)} }

func (b *inbox[T]) put(items ...T) {
	b.mu.Lock()
	b.items = append(b.items, items...)
	b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// take waits for n items, and takes them out.
func (b *inbox[T]) take(t testing.TB, n int) []T {
	t.Helper()
	timeout := time.After(patience)
	for {
		b.mu.Lock()
		have := len(b.items)
		if have >= n {
			out := b.items[:n:n]
			b.items = b.items[n:]
			b.mu.Unlock()
			return out
		}
		b.mu.Unlock()
		select {
		case <-b.more:
		case <-timeout:
			t.Fatalf("%d of %d came", have, n)
		}
	}
}

func (b *inbox[T]) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items)
}

// daemon is a transport that serves.
type daemon struct {
	*Transport
	ike      *inbox[ike.Datagram]
	esp, raw *inbox[udp.Packet] // single packets with a copy of their data
	warnings *inbox[string]
	stop     context.CancelFunc
	done     chan error
}

// start opens a transport in a namespace with what else o wants, and serves.
func start(t testing.TB, ns *lab.Namespace, o Options) *daemon {
	t.Helper()
	d := &daemon{ike: newInbox[ike.Datagram](), esp: newInbox[udp.Packet](), raw: newInbox[udp.Packet](), warnings: newInbox[string]()}
	if o.ESP == nil && !o.Encap {
		o.ESP = func(ps []udp.Packet) { d.esp.put(copies(ps)...) }
		o.RawESP = func(ps []udp.Packet) { d.raw.put(copies(ps)...) }
	}
	o.Warn = func(s string) { d.warnings.put(s) }
	err := ns.Do(func() (err error) {
		d.Transport, err = Open(t.Context(), o)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.stop, d.done = cancel, make(chan error, 1)
	go func() { d.done <- d.Serve(ctx, func(dgs []ike.Datagram) { d.ike.put(dgs...) }) }()
	t.Cleanup(func() {
		d.stop()
		if err := errors.Join(<-d.done, d.Close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

// copies takes trains apart and copies.
func copies(ps []udp.Packet) []udp.Packet {
	var out []udp.Packet
	for _, p := range ps {
		seg := p.Seg
		if seg == 0 {
			seg = len(p.Data)
		}
		for rest := p.Data; len(rest) > 0; rest = rest[min(seg, len(rest)):] {
			one := p
			one.Data, one.Seg = []byte(string(rest[:min(seg, len(rest))])), 0
			out = append(out, one)
		}
	}
	return out
}

// socket opens a socket of the peer.
func socket(t testing.TB, ns *lab.Namespace, local netip.AddrPort, raw bool) *udp.Socket {
	t.Helper()
	open := udp.Listen
	if raw {
		open = udp.ListenRaw
	}
	var s *udp.Socket
	err := ns.Do(func() (err error) {
		s, err = open(t.Context(), udp.Options{Addr: local, Offload: true, BufferBytes: 4 << 20})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t testing.TB, s *udp.Socket, ps ...udp.Packet) {
	t.Helper()
	if err := s.WriteBatch(ps); err != nil {
		t.Fatal(err)
	}
}

// receive reads n datagrams.
func receive(t testing.TB, s *udp.Socket, n int) []udp.Packet {
	t.Helper()
	var out []udp.Packet
	for len(out) < n {
		ps := make([]udp.Packet, n)
		for i := range ps {
			ps[i].Data = make([]byte, 1<<16)
		}
		got, err := s.ReadBatch(ps)
		if err != nil {
			t.Fatalf("after %d of %d datagrams: %v", len(out), n, err)
		}
		out = append(out, copies(ps[:got])...)
	}
	return out
}

// message makes what looks like an IKE message of n octets, filled with a letter.
func message(letter string, n int) []byte {
	b := []byte(strings.Repeat(letter, n))
	binary.BigEndian.PutUint32(b[lengthAt:], uint32(n))
	return b
}

// marked is a message behind the non-ESP marker.
func marked(b []byte) []byte { return append(make([]byte, udp.MarkerLen), b...) }

// wantCount asserts a counter.
func wantCount(t testing.TB, tr *Transport, name string, want uint64) {
	t.Helper()
	got, ok := tr.Counters()[name]
	if !ok || got != want {
		t.Errorf("%s is %d (%v), want %d", name, got, ok, want)
	}
}
