package transport

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/internal/udp"
)

func TestSend(t *testing.T) {
	host, peer := newHosts(t)
	d := start(t, host, Options{})
	var ms []ike.Send
	var sockets []*udp.Socket
	for _, f := range families {
		for _, remote := range []netip.AddrPort{at(f.peer, 500), at(f.peer, 4500)} {
			sockets = append(sockets, socket(t, peer, remote, false))
			for _, local := range []netip.AddrPort{at(f.daemon, ike.Port), at(f.also, ike.NATTPort), at(f.also, ike.Port), at(f.daemon, ike.NATTPort)} {
				ms = append(ms, ike.Send{Path: ike.Path{Local: local, Remote: remote}, Data: message("m", 100+len(ms))})
			}
		}
	}
	d.Send(ms)
	for i, s := range sockets {
		want := make(map[string]ike.Send)
		for _, m := range ms[4*i : 4*i+4] {
			wire := m.Data
			if m.Path.Local.Port() == ike.NATTPort {
				wire = marked(m.Data)
			}
			want[string(wire)] = m
		}
		for _, p := range receive(t, s, 4) {
			m, ok := want[string(p.Data)]
			if !ok || p.Remote != m.Path.Local {
				t.Errorf("%q came from %s, want %s", p.Data, p.Remote, m.Path.Local)
			}
			delete(want, string(p.Data))
		}
	}
	for i, m := range ms {
		if !bytes.Equal(m.Data, message("m", 100+i)) {
			t.Errorf("message %d was changed", i)
		}
	}
	wantCount(t, d.Transport, "ike_sent", uint64(len(ms)))
	d.Send(nil)
}

func TestErrorsOfSending(t *testing.T) {
	host, peer := newHosts(t)
	d := start(t, host, Options{})
	for i, f := range families {
		s := socket(t, peer, at(f.peer, 500), false)
		good := ike.Send{Path: ike.Path{Local: at(f.daemon, ike.Port), Remote: at(f.peer, 500)}, Data: message("m", 100)}
		lost, huge := good, good
		lost.Path.Remote = at(f.nobody, 500)
		huge.Data = message("m", 1<<16)
		for range 3 {
			d.Send([]ike.Send{lost, good, huge, lost, good})
			receive(t, s, 2)
		}
		wantCount(t, d.Transport, "ike_sent", uint64(6*(i+1)))
		wantCount(t, d.Transport, "ike_send_errors", uint64(9*(i+1)))
	}
	// Both families fail alike: one line is enough.
	w := d.warnings.take(t, 1)[0]
	if want := "an IKE message from 192.0.2.1 to 203.0.113.1:500 was not sent: network is unreachable"; w != want {
		t.Errorf("got %q, want %q", w, want)
	}
	if n := d.warnings.len(); n != 0 {
		t.Errorf("%d more warnings", n)
	}
}

func TestCarrier(t *testing.T) {
	host, peer := newHosts(t)
	d := start(t, host, Options{})
	for _, tc := range []struct {
		name  string
		write func([]udp.Packet) error
		raw   bool
	}{{"UDP", d.WriteUDP, false}, {"raw", d.WriteRaw, true}} {
		var to []*udp.Socket
		for _, f := range families {
			to = append(to, socket(t, peer, at(f.peer, 4500), tc.raw))
		}
		p4 := udp.Packet{Data: []byte("an ESP packet"), Local: at(families[0].also, 0), Remote: at(families[0].peer, 4500), TOS: 1}
		p6 := udp.Packet{Data: []byte("an ESP packet"), Local: at(families[1].also, 0), Remote: at(families[1].peer, 4500), TOS: 1}
		bad4, bad6 := p4, p6
		bad4.Remote, bad6.Remote = at(families[0].nobody, 4500), at(families[1].nobody, 4500)
		if err := tc.write([]udp.Packet{p4, p4, p6, p4, p6}); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		err := tc.write([]udp.Packet{p4, p6, bad6, p4, bad4, p6})
		var pe *udp.PacketError
		if !errors.As(err, &pe) || pe.Index != 2 || pe.Count != 2 || !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("%s: got %v", tc.name, err)
		}
		for i, f := range families {
			for _, p := range receive(t, to[i], 5-i) {
				if string(p.Data) != "an ESP packet" || p.Remote.Addr() != f.also || p.TOS != 1 || !tc.raw && p.Remote.Port() != ike.NATTPort {
					t.Errorf("%s: %+v came", tc.name, p)
				}
			}
		}
		if err := tc.write(nil); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestSendingAllocatesNothing(t *testing.T) {
	host, peer := newHosts(t)
	d := start(t, host, Options{})
	f := families[0]
	socket(t, peer, at(f.peer, 4500), false)
	path := ike.Path{Local: at(f.daemon, ike.NATTPort), Remote: at(f.peer, 4500)}
	ps := []udp.Packet{{Data: []byte("an ESP packet"), Remote: path.Remote}, {Data: []byte("an ESP packet"), Remote: path.Remote}}
	ms := []ike.Send{{Path: path, Data: message("m", 200)}}
	sd := new(sender)
	n := testing.AllocsPerRun(100, func() {
		if err := d.WriteUDP(ps); err != nil {
			t.Fatal(err)
		}
		d.sendSome(sd, ms, true, false)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// All that is sent carries the mark: a rule for it leads nowhere.
func TestMark(t *testing.T) {
	host, _ := newHosts(t)
	d := start(t, host, Options{Mark: 0x123})
	for i, f := range families {
		ps := []udp.Packet{{Data: []byte("an ESP packet"), Remote: at(f.peer, 4500)}}
		m := ike.Send{Path: ike.Path{Local: at(f.daemon, 500), Remote: at(f.peer, 500)}, Data: message("m", 28)}
		d.Send([]ike.Send{m})
		if err := errors.Join(d.WriteUDP(ps), d.WriteRaw(ps)); err != nil {
			t.Fatal(err)
		}
		err := host.Do(func() error {
			rule := netlink.NewRule()
			rule.Family, rule.Mark, rule.Priority, rule.Table = netlink.FAMILY_V4, 0x123, 100, 77
			if i == 1 {
				rule.Family = netlink.FAMILY_V6
			}
			_, all, err := net.ParseCIDR(f.any.String() + "/0")
			return errors.Join(err, netlink.RuleAdd(rule),
				netlink.RouteAdd(&netlink.Route{Table: 77, Dst: all, Type: unix.RTN_PROHIBIT, Family: rule.Family}))
		})
		if err != nil {
			t.Fatal(err)
		}
		d.Send([]ike.Send{m})
		wantCount(t, d.Transport, "ike_send_errors", uint64(i+1))
		for name, err := range map[string]error{"UDP": d.WriteUDP(ps), "raw": d.WriteRaw(ps)} {
			if !errors.Is(err, syscall.EACCES) {
				t.Errorf("%s, %s: got %v", f.name, name, err)
			}
		}
	}
	if w := d.warnings.take(t, 1)[0]; !strings.Contains(w, "permission denied") {
		t.Errorf("got %q", w)
	}
}
