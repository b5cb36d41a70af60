package plane

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

const (
	// headroom and tailroom are free around every packet: enough for esp, and for a
	// device's own headers.
	headroom = esp.Headroom + deviceRoom
	tailroom = esp.Tailroom
	// deviceRoom is what a device may write before a packet.
	deviceRoom = 16
	// cacheLine keeps packets from sharing one.
	cacheLine = 64
	// smallBatch is a batch that is not worth handing over.
	smallBatch = 4
)

// outPacket is a packet on its way out: octets off to off+n of buf.
type outPacket struct {
	buf    []byte
	off, n int
	sa     *outSA
	view   *outView
	seq    uint64
	cut    bool // may be fragmented outside: it fits no other way
}

// outBatch is what one read of the device gave, with the memory for it.
type outBatch struct {
	bufs  [][]byte // the slots; the device reads into the first half
	sizes []int
	used  int // slots; fragments take what the device did not
	pkts  []outPacket
	now   int64
	late  bool // holds a packet that was held
	done  chan struct{}

	udp, raw []udp.Packet // sealed

	flow  esp.Flow // of the packet before
	entry *entry   // that is for it
	error []byte   // room for an ICMP message
	write [1][]byte
}

func (b *outBatch) small() bool          { return len(b.pkts) <= smallBatch }
func (b *outBatch) ready() chan struct{} { return b.done }

func (p *Plane) newOutBatch() *outBatch {
	n := 2 * p.batch
	stride := (headroom + p.slot + tailroom + cacheLine - 1) &^ (cacheLine - 1)
	slab := make([]byte, n*stride)
	b := &outBatch{
		bufs: make([][]byte, n), sizes: make([]int, n), pkts: make([]outPacket, 0, n), done: make(chan struct{}, 1),
		udp: make([]udp.Packet, 0, n), raw: make([]udp.Packet, 0, n), error: make([]byte, headroom+1280),
	}
	for i := range b.bufs {
		b.bufs[i] = slab[i*stride : (i+1)*stride]
	}
	return b
}

func (p *Plane) recycleOut(b *outBatch) {
	clear(b.pkts)
	b.pkts, b.udp, b.raw, b.used, b.entry, b.late = b.pkts[:0], b.udp[:0], b.raw[:0], 0, nil, false
	p.outPool.put(b)
}

// read takes packets from the device until it is closed.
func (p *Plane) read() {
	for {
		b := p.outPool.get()
		n, err := p.cfg.Device.Read(b.bufs[:p.batch], b.sizes, headroom)
		if err != nil && !p.excuse(err) {
			p.recycleOut(b)
			return
		}
		if n <= 0 {
			p.recycleOut(b)
			continue
		}
		b.used = n
		p.sort(b)
		p.outLine.put(b)
	}
}

// readPause keeps a device that fails all the time from taking a whole CPU.
const readPause = 100 * time.Millisecond

// excuse tells whether to go on after a failed read.
func (p *Plane) excuse(err error) bool {
	select {
	case <-p.done:
		return false
	default:
	}
	if errors.Is(err, os.ErrClosed) {
		p.warn("the tunnel device is gone: nothing is sent any more")
		return false
	}
	p.count.add(deviceErrors, 1)
	if p.warned.CompareAndSwap(false, true) {
		p.warn(fmt.Sprintf("the tunnel device could not be read, others of this kind are only counted: %v", err))
	}
	var system syscall.Errno
	if !errors.As(err, &system) {
		return true // about a packet, not about the device
	}
	pause := time.NewTimer(readPause)
	defer pause.Stop()
	select {
	case <-p.done:
		return false
	case <-pause.C:
		return true
	}
}

// sort finds out what becomes of every packet in the first b.used slots, and numbers
// those that are to be sealed.
func (p *Plane) sort(b *outBatch) {
	b.now = p.now()
	for i := range b.used {
		p.sortOne(b, b.bufs[i], headroom, b.sizes[i])
	}
	p.number(b)
}

func (p *Plane) sortOne(b *outBatch, buf []byte, off, n int) {
	if n > p.slot || n <= 0 || len(buf) < off+n+tailroom {
		p.count.add(outMalformed, 1)
		return
	}
	pkt := buf[off : off+n]
	sa := p.serve(b, pkt)
	if sa == nil {
		return
	}
	o := outPacket{buf: buf, off: off, n: length(pkt), sa: sa, view: sa.view.Load()}
	if limit := sa.maxInner(o.view, p.slot); o.n > limit {
		p.oversize(b, o, limit)
		return
	}
	p.accept(b, o)
}

