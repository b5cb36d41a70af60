package udp

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cmsg makes a control message.
func cmsg(level, kind int32, data ...byte) []byte {
	oob := make([]byte, oobLen)
	oob, room := appendOne(oob[:0], level, kind, len(data))
	copy(room, data)
	return oob
}

func join(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func word(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func TestParseControl(t *testing.T) {
	info4 := join(word(3), []byte{10, 0, 0, 1}, []byte{192, 0, 2, 1})
	v6 := netip.MustParseAddr("2001:db8::1").As16()
	cut := cmsg(unix.IPPROTO_IP, unix.IP_PKTINFO, info4...)
	cut = cut[:len(cut)-9]
	for _, tc := range []struct {
		name       string
		oob        []byte
		local      string
		tos        uint8
		seg, iface int
	}{
		{"nothing", nil, "0.0.0.0", 0, 0, 0},
		{"IPv4", join(cmsg(unix.IPPROTO_IP, unix.IP_PKTINFO, info4...), cmsg(unix.IPPROTO_IP, unix.IP_TOS, 0xb8)), "192.0.2.1", 0xb8, 0, 3},
		{"IPv6", join(cmsg(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, join(v6[:], word(4))...),
			cmsg(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, word(3)...)), "2001:db8::1", 3, 0, 4},
		{"train", cmsg(unix.IPPROTO_UDP, unix.UDP_GRO, word(99)...), "0.0.0.0", 0, 99, 0},
		{"train of one", cmsg(unix.IPPROTO_UDP, unix.UDP_GRO, word(100)...), "0.0.0.0", 0, 0, 0},
		{"negative segments", cmsg(unix.IPPROTO_UDP, unix.UDP_GRO, word(1<<31)...), "0.0.0.0", 0, 0, 0},
		{"unknown first", join(cmsg(unix.SOL_SOCKET, 77, 1), cmsg(unix.IPPROTO_IP, unix.IP_TOS, 4)), "0.0.0.0", 4, 0, 0},
		{"short data", cmsg(unix.IPPROTO_IP, unix.IP_PKTINFO, info4[:11]...), "0.0.0.0", 0, 0, 0},
		{"cut", cut, "0.0.0.0", 0, 0, 0},
	} {
		p := Packet{Data: make([]byte, 100), Local: netip.MustParseAddrPort("0.0.0.0:4500")}
		parseControl(tc.oob, &p)
		if got, want := p.Local, netip.AddrPortFrom(netip.MustParseAddr(tc.local), 4500); got != want {
			t.Errorf("%s: local %s, want %s", tc.name, got, want)
		}
		if p.TOS != tc.tos || p.Seg != tc.seg || p.IfIndex != tc.iface {
			t.Errorf("%s: TOS %d, segment %d, interface %d", tc.name, p.TOS, p.Seg, p.IfIndex)
		}
	}
}

// What is appended for a packet to send is read back with the library's parser.
func TestAppendControl(t *testing.T) {
	for _, tc := range []struct {
		local string
		v6    bool
		tos   uint8
		seg   int
		want  int // messages
	}{
		{"", false, 0, 0, 0},
		{"0.0.0.0:500", false, 0, 0, 0},
		{"[::]:500", true, 0, 0, 0},
		{"192.0.2.1:500", false, 0, 0, 1},
		{"[::ffff:192.0.2.1]:500", false, 2, 0, 2},
		{"[2001:db8::1]:500", true, 0xff, 1400, 3},
		{"[fe80::1%5]:500", true, 0, 1400, 2},
	} {
		p := Packet{TOS: tc.tos}
		if tc.local != "" {
			p.Local = netip.MustParseAddrPort(tc.local)
		}
		var buf [oobLen]byte
		oob := appendControl(buf[:0], &p, tc.seg, tc.v6)
		msgs, err := unix.ParseSocketControlMessage(oob)
		if err != nil || len(msgs) != tc.want {
			t.Errorf("%s: %d messages, error %v; want %d", tc.local, len(msgs), err, tc.want)
		}
		var back Packet
		parseControl(oob, &back)
		if back.TOS != tc.tos {
			t.Errorf("%s: TOS %d, want %d", tc.local, back.TOS, tc.tos)
		}
		for _, m := range msgs {
			if m.Header.Level == unix.IPPROTO_UDP && binary.NativeEndian.Uint16(m.Data) != uint16(tc.seg) {
				t.Errorf("%s: segment size %x", tc.local, m.Data)
			}
			if m.Header.Type == unix.IPV6_PKTINFO && m.Header.Level == unix.IPPROTO_IPV6 && back.IfIndex != int(scope(p.Local.Addr())) {
				t.Errorf("%s: interface %d", tc.local, back.IfIndex)
			}
			if m.Header.Type == unix.IP_PKTINFO && m.Header.Level == unix.IPPROTO_IP && netip.AddrFrom4([4]byte(m.Data[4:8])) != p.Local.Addr().Unmap() {
				t.Errorf("%s: source %x", tc.local, m.Data)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, s := range []string{"192.0.2.1:4500", "[2001:db8::1]:500", "[fe80::1%77]:500"} {
		want := netip.MustParseAddrPort(s)
		v6 := isV6(want.Addr())
		var name unix.RawSockaddrInet6
		if n := putName(&name, want.Addr(), want.Port(), v6); v6 != (n == unix.SizeofSockaddrInet6) {
			t.Errorf("%s: %d octets", s, n)
		}
		if got := getName(&name, v6); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := scope(netip.MustParseAddr("fe80::1%lo")); got != 1 {
		t.Errorf("the index of lo is %d, want 1", got)
	}
	if got := scope(netip.MustParseAddr("fe80::1%" + strings.Repeat("x", 20))); got != 0 {
		t.Errorf("the index of no interface is %d", got)
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add(cmsg(unix.IPPROTO_IP, unix.IP_PKTINFO, make([]byte, 12)...))
	f.Add(join(cmsg(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, make([]byte, 20)...), cmsg(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, word(3)...),
		cmsg(unix.IPPROTO_UDP, unix.UDP_GRO, word(1400)...)))
	huge := cmsg(unix.IPPROTO_IP, unix.IP_TOS, 1)
	(*unix.Cmsghdr)(unsafe.Pointer(&huge[0])).SetLen(-1)
	f.Add(huge)
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, oob []byte) {
		p := Packet{Data: make([]byte, 1500), Local: netip.MustParseAddrPort("0.0.0.0:4500")}
		parseControl(oob, &p)
		if p.Seg < 0 || p.Seg >= len(p.Data) || p.Local.Port() != 4500 || !p.Local.Addr().IsValid() {
			t.Fatalf("%x makes %+v", oob, p)
		}
	})
}

func FuzzStripIPv4(f *testing.F) {
	f.Add([]byte{0x45, 3, 0, 24, 0, 0, 0, 0, 64, 50, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 1, 2, 3, 4}, 100)
	f.Add([]byte{0x46, 3, 0, 24, 0, 0, 0, 0, 64, 50, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 1, 1, 1, 1, 1, 2, 3, 4}, 100)
	f.Add([]byte{0x4f, 3, 0, 24, 0, 0, 0, 0, 64, 50, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 1, 2, 3, 4}, 100)
	f.Add([]byte{0x45}, 0)
	f.Fuzz(func(t *testing.T, packet []byte, room int) {
		if room < 0 || room > 1<<16 {
			return
		}
		var head [rawHead]byte
		buf := make([]byte, room)
		if n := copy(head[:], packet); n < len(packet) {
			copy(buf, packet[n:])
		}
		p := Packet{Data: buf[:min(len(packet), room)]}
		stripIPv4(&p, head[:], len(packet))
		if len(packet) < rawHead || len(packet) > rawHead+room || packet[0]&0xf < 5 || len(packet) <= int(packet[0]&0xf)*4 || room == 0 {
			if len(packet) <= rawHead+room && len(p.Data) != 0 {
				t.Fatalf("%x: %x is left", packet, p.Data)
			}
			return
		}
		if got, want := string(p.Data), string(packet[int(packet[0]&0xf)*4:]); got != want || p.TOS != packet[1] {
			t.Fatalf("%x: got %x, want %x", packet, got, want)
		}
	})
}
