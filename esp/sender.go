package esp

import (
	"math"
	"sync/atomic"
)

// Headroom and Tailroom are the octets that must be free before and behind a packet
// so that it can be sealed or opened in place. Headroom covers ESP header and IV,
// with a UDP header before them, and the IP header that transport mode puts back.
// With TFC padding Seal needs room for the padding as well.
const (
	Headroom = 40
	Tailroom = 64
)

// firstPathMTU is taken for the path MTU until SetPathMTU is called.
const firstPathMTU = 1500

// Sender is the sending half of an SA. Its methods are safe for concurrent use.
type Sender struct {
	association
	shape
	last     atomic.Uint64 // the sequence number given out last
	lastEver uint64        // the one after which there are no more
	padTo    atomic.Int64  // inner packets are padded up to this size
}

// NewSender makes the sending half of the outbound ESP SA sa. The keys are copied:
// the caller may zero its own. AH is refused.
func NewSender(sa SA) (*Sender, error) {
	s := &Sender{lastEver: math.MaxUint32}
	if sa.ESN {
		s.lastEver = math.MaxUint64
	}
	if err := s.setUp(sa, Out); err != nil {
		return nil, err
	}
	probe, err := s.sealer()
	if err != nil {
		return nil, err
	}
	s.shape = shapeOf(probe)
	s.SetPathMTU(firstPathMTU, sa.ID.Dst.Is6() && !sa.ID.Dst.Is4In6())
	return s, nil
}

// Reserve takes n sequence numbers: first to first+n-1. It is false, and takes
// none, when fewer than n are left before 2^32-1, or 2^64-1 with ESN: sequence
// numbers never wrap (RFC 4303, 3.3.3). The first one of an SA is 1.
func (s *Sender) Reserve(n int) (first uint64, ok bool) {
	if n <= 0 {
		return 0, false
	}
	for {
		last := s.last.Load()
		if uint64(n) > s.lastEver-last {
			return 0, false
		}
		if s.last.CompareAndSwap(last, last+uint64(n)) {
			return last + 1, true
		}
	}
}

// MaxInner is the size of the largest inner packet whose ESP packet fits an outer
// packet of pathMTU octets; the outer IP header (IPv6 if outer6) and, where the SA
// is encapsulated, the UDP header are counted. It is 0 when nothing fits.
func (s *Sender) MaxInner(pathMTU int, outer6 bool) int {
	sa := s.sa.Load()
	outer := ip4Len
	if outer6 {
		outer = ip6Len
	}
	room := pathMTU - outer - espHeader - s.iv - s.icv
	if sa.Encap != nil {
		room -= udpLen
	}
	inner := room&^(s.align-1) - espTrailer
	if inner <= 0 {
		return 0
	}
	if sa.Mode == Transport {
		inner += outer // the inner header is the outer one
	}
	return inner
}

// SetPathMTU tells the MTU of the path, of which TFC padding makes no packet larger
// than fits it. It is 1500 until told otherwise; without TFC padding it has no effect.
func (s *Sender) SetPathMTU(pathMTU int, outer6 bool) {
	sa := s.sa.Load()
	if sa.Mode == Tunnel {
		s.padTo.Store(int64(min(int(sa.TFCPad), s.MaxInner(pathMTU, outer6))))
	}
}

// NewWorker makes a sealer for one goroutine.
func (s *Sender) NewWorker() (*SealWorker, error) {
	sealer, err := s.sealer()
	if err != nil {
		return nil, err
	}
	sa := s.sa.Load()
	return &SealWorker{
		sender: s, sealer: sealer, shape: s.shape, spi: sa.ID.SPI,
		transport: sa.Mode == Transport, esn: sa.ESN, noCopyDF: sa.NoCopyDF, tos: tosRulesOf(sa),
	}, nil
}
