package plane

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// device is a tunnel device in memory.
type device struct {
	in     chan [][]byte
	closed chan struct{}
	once   sync.Once
	mtu    int

	mu    sync.Mutex
	out   [][]byte
	sizes []int // of the writes, in packets
	fail  error // of the next read
}

func newDevice() *device {
	return &device{in: make(chan [][]byte), closed: make(chan struct{}), mtu: 1500}
}

func (d *device) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	d.mu.Lock()
	err := d.fail
	d.fail = nil
	d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	select {
	case <-d.closed:
		return 0, os.ErrClosed
	case pkts := <-d.in:
		for i, pkt := range pkts {
			copy(bufs[i][offset:], pkt)
			sizes[i] = len(pkt)
		}
		return len(pkts), nil
	}
}

func (d *device) Write(bufs [][]byte, offset int) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sizes = append(d.sizes, len(bufs))
	for _, b := range bufs {
		d.out = append(d.out, slices.Clone(b[offset:]))
	}
	return len(bufs), nil
}

func (d *device) BatchSize() int { return 128 }
func (d *device) MTU() int       { return d.mtu }
func (d *device) Close() error   { d.once.Do(func() { close(d.closed) }); return nil }

// taken returns the packets that the device was given since the last call.
func (d *device) taken() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.out
	d.out, d.sizes = nil, nil
	return out
}

// wire is what a plane sends into: to the other plane, and into a record.
type wire struct {
	mu   sync.Mutex
	to   *Plane
	mtu  int // of the path, for packets that must not be fragmented; 0: any
	keep bool
	lose func(u udp.Packet) bool
	nat  func(from netip.AddrPort) netip.AddrPort
	sent []sent
}

type sent struct {
	udp.Packet
	encap bool
}

func (w *wire) WriteUDP(ps []udp.Packet) error { return w.write(ps, true) }
func (w *wire) WriteRaw(ps []udp.Packet) error { return w.write(ps, false) }

func (w *wire) write(ps []udp.Packet, encap bool) error {
	w.mu.Lock()
	to, mtu, keep, lose, nat := w.to, w.mtu, w.keep, w.lose, w.nat
	w.mu.Unlock()
	var err error
	for i := range ps {
		u := ps[i]
		if mtu > 0 && u.DF && len(u.Data)+28 > mtu {
			if err == nil {
				err = &udp.PacketError{Index: i, Err: syscall.EMSGSIZE}
			}
			continue
		}
		if keep {
			w.mu.Lock()
			kept := u
			kept.Data = slices.Clone(u.Data)
			w.sent = append(w.sent, sent{kept, encap})
			w.mu.Unlock()
		}
		if to == nil || lose != nil && lose(u) {
			continue
		}
		from := u.Local
		if nat != nil {
			from = nat(from)
		}
		to.Receive([]udp.Packet{{Data: u.Data, Local: u.Remote, Remote: from, TOS: u.TOS}}, encap)
	}
	return err
}

func (w *wire) set(f func(w *wire)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}

func (w *wire) taken() []sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.sent
	w.sent = nil
	return out
}

// host is a plane with what is around it.
type host struct {
	*Plane
	t    testing.TB
	dev  *device
	wire *wire
}

func newHost(t testing.TB, change func(*Config)) *host {
	t.Helper()
	h := &host{t: t, dev: newDevice(), wire: &wire{keep: true}}
	cfg := Config{Device: h.dev, Carrier: h.wire, Workers: 1}
	if change != nil {
		change(&cfg)
	}
	var err error
	if h.Plane, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return h
}

// twoHosts are joined by their wires.
func twoHosts(t testing.TB, change func(*Config)) (a, b *host) {
	t.Helper()
	a, b = newHost(t, change), newHost(t, change)
	a.wire.to, b.wire.to = b.Plane, a.Plane
	return a, b
}

func (h *host) close() {
	h.t.Helper()
	if err := h.Close(); err != nil {
		h.t.Error(err)
	}
}

func (h *host) apply(ops ...esp.Op) {
	h.t.Helper()
	if err := h.Apply(context.Background(), ops); err != nil {
		h.t.Fatal(err)
	}
}

// counted checks counters; all that are not named must be zero, but for those of
// packets that went well.
func (h *host) counted(want map[string]uint64) {
	h.t.Helper()
	for name, n := range h.Counters() {
		if _, ok := want[name]; !ok && (name == "out_packets" || name == "in_packets") {
			continue
		}
		if n != want[name] {
			h.t.Errorf("counter %s is %d, want %d", name, n, want[name])
		}
	}
}

// suite makes the algorithms of a proposal.
func suite(t testing.TB, words string) (encr, integ crypto.Alg) {
	t.Helper()
	p, err := crypto.ParseProposal(crypto.ESP, words)
	if err != nil {
		t.Fatal(err)
	}
	if as := p.Of(crypto.Integ); len(as) > 0 {
		integ = as[0]
	}
	return p.Of(crypto.Encr)[0], integ
}

func key(n int, seed byte) crypto.Secret {
	k := make(crypto.Secret, n)
	for i := range k {
		k[i] = seed + byte(i)*3
	}
	return k
}

// tunnel describes one direction of an association.
type tunnel struct {
	words    string
	src, dst string
	spi      uint32
	reqID    uint32
	mode     esp.Mode
	encap    bool
	change   func(*esp.SA)
}

