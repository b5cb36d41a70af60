package plane

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/goike/goike/esp"
)

// fingerprint recognizes keys without keeping them: SHA-256 under a secret of the
// plane.
type fingerprint [sha256.Size]byte

func (p *Plane) fingerprint(sa *esp.SA) (f fingerprint) {
	h := hmac.New(sha256.New, p.secret[:])
	h.Write([]byte{byte(len(sa.EncrKey))})
	h.Write(sa.EncrKey)
	h.Write(sa.IntegKey)
	h.Sum(f[:0])
	return f
}

// sameTransform tells whether packets of both look the same under the same keys.
func sameTransform(a, b esp.SA) bool {
	return a.Mode == b.Mode && a.Encr == b.Encr && a.Integ == b.Integ && a.ESN == b.ESN && a.Window == b.Window &&
		a.NoCopyDF == b.NoCopyDF && a.CopyDSCP == b.CopyDSCP && a.DecapDSCP == b.DecapDSCP && a.NoECN == b.NoECN &&
		a.TFCPad == b.TFCPad
}

var errSameKeys = errors.New("it cannot be changed in this way under the keys that it has")

// checkSA refuses what this plane cannot do, and the transform does not know.
func checkSA(sa *esp.SA) error {
	if what := foreign(sa); what != "" {
		return lacking(what)
	}
	return checkEnds(sa)
}

// checkEnds refuses addresses and directions that no SA has.
func checkEnds(sa *esp.SA) error {
	switch {
	case !sa.ID.Dst.IsValid() || !sa.Src.IsValid():
		return errors.New("it lacks an outer address")
	case sa.ID.Dst.Unmap().Is4() != sa.Src.Unmap().Is4():
		return errors.New("its outer addresses are of two families")
	case sa.Dir != esp.Out && sa.Dir != esp.In:
		return fmt.Errorf("no SA has direction %d", sa.Dir)
	}
	return nil
}

func (p *Plane) addSA(sa esp.SA, mtu int, c *change) (*bundle, error) {
	sa.ID.Dst, sa.Src = sa.ID.Dst.Unmap(), sa.Src.Unmap()
	err := checkSA(&sa)
	var b *bundle
	if err == nil && sa.Dir == esp.Out {
		b, err = p.addOut(sa, mtu)
	} else if err == nil {
		err = p.addIn(sa, c)
	}
	if err != nil {
		return nil, fmt.Errorf("SA %08x to %s cannot be installed: %w", sa.ID.SPI, sa.ID.Dst, err)
	}
	return b, nil
}

// addOut installs an SA that sends, or changes one that has the same keys: its
// sequence numbers must go on. Of another with the same name it takes the place.
func (p *Plane) addOut(sa esp.SA, mtu int) (*bundle, error) {
	old, keys := p.outByID[sa.ID], p.fingerprint(&sa)
	if old != nil && old.keys == keys {
		if !sameTransform(old.sender.SA(), sa) {
			return nil, errSameKeys
		}
		old.sender.Move(sa.Src, sa.ID.Dst, sa.Encap)
		p.limit(&old.life, softened(sa))
		p.place(old, sa, mtu)
		return old.bundle, nil
	}
	sender, err := esp.NewSender(sa)
	if err != nil {
		return nil, err
	}
	return p.addSender(sender, sa, mtu, keys, 0), nil
}

// addSender puts an SA that sends into service, and into the place of another with the
// same name. It is age old.
func (p *Plane) addSender(sender *esp.Sender, sa esp.SA, mtu int, keys fingerprint, age time.Duration) *bundle {
	old := p.outByID[sa.ID]
	s := &outSA{sender: sender, keys: keys, padded: sa.TFCPad > 0}
	p.begin(&s.life, age, softened(sa), func(hard bool) bool {
		v := s.view.Load()
		return p.notify(esp.Expire{ID: v.id, ReqID: v.reqID, Hard: hard})
	}, func() { p.reelect(s) })
	p.place(s, sa, mtu)
	p.outByID[sa.ID] = s
	if old != nil {
		p.removeOut(old)
	}
	return s.bundle
}

// endOfNumbers is how many sequence numbers are left when an SA asks for a
// successor by itself: one without ESN sends 2^32-1 packets and no more.
const endOfNumbers = 1 << 28

