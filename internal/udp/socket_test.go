package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// port0 is an address with a port that the system chooses.
func port0(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 0) }

func TestAnswerLeavesFromTheAddressAsked(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		server := listen(t, ns, Options{Addr: port0(f.any)})
		client := listen(t, ns, Options{Addr: port0(f.any)})
		asked := netip.AddrPortFrom(f.b, server.LocalAddr().Port())
		send(t, client, Packet{Data: []byte("ask"), Local: port0(f.a), Remote: asked})
		q := receive(t, server, 1)[0]
		if string(q.Data) != "ask" || q.Local != asked || q.IfIndex != 1 || q.Remote != netip.AddrPortFrom(f.a, client.LocalAddr().Port()) {
			t.Errorf("%s: the question came as %+v", f.name, q)
		}
		send(t, server, Packet{Data: []byte("answer"), Local: q.Local, Remote: q.Remote})
		a := receive(t, client, 1)[0]
		if string(a.Data) != "answer" || a.Remote != asked || a.Local.Addr() != f.a {
			t.Errorf("%s: the answer came as %+v", f.name, a)
		}
	}
}

func TestSourceIsTheKernelsChoiceWhenNoneIsGiven(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		server := listen(t, ns, Options{Addr: port0(f.a)})
		client := listen(t, ns, Options{Addr: port0(f.any)})
		for _, local := range []netip.AddrPort{{}, port0(f.any)} {
			send(t, client, Packet{Data: []byte("x"), Local: local, Remote: server.LocalAddr()})
			if p := receive(t, server, 1)[0]; p.Remote.Addr().IsUnspecified() || p.Local != server.LocalAddr() {
				t.Errorf("%s: it came as %+v", f.name, p)
			}
		}
	}
}

func TestLinkLocalAddressesHaveTheirInterface(t *testing.T) {
	ns := newHost(t)
	address(t, ns, "fe80::1/64")
	s := listen(t, ns, Options{Addr: port0(netip.IPv6Unspecified())})
	addr := netip.MustParseAddr("fe80::1%1")
	send(t, s, Packet{Data: []byte("x"), Local: port0(addr), Remote: netip.AddrPortFrom(addr, s.LocalAddr().Port())})
	p := receive(t, s, 1)[0]
	if p.Local.Addr() != addr || p.Remote.Addr() != addr {
		t.Errorf("it came as %+v", p)
	}
}

func TestTOS(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		s := listen(t, ns, Options{Addr: port0(f.a)})
		for _, tos := range []uint8{0, 0xb9, 0xff, 0} {
			send(t, s, Packet{Data: []byte("x"), Remote: s.LocalAddr(), TOS: tos})
			if p := receive(t, s, 1)[0]; p.TOS != tos {
				t.Errorf("%s: TOS %#x came as %#x", f.name, tos, p.TOS)
			}
		}
	}
}

func TestRawESP(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		s := listenRaw(t, ns, Options{Addr: port0(f.any), Bypass: true})
		send(t, s,
			Packet{Data: []byte("a first packet of ESP, longer than an IP header"), Local: port0(f.a), Remote: netip.AddrPortFrom(f.b, 4500), TOS: 2},
			Packet{Data: []byte("short"), Local: port0(f.b), Remote: port0(f.a), DF: true})
		ps := receive(t, s, 2)
		if p := ps[0]; string(p.Data) != "a first packet of ESP, longer than an IP header" || p.Local != port0(f.b) || p.Remote != port0(f.a) || p.TOS != 2 {
			t.Errorf("%s: the first came as %+v", f.name, p)
		}
		if p := ps[1]; string(p.Data) != "short" || p.Local != port0(f.a) || p.Remote != port0(f.b) || p.TOS != 0 {
			t.Errorf("%s: the second came as %+v", f.name, p)
		}
	}
}

