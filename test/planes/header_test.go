//go:build linux

package planes

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

// Code points of DSCP with ECN, as the TOS octet has them.
const (
	expedited = 0xb8 // EF
	capable   = 2    // of congestion notification
)

// testOuterHeader looks what of the inner header goes to the outer one (RFC 4301,
// 5.1.2.1; RFC 6040, 4.1).
func testOuterHeader(t *testing.T, p *pair) {
	for _, c := range []struct {
		name   string
		change func(*esp.SA)
		df     bool // of the inner header
		tos    byte
		outDF  bool
		outTOS byte
	}{
		{"as it comes", func(*esp.SA) {}, true, expedited | capable, true, capable},
		{"without DF", func(*esp.SA) {}, false, 0, false, 0},
		{"DF is not copied", func(s *esp.SA) { s.NoCopyDF = true }, true, 0, false, 0},
		{"DSCP is copied", func(s *esp.SA) { s.CopyDSCP = true }, true, expedited | capable, true, expedited | capable},
		{"ECN is not", func(s *esp.SA) { s.NoECN = true }, true, expedited | capable, true, 0},
		{"DSCP is copied, ECN is not", func(s *esp.SA) { s.CopyDSCP, s.NoECN = true, true }, true, expedited | capable, true, expedited},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := p.newTunnel(func(x *tunnel) { x.change = func(sa *esp.SA, _ bool) { c.change(sa) } })
			x.up(t)
			at := p.tapSA(t, x.toB)
			cl := dial(t, p.a.inner[0], 0)
			cl.mark(t, c.df, c.tos)
			m := cl.send(t, p.b.inner[0], echoPort, 0)
			if err := cl.answer(m, patience); err != nil {
				t.Fatal(err)
			}
			pkt := at.next(t, 1)[0]
			if df := pkt[6]&0x40 != 0; df != c.outDF || pkt[1] != c.outTOS {
				t.Errorf("%s: DF %t, TOS %#02x; want %t, %#02x", p.a.rig, df, pkt[1], c.outDF, c.outTOS)
			}
			x.down(t)
		})
	}
}

// mark sets DF and the TOS octet of what the client sends.
func (c *client) mark(t testing.TB, df bool, tos byte) {
	t.Helper()
	discover := unix.IP_PMTUDISC_DONT
	if df {
		discover = unix.IP_PMTUDISC_DO
	}
	c.option(t, unix.IP_MTU_DISCOVER, discover)
	c.option(t, unix.IP_TOS, int(tos))
}

func (c *client) option(t testing.TB, name, value int) {
	t.Helper()
	if err := setOption(c.UDPConn, unix.IPPROTO_IP, name, value); err != nil {
		t.Fatal(err)
	}
}

func setOption(conn *net.UDPConn, level, name, value int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), level, name, value) })
	if err == nil {
		err = failed
	}
	return err
}

// testInnerHeader looks what of the outer header goes to the inner one, after the
// internet has changed it (RFC 2983, 4.1; RFC 6040, 4.2).
func testInnerHeader(t *testing.T, p *pair) {
	for _, c := range []struct {
		name   string
		change func(*esp.SA)
		inner  byte
		want   byte
	}{
		{"as it comes", func(*esp.SA) {}, expedited | capable, expedited | 3},
		{"DSCP comes over", func(s *esp.SA) { s.DecapDSCP = true }, expedited | capable, 0x60 | 3},
		{"ECN does not", func(s *esp.SA) { s.NoECN = true }, expedited | capable, expedited | capable},
		{"DSCP comes over, ECN does not", func(s *esp.SA) { s.DecapDSCP, s.NoECN = true, true }, expedited | capable, 0x60 | capable},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := p.newTunnel(func(x *tunnel) {
				x.change = func(sa *esp.SA, atA bool) {
					if !atA && sa.Dir == esp.In {
						c.change(sa)
					}
				}
			})
			x.up(t)
			p.middle(t, "ip protocol esp ip dscp set cs3 ip ecn set ce", "")
			if tos := p.received(t, p.b.inner[0], func(port uint16) {
				cl := dial(t, p.a.inner[0], 0)
				cl.mark(t, true, c.inner)
				cl.send(t, p.b.inner[0], port, 0)
			}); tos != c.want {
				t.Errorf("%s: TOS %#02x, want %#02x", p.b.rig, tos, c.want)
			}
			x.down(t)
		})
	}
}

// received is the TOS octet of a packet that send sends to a port of a host.
func (p *pair) received(t testing.TB, at netip.Addr, send func(port uint16)) byte {
	t.Helper()
	const port = 2001
	var s *udp.Socket
	err := echoes.at[at].Do(func() (err error) {
		s, err = udp.Listen(context.Background(), udp.Options{Addr: netip.AddrPortFrom(at, port)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ps := []udp.Packet{{Data: make([]byte, 2048)}}
	go func() {
		_, err := s.ReadBatch(ps)
		done <- err
	}()
	send(port)
	stop := context.AfterFunc(timeout(t), func() { _ = s.Close() })
	defer stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	return ps[0].TOS
}

// timeout is a context that ends when patience does.
func timeout(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// testTFC pads small packets to one size, and large ones not beyond the path
// (RFC 4303, 2.7).
func testTFC(t *testing.T, p *pair) {
	x := p.newTunnel(func(x *tunnel) { x.change = func(sa *esp.SA, _ bool) { sa.TFCPad = 1000 } })
	x.up(t)
	at := p.tapSA(t, x.toB)
	lengths := make(map[int]bool)
	for _, size := range []int{0, 100, 900} {
		exchange(t, p.a.inner[0], p.b.inner[0], echoPort, size)
		lengths[len(at.next(t, 1)[0])] = true
	}
	if len(lengths) != 1 {
		t.Errorf("%s: packets of lengths %v", p.a.rig, lengths)
	}
	for n := range lengths {
		if n < 1000 || n > 1100 {
			t.Errorf("%s: packets of length %d", p.a.rig, n)
		}
	}
	exchange(t, p.a.inner[0], p.b.inner[0], echoPort, 1200)
	if n := len(at.next(t, 1)[0]); n < 1228 || n > 1320 {
		t.Errorf("%s: a packet of length %d", p.a.rig, n)
	}
	x.down(t)
}