// accept takes a packet that is of the right size into the batch.
func (p *Plane) accept(b *outBatch, o outPacket) {
	if !p.admit(&o.sa.life, o.n) {
		p.count.add(outExpired, 1)
		return
	}
	b.pkts = append(b.pkts, o)
}

// serve finds the SA for a packet, nil if it has to be dropped.
func (p *Plane) serve(b *outBatch, pkt []byte) *outSA {
	f, err := esp.ParseFlow(pkt)
	if err != nil {
		p.count.add(outMalformed, 1)
		return nil
	}
	if b.entry == nil || f != b.flow {
		b.flow, b.entry = f, p.out.lookup(f)
	}
	if b.entry == nil {
		p.count.add(outNoPolicy, 1)
		return nil
	}
	pol := b.entry.inForce()
	switch pol.Action {
	case esp.Discard:
		p.count.add(outDiscarded, 1)
		return nil
	case esp.Bypass:
		p.count.add(outBypass, 1)
		return nil
	}
	if sa := pol.bundle.current.Load(); sa != nil {
		return sa
	}
	p.miss(b, pol, pkt)
	return nil
}

// miss asks for an SA and holds the packet. If the SA has come in the meantime nobody
// else looks for the packet any more.
func (p *Plane) miss(b *outBatch, pol *policy, pkt []byte) {
	p.count.add(outNoSA, 1)
	p.want(pol, b.flow, pkt)
	if !b.late {
		p.resume(pol.asking)
	}
}

// resume sends the packet that waits for an SA, if there is one now.
func (p *Plane) resume(a *acquire) {
	pkt := p.answered(a)
	if pkt == nil {
		return
	}
	b := p.outPool.get()
	b.late = true
	if len(pkt) <= p.slot {
		b.used, b.sizes[0] = 1, copy(b.bufs[0][headroom:], pkt)
		p.sort(b)
		p.count.add(heldSent, len(b.pkts))
		p.seal(b)
		p.send(b)
	}
	p.recycleOut(b)
}

// number reserves sequence numbers, for every run of packets of one SA at once.
func (p *Plane) number(b *outBatch) {
	for i, n := 0, 0; i < len(b.pkts); i += n {
		n = run(b.pkts[i:])
		sa := b.pkts[i].sa
		first, ok := sa.sender.Reserve(n)
		if !ok {
			p.kill(&sa.life)
			p.count.add(outExpired, n)
		}
		for k := range n {
			o := &b.pkts[i+k]
			if o.seq = first + uint64(k); !ok {
				o.sa = nil
			}
		}
		sa.lastUse.Store(b.now)
	}
}

// run is how many of the first packets have the same SA.
func run(pkts []outPacket) int {
	n := 1
	for n < len(pkts) && pkts[n].sa == pkts[0].sa {
		n++
	}
	return n
}

// seal is the work on a batch.
func (p *Plane) seal(b *outBatch) {
	for i, n := 0, 0; i < len(b.pkts); i += n {
		n = run(b.pkts[i:])
		sa := b.pkts[i].sa
		if sa == nil {
			continue
		}
		w, err := sa.worker()
		if err != nil { // its keys are gone
			p.count.add(outExpired, n)
			continue
		}
		for k := range n {
			p.sealOne(b, w, &b.pkts[i+k])
		}
		sa.workers.push(w)
	}
}

func (p *Plane) sealOne(b *outBatch, w *esp.SealWorker, o *outPacket) {
	pkt, out, err := w.Seal(o.buf, o.off, o.n, o.seq)
	if err != nil {
		p.count.add(outRefused, 1)
		return
	}
	u := udp.Packet{Data: pkt, Local: o.view.local, Remote: o.view.remote, TOS: out.TOS, DF: out.DF && !o.cut}
	if o.view.encap {
		b.udp = append(b.udp, u)
	} else {
		b.raw = append(b.raw, u)
	}
}

// send finishes a batch.
func (p *Plane) send(b *outBatch) {
	if len(b.udp) > 0 {
		p.sent(b.udp, p.cfg.Carrier.WriteUDP(b.udp), udpHeader)
	}
	if len(b.raw) > 0 {
		p.sent(b.raw, p.cfg.Carrier.WriteRaw(b.raw), 0)
	}
	for i := range b.pkts {
		if o := &b.pkts[i]; i == 0 || o.view != b.pkts[i-1].view {
			if m := o.view.mapping; m != nil {
				m.last.Store(b.now)
			}
		}
	}
}
