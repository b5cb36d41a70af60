package engine

import (
	"context"
	"net/netip"
	"sync/atomic"

	"github.com/goike/goike/esp"
)

// DataPlane is what carries the traffic: the kernel, the userspace plane, or
// nothing. All methods are safe for concurrent use.
type DataPlane interface {
	// AllocSPI reserves an SPI for an inbound SA from src to dst. It is released by
	// a DelSA, or by the plane itself when no AddSA follows.
	AllocSPI(ctx context.Context, src, dst netip.Addr, p esp.Proto) (uint32, error)
	// Apply carries out operations in order. Each is idempotent; after an error those
	// behind the failed one may have been carried out or not.
	Apply(ctx context.Context, ops []esp.Op) error
	// Check tells whether SAs like sa can be held: its protocol, mode, algorithms and
	// all else but addresses, SPI and keys, which are not looked at. The error says in
	// one line what cannot be, and wraps errors.ErrUnsupported; any other error means
	// that it could not be found out.
	Check(ctx context.Context, sa esp.SA) error
	Query(ctx context.Context, id esp.SAID) (esp.Usage, error)
	// Watch delivers notices until ctx is done. It is called once.
	Watch(ctx context.Context, sink func(esp.Notice)) error
	Close() error
}

// None is the data plane that carries nothing: SPIs are handed out, operations
// accepted, usage is zero. It serves load tests and gateways that only speak IKE.
type None struct{ spi, cpi atomic.Uint32 }

// firstSPI is the lowest SPI that is not reserved (RFC 4303, 2.1).
const firstSPI = 0x100

// The CPIs that are negotiated (RFC 3173, 3.3).
const firstCPI, lastCPI = 256, 61439

// AllocSPI implements DataPlane. The SPIs count up: nothing listens to them.
func (n *None) AllocSPI(_ context.Context, _, _ netip.Addr, p esp.Proto) (uint32, error) {
	if p == esp.ProtoIPComp {
		return firstCPI + (n.cpi.Add(1)-1)%(lastCPI-firstCPI+1), nil
	}
	for {
		if spi := n.spi.Add(1); spi >= firstSPI {
			return spi, nil
		}
		n.spi.CompareAndSwap(n.spi.Load(), firstSPI-1)
	}
}

// Apply implements DataPlane.
func (n *None) Apply(context.Context, []esp.Op) error { return nil }

// Check implements DataPlane.
func (n *None) Check(context.Context, esp.SA) error { return nil }

// Query implements DataPlane.
func (n *None) Query(context.Context, esp.SAID) (esp.Usage, error) {
	return esp.Usage{LastUse: -1}, nil
}

// Watch implements DataPlane.
func (n *None) Watch(ctx context.Context, _ func(esp.Notice)) error {
	<-ctx.Done()
	return nil
}

// Close implements DataPlane.
func (n *None) Close() error { return nil }
