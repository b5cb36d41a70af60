package engine

import (
	"fmt"
	"time"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// dropReason is why a message from the network led nowhere.
type dropReason uint8

const (
	dropMalformed  dropReason = iota // no IKE header
	dropVersion                      // a major version that we do not speak
	dropUnknownSPI                   // no IKE SA of ours
	dropNoEffect                     // the IKE SA wanted nothing done: not authentic, out of order, a part of a message
	dropFirst                        // no plausible first message
	dropHalfOpen                     // too many half-open IKE SAs
	dropCookie                       // a cookie was demanded instead
	dropSpawn                        // a machine was made with an SPI in use
	dropReport                       // a report that strangers caused, too many of them
	dropReasons
)

var dropNames = [dropReasons]string{
	"malformed", "version", "unknown-spi", "no-effect", "first-message", "half-open-limit", "cookie-demanded", "spi-in-use", "report",
}

// Drops counts the messages that led nowhere, by reason.
func (s *Shard) Drops() map[string]uint64 {
	out := make(map[string]uint64, dropReasons)
	for i, n := range s.drops {
		out[dropNames[i]] = n
	}
	return out
}

// majorV2 is the major version of IKEv2.
const majorV2 = 2

// ourSPI is the SPI in a header that this host chose: the initiator's in what the
// responder sends, and the other way round (RFC 7296, 3.1).
func ourSPI(h wire.Header) uint64 {
	if h.Flags&wire.FlagInitiator != 0 {
		return h.SPIr
	}
	return h.SPIi
}

// receive routes a message. For what no machine is there for it costs the header,
// one look into a map and at most a bounded reply.
func (s *Shard) receive(now ike.Instant, dg ike.Datagram) {
	h, err := wire.ParseHeader(dg.Data)
	if err != nil {
		s.drops[dropMalformed]++
		s.counters.count("", ike.Invalid)
		return
	}
	if h.Major != majorV2 {
		s.otherVersion(now, h, dg)
		return
	}
	spi := ourSPI(h)
	if spi == 0 {
		s.first(now, h, dg)
		return
	}
	if e := s.bySPI[spi]; e != nil {
		if s.cfg.Machines.SaysInvalidSPI(h, dg.Data) {
			s.suspect(now, e, ike.Suspected{Path: dg.Path, SPIi: h.SPIi, SPIr: h.SPIr})
			return
		}
		if !s.step(now, e, dg) {
			s.drops[dropNoEffect]++
		}
		return
	}
	s.drops[dropUnknownSPI]++
	s.counters.count("", ike.InvalidSPI)
	if h.Flags&wire.FlagResponse == 0 && s.refusal.take(now) {
		s.reply(now, dg, s.cfg.Machines.InvalidSPI(h))
	}
}

// suspectTime is how often at most an IKE SA is told that its peer may have lost it.
const suspectTime = 10 * time.Second

// suspect tells an IKE SA that somebody says that the peer has lost it.
func (s *Shard) suspect(now ike.Instant, e *entry, ev ike.Suspected) {
	if e.half != nil || now < e.trusts {
		s.drops[dropNoEffect]++
		return
	}
	e.trusts = now.Add(suspectTime)
	s.step(now, e, ev)
}

// otherVersion refuses a higher major version (RFC 7296, 2.5) and ignores a lower.
func (s *Shard) otherVersion(now ike.Instant, h wire.Header, dg ike.Datagram) {
	s.drops[dropVersion]++
	if s.notes.take(now) {
		s.out.Report(ike.Report{
			Kind: ike.Warning, Path: dg.Path,
			Text: fmt.Sprintf("%s speaks IKE version %d.%d, this host speaks 2.0", dg.Path.Remote, h.Major, h.Minor),
		})
	}
	if h.Major > majorV2 && h.Flags&wire.FlagResponse == 0 && s.refusal.take(now) {
		s.reply(now, dg, s.cfg.Machines.RefuseVersion(h))
	}
}

func (s *Shard) reply(now ike.Instant, to ike.Datagram, data []byte) {
	if data != nil {
		m := ike.Send{Path: to.Path, Data: data}
		s.sent(now, nil, m)
		s.out.Send(m)
	}
}

// first handles the first message of a peer, or its repetition.
func (s *Shard) first(now ike.Instant, h wire.Header, dg ike.Datagram) {
	key := firstKey{spi: h.SPIi, from: dg.Path.Remote}
	if e := s.half.byFirst[key]; e != nil {
		s.step(now, e, dg)
		return
	}
	if s.cfg.Machines.CheckFirst(h, dg.Data) != nil {
		s.drops[dropFirst]++
		return
	}
	switch s.half.admit(dg.Path.Remote.Addr()) {
	case refuse:
		s.drops[dropHalfOpen]++
		return
	case challenge:
		if ok, demand := s.cfg.Cookies.Check(now, dg); !ok {
			s.drops[dropCookie]++
			s.reply(now, dg, demand)
			return
		}
	}
	b := s.birth(s.newID())
	e := s.add(s.cfg.Machines.Respond(b, dg.Path), b.SPI, b.ID)
	e.born = now
	s.half.add(key, e)
	s.step(now, e, dg)
}
