package plane

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

// bubble runs a test with two joined hosts under virtual time.
func bubble(t *testing.T, f func(t *testing.T, a, b *host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := twoHosts(t, nil)
		defer b.close()
		defer a.close()
		f(t, a, b)
	})
}

func connect4(t *testing.T, a, b *host, change func(*tunnel)) family {
	t.Helper()
	f := families["4"]
	connect(t, a, b, f.outerA, f.outerB, f.net1, f.net2, change)
	return f
}

func TestPolicyActions(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, nil)
		discard := protect(esp.Out, f.net1, "10.2.9.0/24", 0)
		discard.Policy.Action, discard.Policy.Priority = esp.Discard, 10
		bypass := protect(esp.Out, f.net1, "10.2.8.0/24", 0)
		bypass.Policy.Action, bypass.Policy.Priority = esp.Bypass, 10
		a.apply(discard, bypass)
		a.send(packet(protoUDP, f.in1, "10.2.9.1:1", 100), packet(protoUDP, f.in1, "10.2.8.1:1", 100),
			packet(protoUDP, f.in1, "10.9.0.1:1", 100), packet(protoUDP, f.in1, "10.9.0.1:1", 100),
			packet(protoUDP, "10.9.0.1:1", f.in2, 100), []byte{0x45, 1, 2}, make([]byte, 100))
		if n := len(a.wire.taken()); n != 0 {
			t.Errorf("%d packets were sent", n)
		}
		a.counted(map[string]uint64{"out_discarded": 1, "out_bypass": 1, "out_no_policy": 3, "out_malformed": 2})
		// Without them they are protected.
		a.apply(esp.DelPolicy(discard), esp.DelPolicy(bypass))
		p := packet(protoUDP, f.in1, "10.2.9.1:1", 100)
		a.send(p)
		b.hasTaken(p)
	})
}

// The questions for SAs: once a name, again after a while, and the packet that
// waits flows when the SA is there.
func TestAcquire(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		told := a.watch()
		f := families["4"]
		one, two := protect(esp.Out, f.net1, f.net2, 3), protect(esp.Out, f.net1, "10.3.0.0/16", 4)
		two.Policy.Name = "net/other"
		a.apply(one, two)
		first, last := packet(protoUDP, f.in1, f.in2, 100), packet(protoUDP, f.in1, f.in2, 200)
		a.send(first, first, packet(protoTCP, f.in1, "10.3.0.1:5", 60))
		a.send(last)
		sel := selector("10.1.0.5/32", "10.2.0.6/32")
		sel.Proto, sel.SrcPorts, sel.DstPorts = protoUDP, esp.PortRange{First: 1000, Last: 1000}, esp.PortRange{First: 2000, Last: 2000}
		sel2 := selector("10.1.0.5/32", "10.3.0.1/32")
		sel2.Proto, sel2.SrcPorts, sel2.DstPorts = protoTCP, sel.SrcPorts, esp.PortRange{First: 5, Last: 5}
		want := []esp.Notice{
			esp.Acquire{Policy: "net/child", ReqID: 3, Packet: sel}, esp.Acquire{Policy: "net/other", ReqID: 4, Packet: sel2},
		}
		if got := told.taken(); !reflect.DeepEqual(got, want) {
			t.Fatalf("told %+v, want %+v", got, want)
		}
		time.Sleep(6 * time.Second)
		a.send(first)
		a.send(last)
		if got := told.taken(); len(got) != 1 || got[0] != want[0] {
			t.Fatalf("after 6 s told %+v", got)
		}
		// The child comes with a reqid of its own, and its policy on top of the trap.
		there := tunnel{src: f.outerA, dst: f.outerB, spi: 0x5001, reqID: 40}
		out, in := there.sas(t)
		b.apply(esp.AddSA{SA: in}, protect(esp.In, f.net1, f.net2, 40))
		child := protect(esp.Out, f.net1, f.net2, 40)
		child.Policy.Owner, child.Policy.Priority = 9, 999
		a.apply(esp.AddSA{SA: out}, child)
		synctest.Wait()
		b.hasTaken(last)
		a.send(first)
		b.hasTaken(first)
		// When it goes, the next packet asks anew.
		a.apply(esp.DelSA{ID: out.ID}, esp.DelPolicy(child))
		a.send(first)
		if got := told.taken(); len(got) != 1 || got[0] != want[0] {
			t.Fatalf("after the SA went told %+v", got)
		}
		a.counted(map[string]uint64{"out_no_sa": 7, "held_sent": 1})
	})
}

// An SA for a policy that is there already releases the packet as well.
func TestHeldPacketOfSameReqID(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := families["4"]
		a.apply(protect(esp.Out, f.net1, f.net2, 7))
		p := packet(protoUDP, f.in1, f.in2, 100)
		a.send(p)
		connect4(t, a, b, nil)
		synctest.Wait()
		b.dev.taken() // it came before b had its SA, or after
		a.counted(map[string]uint64{"out_no_sa": 1, "held_sent": 1})
	})
}

func TestHeldPacketAges(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := families["4"]
		a.apply(protect(esp.Out, f.net1, f.net2, 7))
		a.send(packet(protoUDP, f.in1, f.in2, 100))
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if n := a.held.Load(); n != 0 {
			t.Errorf("%d packets are held", n)
		}
		connect4(t, a, b, nil)
		a.counted(map[string]uint64{"out_no_sa": 1})
	})
}

