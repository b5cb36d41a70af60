//go:build linux

package hostnet

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// look makes a snapshot as text.
func (h *host) look(exclude ...string) string {
	h.t.Helper()
	var s Snapshot
	h.do(func() (err error) {
		s, err = Look(exclude...)
		return err
	})
	return fmt.Sprint(s.Own, s.Attached)
}

func TestLook(t *testing.T) {
	h := newHost(t)
	for _, args := range []string{
		"addr add 10.1.0.2/16 dev inner", "addr add 10.1.0.3/24 dev inner", "addr add 10.9.0.1/32 dev inner",
		"addr add 169.254.7.7/16 dev inner",
		"addr add 172.16.0.1 peer 172.16.9.0/30 dev tun9", "addr add fd07::1 peer fd07::2/128 dev tun9",
		"addr add 10.6.0.1/16 dev tun9",
		"addr add fd09::1/64 dev inner noprefixroute",       // the network is reached by a router
		"addr add fd0a::1/64 dev inner nodad noprefixroute", // a program has set the route
		"-6 route add fd0a::/64 dev inner proto ra",
		"-6 route add fd0b::/64 dev inner", // no address of ours is in it
		"addr add 10.8.0.1/16 dev inner noprefixroute",
		"route add 10.8.0.0/16 dev eth0", // that interface has no address in it
		"link add dead type veth peer name dead1", "addr add 10.7.0.1/16 dev dead",
		"addr add 127.9.0.1/16 dev lo", "addr add 10.0.0.1/32 dev lo",
	} {
		h.ip(args)
	}
	own := "[10.0.0.1 10.1.0.1 10.1.0.3 10.6.0.1 10.8.0.1 10.9.0.1 172.16.0.1 192.0.2.2 2001:db8::2 fd01::1 fd07::1 fd0a::1 10.1.0.2]"
	attached := "[10.1.0.0/16 10.1.0.0/24 10.6.0.0/16 172.16.9.0/30 192.0.2.0/24 2001:db8::/64 fd01::/64 fd0a::/64]"
	h.eventually(func() (string, bool) { // fd09::1 is tentative for a moment
		got := h.look()
		want := strings.Replace(own, " fd0a", " fd09::1 fd0a", 1) + " " + attached
		return fmt.Sprintf("got  %s\nwant %s", got, want), got == want
	})
	// A route of ours for everything changes nothing of that.
	r := h.open(Options{})
	h.set(r, Route{Dst: prefix("0.0.0.0/0"), Via: peer4}, Route{Dst: prefix("::/0"), Via: peer6}, Route{Dst: prefix("10.1.0.0/16"), Bypass: true})
	if got := h.look(); !strings.HasSuffix(got, attached) {
		t.Errorf("got %s", got)
	}
	if got, want := h.look(device, "inner", "dead"), "[10.0.0.1 192.0.2.2 2001:db8::2] [192.0.2.0/24 2001:db8::/64]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestInterfaceOf(t *testing.T) {
	h := newHost(t)
	h.ip("addr add fe80::77/64 dev inner nodad")
	h.ip("addr add fe80::77/64 dev eth0 nodad")
	inner := strings.SplitN(h.ip("-o link show inner"), ":", 2)[0]
	eth0 := strings.SplitN(h.ip("-o link show eth0"), ":", 2)[0]
	for of, want := range map[string]string{
		"10.1.0.1": inner, "::ffff:10.1.0.1": inner, "fd01::1": inner, "192.0.2.2": eth0, "2001:db8::2": eth0,
		"fe80::77%eth0": eth0, "fe80::77%inner": inner, "fe80::77%" + inner: inner,
		"fe80::77%no": "0", "10.1.0.2": "0", "fd01::1%eth0": "0",
	} {
		h.do(func() error {
			if got := fmt.Sprint(InterfaceOf(netip.MustParseAddr(of))); got != want {
				t.Errorf("%s: interface %s, want %s", of, got, want)
			}
			return nil
		})
	}
	h.do(func() error {
		if got := InterfaceOf(netip.Addr{}); got != 0 {
			t.Errorf("no address is on interface %d", got)
		}
		return nil
	})
}

// watching watches the host's network until the test ends.
func (h *host) watching(exclude ...string) <-chan Change {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	told, ended := make(chan Change, 100), make(chan error, 1)
	go func() {
		ended <- h.Do(func() error { return Watch(ctx, func(c Change) { told <- c }, exclude...) })
	}()
	h.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
	// What there is at the start is told when it listens.
	h.wantChange(told, func(c Change) bool { return c.Links && c.Addresses && c.Routes && len(c.Attached) > 0 })
	return told
}

func (h *host) wantChange(told <-chan Change, holds func(Change) bool) {
	h.t.Helper()
	var last Change
	for deadline := time.After(10 * time.Second); ; {
		select {
		case last = <-told:
			if holds(last) {
				return
			}
		case <-deadline:
			h.t.Fatalf("it is not told, the last was %+v", last)
		}
	}
}

