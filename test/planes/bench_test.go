//go:build linux

package planes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	vnetlink "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/test/lab"
	"github.com/goike/goike/xfrm"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// benchChildren are installed at a time, benchObjects SAs and policies are theirs.
const (
	benchChildren = 1000
	benchObjects  = benchChildren * 5
	benchBatch    = 16 // children by one Apply
)

// BenchmarkInstall installs children, of two SAs and three policies each, in four ways
// by turns, so that what else the machine does is shared: by the plane with many
// children at once and with one, by `ip -batch`, and with a request a call. It reports
// SAs and policies a second, and how many times as long as the plane with many children
// at once each other way takes.
func BenchmarkInstall(b *testing.B) {
	x := newInstallBench(b)
	ways := []struct {
		name    string
		install func() error
		remove  func() error
		took    time.Duration
	}{
		{name: "batched", install: x.batched, remove: x.remove},
		{name: "sequential", install: x.sequential, remove: x.remove},
		{name: "ip-batch", install: x.ipBatch, remove: x.flush},
		{name: "single", install: x.single, remove: x.flush},
	}
	for b.Loop() {
		for i := range ways {
			w := &ways[i]
			started := time.Now()
			err := w.install()
			w.took += time.Since(started)
			if err = errors.Join(err, x.complete(), w.remove()); err != nil {
				b.Fatalf("%s: %v", w.name, err)
			}
		}
	}
	for _, w := range ways {
		b.ReportMetric(float64(b.N*benchObjects)/w.took.Seconds(), w.name+"/s")
	}
	for _, w := range ways[1:] {
		b.ReportMetric(w.took.Seconds()/ways[0].took.Seconds(), "x_"+w.name)
	}
}

type installBench struct {
	ns       *lab.Namespace
	ctx      context.Context
	plane    *xfrm.Plane
	handle   *vnetlink.Handle
	children []*tunnel
	batch    string // for ip
}

