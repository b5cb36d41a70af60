package esp

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// fragments cuts a packet and gives the pieces.
func fragments(t testing.TB, pkt []byte, mtu int) [][]byte {
	t.Helper()
	f, err := Fragment4(pkt, mtu)
	if err != nil {
		t.Fatalf("MTU %d: %v", mtu, err)
	}
	var all [][]byte
	for {
		buf := make([]byte, mtu)
		n := f.Next(buf)
		if n == 0 {
			return all
		}
		all = append(all, buf[:n])
	}
}

// checkFragments puts the pieces together again, by what gopacket reads of them.
func checkFragments(t testing.TB, pkt []byte, mtu int, pieces [][]byte) {
	t.Helper()
	whole := gopacket.NewPacket(pkt, layers.LayerTypeIPv4, gopacket.Default).Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	at := int(whole.FragOffset) * 8
	var data []byte
	for i, b := range pieces {
		p := gopacket.NewPacket(b, layers.LayerTypeIPv4, gopacket.Default)
		ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		if !ok {
			t.Fatalf("MTU %d, fragment %d: %x", mtu, i, b)
		}
		if _, res := ip.VerifyChecksum(); !res.Valid || int(ip.Length) != len(b) || len(b) > mtu {
			t.Fatalf("MTU %d, fragment %d of %d octets: %+v", mtu, i, len(b), ip)
		}
		last := i == len(pieces)-1
		more := ip.Flags&layers.IPv4MoreFragments != 0
		if int(ip.FragOffset)*8 != at+len(data) || more != (!last || whole.Flags&layers.IPv4MoreFragments != 0) {
			t.Fatalf("MTU %d, fragment %d at %d: %+v", mtu, i, len(data), ip)
		}
		if ip.Id != whole.Id || ip.TTL != whole.TTL || ip.TOS != whole.TOS || ip.Protocol != whole.Protocol ||
			!ip.SrcIP.Equal(whole.SrcIP) || !ip.DstIP.Equal(whole.DstIP) {
			t.Fatalf("MTU %d, fragment %d: %+v", mtu, i, ip)
		}
		if !last && len(ip.Payload)+8 <= mtu-int(ip.IHL)*4 {
			t.Fatalf("MTU %d, fragment %d carries %d octets only", mtu, i, len(ip.Payload))
		}
		data = append(data, ip.Payload...)
	}
	if !bytes.Equal(data, whole.Payload) {
		t.Fatalf("MTU %d: put together %x", mtu, data)
	}
}

func TestFragment4(t *testing.T) {
	for _, size := range []int{28, 60, 576, 1500} {
		pkt := withTOS(udp(t, false, size), 0xb8)
		for mtu := 28; mtu < size+9; mtu++ {
			checkFragments(t, pkt, mtu, fragments(t, pkt, mtu))
		}
	}
	huge := udp(t, false, 65535)
	checkFragments(t, huge, 28, fragments(t, huge, 28))
	if got := fragments(t, huge[:65535], 70000); len(got) != 1 || !bytes.Equal(got[0], huge) {
		t.Error("a packet that fits has changed")
	}
}

func TestFragmentsOfAFragment(t *testing.T) {
	for _, flags := range []layers.IPv4Flag{0, layers.IPv4MoreFragments} {
		h := ip4(layers.IPProtocolUDP)
		h.Flags, h.FragOffset = flags, 185
		pkt := build(t, h, gopacket.Payload(make([]byte, 800)))
		pieces := fragments(t, pkt, 300)
		if len(pieces) != 3 {
			t.Errorf("%d pieces", len(pieces))
		}
		checkFragments(t, pkt, 300, pieces)
	}
}

// TestFragmentOptions: only options with the copied flag are in later fragments
// (RFC 791, 3.1).
func TestFragmentOptions(t *testing.T) {
	h := ip4(layers.IPProtocolUDP)
	h.Options = []layers.IPv4Option{
		{OptionType: 1},
		{OptionType: 7, OptionLength: 7, OptionData: []byte{4, 0, 0, 0, 0}}, // record route, not copied
		{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}},        // router alert, copied
		{OptionType: 131, OptionLength: 7, OptionData: []byte{4, 1, 2, 3, 4}},
	}
	pkt := build(t, h, gopacket.Payload(make([]byte, 500)))
	pieces := fragments(t, pkt, 200)
	checkFragments(t, pkt, 200, pieces)
	if !bytes.Equal(pieces[0][20:40], pkt[20:40]) {
		t.Errorf("first fragment: %x", pieces[0][:40])
	}
	for _, p := range pieces[1:] {
		if want := []byte{148, 4, 0, 0, 131, 7, 4, 1, 2, 3, 4, 0}; p[0] != 0x48 || !bytes.Equal(p[20:32], want) {
			t.Errorf("later fragment: %x", p[:32])
		}
	}
	// An option that is longer than the header is not carried on, nor read beyond.
	pkt[21+7+4+1] = 60
	setHeaderChecksum(pkt[:40])
	for i, p := range fragments(t, pkt, 200) {
		if i > 0 && (p[0] != 0x46 || !bytes.Equal(p[20:24], []byte{148, 4, 0, 0})) {
			t.Errorf("later fragment: %x", p[:24])
		}
	}
}

func TestFragment4Refuses(t *testing.T) {
	df := udp(t, false, 600)
	df[6] |= flagDF >> 8
	end := ip4(17)
	end.FragOffset = 8191
	ragged := ip4(17)
	ragged.Flags = layers.IPv4MoreFragments
	for _, c := range []struct {
		name string
		pkt  []byte
		mtu  int
		want error
	}{
		{"DF", df, 500, ErrDrop},
		{"no room for 8 octets", udp(t, false, 600), 27, ErrDrop},
		{"negative MTU", udp(t, false, 600), -5, ErrDrop},
		{"IPv6", udp(t, true, 600), 500, ErrMalformed},
		{"cut", udp(t, false, 600)[:599], 500, ErrMalformed},
		{"beyond the largest packet", build(t, end, gopacket.Payload(make([]byte, 100))), 500, ErrMalformed},
		{"not the last and ragged", build(t, ragged, gopacket.Payload(make([]byte, 101))), 500, ErrMalformed},
	} {
		f, err := Fragment4(c.pkt, c.mtu)
		if !errors.Is(err, c.want) || f.Next(make([]byte, 1000)) != 0 {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestFragmentsNeedRoomAndAllocateNothing(t *testing.T) {
	pkt := udp(t, false, 1500)
	buf := make([]byte, 1000)
	if n := testing.AllocsPerRun(10, func() {
		f, err := Fragment4(pkt, 1000)
		if err != nil || f.Next(buf[:10]) != 0 || f.Next(buf) != 996 || f.Next(buf) != 524 || f.Next(buf) != 0 || f.Next(buf) != 0 {
			t.Fatal("other fragments")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
