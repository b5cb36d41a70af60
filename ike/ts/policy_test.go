package ts

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/wire"
)

func TestPrefixes(t *testing.T) {
	for _, c := range []struct {
		first, last string
		want        []string
	}{
		{"10.0.0.0", "10.0.0.255", []string{"10.0.0.0/24"}},
		{"10.0.0.1", "10.0.0.1", []string{"10.0.0.1/32"}},
		{"10.0.0.1", "10.0.0.6", []string{"10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"}},
		{"0.0.0.0", "255.255.255.255", []string{"0.0.0.0/0"}},
		{"255.255.255.254", "255.255.255.255", []string{"255.255.255.254/31"}},
		{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", []string{"::/0"}},
		{"fd01::", "fd01::1:0", []string{"fd01::/112", "fd01::1:0/128"}},
		{"10.0.0.2", "10.0.0.1", nil},
	} {
		got := Prefixes(netip.MustParseAddr(c.first), netip.MustParseAddr(c.last))
		if len(got) != len(c.want) {
			t.Errorf("%s-%s: %v", c.first, c.last, got)
			continue
		}
		for i, p := range got {
			if p.String() != c.want[i] {
				t.Errorf("%s-%s: %v, want %v", c.first, c.last, got, c.want)
			}
		}
	}
}

// The prefixes of a range follow each other without a gap and cover it.
func TestPrefixesCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 5000 {
		a, b := rng.Uint32(), rng.Uint32()
		first, last := addr4(min(a, b)), addr4(max(a, b))
		next := first
		list := Prefixes(first, last)
		for i, p := range list {
			if p.Addr() != next || p != p.Masked() {
				t.Fatalf("%s-%s: prefix %d is %s, want one from %s", first, last, i, p, next)
			}
			if i == len(list)-1 && end(p) != last {
				t.Fatalf("%s-%s ends at %s", first, last, end(p))
			}
			next = end(p).Next()
		}
		if len(list) > 62 {
			t.Fatalf("%s-%s needs %d prefixes", first, last, len(list))
		}
	}
}

func addr4(v uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

func TestPairs(t *testing.T) {
	local := []wire.Selector{sel(t, "10.1.0.0/16", 0), sel(t, "fd01::/64", 0)}
	remote := []wire.Selector{sel(t, "10.2.0.0-10.2.0.2", tcp, 80, 80), sel(t, "fd02::/64", 0)}
	got, err := Pairs(local, remote)
	if err != nil {
		t.Fatal(err)
	}
	port := esp.PortRange{First: 80, Last: 80}
	p := netip.MustParsePrefix
	want := []esp.Selector{
		{Src: p("10.1.0.0/16"), Dst: p("10.2.0.0/31"), Proto: tcp, SrcPorts: esp.AnyPort, DstPorts: port},
		{Src: p("10.1.0.0/16"), Dst: p("10.2.0.2/32"), Proto: tcp, SrcPorts: esp.AnyPort, DstPorts: port},
		{Src: p("fd01::/64"), Dst: p("fd02::/64"), SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort},
	}
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("pair %d is %+v, want %+v", i, got[i], want[i])
		}
		if back := Reverse(Reverse(got[i])); back != got[i] || Reverse(got[i]).Src != got[i].Dst || Reverse(got[i]).DstPorts != got[i].SrcPorts {
			t.Errorf("the reverse of %+v is %+v", got[i], Reverse(got[i]))
		}
	}
	if got, err := Pairs([]wire.Selector{sel(t, "10.1.0.0/16", tcp)}, []wire.Selector{sel(t, "10.2.0.0/16", udp)}); err != nil || len(got) != 0 {
		t.Errorf("two protocols: %v %v", got, err)
	}
}

func TestPairsAreBounded(t *testing.T) {
	odd := sel(t, "10.0.0.1-10.255.255.254", 0) // 46 prefixes
	if _, err := Pairs([]wire.Selector{odd}, []wire.Selector{odd}); !errors.Is(err, ErrTooMany) {
		t.Errorf("46 times 46 policies: %v", err)
	}
}

func TestFromPacket(t *testing.T) {
	p := netip.MustParsePrefix
	local, remote := FromPacket(esp.Selector{
		Src: p("10.1.0.10/32"), Dst: p("10.2.0.10/32"), Proto: tcp,
		SrcPorts: esp.PortRange{First: 40000, Last: 40000}, DstPorts: esp.PortRange{First: 443, Last: 443},
	})
	if got := Word(local) + " " + Word(remote); got != "10.1.0.10/32[tcp/40000] 10.2.0.10/32[tcp/443]" {
		t.Error(got)
	}
}