func TestDatagramThatDoesNotFitItsBufferComesEmpty(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		s := listen(t, ns, Options{Addr: port0(f.a)})
		raw := listenRaw(t, ns, Options{Addr: port0(f.a)})
		for _, s := range []*Socket{s, raw} {
			send(t, s, Packet{Data: make([]byte, 101), Remote: s.LocalAddr()}, Packet{Data: make([]byte, 100), Remote: s.LocalAddr()})
			for _, want := range []int{0, 100} {
				ps := buffers(1, 100)
				if _, err := s.ReadBatch(ps); err != nil || len(ps[0].Data) != want {
					t.Errorf("%s: %d octets, error %v; want %d", f.name, len(ps[0].Data), err, want)
				}
			}
		}
	}
}

func TestMark(t *testing.T) {
	ns := newHost(t)
	for _, s := range []*Socket{
		listen(t, ns, Options{Addr: port0(families[0].any), Mark: 0x4711}),
		listenRaw(t, ns, Options{Addr: port0(families[1].any), Mark: 0x4711}),
	} {
		err := s.rc.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK); got != 0x4711 || err != nil {
				t.Errorf("mark %#x, error %v", got, err)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestBufferBytes(t *testing.T) {
	ns := newHost(t)
	s := listen(t, ns, Options{Addr: port0(families[0].any), BufferBytes: 1 << 20})
	err := s.rc.Control(func(fd uintptr) {
		for _, opt := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF} {
			if got, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, opt); got < 1<<20 || err != nil {
				t.Errorf("buffer of %d, error %v", got, err)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// A policy of the kernel that blocks all UDP stops a plain socket, not an exempt one.
func TestBypass(t *testing.T) {
	ns, peer := newPair(t)
	for _, f := range families {
		all := net.IPNet{IP: make(net.IP, f.a.BitLen()/8), Mask: make(net.IPMask, f.a.BitLen()/8)}
		inside(t, ns, func() error {
			for _, dir := range []netlink.Dir{netlink.XFRM_DIR_OUT, netlink.XFRM_DIR_IN} {
				if err := netlink.XfrmPolicyAdd(&netlink.XfrmPolicy{Src: &all, Dst: &all, Proto: unix.IPPROTO_UDP, Dir: dir, Action: netlink.XFRM_POLICY_BLOCK}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for i, f := range families {
		remote := netip.AddrPortFrom(peerAddrs[i], 9)
		plain := listen(t, ns, Options{Addr: port0(f.any)})
		err := plain.WriteBatch([]Packet{{Data: []byte("x"), Remote: remote}})
		wantFailure(t, err, 0, 1, unix.EPERM)
		exempt := listen(t, ns, Options{Addr: port0(f.any), Bypass: true})
		far := listen(t, peer, Options{Addr: port0(f.any)})
		to := netip.AddrPortFrom(peerAddrs[i], far.LocalAddr().Port())
		send(t, exempt, Packet{Data: []byte("out"), Remote: to})
		p := receive(t, far, 1)[0]
		send(t, far, Packet{Data: []byte("in"), Remote: p.Remote, Local: p.Local})
		if p := receive(t, exempt, 1)[0]; string(p.Data) != "in" {
			t.Errorf("%s: %q came back", f.name, p.Data)
		}
	}
}

// With Encap the kernel takes what is not IKE: keepalives do not come up.
func TestEncap(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		s := listen(t, ns, Options{Addr: port0(f.a), Encap: true})
		c := listen(t, ns, Options{Addr: port0(f.a)})
		send(t, c, Packet{Data: []byte{0xff}, Remote: s.LocalAddr()}, Packet{Data: []byte("\x00\x00\x00\x00IKE"), Remote: s.LocalAddr()})
		if p := receive(t, s, 1)[0]; string(p.Data) != "\x00\x00\x00\x00IKE" {
			t.Errorf("%s: %q", f.name, p.Data)
		}
	}
}

func TestPortInUse(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		s := listen(t, ns, Options{Addr: port0(f.any)})
		err := ns.Do(func() error {
			_, err := Listen(t.Context(), Options{Addr: s.LocalAddr()})
			return err
		})
		want := fmt.Sprintf("UDP port %d of %s is in use", s.LocalAddr().Port(), f.any)
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}

// The two families do not take each other's ports.
func TestBothFamiliesHaveTheSamePort(t *testing.T) {
	ns := newHost(t)
	v6 := listen(t, ns, Options{Addr: port0(families[1].any)})
	p := v6.LocalAddr().Port()
	v4 := listen(t, ns, Options{Addr: netip.AddrPortFrom(netip.MustParseAddr("::ffff:0.0.0.0"), p)})
	send(t, v6, Packet{Data: []byte("6"), Remote: netip.AddrPortFrom(families[1].a, p)})
	send(t, v4, Packet{Data: []byte("4"), Remote: netip.AddrPortFrom(netip.AddrFrom16(families[0].a.As16()), p)})
	if got := receive(t, v6, 1)[0]; string(got.Data) != "6" {
		t.Errorf("IPv6: %+v", got)
	}
	if got := receive(t, v4, 1)[0]; string(got.Data) != "4" || !got.Remote.Addr().Is4() {
		t.Errorf("IPv4: %+v", got)
	}
}

func TestErrorsOfOpening(t *testing.T) {
	ns := newHost(t)
	open := func(f func(context.Context, Options) (*Socket, error), o Options) error {
		done := make(chan error)
		go func() {
			done <- ns.Do(func() error {
				// A user without privileges, for this thread only, which ends with it.
				runtime.LockOSThread()
				if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 65534, ^uintptr(0)); e != 0 {
					return e
				}
				_, err := f(context.Background(), o)
				return err
			})
		}()
		return <-done
	}
	for _, tc := range []struct {
		name string
		err  error
		want string
		is   error
	}{
		{"low port", open(Listen, Options{Addr: netip.MustParseAddrPort("0.0.0.0:500")}), "UDP port 500 of 0.0.0.0: permission denied", syscall.EACCES},
		{"mark", open(Listen, Options{Addr: port0(families[0].any), Mark: 1}), "CAP_NET_ADMIN", syscall.EPERM},
		{"bypass", open(Listen, Options{Addr: port0(families[1].any), Bypass: true}), "permission denied", syscall.EPERM},
		{"raw", open(ListenRaw, Options{Addr: port0(families[1].any)}), "the raw ESP socket of ::: permission denied", syscall.EPERM},
		{"address", ns.Do(func() error {
			_, err := Listen(t.Context(), Options{Addr: netip.MustParseAddrPort("203.0.113.9:500")})
			return err
		}), "UDP port 500 of 203.0.113.9: no interface has this address", syscall.EADDRNOTAVAIL},
	} {
		if tc.err == nil || !errors.Is(tc.err, tc.is) || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%s: %v; want %q", tc.name, tc.err, tc.want)
		}
	}
	for errno, want := range map[syscall.Errno]string{
		syscall.EAFNOSUPPORT: "does not have the address family", syscall.ENOMEM: "cannot be opened",
	} {
		if err := explain(errno, false, port0(families[1].any)); !strings.Contains(err.Error(), want) || !errors.Is(err, errno) {
			t.Errorf("%v", err)
		}
	}
}

func TestReadDeadlineEndsWaitingReaders(t *testing.T) {
	ns := newHost(t)
	s := listen(t, ns, Options{Addr: port0(families[0].a)})
	done := make(chan error)
	go func() {
		_, err := s.ReadBatch(buffers(1, 100))
		done <- err
	}()
	if err := s.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	send(t, s, Packet{Data: []byte("still"), Remote: s.LocalAddr()})
	if err := s.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if p := receive(t, s, 1)[0]; string(p.Data) != "still" {
		t.Errorf("got %+v", p)
	}
}

func TestCloseEndsWaitingReaders(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		for _, s := range []*Socket{listen(t, ns, Options{Addr: port0(f.any)}), listenRaw(t, ns, Options{Addr: port0(f.any)})} {
			var wg sync.WaitGroup
			errs := make(chan error, 2)
			for range 2 {
				wg.Go(func() {
					_, err := s.ReadBatch(buffers(1, 100))
					errs <- err
				})
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			wg.Wait()
			for range 2 {
				if err := <-errs; !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: %v", f.name, err)
				}
			}
			if err := s.WriteBatch([]Packet{{Data: []byte("x"), Remote: netip.AddrPortFrom(f.a, 9)}}); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: writing: %v", f.name, err)
			}
		}
	}
}
