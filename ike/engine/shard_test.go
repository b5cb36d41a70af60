package engine

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

func TestFirstMessageMakesAMachine(t *testing.T) {
	m := &fakes{}
	s, _ := newShard(conf.HalfOpenLimits{}, m, 0, 1)
	s.Handle(0, from(500, first(1, "hello")))
	s.Handle(0, from(500, first(1, "hello"))) // repeated
	s.Handle(0, from(501, first(1, "hello"))) // from elsewhere: another peer
	s.Handle(0, from(500, first(2, "hello")))
	if len(m.made) != 3 || s.Len() != 3 || s.HalfOpen() != 3 {
		t.Fatalf("%d machines, %d IKE SAs, %d half-open; want 3 of each", len(m.made), s.Len(), s.HalfOpen())
	}
	if n := len(m.made[0].events); n != 2 {
		t.Errorf("the first machine got %d messages, not the first and its repetition", n)
	}
	ids := map[uint64]bool{}
	for _, f := range m.made {
		ids[f.birth.ID] = true
	}
	if len(ids) != 3 {
		t.Errorf("unique IDs are not unique: %v", ids)
	}
}

func TestRouting(t *testing.T) {
	m := &fakes{}
	s, out := newShard(conf.HalfOpenLimits{}, m, 0, 1)
	s.Handle(0, from(500, first(1, "")))
	spi := m.made[0].birth.SPI
	s.Handle(0, from(500, message(wire.IKEAuth, 1, spi, wire.FlagInitiator, 2, "")))
	if n := len(m.made[0].events); n != 2 {
		t.Errorf("the machine got %d messages of 2", n)
	}
	for name, c := range map[string]struct {
		data  []byte
		reply string
		drop  string
	}{
		"an SPI that nobody has":   {message(wire.IKEAuth, 1, spi+1, wire.FlagInitiator, 2, ""), "spi", "unknown-spi"},
		"an answer to nobody":      {message(wire.IKEAuth, 77, 5, wire.FlagResponse, 2, ""), "", "unknown-spi"},
		"a higher version":         {message(wire.IKESAInit, 1, 0, wire.FlagInitiator, 3, ""), "version", "version"},
		"an answer of version 3":   {message(wire.IKESAInit, 1, 0, wire.FlagInitiator|wire.FlagResponse, 3, ""), "", "version"},
		"version 1":                {message(wire.IKESAInit, 1, 0, wire.FlagInitiator, 1, ""), "", "version"},
		"no header":                {[]byte("short"), "", "malformed"},
		"not a first message":      {message(wire.IKEAuth, 9, 0, wire.FlagInitiator, 2, ""), "", "first-message"},
		"a length beyond the data": {append(first(3, "")[:24], 0xff, 0xff, 0xff, 0xff), "", "malformed"},
	} {
		before, sent := s.Drops(), len(out.sent)
		s.Handle(0, from(500, c.data))
		got := ""
		if len(out.sent) > sent {
			got = string(out.sent[sent].Data)
		}
		if got != c.reply {
			t.Errorf("%s: reply %q, want %q", name, got, c.reply)
		}
		if s.Drops()[c.drop] != before[c.drop]+1 {
			t.Errorf("%s: not counted as %s: %v", name, c.drop, s.Drops())
		}
	}
	if len(m.made) != 1 {
		t.Errorf("%d machines were made", len(m.made))
	}
}

// What is sent to strangers is bounded, and comes back with time.
func TestRefusalsAreBounded(t *testing.T) {
	s, out := newShard(conf.HalfOpenLimits{}, &fakes{}, 0, 1)
	stranger := from(500, message(wire.IKEAuth, 1, 99, wire.FlagInitiator, 2, ""))
	for range 10000 {
		s.Handle(0, stranger)
	}
	burst := len(out.sent)
	if burst == 0 || burst > 200 {
		t.Errorf("%d replies to a burst of 10,000", burst)
	}
	s.Handle(ike.Instant(time.Minute), stranger)
	if len(out.sent) != burst+1 {
		t.Error("no reply a minute later")
	}
}

