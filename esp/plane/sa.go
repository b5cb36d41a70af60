package plane

import (
	"net/netip"
	"sync/atomic"

	"github.com/goike/goike/esp"
)

// outSA is an SA that sends.
type outSA struct {
	life
	sender  *esp.Sender
	keys    fingerprint
	view    atomic.Pointer[outView]
	bundle  *bundle // guarded by Plane.mu
	workers stack[*esp.SealWorker]
	padded  bool         // with TFC padding
	padMTU  atomic.Int64 // what the sender was told for that
}

// outView is what changes when an SA moves. It is replaced as a whole.
type outView struct {
	id            esp.SAID
	reqID         uint32
	local, remote netip.AddrPort
	encap         bool
	transport     bool
	peer          *peer
	mapping       *mapping // nil: no keepalives
}

func (s *outSA) worker() (*esp.SealWorker, error) {
	if w, ok := s.workers.pop(); ok {
		return w, nil
	}
	return s.sender.NewWorker()
}

// maxInner is the largest inner packet that fits the path; slot bounds TFC padding
// to what buffers hold.
func (s *outSA) maxInner(v *outView, slot int) int {
	mtu, v6 := int(v.peer.mtu.Load()), v.remote.Addr().Is6()
	if s.padded && s.padMTU.Swap(int64(mtu)) != int64(mtu) {
		s.sender.SetPathMTU(min(mtu, slot), v6)
	}
	return s.sender.MaxInner(mtu, v6)
}

// inSA is an SA that receives.
type inSA struct {
	life
	receiver *esp.Receiver
	keys     fingerprint
	view     atomic.Pointer[inView]
	workers  stack[*esp.OpenWorker]
	highest  atomic.Uint64                  // authentic sequence number
	from     atomic.Pointer[netip.AddrPort] // where the peer is, as the IKE side was told last
}

// inView is what changes when an SA moves. It is replaced as a whole.
type inView struct {
	id        esp.SAID
	reqID     uint32
	encap     bool
	selectors []esp.Selector
}

func (s *inSA) worker() (*esp.OpenWorker, error) {
	if w, ok := s.workers.pop(); ok {
		return w, nil
	}
	return s.receiver.NewWorker()
}

// bundle is the SAs of one reqid that send, of which the newest living one serves.
type bundle struct {
	reqID   uint32
	current atomic.Pointer[outSA]
	// Guarded by Plane.mu:
	sas      []*outSA // oldest first
	policies int      // that refer to it
	asking   map[*acquire]int
}

// elect puts the newest living SA into service.
func (b *bundle) elect() {
	for i := len(b.sas) - 1; i >= 0; i-- {
		if !b.sas[i].dead.Load() {
			b.current.Store(b.sas[i])
			return
		}
	}
	b.current.Store(nil)
}

// bundleOf finds the bundle of a reqid, or makes it.
func (p *Plane) bundleOf(reqID uint32) *bundle {
	b := p.bundles[reqID]
	if b == nil {
		b = &bundle{reqID: reqID, asking: make(map[*acquire]int)}
		p.bundles[reqID] = b
	}
	return b
}

// release forgets a bundle that nothing refers to.
func (p *Plane) release(b *bundle) {
	if b != nil && len(b.sas) == 0 && b.policies == 0 {
		delete(p.bundles, b.reqID)
	}
}
