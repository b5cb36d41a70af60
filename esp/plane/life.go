package plane

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/goike/goike/esp"
)

// retell is when a notice that found the queue full is tried again.
const retell = int64(time.Second)

// life is what an SA has carried, and what it may.
type life struct {
	bytes, packets       atomic.Uint64 // of inner packets
	lastUse              atomic.Int64  // 0: never
	replayed, authFailed atomic.Uint64

	limits atomic.Pointer[esp.Limits]
	born   int64
	soft   atomic.Bool // a soft limit is reached
	dead   atomic.Bool // a hard limit is reached: nothing is carried any more
	end    *timer      // tells of limits; only it uses the next two
	told   bool        // of the soft limit
	buried bool        // and told of the hard one
}

// begin begins the life of an SA, which may be of some age. tell queues the notice of a
// limit, bury takes a dead SA out of service.
func (p *Plane) begin(l *life, age time.Duration, limits esp.Limits, tell func(hard bool) bool, bury func()) {
	l.born = p.now() - int64(age)
	l.limits.Store(&limits)
	l.end = newTimer(func(now int64) int64 { return l.judge(now, tell, bury) })
	p.schedule(l)
}

// limit gives an SA other limits.
func (p *Plane) limit(l *life, limits esp.Limits) {
	l.limits.Store(&limits)
	p.schedule(l)
}

func (p *Plane) schedule(l *life) {
	if at := l.next(); at != 0 {
		p.timers.set(l.end, at)
	}
}

// resume goes on counting where another process has stopped.
func (l *life) resume(h *esp.Held) {
	l.bytes.Add(h.Bytes)
	l.packets.Add(h.Packets)
}

// next is when the next limit in time is reached, 0 for none.
func (l *life) next() int64 {
	limits := l.limits.Load()
	switch {
	case limits.SoftTime > 0 && !l.soft.Load():
		if limits.HardTime > 0 && limits.HardTime < limits.SoftTime {
			break
		}
		return l.born + int64(limits.SoftTime)
	case limits.HardTime <= 0 || l.dead.Load():
		return 0
	}
	return l.born + int64(limits.HardTime)
}

// judge runs when a limit is reached: in time, or because admit saw it.
func (l *life) judge(now int64, tell func(hard bool) bool, bury func()) (next int64) {
	limits := l.limits.Load()
	if passed(limits.HardTime, now-l.born) {
		l.dead.Store(true)
	}
	if l.dead.Load() {
		if bury(); !l.buried {
			l.buried = tell(true)
		}
		if !l.buried {
			return now + retell
		}
		return 0
	}
	if passed(limits.SoftTime, now-l.born) {
		l.soft.Store(true)
	}
	if l.soft.Load() && !l.told {
		if l.told = tell(false); !l.told {
			return now + retell
		}
	}
	return l.next()
}

func passed(limit time.Duration, age int64) bool { return limit > 0 && age >= int64(limit) }

// admit counts a packet of n octets. It is false when the packet would pass a hard
// limit: then it is not counted, and must not be carried.
func (p *Plane) admit(l *life, n int) bool {
	if l.dead.Load() {
		return false
	}
	bytes, packets := l.bytes.Add(uint64(n)), l.packets.Add(1)
	limits := l.limits.Load()
	if over(bytes, limits.HardBytes) || over(packets, limits.HardPackets) {
		l.bytes.Add(-uint64(n))
		l.packets.Add(^uint64(0))
		p.kill(l)
		return false
	}
	if reached(bytes, limits.HardBytes) || reached(packets, limits.HardPackets) {
		p.kill(l)
	} else if (reached(bytes, limits.SoftBytes) || reached(packets, limits.SoftPackets)) && l.soft.CompareAndSwap(false, true) {
		p.timers.set(l.end, p.now())
	}
	return true
}

func over(n, limit uint64) bool    { return limit > 0 && n > limit }
func reached(n, limit uint64) bool { return limit > 0 && n >= limit }

// kill ends the life of an SA at once; the notice follows.
func (p *Plane) kill(l *life) {
	if l.dead.CompareAndSwap(false, true) {
		p.timers.set(l.end, p.now())
	}
}

// finish ends a life without a notice.
func (p *Plane) finish(l *life) {
	l.dead.Store(true)
	p.timers.cancel(l.end)
}

func (p *Plane) usage(l *life) esp.Usage {
	u := esp.Usage{
		Bytes: l.bytes.Load(), Packets: l.packets.Load(), LastUse: -1,
		Replayed: l.replayed.Load(), AuthFailed: l.authFailed.Load(),
	}
	if at := l.lastUse.Load(); at != 0 {
		u.LastUse = max(0, time.Duration(p.now()-at))
	}
	return u
}

// stack keeps the workers of an SA that nobody uses at the moment, so that there
// are as many as have ever been needed at once.
type stack[W any] struct {
	mu   sync.Mutex
	free []W
}

// pop takes a worker off; ok is false when there is none.
func (s *stack[W]) pop() (w W, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free)
	if n == 0 {
		return w, false
	}
	w, s.free = s.free[n-1], s.free[:n-1]
	return w, true
}

func (s *stack[W]) push(w W) {
	s.mu.Lock()
	s.free = append(s.free, w)
	s.mu.Unlock()
}
