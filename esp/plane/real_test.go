//go:build linux

package plane

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/esp/tun"
	"github.com/goike/goike/internal/udp"
	"github.com/goike/goike/test/lab"
)

// sockets are a carrier over real sockets, which read for the plane too.
type sockets struct {
	udp, raw *udp.Socket
	wg       sync.WaitGroup
}

func (s *sockets) WriteUDP(ps []udp.Packet) error { return s.udp.WriteBatch(ps) }
func (s *sockets) WriteRaw(ps []udp.Packet) error { return s.raw.WriteBatch(ps) }

func openSockets(addr netip.Addr) (*sockets, error) {
	s := &sockets{}
	var err error
	o := udp.Options{Addr: netip.AddrPortFrom(addr, 4500), Offload: true, BufferBytes: 4 << 20}
	if s.udp, err = udp.Listen(context.Background(), o); err != nil {
		return nil, err
	}
	s.raw, err = udp.ListenRaw(context.Background(), o)
	return s, err
}

func (s *sockets) read(p *Plane) {
	for _, from := range []*udp.Socket{s.udp, s.raw} {
		s.wg.Go(func() {
			ps := make([]udp.Packet, udp.MaxBatch)
			for i := range ps {
				ps[i].Data = make([]byte, 1<<16)
			}
			for {
				n, err := from.ReadBatch(ps)
				if err != nil {
					return
				}
				p.Receive(ps[:n], from == s.udp)
				for i := range n {
					ps[i].Data = ps[i].Data[:cap(ps[i].Data)]
				}
			}
		})
	}
}

func (s *sockets) close() {
	_ = s.udp.Close()
	_ = s.raw.Close()
	s.wg.Wait()
}

// site is a gateway in a namespace: a plane with a real device and real sockets.
type site struct {
	host
	ns      *lab.Namespace
	dev     *tun.Device
	sockets *sockets
	inner   netip.Addr
}

func newSite(t testing.TB, ns *lab.Namespace, outer, inner, far string, workers int) *site {
	t.Helper()
	s := &site{ns: ns, inner: netip.MustParseAddr(inner)}
	err := ns.Do(func() (err error) {
		if s.dev, err = tun.Open("goike0", 1420); err != nil {
			return err
		}
		if s.sockets, err = openSockets(netip.MustParseAddr(outer)); err != nil {
			return err
		}
		return s.route(inner+"/32", far)
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Device: s.dev, Carrier: s.sockets, Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	s.host = host{Plane: p, t: t}
	s.sockets.read(p)
	return s
}

func (s *site) route(inner, far string) error {
	link, err := netlink.LinkByName("goike0")
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(inner)
	if err != nil {
		return err
	}
	_, dst, err := net.ParseCIDR(far)
	return errors.Join(err, netlink.AddrAdd(link, addr), netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst}))
}

func (s *site) stop() {
	s.close()
	s.sockets.close()
}

// twoSites are joined by a link, and by an SA in each direction.
func twoSites(t testing.TB, workers int, change func(*tunnel)) (a, b *site) {
	t.Helper()
	lab.Need(t)
	l := lab.ForTest(t)
	nsA, err := l.Namespace("a", false)
	if err != nil {
		t.Fatal(err)
	}
	nsB, err := l.Namespace("b", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(lab.Link(nsA, "eth0", nsB, "eth0"), nsA.Address("eth0", "192.0.2.1/24"), nsB.Address("eth0", "192.0.2.2/24")); err != nil {
		t.Fatal(err)
	}
	a = newSite(t, nsA, "192.0.2.1", "10.1.0.1", "10.2.0.0/16", workers)
	b = newSite(t, nsB, "192.0.2.2", "10.2.0.1", "10.1.0.0/16", workers)
	connect(t, &a.host, &b.host, "192.0.2.1", "192.0.2.2", "10.1.0.0/16", "10.2.0.0/16", change)
	return a, b
}

// listen accepts one TCP connection at the site and copies it to w.
func (s *site) listen(t *testing.T, w io.Writer) (at string, done chan error) {
	t.Helper()
	var l net.Listener
	err := s.ns.Do(func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(s.inner, 0).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done = make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, err = io.Copy(w, conn)
			err = errors.Join(err, conn.Close())
		}
		done <- errors.Join(err, l.Close())
	}()
	return l.Addr().String(), done
}

// A TCP connection through two planes, with the kernel's trains at both ends: every
// octet arrives, and in trains.
func TestRealTunnel(t *testing.T) {
	for _, workers := range []int{1, 3} {
		for _, encap := range []bool{true, false} {
			t.Run(fmt.Sprintf("workers=%d/encap=%v", workers, encap), func(t *testing.T) {
				a, b := twoSites(t, workers, func(x *tunnel) {
					x.encap, x.change = encap, func(sa *esp.SA) { sa.Window = 4096 }
				})
				defer b.stop()
				defer a.stop()
				got, want := sha256.New(), sha256.New()
				at, done := b.listen(t, got)
				var conn net.Conn
				err := a.ns.Do(func() (err error) {
					d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: a.inner.AsSlice()}}
					conn, err = d.Dial("tcp", at)
					return err
				})
				if err != nil {
					t.Fatalf("%v; %v; %v", err, a.nonzero(), b.nonzero())
				}
				started := time.Now()
				const size = 16 << 20
				for i := range size >> 16 {
					block := bytes.Repeat([]byte{byte(i), byte(i >> 8), byte(i * 31)}, 1<<16/3)
					want.Write(block)
					if _, err := conn.Write(block); err != nil {
						t.Fatal(err)
					}
				}
				if err := errors.Join(conn.Close(), <-done); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
					t.Error("it arrived changed")
				}
				n := b.Counters()
				if n["in_packets"] < size/1420 || n["in_auth_failed"]+n["in_malformed"]+n["in_not_allowed"]+n["in_write_failed"] != 0 {
					t.Errorf("counters %v", b.nonzero())
				}
				t.Logf("%.0f Mbit/s; %v; %v", size*8/1e6/time.Since(started).Seconds(), a.nonzero(), b.nonzero())
			})
		}
	}
}
