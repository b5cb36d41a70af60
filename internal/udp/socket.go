package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Options say how a socket is opened.
type Options struct {
	// Addr is the local address and port. Its family is the socket's: an unspecified
	// IPv6 address does not receive IPv4.
	Addr netip.AddrPort
	// Encap hands encapsulated ESP to the kernel (UDP_ENCAP_ESPINUDP); keepalives and ESP
	// are then no longer received here.
	Encap bool
	// Bypass exempts the socket from the kernel's IPsec policies in both directions.
	Bypass bool
	// Mark is put on every packet sent (SO_MARK), 0: none.
	Mark uint32
	// Offload lets the kernel join received datagrams to trains (UDP_GRO) and cut those
	// sent (UDP_SEGMENT), where it can. Buffers of 64 KB are then needed to read.
	Offload bool
	// BufferBytes is the size of the socket's kernel buffers, in each direction; 0: the system's.
	BufferBytes int
}

// Socket is a UDP or raw socket of one family. ReadBatch and WriteBatch may be
// called by several goroutines; calls of the same kind wait for each other.
type Socket struct {
	conn net.PacketConn
	rc   syscall.RawConn
	addr netip.AddrPort
	v6   bool
	raw  bool

	readMu sync.Mutex
	reads  reader

	writeMu sync.Mutex
	writes  writer
}

// espProto is the IP protocol number of ESP.
const espProto = 50

// Listen opens a UDP socket. Errors say in words what is the matter and wrap the
// system's, such as syscall.EADDRINUSE or syscall.EPERM.
func Listen(ctx context.Context, o Options) (*Socket, error) {
	o.Addr = netip.AddrPortFrom(o.Addr.Addr().Unmap(), o.Addr.Port())
	network := "udp4"
	if isV6(o.Addr.Addr()) {
		network = "udp6"
	}
	return open(ctx, network, o.Addr.String(), false, o)
}

// ListenRaw opens a raw socket for ESP without encapsulation. The port of o.Addr,
// Encap and Offload have no meaning for it. It needs CAP_NET_RAW.
func ListenRaw(ctx context.Context, o Options) (*Socket, error) {
	o.Encap, o.Offload = false, false
	o.Addr = netip.AddrPortFrom(o.Addr.Addr().Unmap(), 0)
	network := fmt.Sprintf("ip4:%d", espProto)
	if isV6(o.Addr.Addr()) {
		network = fmt.Sprintf("ip6:%d", espProto)
	}
	return open(ctx, network, o.Addr.Addr().String(), true, o)
}

func isV6(a netip.Addr) bool { return a.Is6() && !a.Is4In6() }

func open(ctx context.Context, network, addr string, raw bool, o Options) (*Socket, error) {
	s := &Socket{v6: isV6(o.Addr.Addr()), raw: raw}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) { err = s.setup(int(fd), &o) }); e != nil {
			return e
		}
		return err
	}}
	conn, err := lc.ListenPacket(ctx, network, addr)
	if err != nil {
		return nil, explain(err, raw, o.Addr)
	}
	rc, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s.conn, s.rc = conn, rc
	s.addr = o.Addr
	if a, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		s.addr = netip.AddrPortFrom(o.Addr.Addr(), uint16(a.Port))
	}
	s.reads.init(s)
	s.writes.init(s)
	return s, nil
}

// LocalAddr is the address that the socket was opened with, and the port that it got.
func (s *Socket) LocalAddr() netip.AddrPort { return s.addr }

// SetReadDeadline lets reads fail with os.ErrDeadlineExceeded from t on, those that
// wait already included; the zero time takes that back. Writes go on.
func (s *Socket) SetReadDeadline(t time.Time) error { return s.conn.SetReadDeadline(t) }

// Close closes the socket; calls that wait return net.ErrClosed.
func (s *Socket) Close() error { return s.conn.Close() }

// explain turns the error of opening a socket into a sentence.
func explain(err error, raw bool, addr netip.AddrPort) error {
	what := fmt.Sprintf("UDP port %d of %s", addr.Port(), addr.Addr())
	if raw {
		what = fmt.Sprintf("the raw ESP socket of %s", addr.Addr())
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%s is in use by another program: %w", what, err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%s: permission denied (CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE are needed): %w", what, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s: no interface has this address: %w", what, err)
	case errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("%s: this system does not have the address family: %w", what, err)
	}
	return fmt.Errorf("%s cannot be opened: %w", what, err)
}
