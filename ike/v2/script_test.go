package v2

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// stage is two hosts whose messages are delivered, lost and held back by a script.
type stage struct {
	*network
	sas    map[string]*SA // those that the script began with
	first  []uint32       // SPIs of the first child
	flight []packet
	said   []string // what was sent, in order
	before map[string]bool
}

// scripted is a transcript and what it comes to.
type scripted struct {
	name string
	// steps are what happens, separated by "; ": "a rekeys the child" and the other deeds;
	// "a>" delivers the oldest message of a that is on its way, "a>2" the second, "a!"
	// loses one; "a waits" is a's next deadline. What is on its way at the end is delivered
	// in the order in which it was sent.
	steps string
	// want is what is sent, in order.
	want string
	// lowest says who has which first octet in its nonces, in the order of use: "a12 b34".
	nonces         string
	ikes, children int
	prepare        func(a, b *conf.Connection)
	change         func(a, b *SA) // when they are up
}

// stageDeeds are what else a script may let a host do.
var stageDeeds = map[string]func(h *host, sa *SA){
	"deletes the old child": func(h *host, sa *SA) { h.delete(sa, sa.children[0]) },
	"deletes the new child": func(h *host, sa *SA) { h.delete(sa, sa.children[len(sa.children)-1]) },
	"loses the child":       func(h *host, sa *SA) { h.step(sa, ike.Terminate{Child: "lan", Silent: true}) },
	"asks for the child":    func(h *host, sa *SA) { h.step(sa, ike.Initiate{Child: "lan"}) },
	"has a soft limit":      func(h *host, sa *SA) { h.step(sa, ike.Notice{Notice: esp.Expire{ID: sa.children[0].InboundID()}}) },
	"has a hard limit": func(h *host, sa *SA) {
		h.step(sa, ike.Notice{Notice: esp.Expire{ID: sa.children[0].InboundID(), Hard: true}})
	},
}

// delete lets a host delete a child whether it should or not.
func (h *host) delete(sa *SA, c *childSA) {
	sa.pushFirst(&deleteExchange{child: c, why: "test"})
	h.step(sa, ike.Timeout{})
}

func newStage(t *testing.T, c scripted) *stage {
	n := newNetwork(t, second(t, "aes256gcm16", "aes256gcm16"), func(a, b *conf.Connection) {
		a.Rekey, b.Rekey = true, true
		if c.prepare != nil {
			c.prepare(a, b)
		}
	})
	n.rand = rand.NewChaCha8([32]byte{7})
	a := n.a.dial()
	n.run()
	n.established(1)
	s := &stage{network: n, sas: map[string]*SA{"a": a, "b": n.b.list()[0]}, before: make(map[string]bool)}
	if c.change != nil {
		c.change(a, s.sas["b"])
	}
	s.first = []uint32{a.children[0].SPIIn, a.children[0].SPIOut}
	for _, w := range strings.Fields(c.nonces) {
		h := n.a
		if w[0] == 'b' {
			h = n.b
		}
		h.nonces = []byte(w[1:])
	}
	n.intercept = func(p packet) []packet {
		s.said = append(s.said, s.tell(p))
		s.flight = append(s.flight, p)
		return nil
	}
	return s
}

func (s *stage) host(name string) *host {
	if name == "a" {
		return s.a
	}
	return s.b
}

// act does one step of a script.
func (s *stage) act(step string) {
	s.t.Helper()
	who, what, _ := strings.Cut(step, " ")
	h := s.host(who[:1])
	switch {
	case len(who) > 1:
		if p, ok := s.pick(h, who[1:]); ok && who[1] == '>' {
			s.deliver(p)
		}
	case what == "waits":
		s.wait(h)
	case stageDeeds[what] != nil:
		stageDeeds[what](h, s.sas[who])
	case deeds[what] != nil:
		deeds[what](h, s.sas[who])
	default:
		s.t.Fatalf("no such step: %q", step)
	}
}

// pick takes a message of a host out of those on their way; which is ">" or "!", with a
// number behind that for another one than the oldest. There need not be one.
func (s *stage) pick(h *host, which string) (p packet, ok bool) {
	n := 1
	if len(which) > 1 {
		n = int(which[1] - '0')
	}
	for i, p := range s.flight {
		if p.from == h {
			if n--; n == 0 {
				s.flight = slices.Delete(s.flight, i, i+1)
				return p, true
			}
		}
	}
	return packet{}, false
}

// wait lets the time go by until the next deadline of a host.
func (s *stage) wait(h *host) {
	at := ike.Never
	for _, sa := range h.list() {
		at = min(at, sa.Deadline())
	}
	s.now = max(s.now, at)
	for _, sa := range h.list() {
		if sa.Deadline() <= s.now {
			h.step(sa, ike.Timeout{})
		}
	}
}

// finish delivers everything, and lets the time go by in which all comes to rest.
func (s *stage) finish() {
	for len(s.flight) > 0 {
		p := s.flight[0]
		s.flight = s.flight[1:]
		s.deliver(p)
	}
	for end := s.now.Add(4 * time.Minute); s.now < end; s.leap(end) {
		for len(s.flight) > 0 {
			p := s.flight[0]
			s.flight = s.flight[1:]
			s.deliver(p)
		}
	}
}

// tell says in a few words what a message is: whose, what, and for a repetition that it
// is one. A stroke behind the name is for another IKE SA than that of the beginning.
func (s *stage) tell(p packet) string {
	name, to := p.from.name, s.b
	if p.from == s.b {
		to = s.a
	}
	h := header(s.t, p.data)
	if h.SPIi != s.sas["a"].spiI || h.SPIr != s.sas["a"].spiR {
		name += "'"
	}
	again := ""
	if s.before[string(p.data)] {
		again = " again"
	}
	s.before[string(p.data)] = true
	for spi, sa := range to.sas {
		if (spi == h.SPIi || spi == h.SPIr) && sa.keys.ready() {
			return name + ": " + s.words(h, s.open(sa, p.data)) + again
		}
	}
	return name + ": unknown" + again
}

func (s *stage) words(h wire.Header, ps []wire.Payload) string {
	if n := errorNotify(ps); n != nil {
		return n.Kind.String()
	}
	if d, ok := wire.Find[*wire.Delete](ps); ok {
		if d.Protocol == wire.ProtocolIKE {
			return "delete IKE"
		}
		if slices.Contains(s.first, binary.BigEndian.Uint32(d.SPIs[0])) {
			return "delete old"
		}
		return "delete new"
	}
	offer, _ := wire.Find[*wire.SA](ps)
	switch {
	case h.Flags&wire.FlagResponse != 0 && offer == nil:
		return "nothing"
	case h.Flags&wire.FlagResponse != 0:
		return "ok"
	case offer == nil:
		return "liveness"
	case offer.Proposals[0].Protocol == wire.ProtocolIKE:
		return "rekey IKE"
	case wire.FindNotify(ps, wire.NotifyRekeySA) == nil:
		return "new child"
	}
	return "rekey child"
}

// play plays a script and looks at what comes of it.
func play(t *testing.T, c scripted) {
	t.Helper()
	s := newStage(t, c)
	for _, step := range strings.Split(c.steps, "; ") {
		if step != "" {
			s.act(step)
		}
	}
	s.finish()
	if got := strings.Join(s.said, ", "); got != c.want {
		t.Errorf("sent %s\nwant %s\n%s", got, c.want, s.story())
	}
	s.settled(c.ikes, c.children)
}

func (c scripted) String() string { return fmt.Sprintf("%s, nonces %s", c.name, c.nonces) }