func TestHalfOpenLimits(t *testing.T) {
	m := &fakes{}
	s, out := newShard(conf.HalfOpenLimits{Cookie: 3, PerAddress: 2, Total: 5}, m, 0, 1)
	other := func(n byte, data []byte) Received {
		p := ike.Path{Local: ownAddr, Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, n}), 500)}
		return Received{ike.Datagram{Path: p, Data: data}}
	}
	steps := []struct {
		in       Received
		machines int
		demanded bool
	}{
		{from(500, first(1, "")), 1, false},
		{from(500, first(2, "")), 2, false},
		{from(500, first(3, "")), 2, true}, // one address has enough
		{other(1, first(3, "")), 3, false},
		{other(2, first(4, "")), 3, true}, // all together have enough
		{other(2, first(4, "cookie")), 4, false},
		{from(500, first(3, "cookie")), 5, false},
		{other(3, first(5, "cookie")), 5, false}, // not even with a cookie
	}
	for i, st := range steps {
		sent := len(out.sent)
		s.Handle(0, st.in)
		if len(m.made) != st.machines || (len(out.sent) > sent) != st.demanded {
			t.Errorf("step %d: %d machines, cookie demanded %v; want %d, %v", i, len(m.made), len(out.sent) > sent, st.machines, st.demanded)
		}
	}
	if d := s.Drops(); d["half-open-limit"] != 1 || d["cookie-demanded"] != 2 {
		t.Errorf("counted: %v", d)
	}
	// An IKE SA that is established, or closed, makes room.
	m.made[0].script = func(_ *fake, _ ike.Event, fx *ike.Effects) { fx.Do(ike.Report{Kind: ike.IKEUp}) }
	m.made[1].script = func(_ *fake, _ ike.Event, fx *ike.Effects) { fx.Do(ike.Closed{}) }
	for _, f := range m.made[:2] {
		s.Handle(0, Order{IKE: f.birth.ID, Event: ike.Timeout{}})
	}
	if s.HalfOpen() != 3 || s.Len() != 4 {
		t.Errorf("%d half-open of %d; want 3 of 4", s.HalfOpen(), s.Len())
	}
	s.Handle(0, other(3, first(5, "cookie")))
	if len(m.made) != 6 {
		t.Error("there is room again, and the peer was not taken")
	}
}

// Reports that strangers cause do not fill the log.
func TestStrangersReports(t *testing.T) {
	m := &fakes{script: func(_ *fake, _ ike.Event, fx *ike.Effects) {
		fx.Do(ike.Report{Kind: ike.Failed, Text: "no proposal"})
		fx.Do(ike.Closed{})
	}}
	s, out := newShard(conf.HalfOpenLimits{}, m, 0, 1)
	for i := range uint64(5000) {
		s.Handle(0, from(500, first(i+1, "")))
	}
	if n := len(out.reports); n == 0 || n > 500 {
		t.Errorf("%d reports of 5,000", n)
	}
	lost := 5000 - len(out.reports)
	if d := s.Drops()["report"]; d != uint64(lost) {
		t.Errorf("%d reports counted as dropped", d)
	}
	s.Handle(ike.Instant(time.Hour), from(500, first(9999, "")))
	if text := out.reports[len(out.reports)-1].Text; !strings.Contains(text, fmt.Sprint("no proposal (and ", lost, " more")) {
		t.Errorf("the next report does not tell of those lost: %s", text)
	}
	if s.Len() != 0 || s.HalfOpen() != 0 {
		t.Errorf("%d IKE SAs left, %d half-open", s.Len(), s.HalfOpen())
	}
}

// A message that its IKE SA wants nothing done for is counted.
func TestNoEffect(t *testing.T) {
	m := &fakes{}
	s, out := newShard(conf.HalfOpenLimits{}, m, 0, 1)
	s.Handle(0, from(500, first(1, "")))
	spi := m.made[0].birth.SPI
	s.Handle(0, from(500, message(wire.Informational, 1, spi, wire.FlagInitiator, 2, "forged")))
	if d := s.Drops(); d["no-effect"] != 1 || len(m.made[0].events) != 2 {
		t.Errorf("%v, %d events", d, len(m.made[0].events))
	}
	m.made[0].script = func(_ *fake, _ ike.Event, fx *ike.Effects) { fx.Do(ike.Send{}) }
	s.Handle(0, from(500, message(wire.Informational, 1, spi, wire.FlagInitiator, 2, "authentic")))
	if d := s.Drops(); d["no-effect"] != 1 || len(out.sent) != 1 {
		t.Errorf("%v, %d sent", d, len(out.sent))
	}
}