// However many names ask, what is held and queued is bounded, and goes with the
// policies.
func TestHeldIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, a, _ *host) {
		const n = maxHeld + 200
		var ops, undo []esp.Op
		var pkts [][]byte
		for i := range n {
			p := protect(esp.Out, "10.1.0.0/16", fmt.Sprintf("10.%d.%d.0/24", 2+i>>8, i&255), uint32(i))
			p.Policy.Name = fmt.Sprint("c", i)
			ops, undo = append(ops, p), append(undo, esp.DelPolicy(p))
			pkts = append(pkts, packet(protoUDP, "10.1.0.1:1", fmt.Sprintf("10.%d.%d.1:1", 2+i>>8, i&255), 60))
		}
		a.apply(ops...)
		for len(pkts) > 0 {
			k := min(128, len(pkts))
			a.send(pkts[:k]...)
			pkts = pkts[k:]
		}
		if got := a.held.Load(); got != maxHeld {
			t.Errorf("%d packets are held", got)
		}
		a.counted(map[string]uint64{"out_no_sa": n, "notices_lost": n - maxNotices})
		told := a.watch()
		synctest.Wait()
		if got := len(told.taken()); got != maxNotices {
			t.Errorf("%d notices", got)
		}
		// Those whose notice was lost ask again at once.
		a.send(packet(protoUDP, "10.1.0.1:1", fmt.Sprintf("10.%d.%d.1:1", 2+(n-1)>>8, (n-1)&255), 60))
		if got := told.taken(); len(got) != 1 {
			t.Errorf("told %v", got)
		}
		a.apply(undo...)
		if got := a.held.Load(); got != 0 {
			t.Errorf("%d packets are held without policies", got)
		}
		if len(a.asking)+len(a.bundles) != 0 {
			t.Errorf("%d questions and %d bundles are left", len(a.asking), len(a.bundles))
		}
	})
}

// The newest SA of a reqid serves; when it goes, or dies, the one before does.
func TestNewestServes(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, nil)
		p := packet(protoUDP, f.in1, f.in2, 100)
		spi := func() string {
			a.send(p)
			b.hasTaken(p)
			return fmt.Sprintf("%x", a.wire.taken()[0].Data[:4])
		}
		if got := spi(); got != "00001001" {
			t.Errorf("sent on %s", got)
		}
		next := tunnel{src: f.outerA, dst: f.outerB, spi: 0x1002, reqID: 7, change: func(sa *esp.SA) { sa.Limits.HardPackets = 2 }}
		out, in := next.sas(t)
		in.Limits = esp.Limits{}
		b.apply(esp.AddSA{SA: in})
		a.apply(esp.AddSA{SA: out})
		if got := spi() + spi(); got != "0000100200001002" {
			t.Errorf("sent on %s", got)
		}
		if got := spi(); got != "00001001" {
			t.Errorf("after the new one has died, sent on %s", got)
		}
		out2 := out
		out2.ID.SPI, out2.Limits = 0x1003, esp.Limits{}
		in2 := in
		in2.ID.SPI = 0x1003
		b.apply(esp.AddSA{SA: in2})
		a.apply(esp.DelSA{ID: out.ID}, esp.AddSA{SA: out2})
		if got := spi(); got != "00001003" {
			t.Errorf("sent on %s", got)
		}
		a.apply(esp.DelSA{ID: out2.ID}, esp.DelSA{ID: out2.ID})
		if got := spi(); got != "00001001" {
			t.Errorf("sent on %s", got)
		}
	})
}

func TestSendFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoHosts(t, func(c *Config) { c.Carrier = failing{c.Carrier} })
		defer a.close()
		defer b.close()
		f := connect4(t, a, b, nil)
		a.send(packet(protoUDP, f.in1, f.in2, 100), packet(protoUDP, f.in1, f.in2, 100))
		a.counted(map[string]uint64{"out_send_failed": 2})
	})
}

type failing struct{ Carrier }

func (failing) WriteRaw([]udp.Packet) error { return syscall.ENETUNREACH }

// Reads that fail are counted; what fails because of a packet does not slow down.
func TestDeviceFails(t *testing.T) {
	var lines []string
	synctest.Test(t, func(t *testing.T) {
		a, b := twoHosts(t, func(c *Config) { c.Warn = func(s string) { lines = append(lines, s) } })
		defer a.close()
		defer b.close()
		f := connect4(t, a, b, nil)
		p := packet(protoUDP, f.in1, f.in2, 100)
		for _, err := range []error{errTest, errTest, syscall.EIO} {
			a.dev.mu.Lock()
			a.dev.fail = err
			a.dev.mu.Unlock()
			a.send(p) // ends the read that waits
			time.Sleep(time.Second)
		}
		a.send(p)
		if n := len(b.dev.taken()); n != 4 {
			t.Errorf("%d packets arrived", n)
		}
		a.counted(map[string]uint64{"device_errors": 3})
		if len(lines) != 1 {
			t.Errorf("warned %q", lines)
		}
	})
}

// A device that is gone ends the outbound direction, not the plane.
func TestDeviceGone(t *testing.T) {
	var lines []string
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, func(c *Config) { c.Warn = func(s string) { lines = append(lines, s) } })
		_ = h.dev.Close()
		synctest.Wait()
		if _, err := h.AllocSPI(context.Background(), netip.Addr{}, netip.MustParseAddr("192.0.2.1"), esp.ProtoESP); err != nil {
			t.Error(err)
		}
		h.close()
		if len(lines) != 1 {
			t.Errorf("warned %q", lines)
		}
	})
}
