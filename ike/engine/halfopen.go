package engine

import (
	"net/netip"

	"github.com/goike/goike/conf"
)

// firstKey names a peer's first message: its repetitions carry the same SPI and
// come from the same address and port.
type firstKey struct {
	spi  uint64
	from netip.AddrPort
}

// The limits that hold when none is configured.
const (
	defaultCookie     = 100
	defaultPerAddress = 100
	defaultTotal      = 50000
)

// halfOpen is the table of IKE SAs that peers have begun and not authenticated.
type halfOpen struct {
	byFirst   map[firstKey]*entry
	byAddress map[netip.Addr]int
	limits    conf.HalfOpenLimits // of this shard
}

func newHalfOpen(l conf.HalfOpenLimits, shards int) halfOpen {
	h := halfOpen{byFirst: make(map[firstKey]*entry), byAddress: make(map[netip.Addr]int)}
	h.limit(l, shards)
	return h
}

// limit sets this shard's part of the limits of the daemon.
func (h *halfOpen) limit(l conf.HalfOpenLimits, shards int) {
	part := func(n, standard int) int {
		if n <= 0 {
			n = standard
		}
		return (n + shards - 1) / shards
	}
	h.limits = conf.HalfOpenLimits{
		Cookie: part(l.Cookie, defaultCookie), PerAddress: part(l.PerAddress, defaultPerAddress),
		Total: part(l.Total, defaultTotal),
	}
}

// verdict is what to do with a first message.
type verdict uint8

const (
	accept verdict = iota
	challenge
	refuse
)

// admit decides about a first message. Many peers may share an address: beyond the
// limit of one address a peer has to prove that the address is its own, which a
// flood of forged messages cannot.
func (h *halfOpen) admit(from netip.Addr) verdict {
	switch {
	case len(h.byFirst) >= h.limits.Total:
		return refuse
	case len(h.byFirst) >= h.limits.Cookie, h.byAddress[from] >= h.limits.PerAddress:
		return challenge
	}
	return accept
}

func (h *halfOpen) add(key firstKey, e *entry) {
	e.half = &key
	h.byFirst[key] = e
	h.byAddress[key.from.Addr()]++
}

// remove takes out an entry that is established or closed.
func (h *halfOpen) remove(e *entry) {
	if e.half == nil {
		return
	}
	addr := e.half.from.Addr()
	if h.byAddress[addr]--; h.byAddress[addr] <= 0 {
		delete(h.byAddress, addr)
	}
	delete(h.byFirst, *e.half)
	e.half = nil
}
