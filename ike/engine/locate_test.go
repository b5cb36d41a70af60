package engine

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/goike/goike/conf"
)

func gatewayOf(prefix string) conf.Gateways {
	return conf.Gateways{{Prefix: netip.MustParsePrefix(prefix)}}
}

// What keeps a peer from being looked for is said in few words.
func TestLocateErrors(t *testing.T) {
	for want, c := range map[string]conf.Connection{
		"local_address 192.0.2.99 is not an address of this host": {
			Gateways: gatewayOf("127.0.0.2/32"), LocalAddr: netip.MustParseAddr("192.0.2.99")},
		"local_address 2001:db8::1 and peer 127.0.0.2 are of different families": {
			Gateways: gatewayOf("127.0.0.2/32"), LocalAddr: netip.MustParseAddr("2001:db8::1")},
		`local_address "nosuch0": there is no such interface`: {Gateways: gatewayOf("127.0.0.2/32"), LocalInterface: "nosuch0"},
		"remote_gateway names no single host":                 {Gateways: gatewayOf("127.0.0.0/8")},
	} {
		paths, err := NewLocator(0)(t.Context(), &c)
		if err == nil || err.Error() != want {
			t.Errorf("%v, %v; want %s", paths, err, want)
		}
	}
}

func TestLocate(t *testing.T) {
	for _, local := range []string{"", "127.0.0.3"} {
		c := &conf.Connection{Gateways: gatewayOf("127.0.0.2/32"), RemotePort: 4501}
		want := netip.MustParseAddrPort("127.0.0.1:4500")
		if local != "" {
			c.LocalAddr = netip.MustParseAddr(local)
			want = netip.AddrPortFrom(c.LocalAddr, 4500)
		}
		paths, err := NewLocator(0)(t.Context(), c)
		if err != nil || len(paths) != 1 || paths[0].Local != want || paths[0].Remote.String() != "127.0.0.2:4501" {
			t.Errorf("%v, %v; want from %s", paths, err, want)
		}
	}
}

// All gateways that can be called are, in their order; one that does not resolve is no
// reason not to call the others.
func TestLocateSeveral(t *testing.T) {
	c := &conf.Connection{Gateways: conf.Gateways{{Host: "nobody.invalid"}}}
	for _, prefix := range []string{"127.0.0.4/32", "127.0.0.0/8", "127.0.0.2/32", "127.0.0.4/32"} {
		c.Gateways = append(c.Gateways, gatewayOf(prefix)...)
	}
	paths, err := NewLocator(0)(t.Context(), c)
	if err != nil || len(paths) != 2 || paths[0].Remote.String() != "127.0.0.4:500" || paths[1].Remote.String() != "127.0.0.2:500" {
		t.Errorf("%v, %v", paths, err)
	}
	c.Gateways = c.Gateways[:1]
	if paths, err := NewLocator(0)(t.Context(), c); err == nil || !strings.Contains(err.Error(), "cannot resolve nobody.invalid") {
		t.Errorf("%v, %v", paths, err)
	}
}

func TestNameError(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "udp", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
	for want, err := range map[string]error{
		"there is no such host": &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true},
		"name server 192.0.2.53:53 does not answer": &net.DNSError{
			Err: "i/o timeout", Name: "x", Server: "192.0.2.53:53", IsTimeout: true},
		"name server 192.0.2.53:53: network is unreachable": &net.DNSError{
			Err: refused.Error(), UnwrapErr: refused, Name: "x", Server: "192.0.2.53:53"},
		"name server 192.0.2.53:53: server misbehaving": &net.DNSError{Err: "server misbehaving", Name: "x", Server: "192.0.2.53:53"},
		"broken": errors.New("broken"),
	} {
		if got := nameError(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