// A result for a machine that is gone is taken back.
func TestUndo(t *testing.T) {
	m := &fakes{}
	s, out := newShard(conf.HalfOpenLimits{}, m, 0, 1)
	s.Handle(0, from(500, first(1, "")))
	undo := []esp.Op{esp.DelSA{ID: esp.SAID{SPI: 5}}}
	done := Finished{Ref: Ref(m.made[0].birth.SPI), Done: ike.Done{Ticket: 1}, Undo: undo}
	s.Handle(0, done)
	if len(out.ops) != 0 || len(m.made[0].events) != 2 {
		t.Fatalf("a machine that is there: %d undone, %d events", len(out.ops), len(m.made[0].events))
	}
	m.made[0].script = func(_ *fake, _ ike.Event, fx *ike.Effects) { fx.Do(ike.Closed{}) }
	s.Handle(0, Order{IKE: m.made[0].birth.ID, Event: ike.Timeout{}})
	s.Handle(0, done)
	if len(out.ops) != 1 || !slices.Equal(out.ops[0], undo) {
		t.Errorf("undone: %v", out.ops)
	}
}

// An IKE SA that replaces another lives in the same shard and gets the notices of
// its children.
func TestSpawnInherits(t *testing.T) {
	m := &fakes{}
	s, _ := newShard(conf.HalfOpenLimits{}, m, 1, 3)
	s.Handle(0, from(500, first(1, "")))
	old, heir := m.made[0], (*fake)(nil)
	child := ike.Status{Children: []ike.ChildStatus{{ID: 1, ReqID: 42}}}
	old.script = func(f *fake, ev ike.Event, fx *ike.Effects) {
		switch ev := ev.(type) {
		case ike.Timeout:
			fx.Do(ike.Report{Kind: ike.ChildUp, SA: &child, ChildID: 1})
			fx.Do(ike.Ask{Ticket: 9, Query: ike.NewIKESPI{}})
		case ike.Done:
			got := ev.Result.(ike.NewSPI)
			if ShardOf(got.SPI, 3) != 1 {
				t.Errorf("SPI %x leads to shard %d", got.SPI, ShardOf(got.SPI, 3))
			}
			heir = &fake{birth: ike.Birth{SPI: got.SPI, ID: got.ID}, due: ike.Never}
			fx.Do(ike.Spawn{SPI: got.SPI, Machine: heir})
			fx.Do(ike.Report{Kind: ike.IKERekeyed, NewID: got.ID})
			fx.Do(ike.Closed{})
		}
	}
	s.Handle(0, Order{IKE: old.birth.ID, Event: ike.Timeout{}})
	if heir == nil || s.Len() != 1 {
		t.Fatalf("no heir, %d IKE SAs", s.Len())
	}
	s.Handle(0, Noticed{ReqID: 42, Notice: esp.Expire{ReqID: 42}})
	s.Handle(0, from(500, message(wire.Informational, 1, heir.birth.SPI, wire.FlagInitiator, 2, "")))
	if len(heir.events) != 2 {
		t.Errorf("the heir got %d events: %v", len(heir.events), heir.events)
	}
}

// A machine that does not move its deadline does not keep the shard busy.
func TestDeadlines(t *testing.T) {
	m := &fakes{}
	s, _ := newShard(conf.HalfOpenLimits{}, m, 0, 1)
	for i := range uint64(3) {
		s.Handle(0, Dial{ID: 100 + i, Conn: &conf.Connection{Name: "x"}, Path: testPath})
		m.made[i].due = ike.Instant(i+1) * 1000
		s.Handle(0, Order{IKE: 100 + i, Event: ike.Initiate{}})
	}
	if s.Next() != 1000 {
		t.Fatalf("next at %d", s.Next())
	}
	s.Expire(2000)
	got := fmt.Sprint(len(m.made[0].events), len(m.made[1].events), len(m.made[2].events))
	if got != "3 3 2" {
		t.Errorf("events: %s; want 3 3 2", got)
	}
	if next := s.Next(); next <= 2000 {
		t.Errorf("busy: next at %d", next)
	}
}

