package plane

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

const (
	// firstSPI is the lowest SPI that is not reserved (RFC 4303, 2.1).
	firstSPI = 0x100
	// larvalLife is how long an SPI is kept for an SA that does not come: longer than
	// an exchange is tried.
	larvalLife = int64(165 * time.Second)
	// maxLarval bounds the SPIs that wait for their SAs.
	maxLarval = 1 << 16
	// maxTries bounds the search for an SPI that is free.
	maxTries = 64
)

var (
	errManySPIs = errors.New("too many SPIs wait for their SAs")
	errNoSPI    = errors.New("no free SPI was found")
)

// larvae are the SPIs that were given out and have no SA yet. They expire in the
// order in which they came. Guarded by Plane.mu.
type larvae struct {
	bySPI map[uint32]larva
	queue []larva                // oldest first, those that are gone included
	early *table[uint32, *early] // read without a lock
	total atomic.Int64           // packets in it
}

type larva struct {
	id      esp.SAID
	expires int64
}

func (l *larvae) add(n larva) {
	l.bySPI[n.id.SPI] = n
	l.queue = append(l.queue, n)
	l.early.set(n.id.SPI, &early{total: &l.total})
}

// drop forgets an SPI, because its SA is there, or does not come. It returns the packets
// that have come by it.
func (l *larvae) drop(spi uint32, now int64) []udp.Packet {
	delete(l.bySPI, spi)
	e, _ := l.early.get(spi)
	if e == nil {
		return nil
	}
	l.early.del(spi)
	return e.end(now)
}

// release forgets an SPI for which no SA comes.
func (l *larvae) release(id esp.SAID) {
	if l.bySPI[id.SPI].id == id {
		l.drop(id.SPI, 0)
	}
}

// expire forgets what is too old and returns when the next one will be, 0 if
// there is none.
func (l *larvae) expire(now int64) (next int64) {
	n := 0
	for ; n < len(l.queue); n++ {
		q := l.queue[n]
		if l.bySPI[q.id.SPI] != q {
			continue // gone, or given out anew
		}
		if q.expires > now {
			next = q.expires
			break
		}
		l.drop(q.id.SPI, now)
	}
	if l.queue = l.queue[n:]; len(l.queue) == 0 {
		l.queue = nil
	}
	return next
}

// AllocSPI reserves a random SPI for an SA that is to come from src to dst. Without
// an AddSA it is free again after 165 seconds. At most 65536 are reserved at a time.
func (p *Plane) AllocSPI(ctx context.Context, src, dst netip.Addr, proto esp.Proto) (uint32, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if proto != esp.ProtoESP {
		return 0, fmt.Errorf("an SPI for IP protocol %d from %s is of no use: the data plane in user space has ESP only: %w", proto, src, errors.ErrUnsupported)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, ErrClosed
	}
	now := p.now()
	p.larval.expire(now)
	if len(p.larval.bySPI) >= maxLarval {
		return 0, errManySPIs
	}
	spi, err := p.freeSPI()
	if err != nil {
		return 0, err
	}
	id := esp.SAID{Dst: dst.Unmap(), SPI: spi, Proto: proto}
	p.larval.add(larva{id: id, expires: now + larvalLife})
	p.timers.set(p.larvalTimer, p.larval.queue[0].expires)
	return spi, nil
}

func (p *Plane) freeSPI() (uint32, error) {
	var b [4]byte
	for range maxTries {
		if _, err := io.ReadFull(p.rand, b[:]); err != nil {
			return 0, fmt.Errorf("random SPI: %w", err)
		}
		spi := binary.BigEndian.Uint32(b[:])
		_, larval := p.larval.bySPI[spi]
		_, used := p.inBySPI.get(spi)
		if spi >= firstSPI && !larval && !used {
			return spi, nil
		}
	}
	return 0, errNoSPI
}

// expireLarval runs when the oldest reserved SPI is due.
func (p *Plane) expireLarval(now int64) (next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.larval.expire(now)
}
