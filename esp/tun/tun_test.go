//go:build linux

package tun

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/goike/goike/test/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	room   = 40
	mtu    = 1400
	within = 10 * time.Second
)

// rig is a device in a namespace of its own, and a UDP socket behind it.
type rig struct {
	*Device
	conn  *net.UDPConn
	bufs  [][]byte
	sizes []int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	lab.Need(t)
	ns, err := lab.ForTest(t).Namespace("tun", false)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{}
	err = ns.Do(func() (err error) {
		if r.Device, err = Open("goike-test", mtu); err != nil {
			return err
		}
		link, err := netlink.LinkByName("goike-test")
		if err != nil {
			return err
		}
		checkLink(t, r.Device, link)
		addr, err := netlink.ParseAddr("10.9.0.1/24")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return err
		}
		r.conn, err = net.DialUDP("udp4", udpAddr("10.9.0.1:1000"), udpAddr("10.9.0.2:2000"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Close()
		if r.conn != nil {
			_ = r.conn.Close()
		}
	})
	slab := make([]byte, r.BatchSize()*2048+1<<16)
	for i := range r.BatchSize() {
		r.bufs = append(r.bufs, slab[i*2048:(i+1)*2048])
	}
	r.sizes = make([]int, r.BatchSize())
	return r
}

func udpAddr(s string) *net.UDPAddr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

func checkLink(t *testing.T, d *Device, link netlink.Link) {
	t.Helper()
	a := link.Attrs()
	if a.Flags&net.FlagUp == 0 || a.MTU != mtu || a.TxQLen != queueLen || a.Index != d.Index() || d.Name() != "goike-test" || d.MTU() != mtu {
		t.Errorf("link is %+v, device %s, index %d", a, d.Name(), d.Index())
	}
	if b, err := os.ReadFile("/proc/sys/net/ipv4/conf/goike-test/rp_filter"); err != nil || string(b) != "0\n" {
		t.Errorf("rp_filter is %q (%v)", b, err)
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil || len(addrs) != 0 {
		t.Errorf("it has the addresses %v (%v)", addrs, err)
	}
	if w := d.Warnings(); len(w) != 0 {
		t.Errorf("warnings: %q", w)
	}
}

// read returns the next n UDP packets; what the kernel says of its own accord is
// left out.
func (r *rig) read(t *testing.T, n int) [][]byte {
	t.Helper()
	var pkts [][]byte
	for len(pkts) < n {
		got, err := r.Read(r.bufs, r.sizes, room)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if pkt := r.bufs[i][room : room+r.sizes[i]]; pkt[0] == 0x45 && pkt[9] == 17 {
				pkts = append(pkts, bytes.Clone(pkt))
			}
		}
	}
	return pkts
}

// reply makes the answer to a UDP packet of the socket.
func reply(ask []byte, payload string) []byte {
	pkt := bytes.Clone(ask[:28])
	pkt = append(pkt, payload...)
	copy(pkt[12:], ask[16:20])
	copy(pkt[16:], ask[12:16])
	copy(pkt[20:], ask[22:24])
	copy(pkt[22:], ask[20:22])
	binary.BigEndian.PutUint16(pkt[2:], uint16(len(pkt)))
	binary.BigEndian.PutUint16(pkt[24:], uint16(len(pkt)-20))
	pkt[10], pkt[11], pkt[26], pkt[27] = 0, 0, 0, 0
	binary.BigEndian.PutUint16(pkt[10:], ^sumOf(pkt[:20], 0))
	pseudo := uint32(17) + uint32(len(pkt)-20)
	binary.BigEndian.PutUint16(pkt[26:], ^sumOf(append(bytes.Clone(pkt[12:20]), pkt[20:]...), pseudo))
	return pkt
}

// sumOf is the Internet checksum, not inverted.
func sumOf(b []byte, start uint32) uint16 {
	s := start
	for len(b) > 1 {
		s += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func TestBothWays(t *testing.T) {
	r := newRig(t)
	if _, err := r.conn.Write([]byte("there")); err != nil {
		t.Fatal(err)
	}
	ask := r.read(t, 1)[0]
	if string(ask[28:]) != "there" || sumOf(ask[:20], 0) != 0xffff {
		t.Fatalf("read % x", ask)
	}
	pseudo := uint32(17) + uint32(len(ask)-20)
	if got := sumOf(append(bytes.Clone(ask[12:20]), ask[20:]...), pseudo); got != 0xffff {
		t.Errorf("the UDP checksum was not filled in: sum %04x", got)
	}
	// A run of packets of the flow, the first with room for the others.
	var bufs [][]byte
	for i := range 8 {
		pkt := reply(ask, strings.Repeat(string(rune('a'+i)), 500))
		buf := append(make([]byte, Headroom, Headroom+len(pkt)), pkt...)
		if i == 0 {
			buf = append(make([]byte, 0, 1<<16), buf...)
		}
		bufs = append(bufs, buf)
	}
	if _, err := r.Write(bufs, Headroom); err != nil {
		t.Fatal(err)
	}
	if err := r.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2000)
	for i := range 8 {
		n, err := r.conn.Read(got)
		if want := strings.Repeat(string(rune('a'+i)), 500); err != nil || string(got[:n]) != want {
			t.Fatalf("datagram %d: %d octets %.8q (%v)", i, n, got[:n], err)
		}
	}
}

// segmented is the control message that lets the kernel cut a datagram.
func segmented(seg int) []byte {
	oob := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(oob[unix.CmsgLen(0):], uint16(seg))
	return oob
}

// A burst that the kernel has not cut yet comes out of one Read in pieces.
func TestTrainIsCut(t *testing.T) {
	r := newRig(t)
	const seg, n = 600, 12
	payload := make([]byte, seg*n-100)
	for i := range payload {
		payload[i] = byte(i / seg)
	}
	if _, _, err := r.conn.WriteMsgUDP(payload, segmented(seg), nil); err != nil {
		t.Fatal(err)
	}
	for i, pkt := range r.read(t, n) {
		want := payload[i*seg : min((i+1)*seg, len(payload))]
		if !bytes.Equal(pkt[28:], want) {
			t.Fatalf("packet %d has %d octets %.8x, want %d %.8x", i, len(pkt)-28, pkt[28:], len(want), want)
		}
		if sumOf(pkt[:20], 0) != 0xffff || int(binary.BigEndian.Uint16(pkt[2:])) != len(pkt) {
			t.Fatalf("packet %d has a bad header: % x", i, pkt[:28])
		}
	}
}

// Packets that are there already come out of one Read, as many as it has buffers for,
// and a train goes on in the next Read.
func TestBatches(t *testing.T) {
	r := newRig(t)
	send := func(payload string, seg int) {
		t.Helper()
		var oob []byte
		if seg > 0 {
			oob = segmented(seg)
		}
		if _, _, err := r.conn.WriteMsgUDP([]byte(payload), oob, nil); err != nil {
			t.Fatal(err)
		}
	}
	send("first", 0)
	r.read(t, 1) // what the kernel says when the device comes up was before it
	send("a", 0)
	send(strings.Repeat("b", 100)+strings.Repeat("c", 100)+"d", 100)
	send("e", 0)
	send(strings.Repeat("f", 600), 0)
	var got []string
	for _, want := range []int{3, 3} {
		n, err := r.Read(r.bufs[:3], r.sizes, room)
		if err != nil || n != want {
			t.Fatalf("%d packets (%v), want %d", n, err, want)
		}
		for i := range n {
			got = append(got, string(r.bufs[i][room+28:room+r.sizes[i]]))
		}
	}
	if want := []string{"a", strings.Repeat("b", 100), strings.Repeat("c", 100), "d", "e", strings.Repeat("f", 600)}; !slices.Equal(got, want) {
		t.Errorf("read %q", got)
	}
	send(strings.Repeat("g", 600), 0)
	send("h", 0)
	small := [][]byte{make([]byte, room+100), make([]byte, room+100)}
	if n, err := r.Read(small, r.sizes, room); n != 2 || err != nil || r.sizes[0] != 628 || r.sizes[1] != 29 || small[1][room+28] != 'h' {
		t.Errorf("%d packets of %d octets (%v) in buffers that are too small", n, r.sizes[:2], err)
	}
}

func TestCloseEndsRead(t *testing.T) {
	r := newRig(t)
	done := make(chan error)
	go func() {
		for {
			if _, err := r.Read(r.bufs, r.sizes, room); err != nil {
				done <- err
				return
			}
		}
	}()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("Read returns %v, want os.ErrClosed", err)
		}
	case <-time.After(within):
		t.Fatal("Read waits on a closed device")
	}
}

