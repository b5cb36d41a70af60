package plane

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

const (
	// slabSize is the memory of an inbound batch: its packets, one after the other.
	slabSize = 256 << 10
	// minESP is the length of SPI and sequence number.
	minESP = 8
	// innerTTL is the TTL of packets of transport mode, of which the outer header is
	// not seen.
	innerTTL = 64
)

// inPacket is a packet on its way in: octets off to off+n of buf.
type inPacket struct {
	buf    []byte
	off, n int
	sa     *inSA
	view   *inView
	seq    uint64
	tos    uint8
	local  netip.AddrPort
	remote netip.AddrPort

	inner   []byte // what was in it
	allowed bool
	err     error
}

// inBatch is packets that came in together, with their memory.
type inBatch struct {
	slab []byte
	used int
	pkts []inPacket
	done chan struct{}

	flow  esp.Flow // of the packet before
	entry *entry   // that is for it
	known bool     // whether there was a packet before
}

func (b *inBatch) small() bool          { return len(b.pkts) <= smallBatch }
func (b *inBatch) ready() chan struct{} { return b.done }

func (p *Plane) newInBatch() *inBatch {
	return &inBatch{
		slab: make([]byte, slabSize), pkts: make([]inPacket, 0, p.batch), done: make(chan struct{}, 1),
	}
}

func (p *Plane) recycleIn(b *inBatch) {
	clear(b.pkts)
	b.pkts, b.used, b.entry, b.known = b.pkts[:0], 0, nil, false
	p.inPool.put(b)
}

// Receive takes ESP packets and trains of them, from UDP or (encap false) raw. ps and
// its buffers are the caller's again when it returns. Packets of one SA have to come
// by one goroutine, or their order is lost. It waits while too much is under way. On
// a closed plane it does nothing.
func (p *Plane) Receive(ps []udp.Packet, encap bool) {
	p.receiving.RLock()
	defer p.receiving.RUnlock()
	if p.shut {
		return
	}
	var b *inBatch
	for i := range ps {
		u := &ps[i]
		seg := u.Seg
		if seg <= 0 || seg > len(u.Data) {
			seg = len(u.Data)
		}
		for rest := u.Data; len(rest) > 0; rest = rest[min(seg, len(rest)):] {
			b = p.take(b, u, rest[:min(seg, len(rest))], encap)
		}
	}
	if b != nil {
		p.inLine.put(b)
	}
}

// take copies a packet that may be worth opening into the batch b, or the next
// one, and returns that.
func (p *Plane) take(b *inBatch, u *udp.Packet, data []byte, encap bool) *inBatch {
	if len(data) < minESP {
		if len(data) > 1 || !encap { // one octet is a keepalive
			p.count.add(inMalformed, 1)
		}
		return b
	}
	spi := binary.BigEndian.Uint32(data)
	sa := p.inbound(spi, u.Local.Addr())
	if sa == nil && p.tooEarly(spi, u, data) {
		return b
	}
	if sa == nil { // or it has come meanwhile
		sa = p.inbound(spi, u.Local.Addr())
	}
	if sa == nil {
		p.count.add(inNoSA, 1)
		return b
	}
	seq, ok := sa.receiver.Check(data)
	if !ok {
		sa.replayed.Add(1)
		p.count.add(inReplayed, 1)
		return b
	}
	need := (headroom + len(data) + tailroom + cacheLine - 1) &^ (cacheLine - 1)
	if b != nil && (len(b.pkts) == cap(b.pkts) || b.used+need > len(b.slab)) {
		p.inLine.put(b)
		b = nil
	}
	if b == nil {
		b = p.inPool.get()
	}
	buf := b.slab[b.used : b.used+need : b.used+need]
	b.used += need
	b.pkts = append(b.pkts, inPacket{
		buf: buf, off: headroom, n: copy(buf[headroom:], data), sa: sa, view: sa.view.Load(), seq: seq,
		tos: u.TOS, local: u.Local, remote: u.Remote,
	})
	return b
}

