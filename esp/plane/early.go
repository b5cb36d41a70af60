package plane

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/goike/goike/internal/udp"
)

// A peer may send by a new SA as soon as it has agreed to it, so that packets overtake
// its answer. They wait for the SA, in small numbers and not for long: nobody knows yet
// whether they are authentic.
const (
	maxEarlyOfSPI = 32
	maxEarly      = 1024
	earlyFor      = int64(10 * time.Second)
)

// early are the packets that have come by an SPI that is reserved.
type early struct {
	total *atomic.Int64 // of all SPIs

	mu    sync.Mutex
	over  bool // the SA is there, or does not come
	pkts  []udp.Packet
	first int64 // when the oldest came
}

// keep takes a packet that comes at a time; it tells whether that was possible. Those
// that have waited for too long make room.
func (e *early) keep(u *udp.Packet, data []byte, now int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.pkts) > 0 && now-e.first > earlyFor {
		e.drop()
	}
	if e.over || len(e.pkts) >= maxEarlyOfSPI || len(data) > leastSlot {
		return false
	}
	if e.total.Add(1) > maxEarly {
		e.total.Add(-1)
		return false
	}
	if len(e.pkts) == 0 {
		e.first = now
	}
	e.pkts = append(e.pkts, udp.Packet{Data: append([]byte(nil), data...), Local: u.Local, Remote: u.Remote, TOS: u.TOS})
	return true
}

func (e *early) drop() []udp.Packet {
	pkts := e.pkts
	e.total.Add(-int64(len(pkts)))
	e.pkts = nil
	return pkts
}

// end returns the packets for the SA that is there now. No more are kept.
func (e *early) end(now int64) []udp.Packet {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	if pkts := e.drop(); now-e.first <= earlyFor {
		return pkts
	}
	return nil
}

// tooEarly keeps a packet for whose SPI there is no SA, if there is to be one.
func (p *Plane) tooEarly(spi uint32, u *udp.Packet, data []byte) bool {
	e, reserved := p.larval.early.get(spi)
	return reserved && e.keep(u, data, p.now())
}
