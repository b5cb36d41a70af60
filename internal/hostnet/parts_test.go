//go:build linux

package hostnet

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func address(s string, flags int) netlink.Addr {
	ip, n, err := net.ParseCIDR(s)
	if err != nil {
		panic(err)
	}
	n.IP = ip
	return netlink.Addr{IPNet: n, Flags: flags}
}

func TestSources(t *testing.T) {
	list := []netlink.Addr{
		address("127.0.0.1/8", 0), address("::1/128", 0), address("fe80::1/64", 0),
		address("10.1.0.1/16", unix.IFA_F_SECONDARY), address("10.1.0.9/16", unix.IFA_F_PERMANENT), address("10.1.0.2/16", 0), address("10.1.0.2/32", 0),
		address("fd01::1/64", unix.IFA_F_TENTATIVE), address("fd01::2/64", unix.IFA_F_DADFAILED),
		address("fd01::3/64", unix.IFA_F_DEPRECATED), address("fd01::4/64", unix.IFA_F_TEMPORARY), address("fd01::5/64", 0), {},
	}
	want := "10.1.0.2 10.1.0.9 fd01::5 10.1.0.1 fd01::3 fd01::4"
	for range 20 {
		var got []string
		for _, a := range sources(list) {
			got = append(got, a.String())
		}
		if s := strings.Join(got, " "); s != want {
			t.Fatalf("got %s, want %s", s, want)
		}
		list = append(list[1:], list[0])
	}
}

func TestSourceIn(t *testing.T) {
	own := sources([]netlink.Addr{address("10.1.0.9/16", 0), address("10.1.0.2/16", 0), address("192.0.2.2/24", 0), address("fd01::5/64", 0)})
	for _, tc := range []struct{ local, dst, want string }{
		{"10.1.0.0/16", "10.2.0.0/16", "10.1.0.2"},
		{"10.1.0.9/32", "10.2.0.0/16", "10.1.0.9"},
		{"10.1.0.8/32", "10.2.0.0/16", ""},
		{"192.0.2.0/24", "0.0.0.0/0", "192.0.2.2"},
		{"0.0.0.0/0", "10.2.0.0/16", ""},
		{"10.1.0.0/16", "fd02::/64", ""},
		{"fd01::/64", "fd02::/64", "fd01::5"},
		{"fd01::/64", "10.2.0.0/16", ""},
		{"::/0", "fd02::/64", ""},
	} {
		got := sourceIn(own, prefix(tc.local), prefix(tc.dst))
		if want := tc.want; want == "" && got.IsValid() || want != "" && got.String() != want {
			t.Errorf("%s to %s: got %s, want %q", tc.local, tc.dst, got, want)
		}
	}
	if got := sourceIn(own, netip.Prefix{}, prefix("10.2.0.0/16")); got.IsValid() {
		t.Errorf("no local network: got %s", got)
	}
}