// open is the work on a batch.
func (p *Plane) open(b *inBatch) {
	for i, n := 0, 0; i < len(b.pkts); i += n {
		sa := b.pkts[i].sa
		for n = 1; i+n < len(b.pkts) && b.pkts[i+n].sa == sa; {
			n++
		}
		w, err := sa.worker()
		for k := range n {
			if q := &b.pkts[i+k]; err != nil { // its keys are gone
				q.sa = nil
			} else {
				p.openOne(b, w, q)
			}
		}
		if err == nil {
			sa.workers.push(w)
		} else {
			p.count.add(inNoSA, n)
		}
	}
}

func (p *Plane) openOne(b *inBatch, w *esp.OpenWorker, q *inPacket) {
	q.inner, q.err = w.Open(q.buf, q.off, q.n, q.seq, esp.Inbound{
		Src: q.remote.Addr(), Dst: q.local.Addr(), TOS: q.tos, TTL: innerTTL,
	})
	if q.err != nil {
		return
	}
	f, err := esp.ParseFlow(q.inner)
	if err != nil {
		q.err = err
		return
	}
	q.allowed = p.allows(b, q.view, f)
}

// allows tells whether a packet may come out of an SA (RFC 4301, 5.2): it matches
// the selectors of the SA, or, where there are none, it is a packet of a policy that
// the SA serves.
func (p *Plane) allows(b *inBatch, v *inView, f esp.Flow) bool {
	if len(v.selectors) > 0 {
		for _, s := range v.selectors {
			if s.Matches(f) {
				return true
			}
		}
		return false
	}
	if !b.known || f != b.flow {
		b.known, b.flow, b.entry = true, f, p.in.lookup(f)
	}
	if b.entry == nil || b.entry.inForce().Action != esp.Protect {
		return false
	}
	for _, pol := range b.entry.owners {
		if pol.Action == esp.Protect && pol.ReqID == v.reqID {
			return true
		}
	}
	return false
}

// deliver finishes a batch: it accepts sequence numbers in order and gives the
// device what came out.
func (p *Plane) deliver(b *inBatch) {
	now := p.now()
	p.outlet.mu.Lock()
	defer p.outlet.mu.Unlock()
	for i := range b.pkts {
		if q := &b.pkts[i]; q.sa != nil && p.judge(q, now) {
			p.outlet.add(q.buf, q.inner)
		}
	}
	p.outlet.flush(p)
}

// judge decides about a packet that was opened. Nothing is changed by one that is
// not authentic.
func (p *Plane) judge(q *inPacket, now int64) bool {
	if errors.Is(q.err, esp.ErrAuth) || errors.Is(q.err, esp.ErrRoom) {
		q.sa.authFailed.Add(1)
		p.count.add(inAuthFailed, 1)
		return false
	}
	if !q.sa.receiver.Accept(q.seq) {
		q.sa.replayed.Add(1)
		p.count.add(inReplayed, 1)
		return false
	}
	p.located(q)
	if !p.admit(&q.sa.life, len(q.inner)) {
		p.count.add(inExpired, 1)
		return false
	}
	q.sa.lastUse.Store(now)
	switch {
	case errors.Is(q.err, esp.ErrDummy):
		p.count.add(inDummy, 1)
	case errors.Is(q.err, esp.ErrDrop):
		p.count.add(inRefused, 1)
	case q.err != nil:
		p.count.add(inMalformed, 1)
	case !q.allowed:
		p.count.add(inNotAllowed, 1)
	default:
		return true
	}
	return false
}

// located looks where an authentic packet came from. If it is the newest and the peer
// is not where the IKE side thinks, that is told once (RFC 7296, 2.23).
func (p *Plane) located(q *inPacket) {
	newest := false
	for !newest {
		highest := q.sa.highest.Load()
		if q.seq <= highest {
			return
		}
		newest = q.sa.highest.CompareAndSwap(highest, q.seq)
	}
	v := q.sa.view.Load()
	if !v.encap || q.remote.Port() == 0 { // or it came without UDP
		return
	}
	from := q.sa.from.Load()
	if *from == q.remote {
		return
	}
	at := q.remote
	if p.notify(esp.Mapping{ID: v.id, ReqID: v.reqID, New: at}) {
		q.sa.from.CompareAndSwap(from, &at)
	}
}
