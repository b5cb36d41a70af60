package plane

import (
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	defaultMTU = 1500
	// pathMTULife is how long a narrow path is remembered (RFC 1191, 6.3; RFC 8201, 4).
	pathMTULife = int64(10 * time.Minute)
	// The narrowest paths that there are; for IPv4 more than RFC 791 asks for, so that
	// something fits beside the headers.
	minMTU4, minMTU6 = 128, 1280
)

// lastPlateau is the narrowest path that is guessed.
const lastPlateau = 576

// plateaus are likely MTUs of paths: those of RFC 1191, 7, and of common tunnels.
var plateaus = [...]int{32000, 17914, 9000, 8166, 4352, 2002, 1500, 1492, 1480, 1460, 1440, 1420, 1400, 1360, 1280, 1006, lastPlateau}

// peer is what is known about the path to an outer address, shared by the SAs that
// lead there.
type peer struct {
	addr netip.Addr
	mtu  atomic.Int64
	// Guarded by Plane.mu:
	sas     int
	learned bool // narrower than the MTU function said
	forget  *timer
}

// pathMTU asks for the MTU of the path to an address. It may take a while.
func (p *Plane) pathMTU(dst netip.Addr) int {
	if p.cfg.MTU == nil || !dst.IsValid() {
		return defaultMTU
	}
	if n := p.cfg.MTU(dst.Unmap()); n > 0 {
		return min(max(n, floorMTU(dst)), 0xffff)
	}
	return defaultMTU
}

func floorMTU(dst netip.Addr) int {
	if dst.Unmap().Is4() {
		return minMTU4
	}
	return minMTU6
}

// meet counts an SA to an address, of which the path's MTU was asked just now.
func (p *Plane) meet(dst netip.Addr, mtu int) *peer {
	e := p.peers[dst]
	if e == nil {
		e = &peer{addr: dst}
		e.forget = newTimer(func(int64) int64 { return p.forgetMTU(e) })
		p.peers[dst] = e
	}
	if e.sas++; !e.learned || int64(mtu) < e.mtu.Load() {
		e.mtu.Store(int64(mtu))
	}
	return e
}

// part is the opposite of meet.
func (p *Plane) part(e *peer) {
	if e.sas--; e.sas == 0 {
		delete(p.peers, e.addr)
		p.timers.cancel(e.forget)
	}
}

// tooLarge notes that an outer packet of size octets did not fit the path: from
// now on smaller ones are made, and the senders of larger ones are told.
func (p *Plane) tooLarge(dst netip.Addr, size int) {
	mtu := p.pathMTU(dst)
	if mtu >= size {
		mtu = plateauBelow(size)
	}
	mtu = max(mtu, floorMTU(dst))
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.peers[dst]
	if e == nil || int64(mtu) >= e.mtu.Load() {
		return
	}
	e.mtu.Store(int64(mtu))
	e.learned = true
	p.timers.set(e.forget, p.now()+pathMTULife)
	p.count.add(pathMTULearned, 1)
}

func plateauBelow(size int) int {
	for _, n := range plateaus {
		if n < size {
			return n
		}
	}
	return lastPlateau
}

// forgetMTU runs when a path has been narrow for long enough.
func (p *Plane) forgetMTU(e *peer) (next int64) {
	mtu := p.pathMTU(e.addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	e.learned = false
	e.mtu.Store(int64(mtu))
	return 0
}
