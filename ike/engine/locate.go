package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

var errNoGateway = errors.New("remote_gateway names no single host")

// NewLocator returns what finds the paths to a connection's peer: its addresses in
// the order in which the resolver prefers them, each with the local address from
// which a packet with that mark (SO_MARK, 0: none) would leave for it. Addresses
// without a route are left out.
func NewLocator(mark uint32) Locator {
	l := locator{mark}
	return l.locate
}

// NewSources returns what asks the kernel's routes for packets with that mark.
func NewSources(mark uint32) Sources {
	l := locator{mark}
	return func(ctx context.Context, c *conf.Connection, remotes []netip.Addr) []netip.Addr {
		out := make([]netip.Addr, len(remotes))
		for i, r := range remotes {
			if a, err := l.localFor(ctx, c, netip.AddrPortFrom(r, ike.NATTPort)); err == nil {
				out[i] = a
			}
		}
		return out
	}
}

type locator struct{ mark uint32 }

// subjectError says what it is about that keeps a peer from being reached.
type subjectError struct {
	subject ike.Subject
	text    string
}

func (e subjectError) Error() string { return e.text }

func about(s ike.Subject, format string, args ...any) error {
	return subjectError{s, fmt.Sprintf(format, args...)}
}

func (l locator) locate(ctx context.Context, c *conf.Connection) ([]ike.Path, error) {
	remotes, err := resolveAll(ctx, c.Gateways)
	if err != nil {
		return nil, err
	}
	remotePort, localPort := c.RemotePort, uint16(ike.Port)
	if remotePort == 0 {
		remotePort = ike.Port
	}
	if remotePort != ike.Port {
		localPort = ike.NATTPort
	}
	var paths []ike.Path
	var last error
	for _, remote := range remotes {
		to := netip.AddrPortFrom(remote, remotePort)
		local, err := l.localFor(ctx, c, to)
		if err != nil {
			last = err
			continue
		}
		paths = append(paths, ike.Path{Local: netip.AddrPortFrom(local, localPort), Remote: to})
	}
	if len(paths) == 0 {
		return nil, last
	}
	return paths, nil
}

// resolveAll returns the addresses of all gateways that can be called, in their order. A
// name that cannot be resolved is an error when there is no other.
func resolveAll(ctx context.Context, gs conf.Gateways) ([]netip.Addr, error) {
	var out []netip.Addr
	last := errNoGateway
	for _, g := range gs {
		if !g.Dialable() {
			continue
		}
		addrs, err := resolve(ctx, g)
		if err != nil {
			last = err
		}
		for _, a := range addrs {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	if len(out) == 0 {
		return nil, last
	}
	return out, nil
}

// resolve returns the addresses of a gateway.
func resolve(ctx context.Context, g conf.Gateway) ([]netip.Addr, error) {
	if addr, ok := g.Single(); ok {
		return []netip.Addr{addr}, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", g.Host)
	if err != nil {
		return nil, about(ike.GatewayName, "cannot resolve %s: %s", g.Host, nameError(err))
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

// nameError says in short why a name was not resolved.
func nameError(err error) string {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return err.Error()
	case dns.IsNotFound:
		return "there is no such host"
	case dns.IsTimeout:
		return "name server " + dns.Server + " does not answer"
	}
	// "dial udp 192.0.2.53:53: connect: network is unreachable"
	return "name server " + dns.Server + ": " + dns.Err[strings.LastIndex(": "+dns.Err, ": "):]
}

// cause is what the system says, or text when it says nothing.
func cause(err error, text string) string {
	if no := syscall.Errno(0); errors.As(err, &no) {
		return no.Error()
	}
	return text
}

// localFor is the configured local address, or the one that the routes choose.
func (l locator) localFor(ctx context.Context, c *conf.Connection, to netip.AddrPort) (netip.Addr, error) {
	if c.LocalInterface != "" {
		return interfaceAddress(c.LocalInterface, to.Addr())
	}
	if c.LocalAddr.IsValid() && c.LocalAddr.Is4() != to.Addr().Is4() {
		return netip.Addr{}, about(ike.LocalAddress, "local_address %s and peer %s are of different families", c.LocalAddr, to.Addr())
	}
	// Connecting a UDP socket sends nothing: it asks for the route.
	d := net.Dialer{Control: l.setMark}
	if c.LocalAddr.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.LocalAddr, 0))
	}
	conn, err := d.DialContext(ctx, "udp", to.String())
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL) && c.LocalAddr.IsValid():
		return netip.Addr{}, about(ike.LocalAddress, "local_address %s is not an address of this host", c.LocalAddr)
	case err != nil:
		return netip.Addr{}, about(ike.Route, "no route to %s: %s", to.Addr(), cause(err, err.Error()))
	}
	defer func() { _ = conn.Close() }()
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return netip.Addr{}, err
	}
	return local.Addr().Unmap().WithZone(""), nil
}

func (l locator) setMark(_, _ string, c syscall.RawConn) (err error) {
	if l.mark == 0 {
		return nil
	}
	set := func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(l.mark)) }
	if e := c.Control(set); e != nil {
		return e
	}
	return err
}

// interfaceAddress is an address of an interface, of the family of the peer's.
func interfaceAddress(name string, peer netip.Addr) (netip.Addr, error) {
	ifc, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Addr{}, about(ike.LocalAddress, "local_address %q: there is no such interface", name)
	}
	list, err := ifc.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("local_address %q: %w", name, err)
	}
	for _, a := range list {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		if addr := p.Addr().Unmap(); addr.Is4() == peer.Is4() && addr.IsGlobalUnicast() {
			return addr, nil
		}
	}
	return netip.Addr{}, about(ike.LocalAddress, "interface %s has no address of the family of %s", name, peer)
}