// alone calls f on a thread that ends afterwards, so that f may spoil it.
func alone(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good
		done <- f()
	}()
	return <-done
}

func refused(t *testing.T, err error, is error, text string) {
	t.Helper()
	if !errors.Is(err, is) {
		t.Errorf("error %v does not wrap %v", err, is)
	}
	if err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want one line with %q", err, text)
	}
}

func TestErrors(t *testing.T) {
	lab.Need(t)
	ns, err := lab.ForTest(t).Namespace("tun", false)
	if err != nil {
		t.Fatal(err)
	}
	open := func(name string) error {
		return ns.Do(func() error {
			d, err := Open(name, mtu)
			if err == nil {
				err = d.Close()
			}
			return err
		})
	}
	var first *Device
	if err := ns.Do(func() (err error) { first, err = Open("goike-test", mtu); return err }); err != nil {
		t.Fatal(err)
	}
	refused(t, open("goike-test"), unix.EBUSY, "another program")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, open("lo"), unix.EINVAL, "of another kind")
	if err := open("a-name-that-is-too-long"); err == nil || !strings.Contains(err.Error(), "at most 15") {
		t.Errorf("too long a name: %v", err)
	}
	err = ns.Do(func() error { d, err := Open("goike-test", 70000); return errors.Join(err, closed(d)) })
	refused(t, err, unix.EINVAL, "MTU 70000")
}

func closed(d *Device) error {
	if d == nil {
		return nil
	}
	return d.Close()
}

func TestNoCapability(t *testing.T) {
	lab.Need(t)
	err := alone(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&h, &none[0]); err != nil {
			return err
		}
		d, err := Open("goike-test", mtu)
		return errors.Join(err, closed(d))
	})
	refused(t, err, unix.EPERM, "CAP_NET_ADMIN")
}

func TestNoDevice(t *testing.T) {
	lab.Need(t)
	err := alone(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
			return err
		}
		if err := unix.Mount("none", "/dev/net", "tmpfs", 0, ""); err != nil {
			return err
		}
		d, err := Open("goike-test", mtu)
		return errors.Join(err, closed(d))
	})
	refused(t, err, fs.ErrNotExist, "/dev/net/tun")
	refused(t, explain("x", &fs.PathError{Op: "open", Path: path, Err: unix.ENODEV}), fs.ErrNotExist, "/dev/net/tun")
}