// softened are the limits of an SA that sends, with one more that comes from its
// sequence numbers.
func softened(sa esp.SA) esp.Limits {
	l := sa.Limits
	if soft := uint64(1<<32 - endOfNumbers); !sa.ESN && (l.SoftPackets == 0 || l.SoftPackets > soft) {
		l.SoftPackets = soft
	}
	return l
}

// place gives an SA that sends its addresses and its bundle.
func (p *Plane) place(s *outSA, sa esp.SA, mtu int) {
	p.view(s, sa, mtu)
	b := p.bundleOf(sa.ReqID)
	if s.bundle != b {
		p.unbundle(s)
		s.bundle = b
		b.sas = append(b.sas, s)
	}
	b.elect()
}

// view makes what packets of s are sent with from sa.
func (p *Plane) view(s *outSA, sa esp.SA, mtu int) {
	old := s.view.Load()
	v := &outView{
		id: sa.ID, reqID: sa.ReqID, transport: sa.Mode == esp.Transport, encap: sa.Encap != nil,
		local: netip.AddrPortFrom(sa.Src, 0), remote: netip.AddrPortFrom(sa.ID.Dst, 0),
		peer: p.meet(sa.ID.Dst, mtu),
	}
	if e := sa.Encap; e != nil {
		v.local = netip.AddrPortFrom(sa.Src, e.Local)
		v.remote = netip.AddrPortFrom(sa.ID.Dst, e.Remote)
		if e.Keepalive {
			v.mapping = p.keepAlive(v.local, v.remote)
		}
	}
	s.padMTU.Store(0)
	s.view.Store(v)
	p.leave(old)
}

// leave gives back what an outView has of shared things.
func (p *Plane) leave(v *outView) {
	if v != nil {
		p.part(v.peer)
		p.letGo(v.mapping)
	}
}

func (p *Plane) unbundle(s *outSA) {
	b := s.bundle
	if b == nil {
		return
	}
	b.sas = slices.DeleteFunc(b.sas, func(o *outSA) bool { return o == s })
	b.elect()
	p.release(b)
}

// reelect takes a dead SA out of service.
func (p *Plane) reelect(s *outSA) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.bundle != nil {
		s.bundle.elect()
	}
}

// removeOut ends an SA that is in outByID no more.
func (p *Plane) removeOut(s *outSA) {
	p.finish(&s.life)
	p.unbundle(s)
	s.bundle = nil
	p.leave(s.view.Load())
	s.sender.Zero()
}

// addIn installs an SA that receives, or changes one that has the same keys: its
// replay window must stay.
func (p *Plane) addIn(sa esp.SA, c *change) error {
	old, keys := p.inByID[sa.ID], p.fingerprint(&sa)
	if old != nil && old.keys == keys {
		if !sameTransform(old.receiver.SA(), sa) {
			return errSameKeys
		}
		old.receiver.Move(sa.Src, sa.ID.Dst, sa.Encap)
		p.limit(&old.life, sa.Limits)
		old.see(sa)
		return nil
	}
	receiver, err := esp.NewReceiver(sa)
	if err != nil {
		return err
	}
	p.addReceiver(receiver, sa, keys, 0, c)
	return nil
}

// addReceiver does for an SA that receives what addSender does.
func (p *Plane) addReceiver(receiver *esp.Receiver, sa esp.SA, keys fingerprint, age time.Duration, c *change) {
	old := p.inByID[sa.ID]
	s := &inSA{receiver: receiver, keys: keys}
	p.begin(&s.life, age, sa.Limits, func(hard bool) bool {
		v := s.view.Load()
		return p.notify(esp.Expire{ID: v.id, ReqID: v.reqID, Hard: hard})
	}, func() {})
	s.see(sa)
	p.inByID[sa.ID] = s
	p.swapIn(sa.ID.SPI, old, s)
	if old != nil {
		p.removeIn(old)
	}
	c.early = append(c.early, p.larval.drop(sa.ID.SPI, p.now())...)
}