func TestPlan(t *testing.T) {
	r := &Routes{families: []int{unix.AF_INET}, own: []netip.Addr{netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.3.0.1")}}
	r.devices = map[string]int{"": 0, device: 7, "none": 0}
	r.opts.Device = device
	got, err := r.plan([]Route{
		{}, route6, // there is no IPv6
		{Dst: prefix("10.2.7.7/16"), Local: prefix("10.9.0.0/16")},
		{Dst: prefix("10.2.0.0/16"), Local: prefix("10.3.0.0/16")},
		{Dst: prefix("10.2.0.0/16"), Local: prefix("10.1.0.0/16")},
		{Dst: prefix("10.4.0.0/16")},
	})
	want := table{
		prefix("10.2.0.0/16"): {lead{link: 7, src: r.own[1]}, true},
		prefix("10.4.0.0/16"): {lead{link: 7}, true},
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, error %v", got, err)
	}
}

func TestDstOf(t *testing.T) {
	for _, tc := range []struct {
		family int
		dst    string
		want   string
	}{
		{unix.AF_INET, "", "0.0.0.0/0"}, {unix.AF_INET6, "", "::/0"},
		{unix.AF_INET, "0.0.0.0/0", "0.0.0.0/0"}, {unix.AF_INET6, "::/0", "::/0"},
		{unix.AF_INET, "10.0.0.0/8", "10.0.0.0/8"}, {unix.AF_INET6, "fd01::/64", "fd01::/64"},
	} {
		route := &netlink.Route{}
		if tc.dst != "" {
			_, route.Dst, _ = net.ParseCIDR(tc.dst)
		}
		if got, ok := dstOf(tc.family, route); !ok || got.String() != tc.want {
			t.Errorf("%q: got %s, %v", tc.dst, got, ok)
		}
	}
	if _, ok := dstOf(unix.AF_INET, &netlink.Route{Dst: &net.IPNet{IP: net.IP{1, 2}}}); ok {
		t.Error("an address of two octets is a destination")
	}
}

func TestFailures(t *testing.T) {
	var f failures
	f.add(nil)
	if f.err() != nil {
		t.Error(f.err())
	}
	first := errors.New("first")
	f.add(first)
	if f.err() != first { //nolint:errorlint // nothing is put around it
		t.Error(f.err())
	}
	f.add(errors.New("second"))
	f.add(errors.New("third"))
	if err := f.err(); !errors.Is(err, first) || err.Error() != "first (and 2 more failures)" {
		t.Error(err)
	}
}

func TestWhole(t *testing.T) {
	calls := 0
	err := whole(func() error {
		if calls++; calls < 3 {
			return netlink.ErrDumpInterrupted
		}
		return unix.EPERM
	})
	if calls != 3 || !errors.Is(err, unix.EPERM) {
		t.Errorf("%d calls, error %v", calls, err)
	}
	calls = 0
	if err := whole(func() error { calls++; return netlink.ErrDumpInterrupted }); calls != dumpTries || !errors.Is(err, netlink.ErrDumpInterrupted) {
		t.Errorf("%d calls, error %v", calls, err)
	}
}

func TestNews(t *testing.T) {
	h := newHost(t)
	var n *news
	h.do(func() (err error) {
		n, err = listen()
		return err
	})
	defer n.close()
	for _, tc := range []struct {
		args string
		want changes
	}{
		{"addr add 10.1.7.7/32 dev inner", addresses | routes},
		{"addr add fd01::7/128 dev inner nodad", addresses | routes},
		{"link set inner down", links | addresses | routes},
		{"link set inner up", links | routes},
		{"route add 10.7.0.0/16 via 192.0.2.1", routes},
		{"route add 10.7.0.0/16 via 192.0.2.1 table 4500 proto 145", ours},
		{"-6 route add fd07::/64 via 2001:db8::1 table 4500 proto 145", ours},
		{"route del 10.7.0.0/16 table 4500", ours},
		{"rule add priority 99 lookup 99", rules},
		{"-6 rule del priority 32766", rules},
		{"neigh add 10.1.0.9 lladdr 02:00:00:00:00:01 dev inner", 0},
	} {
		h.settle()
		n.read()
		h.ip(tc.args)
		h.settle()
		if got := n.read(); got != tc.want {
			t.Errorf("ip %s: got %05b, want %05b", tc.args, got, tc.want)
		}
		if got := n.read(); got != 0 && strings.HasPrefix(tc.args, "addr add 10.") {
			t.Errorf("ip %s is news twice", tc.args)
		}
	}
	closed := &news{fd: -1}
	if closed.read() != everything {
		t.Error("what cannot be read is not taken for news")
	}
}

func TestStrictInterfaces(t *testing.T) {
	for _, tc := range []struct {
		all, eth0, tun string
		want           []string
	}{
		{"0", "0", "0", nil},
		{"0", "1", "1", []string{"eth0"}},
		{"1", "0", "0", []string{"eth0", "wlan0"}},
		{"1", "2", "0", []string{"wlan0"}},
		{"2", "1", "1", nil},
		{"0", "", "0", nil},
	} {
		dir := t.TempDir()
		for name, value := range map[string]string{"all": tc.all, "default": "1", "lo": "1", "eth0": tc.eth0, "tun9": tc.tun, "wlan0": "0"} {
			if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
			if value != "" {
				if err := os.WriteFile(filepath.Join(dir, name, "rp_filter"), []byte(value+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := strictInterfaces(dir, []string{"tun9"}); !slices.Equal(got, tc.want) {
			t.Errorf("%+v: got %v", tc, got)
		}
	}
	if got := strictInterfaces(filepath.Join(t.TempDir(), "none"), nil); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestStrictReversePathIsWarnedOf(t *testing.T) {
	h := newHost(t)
	h.do(func() error { return os.WriteFile(confDir+"/eth0/rp_filter", []byte("1"), 0) })
	var warnings []string
	r := h.open(Options{Warn: func(s string) { warnings = append(warnings, s) }})
	h.set(r, both...)
	if len(warnings) != 0 {
		t.Errorf("warnings %q", warnings)
	}
	for range 2 {
		h.set(r, Route{Dst: prefix("192.0.2.1/32"), Local: prefix("192.0.2.2/32")})
	}
	want := "reverse path filtering is strict on eth0: what comes there from peers that are in 192.0.2.1/32 themselves is dropped; net.ipv4.conf.eth0.rp_filter = 2 lets it pass"
	if len(warnings) != 1 || warnings[0] != want {
		t.Errorf("warnings %q", warnings)
	}
}