// The schedule against one that is sorted anew each time.
func TestSchedule(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var s schedule[*entry]
	entries := make([]*entry, 50)
	due := make(map[*entry]ike.Instant)
	for i := range entries {
		entries[i] = &entry{timer: newTimer(uint64(i))}
	}
	for range 20000 {
		e := entries[rng.IntN(len(entries))]
		at := ike.Instant(rng.IntN(1000))
		if rng.IntN(4) == 0 {
			at = ike.Never
		}
		s.set(e, at)
		due[e] = at
		want := ike.Never
		for _, d := range due {
			want = min(want, d)
		}
		if s.next() != want {
			t.Fatalf("next is %d, want %d", s.next(), want)
		}
	}
}

func TestBucket(t *testing.T) {
	b := bucket{interval: time.Second, burst: 3}
	taken := func(now time.Duration, tries int) int {
		n := 0
		for range tries {
			if b.take(ike.Instant(now)) {
				n++
			}
		}
		return n
	}
	for i, c := range []struct {
		at    time.Duration
		tries int
		want  int
	}{{0, 10, 3}, {time.Second, 10, 1}, {time.Second, 10, 0}, {time.Hour, 10, 3}, {time.Hour + 2500*time.Millisecond, 10, 2}} {
		if got := taken(c.at, c.tries); got != c.want {
			t.Errorf("step %d: %d taken, want %d", i, got, c.want)
		}
	}
}

// Reconfigured reaches every machine with what its connection has become.
func TestReconfigured(t *testing.T) {
	m := &fakes{}
	s, _ := newShard(conf.HalfOpenLimits{}, m, 0, 1)
	stays, goes := &conf.Connection{Name: "stays"}, &conf.Connection{Name: "goes"}
	s.Handle(0, Dial{ID: 1, Conn: stays, Path: testPath})
	s.Handle(0, Dial{ID: 2, Conn: goes, Path: testPath})
	c := &conf.Config{Connections: []*conf.Connection{{Name: "stays", KeyingTries: 7}}}
	s.Handle(0, Reconfigured{Config: c})
	for i, want := range []*conf.Connection{c.Connections[0], nil} {
		ev, ok := m.made[i].events[len(m.made[i].events)-1].(ike.Configured)
		if !ok || ev.Conn != want || ev.Config != c {
			t.Errorf("machine %d learned %v", i, m.made[i].events)
		}
	}
}

// That the peer has lost an IKE SA is passed on, since it is for the machine to ask, but
// not as often as somebody likes to say so.
func TestSuspected(t *testing.T) {
	m := &fakes{}
	s, _ := newShard(conf.HalfOpenLimits{}, m, 0, 1)
	s.Handle(0, Dial{ID: 1, Conn: &conf.Connection{Name: "site"}, Path: testPath})
	says := func(now ike.Instant) int {
		before := len(m.made[0].events)
		for range 5 {
			s.Handle(now, Received{ike.Datagram{Path: testPath, Data: message(wire.Informational, m.made[0].birth.SPI, 7, wire.FlagResponse, 2, "spi")}})
		}
		told := m.made[0].events[before:]
		for _, ev := range told {
			if ev != (ike.Suspected{Path: testPath, SPIi: m.made[0].birth.SPI, SPIr: 7}) {
				t.Errorf("it was given %T", ev)
			}
		}
		return len(told)
	}
	for i, c := range []struct {
		at   ike.Instant
		want int
	}{{1, 1}, {2, 0}, {ike.Instant(suspectTime), 0}, {ike.Instant(suspectTime) + 1, 1}} {
		if got := says(c.at); got != c.want {
			t.Errorf("step %d: told %d times, want %d", i, got, c.want)
		}
	}
}

// Roamed reaches every machine, and those that are made afterwards.
func TestRoamed(t *testing.T) {
	m := &fakes{}
	s, _ := newShard(conf.HalfOpenLimits{}, m, 0, 1)
	s.Handle(0, Dial{ID: 1, Conn: &conf.Connection{Name: "site"}, Path: testPath})
	own := []netip.Addr{ownAddr.Addr()}
	s.Handle(0, Roamed{Own: own})
	s.Handle(0, Dial{ID: 2, Conn: &conf.Connection{Name: "site"}, Path: testPath})
	ev, ok := m.made[0].events[len(m.made[0].events)-1].(ike.Roamed)
	if !ok || len(ev.Own) != 1 || ev.Own[0] != own[0] {
		t.Errorf("machine 1 learned %v", m.made[0].events)
	}
	if got := m.made[1].birth.Own; len(got) != 1 || got[0] != own[0] {
		t.Errorf("machine 2 was born with %v", got)
	}
}