// see makes what packets to s are judged by from sa.
func (s *inSA) see(sa esp.SA) {
	v := &inView{id: sa.ID, reqID: sa.ReqID, encap: sa.Encap != nil}
	for _, sel := range sa.Selectors {
		if n, ok := normal(sel); ok {
			v.selectors = append(v.selectors, n)
		}
	}
	if len(v.selectors) == 0 && len(sa.Selectors) > 0 {
		v.selectors = make([]esp.Selector, 0, 1)[:1] // matches nothing
	}
	from := netip.AddrPortFrom(sa.Src, 0)
	if sa.Encap != nil {
		from = netip.AddrPortFrom(sa.Src, sa.Encap.Remote)
	}
	s.from.Store(&from)
	s.view.Store(v)
}

// swapIn replaces old by s among the SAs of an SPI; either may be nil.
func (p *Plane) swapIn(spi uint32, old, s *inSA) {
	list, _ := p.inBySPI.get(spi)
	fresh := make([]*inSA, 0, len(list)+1)
	for _, o := range list {
		if o != old {
			fresh = append(fresh, o)
		}
	}
	if s != nil {
		fresh = append(fresh, s)
	}
	if len(fresh) == 0 {
		p.inBySPI.del(spi)
		return
	}
	p.inBySPI.set(spi, fresh)
}

// removeIn ends an SA that is found no more.
func (p *Plane) removeIn(s *inSA) {
	p.finish(&s.life)
	s.receiver.Zero()
}

// inbound finds the SA for a packet with this SPI that came to dst. The address
// decides only where an SPI is used twice: who can seal for an SA may send to any
// address of ours (RFC 4301, 4.1).
func (p *Plane) inbound(spi uint32, dst netip.Addr) *inSA {
	list, _ := p.inBySPI.get(spi)
	if len(list) == 0 {
		return nil
	}
	for _, s := range list {
		if s.view.Load().id.Dst == dst {
			return s
		}
	}
	return list[0]
}

// delSA removes an SA of either direction, or a reserved SPI.
func (p *Plane) delSA(id esp.SAID) {
	id.Dst = id.Dst.Unmap()
	if s := p.outByID[id]; s != nil {
		delete(p.outByID, id)
		p.removeOut(s)
	}
	if s := p.inByID[id]; s != nil {
		delete(p.inByID, id)
		p.swapIn(id.SPI, s, nil)
		p.removeIn(s)
		return
	}
	p.larval.release(id)
}

// moveSA changes the addresses of an SA of either direction. What has moved
// already is no error.
func (p *Plane) moveSA(m esp.MoveSA, mtu int) error {
	m.ID.Dst, m.Src, m.Dst = m.ID.Dst.Unmap(), m.Src.Unmap(), m.Dst.Unmap()
	to := esp.SAID{Dst: m.Dst, SPI: m.ID.SPI, Proto: m.ID.Proto}
	if err := checkEnds(&esp.SA{ID: to, Src: m.Src}); err != nil {
		return fmt.Errorf("SA %08x to %s cannot be moved: %w", m.ID.SPI, m.ID.Dst, err)
	}
	found := p.moveOut(m, to, mtu)
	if !p.moveIn(m, to) && !found {
		return fmt.Errorf("SA %08x to %s cannot be moved: it is not there", m.ID.SPI, m.ID.Dst)
	}
	return nil
}

func (p *Plane) moveOut(m esp.MoveSA, to esp.SAID, mtu int) bool {
	s := p.outByID[m.ID]
	if s == nil {
		return p.outByID[to] != nil
	}
	if other := p.outByID[to]; other != nil && other != s {
		p.removeOut(other)
	}
	delete(p.outByID, m.ID)
	p.outByID[to] = s
	s.sender.Move(m.Src, m.Dst, m.Encap)
	sa := s.sender.SA()
	sa.ReqID = s.view.Load().reqID
	p.view(s, sa, mtu)
	return true
}

func (p *Plane) moveIn(m esp.MoveSA, to esp.SAID) bool {
	s := p.inByID[m.ID]
	if s == nil {
		return p.inByID[to] != nil
	}
	if other := p.inByID[to]; other != nil && other != s {
		p.swapIn(to.SPI, other, nil)
		p.removeIn(other)
	}
	delete(p.inByID, m.ID)
	p.inByID[to] = s
	s.receiver.Move(m.Src, m.Dst, m.Encap)
	old := s.view.Load()
	sa := s.receiver.SA()
	sa.ReqID, sa.Selectors = old.reqID, old.selectors
	s.see(sa)
	return true
}
