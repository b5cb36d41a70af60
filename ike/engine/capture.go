package engine

import (
	"slices"

	"github.com/goike/goike/ike"
)

// capture is what a shard notes for those who record messages: a message, or the keys of
// an IKE SA.
type capture struct {
	captures, withKeys int    // how many there are, and how many of them want keys
	last               *entry // for which the message under way was
	noted              []note
}

type note struct {
	at   ike.Instant
	conn string // empty while unknown
	out  bool
	path ike.Path
	data []byte
	keys *ike.Keys
}

// beginCapture begins a capture; with keys it returns those that are in use.
func (s *Shard) beginCapture(keys bool) []ike.Keys {
	s.capture.captures++
	if !keys {
		return nil
	}
	s.capture.withKeys++
	var all []ike.Keys
	for _, e := range s.bySPI {
		if k, ok := disclose(e); ok {
			e.disclosed = true
			all = append(all, k)
		}
	}
	return all
}

func (s *Shard) endCapture(keys bool) {
	s.capture.captures--
	if keys {
		s.capture.withKeys--
	}
}

// received notes a message that came, before it is dealt with; the returned function
// notes for which IKE SA it was, once it is known.
func (s *Shard) received(now ike.Instant, dg ike.Datagram) (dealt func()) {
	if s.capture.captures == 0 {
		return func() {}
	}
	i := len(s.capture.noted)
	s.capture.noted = append(s.capture.noted, note{at: now, path: dg.Path, data: slices.Clone(dg.Data)})
	s.capture.last = nil
	return func() {
		if e := s.capture.last; e != nil {
			s.capture.noted[i].conn = e.machine.Status().Conn
		}
		s.capture.last = nil
	}
}

// sent notes a message that leaves; e is nil when no IKE SA is there for it.
func (s *Shard) sent(now ike.Instant, e *entry, m ike.Send) {
	if s.capture.captures == 0 {
		return
	}
	n := note{at: now, out: true, path: m.Path, data: slices.Clone(m.Data)}
	if e != nil {
		n.conn = e.machine.Status().Conn
	}
	s.capture.noted = append(s.capture.noted, n)
}

// discloseNew notes the keys of an IKE SA that has come to have some.
func (s *Shard) discloseNew(now ike.Instant, e *entry) {
	if s.capture.withKeys == 0 || e.disclosed {
		return
	}
	if k, ok := disclose(e); ok {
		e.disclosed = true
		s.capture.noted = append(s.capture.noted, note{at: now, conn: k.Conn, keys: &k})
	}
}

func disclose(e *entry) (ike.Keys, bool) {
	if d, ok := e.machine.(ike.Discloser); ok {
		return d.Disclose()
	}
	return ike.Keys{}, false
}

// takeNoted returns what was noted since the last time.
func (s *Shard) takeNoted() []note {
	out := s.capture.noted
	s.capture.noted = nil
	return out
}