// sas returns the SA for both ends.
func (x tunnel) sas(t testing.TB) (out, in esp.SA) {
	t.Helper()
	if x.words == "" {
		x.words = "aes128gcm16"
	}
	encr, integ := suite(t, x.words)
	out = esp.SA{
		ID: esp.SAID{Dst: netip.MustParseAddr(x.dst), SPI: x.spi, Proto: esp.ProtoESP}, Src: netip.MustParseAddr(x.src),
		Dir: esp.Out, Mode: x.mode, Encr: encr, EncrKey: key(crypto.KeyLen(encr), byte(x.spi)),
		Integ: integ, IntegKey: key(crypto.KeyLen(integ), byte(x.spi)+1), Window: 64, ReqID: x.reqID,
	}
	if x.encap {
		out.Encap = &esp.Encap{Local: 4500, Remote: 4500}
	}
	if x.change != nil {
		x.change(&out)
	}
	in = out
	in.Dir = esp.In
	return out, in
}

func selector(src, dst string) esp.Selector {
	return esp.Selector{
		Src: netip.MustParsePrefix(src), Dst: netip.MustParsePrefix(dst), SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort,
	}
}

func protect(dir esp.Direction, src, dst string, reqID uint32) esp.AddPolicy {
	return esp.AddPolicy{Policy: esp.Policy{
		Sel: selector(src, dst), Dir: dir, Proto: esp.ProtoESP, ReqID: reqID, Priority: 1000, Name: "net/child",
	}}
}

// connect sets up both directions between two hosts: net1 behind a, net2 behind b.
func connect(t testing.TB, a, b *host, outerA, outerB, net1, net2 string, change func(*tunnel)) {
	t.Helper()
	there := tunnel{src: outerA, dst: outerB, spi: 0x1001, reqID: 7}
	back := tunnel{src: outerB, dst: outerA, spi: 0x2002, reqID: 7}
	if change != nil {
		change(&there)
		change(&back)
	}
	outA, inB := there.sas(t)
	outB, inA := back.sas(t)
	a.apply(esp.AddSA{SA: inA}, esp.AddSA{SA: outA}, protect(esp.Out, net1, net2, 7), protect(esp.In, net2, net1, 7))
	b.apply(esp.AddSA{SA: inB}, esp.AddSA{SA: outB}, protect(esp.Out, net2, net1, 7), protect(esp.In, net1, net2, 7))
}

// packet makes an IP packet of n octets in total, with ports.
func packet(proto byte, src, dst string, n int) []byte {
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	pkt := make([]byte, n)
	for i := range pkt {
		pkt[i] = byte(i*7 + n)
	}
	at := 20
	if from.Addr().Is4() {
		s, d := from.Addr().As4(), to.Addr().As4()
		copy(pkt, []byte{0x45, 0, byte(n >> 8), byte(n), 0, 1, 0, 0, 64, proto, 0, 0})
		copy(pkt[12:], s[:])
		copy(pkt[16:], d[:])
		var sum uint32
		for i := 0; i < 20; i += 2 {
			sum += uint32(binary.BigEndian.Uint16(pkt[i:]))
		}
		sum = sum&0xffff + sum>>16
		binary.BigEndian.PutUint16(pkt[10:], ^uint16(sum&0xffff+sum>>16))
	} else {
		at = 40
		s, d := from.Addr().As16(), to.Addr().As16()
		copy(pkt, []byte{0x60, 0, 0, 0, byte((n - 40) >> 8), byte(n - 40), proto, 64})
		copy(pkt[8:], s[:])
		copy(pkt[24:], d[:])
	}
	binary.BigEndian.PutUint16(pkt[at:], from.Port())
	binary.BigEndian.PutUint16(pkt[at+2:], to.Port())
	return pkt
}

// df sets the DF flag of an IPv4 packet.
func df(pkt []byte) []byte {
	pkt = slices.Clone(pkt)
	pkt[6] |= 0x40
	sum := uint32(^binary.BigEndian.Uint16(pkt[10:])) + 0x4000
	binary.BigEndian.PutUint16(pkt[10:], ^uint16(sum&0xffff+sum>>16))
	return pkt
}

// notices collects what a plane tells.
type collected struct {
	mu   sync.Mutex
	list []esp.Notice
}

func (c *collected) sink(n esp.Notice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, n)
}

func (c *collected) taken() []esp.Notice {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.list
	c.list = nil
	return out
}

// watch collects the notices of a host until it is closed.
func (h *host) watch() *collected {
	c := &collected{}
	go func() { _ = h.Watch(context.Background(), c.sink) }()
	return c
}

var errTest = errors.New("test")

// send lets the host's device hand over packets, and waits until everything that
// follows has happened. It is for synctest.
func (h *host) send(pkts ...[]byte) {
	h.dev.in <- pkts
	synctest.Wait()
}

// hasTaken checks what the device was given.
func (h *host) hasTaken(want ...[]byte) {
	h.t.Helper()
	got := h.dev.taken()
	if len(got) != len(want) {
		h.t.Fatalf("the device was given %d packets, want %d; counters %v", len(got), len(want), h.nonzero())
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			h.t.Errorf("packet %d is\n% x, want\n% x", i, got[i], want[i])
		}
	}
}

// nonzero are the counters that count something.
func (h *host) nonzero() map[string]uint64 {
	m := h.Counters()
	maps.DeleteFunc(m, func(_ string, n uint64) bool { return n == 0 })
	return m
}