func TestWatch(t *testing.T) {
	h := newHost(t)
	told := h.watching(device)
	for _, tc := range []struct {
		args  string
		holds func(Change) bool
	}{
		{"addr add 10.5.0.1/16 dev inner", func(c Change) bool {
			return c.Addresses && slices.Contains(c.Attached, prefix("10.5.0.0/16")) && slices.Contains(c.Own, netip.MustParseAddr("10.5.0.1"))
		}},
		{"addr del 10.5.0.1/16 dev inner", func(c Change) bool {
			return c.Addresses && !slices.Contains(c.Attached, prefix("10.5.0.0/16")) && !slices.Contains(c.Own, netip.MustParseAddr("10.5.0.1"))
		}},
		{"-6 addr add fd05::1/64 dev inner nodad", func(c Change) bool { return c.Addresses && slices.Contains(c.Attached, prefix("fd05::/64")) }},
		{"route add 10.6.0.0/16 via 192.0.2.1", func(c Change) bool { return c.Routes && !c.Links && !c.Addresses }},
		{"-6 route add fd06::/64 via 2001:db8::1", func(c Change) bool { return c.Routes && !c.Links && !c.Addresses }},
		{"rule add priority 77 lookup 77", func(c Change) bool { return c.Routes && !c.Links && !c.Addresses }},
		{"addr add 10.7.0.1/16 dev tun9", func(c Change) bool { return c.Addresses && !slices.Contains(c.Attached, prefix("10.7.0.0/16")) }},
		{"link set inner down", func(c Change) bool {
			return c.Links && !slices.Contains(c.Attached, prefix("10.1.0.0/16")) && !slices.Contains(c.Own, netip.MustParseAddr("10.1.0.1"))
		}},
		{"link set inner up", func(c Change) bool { return c.Links && slices.Contains(c.Attached, prefix("10.1.0.0/16")) }},
	} {
		h.ip(tc.args)
		h.wantChange(told, tc.holds)
	}
}

// Many changes are told of together, and our own are none.
func TestWatchGathers(t *testing.T) {
	h := newHost(t)
	r := h.open(Options{})
	h.set(r, via4)
	told := h.watching()
	for i := range 100 {
		h.do(func() error {
			dst := address(fmt.Sprintf("10.9.%d.0/24", i), 0).IPNet
			return netlink.RouteAdd(&netlink.Route{Dst: dst, Gw: net.IPv4(192, 0, 2, 1)})
		})
	}
	for range 10 {
		h.set(r, via4, via6, route4, route6)
		h.set(r)
	}
	if err := r.Close(); err != nil { // the rules that go are told of
		t.Error(err)
	}
	h.ip("link set inner mtu 1400")
	n := 0
	h.wantChange(told, func(c Change) bool { n++; return c.Links })
	if n > 10 {
		t.Errorf("%d changes are told", n)
	}
}

// watcher's debouncing, without a kernel.
func TestDue(t *testing.T) {
	w := &watcher{}
	if !w.due().IsZero() {
		t.Error("something is due when nothing has changed")
	}
	w.note(ours)
	if !w.due().IsZero() {
		t.Error("something is due when only our routes have changed")
	}
	w.note(links)
	if got := w.due().Sub(w.first); got != quiet {
		t.Errorf("due after %s", got)
	}
	w.last = w.first.Add(atMost - quiet/2)
	if got := w.due().Sub(w.first); got != atMost {
		t.Errorf("due after %s", got)
	}
	w.failed = 1
	if got := w.due().Sub(w.last); got != lookAgain {
		t.Errorf("due after %s", got)
	}
}

// message is a netlink message with a body.
func message(kind uint16, body ...byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, make([]byte, unix.SizeofNlMsghdr-len(b))...)
	b = append(b, body...)
	return append(b, make([]byte, -len(b)&3)...)
}

func TestChangesIn(t *testing.T) {
	route := func(by byte) []byte { return []byte{unix.AF_INET, 0, 0, 0, 0, by, 0, 0, 0, 0, 0, 0} }
	both := append(message(unix.RTM_NEWROUTE, route(protocol)...), message(unix.RTM_DELADDR, 1, 2, 3)...)
	for _, tc := range []struct {
		b    []byte
		want changes
	}{
		{nil, 0},
		{make([]byte, 7), 0},
		{message(unix.RTM_NEWLINK), links},
		{message(unix.RTM_DELROUTE, route(2)...), routes},
		{message(unix.RTM_DELROUTE, route(protocol)...), ours},
		{message(unix.RTM_NEWROUTE, 1, 2), routes},
		{both, ours | addresses},
		{both[:20], routes}, // cut off before it is known whose
		{append(both, 1, 2, 3), ours | addresses},
		{message(unix.RTM_NEWNEIGH), 0},
		{message(unix.RTM_NEWNEXTHOP), routes},
		{message(unix.RTM_DELRULE), rules},
	} {
		if got := changesIn(tc.b); got != tc.want {
			t.Errorf("% x: got %05b, want %05b", tc.b, got, tc.want)
		}
	}
}

func FuzzChangesIn(f *testing.F) {
	f.Add(message(unix.RTM_NEWROUTE, 2, 0, 0, 0, 0, protocol))
	f.Add(append(message(unix.RTM_NEWLINK), message(unix.RTM_DELADDR, 1)...))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if c := changesIn(b); c&^everything != 0 {
			t.Errorf("%b", c)
		}
	})
}

// More changes than the kernel keeps for us: then everything may have changed.
func TestLostNews(t *testing.T) {
	h := newHost(t)
	var n *news
	h.do(func() (err error) {
		if n, err = listen(); err != nil {
			return err
		}
		return unix.SetsockoptInt(n.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
	})
	defer n.close()
	for i := range 30 {
		h.ip(fmt.Sprintf("route add 10.9.%d.0/24 via 192.0.2.1", i))
	}
	if got := n.read(); got != everything {
		t.Errorf("got %05b", got)
	}
	h.ip("route add 10.10.0.0/16 via 192.0.2.1")
	if got := n.read(); got != routes {
		t.Errorf("then: got %05b", got)
	}
}
