//go:build linux

package icmp

import (
	"context"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the kernel itself says about a port at which nothing listens, of both families; of
// other ports nothing is told.
func TestListen(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("raw sockets are for root; run the tests as root")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		host := netip.MustParseAddr(loopback)
		from, other, closed := socket(t, host), socket(t, host), socket(t, host)
		nowhere := closed.LocalAddr().(*net.UDPAddr).AddrPort()
		if err := closed.Close(); err != nil {
			t.Fatal(err)
		}
		got, ended := make(chan Error, 100), make(chan error, 1)
		ctx, cancel := context.WithCancel(ctx)
		go func() {
			ended <- Listen(ctx, []uint16{from.LocalAddr().(*net.UDPAddr).AddrPort().Port()}, func(e Error) { got <- e })
		}()
		want := Error{By: host, Local: from.LocalAddr().(*net.UDPAddr).AddrPort(), Remote: nowhere, Kind: NoPort}
		tick := time.NewTicker(20 * time.Millisecond) // until the sockets are open
		for limit, heard := time.After(10*time.Second), false; !heard; {
			_, _ = other.WriteToUDPAddrPort([]byte("x"), nowhere)
			_, _ = from.WriteToUDPAddrPort([]byte("x"), nowhere)
			select {
			case e := <-got:
				if heard = true; e != want {
					t.Errorf("%+v, want %+v", e, want)
				}
			case <-tick.C:
			case <-limit:
				t.Fatal("nothing was heard")
			}
		}
		tick.Stop()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func socket(t *testing.T, host netip.Addr) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func octets(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Packets from 192.0.2.2:500 to 198.51.100.2:4500, and from 2001:db8::2 to 2001:db8::1.
const (
	packet4 = "4500 0020 0001 4000 4011 0000 c0000202 c6336402 01f4 1194 000c 0000"
	packet6 = "60000000 000c 11 40 20010db8000000000000000000000002 20010db8000000000000000000000001 01f4 1194 000c 0000"
)

func TestParse(t *testing.T) {
	v4 := Error{Local: netip.MustParseAddrPort("192.0.2.2:500"), Remote: netip.MustParseAddrPort("198.51.100.2:4500")}
	v6 := Error{Local: netip.MustParseAddrPort("[2001:db8::2]:500"), Remote: netip.MustParseAddrPort("[2001:db8::1]:4500")}
	with := func(e Error, k Kind, mtu int) Error { e.Kind, e.MTU = k, mtu; return e }
	for _, c := range []struct {
		name, packet string
		parse        func([]byte) (Error, bool)
		want         Error
	}{
		{"no network", "0300 0000 00000000" + packet4, parse4, with(v4, NoNetwork, 0)},
		{"no host", "0301 0000 00000000" + packet4, parse4, with(v4, NoHost, 0)},
		{"no port", "0303 0000 00000000" + packet4, parse4, with(v4, NoPort, 0)},
		{"fragmentation needed", "0304 0000 0000 0578" + packet4, parse4, with(v4, TooBig, 1400)},
		{"prohibited", "030d 0000 00000000" + packet4, parse4, with(v4, Prohibited, 0)},
		{"no protocol", "0302 0000 00000000" + packet4, parse4, with(v4, Other, 0)},
		{"time out", "0b00 0000 00000000" + packet4, parse4, with(v4, TimeOut, 0)},
		{"with options", "0303 0000 00000000 46 00 0024 0001 4000 4011 0000 c0000202 c6336402 01010101 01f4 1194 000c 0000", parse4, with(v4, NoPort, 0)},
		{"no route of IPv6", "0100 0000 00000000" + packet6, parse6, with(v6, NoNetwork, 0)},
		{"prohibited by IPv6", "0101 0000 00000000" + packet6, parse6, with(v6, Prohibited, 0)},
		{"no host of IPv6", "0103 0000 00000000" + packet6, parse6, with(v6, NoHost, 0)},
		{"no port of IPv6", "0104 0000 00000000" + packet6, parse6, with(v6, NoPort, 0)},
		{"too big for IPv6", "0200 0000 00000500" + packet6, parse6, with(v6, TooBig, 1280)},
		{"time out of IPv6", "0300 0000 00000000" + packet6, parse6, with(v6, TimeOut, 0)},
	} {
		if got, ok := c.parse(octets(t, c.packet)); !ok || got != c.want {
			t.Errorf("%s: %+v %v, want %+v", c.name, got, ok, c.want)
		}
	}
	for _, c := range []struct {
		name, packet string
		parse        func([]byte) (Error, bool)
	}{
		{"an echo", "0800 0000 00000000" + packet4, parse4},
		{"about TCP", "0303 0000 00000000" + strings.Replace(packet4, "4011", "4006", 1), parse4},
		{"about a later fragment", "0303 0000 00000000" + strings.Replace(packet4, "4000 4011", "0010 4011", 1), parse4},
		{"about nothing", "0303 0000 00000000", parse4},
		{"without ports", "0303 0000 00000000" + packet4[:len(packet4)-len("01f4 1194 000c 0000")], parse4},
		{"a header that is too short", "0303 0000 00000000" + strings.Replace(packet4, "4500", "4400", 1), parse4},
		{"a header beyond the end", "0303 0000 00000000" + strings.Replace(packet4, "4500", "4f00", 1), parse4},
		{"an echo of IPv6", "8000 0000 00000000" + packet6, parse6},
		{"about TCP over IPv6", "0104 0000 00000000" + strings.Replace(packet6, "11 40", "06 40", 1), parse6},
		{"without ports of IPv6", "0104 0000 00000000" + packet6[:len(packet6)-len("01f4 1194 000c 0000")], parse6},
	} {
		if got, ok := c.parse(octets(t, c.packet)); ok {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(octets(f, "0303 0000 00000000"+packet4))
	f.Add(octets(f, "0304 0000 0000 0578"+packet4))
	f.Add(octets(f, "0200 0000 00000500"+packet6))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (Error, bool){parse4, parse6} {
			if e, ok := parse(b); ok && (!e.Local.IsValid() || !e.Remote.IsValid() || e.Kind.String() == "" || e.MTU < 0) {
				t.Errorf("%+v", e)
			}
		}
	})
}