func newInstallBench(b *testing.B) *installBench {
	b.Helper()
	lab.Need(b, "ip")
	shared.once.Do(func() { shared.err = setUp() })
	if shared.err != nil {
		b.Fatal(shared.err)
	}
	x := &installBench{ns: shared.net.A, ctx: context.Background()}
	err := x.ns.Do(func() error {
		conn, err := netlink.Open()
		if err != nil {
			return err
		}
		b.Cleanup(func() { _ = conn.Close() })
		notices, err := conn.Listen(message.GroupAcquire, message.GroupExpire, message.GroupSA, message.GroupPolicy)
		if err != nil {
			return err
		}
		b.Cleanup(func() { _ = notices.Close() })
		if x.handle, err = vnetlink.NewHandle(unix.NETLINK_XFRM); err != nil {
			return err
		}
		x.plane, err = xfrm.New(x.ctx, xfrm.Config{Kernel: conn, Notices: notices, FirstReqID: firstReqID, LastReqID: lastReqID})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(x.handle.Close)
	b.Cleanup(func() {
		if err := x.plane.Close(); err != nil {
			b.Error(err)
		}
	})
	x.makeChildren()
	return x
}

func (x *installBench) makeChildren() {
	p := &pair{
		a: &side{outer: [2]netip.Addr{lab.OuterA4}, network: [2]netip.Prefix{lab.NetA4}},
		b: &side{outer: [2]netip.Addr{lab.OuterB4}, network: [2]netip.Prefix{lab.NetB4}},
	}
	p.reqID.Store(firstReqID)
	var batch strings.Builder
	for i := range uint32(benchChildren) {
		c := p.newTunnel(func(c *tunnel) {
			c.owner = uint64(i + 1)
			c.local = host(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
			c.remote = host(netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}))
			c.toA, c.toB, c.reserved = 0x10000+2*i, 0x10001+2*i, true
		})
		x.children = append(x.children, c)
		for _, sa := range []esp.SA{c.in(true), c.out(true)} {
			fmt.Fprintf(&batch, "xfrm state add src %s dst %s proto esp spi %#x reqid %d mode tunnel replay-window 32 flag af-unspec aead rfc4106(gcm(aes)) 0x%x 128\n",
				sa.Src, sa.ID.Dst, sa.ID.SPI, sa.ReqID, []byte(sa.EncrKey))
		}
		for _, pol := range c.policies(true) {
			fmt.Fprintf(&batch, "xfrm policy add src %s dst %s dir %s priority %d tmpl src %s dst %s proto esp reqid %d mode tunnel\n",
				pol.Sel.Src, pol.Sel.Dst, [...]string{"out", "in", "fwd"}[pol.Dir], pol.Priority, pol.Src, pol.Dst, pol.ReqID)
		}
	}
	x.batch = batch.String()
}

// batched installs many children by one Apply, as the engine does with what it is asked
// for at the same time.
func (x *installBench) batched() error {
	for some := range slices.Chunk(x.children, benchBatch) {
		var ops []esp.Op
		for _, c := range some {
			ops = append(ops, c.add(true)...)
		}
		if err := x.plane.Apply(x.ctx, ops); err != nil {
			return err
		}
	}
	return nil
}

func (x *installBench) sequential() error {
	for _, c := range x.children {
		if err := x.plane.Apply(x.ctx, c.add(true)); err != nil {
			return err
		}
	}
	return nil
}

func (x *installBench) ipBatch() error {
	_, err := x.ns.RunCommand(x.ctx, lab.Command{Args: []string{"ip", "-batch", "-"}, Stdin: x.batch})
	return err
}

func (x *installBench) single() error {
	for _, c := range x.children {
		for _, sa := range []esp.SA{c.in(true), c.out(true)} {
			if err := x.handle.XfrmStateAdd(singleState(&sa)); err != nil {
				return err
			}
		}
		for _, pol := range c.policies(true) {
			if err := x.handle.XfrmPolicyAdd(singlePolicy(&pol)); err != nil {
				return err
			}
		}
	}
	return nil
}

func singleState(sa *esp.SA) *vnetlink.XfrmState {
	return &vnetlink.XfrmState{
		Src: sa.Src.AsSlice(), Dst: sa.ID.Dst.AsSlice(), Proto: vnetlink.XFRM_PROTO_ESP, Mode: vnetlink.XFRM_MODE_TUNNEL,
		Spi: int(sa.ID.SPI), Reqid: int(sa.ReqID), ReplayWindow: 32,
		Aead: &vnetlink.XfrmStateAlgo{Name: "rfc4106(gcm(aes))", Key: sa.EncrKey, ICVLen: 128},
	}
}

func singlePolicy(pol *esp.Policy) *vnetlink.XfrmPolicy {
	network := func(p netip.Prefix) *net.IPNet {
		return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
	}
	return &vnetlink.XfrmPolicy{
		Src: network(pol.Sel.Src), Dst: network(pol.Sel.Dst), Priority: int(pol.Priority),
		Dir: [...]vnetlink.Dir{vnetlink.XFRM_DIR_OUT, vnetlink.XFRM_DIR_IN, vnetlink.XFRM_DIR_FWD}[pol.Dir],
		Tmpls: []vnetlink.XfrmPolicyTmpl{{
			Src: pol.Src.AsSlice(), Dst: pol.Dst.AsSlice(), Proto: vnetlink.XFRM_PROTO_ESP, Mode: vnetlink.XFRM_MODE_TUNNEL, Reqid: int(pol.ReqID),
		}},
	}
}

// remove takes the children away by the plane.
func (x *installBench) remove() error {
	var ops []esp.Op
	for _, c := range x.children {
		ops = append(ops, c.remove(true)...)
	}
	return x.plane.Apply(x.ctx, ops)
}

// flush takes away what was installed without the plane.
func (x *installBench) flush() error {
	return errors.Join(x.handle.XfrmStateFlush(0), x.handle.XfrmPolicyFlush())
}

// complete counts what is installed.
func (x *installBench) complete() error {
	states, err := x.handle.XfrmStateList(vnetlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	policies, err := x.handle.XfrmPolicyList(vnetlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	own := 0
	for i := range policies {
		if len(policies[i].Tmpls) > 0 {
			own++
		}
	}
	if len(states)+own != benchObjects {
		return fmt.Errorf("%d SAs and %d policies are there, want %d together", len(states), own, benchObjects)
	}
	return nil
}
