package engine

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// keeper is a fake that another process can carry on, while its state says so.
type keeper struct{ *fake }

func (k keeper) Snapshot(part func(uint64, []byte)) bool {
	part(40, []byte("child"))
	part(0, []byte("state"))
	return k.status.State == ike.Up
}

// keepers makes keepers.
type keepers struct {
	fakes
	restored []*conf.Connection
	err      error
	spi      uint64 // of what is restored
}

func (m *keepers) Dial(b ike.Birth, _ *conf.Connection, _ ike.Path) ike.Machine {
	return keeper{m.make(b)}
}

func (m *keepers) Restore(b ike.Birth, c *conf.Connection, parts map[uint64][]byte) (ike.Machine, error) {
	if string(parts[0]) != "state" || string(parts[40]) != "child" {
		return nil, errors.New("another state")
	}
	m.restored = append(m.restored, c)
	f := m.make(b)
	f.status = ike.Status{
		Conn: "site", State: ike.Up, Initiator: true, SPIi: m.spi, SPIr: 9, ExpireAt: 1000,
		Children: []ike.ChildStatus{{ID: 40, Name: "lan", ReqID: FirstReqID + 7}},
	}
	return keeper{f}, m.err
}

func keeping(m Machines, c *conf.Config) (*Shard, *books) {
	out := &books{}
	return NewShard(ShardConfig{
		Count: 1, Machines: m, Cookies: demands{}, Config: c, Rand: testRand(1), FirstID: 2, StepID: 2, Keep: true,
	}, out), out
}

// A machine that acts is written down, one that cannot be carried on is forgotten, and
// what does nothing is not written again.
func TestKeep(t *testing.T) {
	c := &conf.Config{Connections: []*conf.Connection{{Name: "site"}}}
	m := &keepers{}
	m.script = func(f *fake, ev ike.Event, fx *ike.Effects) {
		switch ev := ev.(type) {
		case ike.Initiate:
			f.status.State = ike.Up
			fx.Do(ike.Send{Path: testPath})
		case ike.Terminate:
			f.status.State = ike.Rekeying
			fx.Do(ike.Send{Path: testPath})
		case ike.Notice:
			_ = ev
		}
	}
	s, out := keeping(m, c)
	s.Handle(0, Dial{ID: 1, Conn: c.Connections[0], Path: testPath})
	spi := m.made[0].birth.SPI
	if k := out.kept; len(k) != 2 || k[0].SPI != spi || k[0].Part != 40 || string(k[0].Data) != "child" || k[1].SPI != spi || k[1].Part != 0 || !bytes.HasSuffix(k[1].Data, []byte("state")) {
		t.Fatalf("kept %v", k)
	}
	parts := map[uint64][]byte{40: out.kept[0].Data, 0: out.kept[1].Data}
	s.Handle(0, Order{IKE: 1, Event: ike.Notice{}})
	s.Handle(0, Order{IKE: 1, Event: ike.Initiate{}})
	if len(out.kept) != 2 {
		t.Error("written down for nothing")
	}
	for range 2 {
		s.Handle(0, Order{IKE: 1, Event: ike.Terminate{}})
	}
	if k := out.kept; len(k) != 4 || k[2].SPI != spi || len(k[2].Data)+len(k[3].Data) != 0 || k[2].Part+k[3].Part != 40 {
		t.Errorf("what cannot be carried on is kept: %v", out.kept)
	}

	// Another process carries it on, unless the connection reads otherwise.
	for _, changed := range []bool{false, true} {
		m2 := &keepers{spi: spi}
		c2 := &conf.Config{Connections: []*conf.Connection{{Name: "site"}}}
		if changed {
			c2.Connections[0].Margin = time.Minute
		}
		s2, out2 := keeping(m2, c2)
		st, err := s2.TakeOver(5, spi, parts)
		if err != nil || len(m2.restored) != 1 || (m2.restored[0] == nil) != changed || (len(st.Children) == 0) != changed {
			t.Fatalf("changed %v: %v, %v, %+v", changed, err, m2.restored, st)
		}
		ev, ok := m2.made[0].events[0].(ike.TakeOver)
		if !ok || (ev.End != "") != changed {
			t.Errorf("changed %v: it was given %+v", changed, m2.made[0].events)
		}
		s2.Handle(6, Noticed{ReqID: FirstReqID + 7, Notice: esp.Expire{ReqID: FirstReqID + 7}})
		if n := len(m2.made[0].events); !changed && n != 2 {
			t.Errorf("its child is not known: %d events", n)
		}
		if _, err := s2.TakeOver(5, spi, parts); err == nil {
			t.Error("taken over twice")
		}
		_ = out2
	}
	s3, _ := keeping(&keepers{spi: 1}, c)
	for _, data := range [][]byte{nil, parts[0][:20], append(bytes.Clone(parts[0]), 'x'), parts[0]} {
		if _, err := s3.TakeOver(5, spi, map[uint64][]byte{0: data, 40: parts[40]}); err == nil {
			t.Errorf("%q is taken over", data)
		}
	}
	s4, _ := keeping(&keepers{spi: spi}, c)
	if _, err := s4.TakeOver(1000, spi, parts); !errors.Is(err, ErrExpired) {
		t.Errorf("one whose lifetime is over is taken over: %v", err)
	}
	if _, err := s4.TakeOver(999, spi, parts); err != nil {
		t.Error(err)
	}
}

// The request IDs of what was taken over stay, and nothing else gets them.
func TestReservedReqIDs(t *testing.T) {
	o := newOffice(t, &conf.Config{})
	o.handle(Had{map[string]uint32{"site/voice": FirstReqID, "gone/lan": FirstReqID + 1}})
	o.handle(Load{Config: twoChildren(conf.OnDemand)})
	l := o.s.byName["site"]
	if l.reqIDs["voice"] != FirstReqID || l.reqIDs["lan"] != FirstReqID+2 {
		t.Errorf("%v", l.reqIDs)
	}
	r := newReqIDs()
	r.applied([]esp.Op{
		esp.AdoptSA{SA: esp.SA{ID: esp.SAID{SPI: 1}, Dir: esp.In, ReqID: FirstReqID}},
		esp.AdoptSA{SA: esp.SA{ID: esp.SAID{SPI: 2}, Dir: esp.In, ReqID: FirstChildReqID + 3}},
		esp.AddPolicy{Policy: esp.Policy{Action: esp.Protect, Name: "site/voice", ReqID: FirstReqID}},
	})
	if got := r.choose(ike.Reserve{Name: "site/voice"}); got != FirstChildReqID+4 {
		t.Errorf("another child has request ID %x", got)
	}
	r.applied([]esp.Op{esp.DelSA{ID: esp.SAID{SPI: 1}}})
	if got := r.choose(ike.Reserve{Name: "site/voice"}); got != FirstReqID {
		t.Errorf("the next child has request ID %x", got)
	}
}

// books of a store.
type ledger struct {
	mu   sync.Mutex
	kept map[uint64][]byte
	err  error
}

func (l *ledger) Write(records []Kept) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range records {
		if l.kept[k.Part] = bytes.Clone(k.Data); len(k.Data) == 0 {
			delete(l.kept, k.Part)
		}
	}
	return l.err
}

// Leave waits until nothing is under way, for a bounded time; then nothing happens any
// more. A store that fails is told once.
func TestHandOver(t *testing.T) {
	for _, busy := range []bool{true, false} {
		defer goleak.VerifyNone(t)
		var warned atomic.Int32
		store := &ledger{kept: make(map[uint64][]byte), err: errors.New("no space")}
		e, m := dialled(store, busy, func(r ike.Report) {
			if r.Kind == ike.Warning {
				warned.Add(1)
			}
		})
		limit := 50 * time.Millisecond
		if !busy {
			limit = time.Hour
		}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		e.Leave(ctx)
		if (ctx.Err() != nil) != busy {
			t.Errorf("busy %v: it has waited: %v", busy, ctx.Err())
		}
		cancel()
		e.runners[0].in.put(shardItem{in: Order{IKE: 1, Event: ike.Notice{}}})
		if n := len(m.made[0].events); n != 1 { // nobody else looks at it
			t.Errorf("busy %v: %d events", busy, n)
		}
		store.mu.Lock()
		if len(store.kept) != 2 {
			t.Errorf("busy %v: kept %v", busy, store.kept)
		}
		store.mu.Unlock()
		if n := warned.Load(); n != 1 {
			t.Errorf("busy %v: warned %d times", busy, n)
		}
		ctx, cancel = context.WithCancel(context.Background())
		cancel()
		e.Close(ctx)
		if n := len(m.made[0].events); n < 2 {
			t.Errorf("busy %v: %d events in the end", busy, n)
		}
	}
}

// dialled is an engine with one IKE SA, which may be in the middle of something.
func dialled(store Store, busy bool, log func(ike.Report)) (*Engine, *keepers) {
	c := &conf.Config{Connections: []*conf.Connection{{Name: "site"}}}
	m := &keepers{}
	m.script = func(f *fake, ev ike.Event, fx *ike.Effects) {
		if _, ok := ev.(ike.Initiate); !ok {
			return
		}
		if f.status.State = ike.Up; busy {
			f.status.Active = []string{"IKE_DPD"}
		}
		fx.Do(ike.Send{Path: testPath})
	}
	e := New(Config{
		Machines: m, Cookies: demands{}, Plane: &None{}, Transport: &silent{}, Conf: c, Shards: 1, Store: store, Log: log,
	})
	e.runners[0].in.put(shardItem{in: Dial{ID: 1, Conn: c.Connections[0], Path: testPath}})
	return e, m
}

// What cannot be restored is not left for the process after this one.
func TestTakeOverFails(t *testing.T) {
	defer goleak.VerifyNone(t)
	store := &ledger{kept: map[uint64][]byte{5: []byte("of another version"), 6: nil}}
	e := New(Config{
		Machines: &keepers{}, Cookies: demands{}, Plane: &None{}, Transport: &silent{}, Conf: &conf.Config{}, Shards: 1,
		Store: store, Left: []Kept{{9, 5, []byte("of another version")}},
	})
	store.mu.Lock()
	if _, there := store.kept[5]; there {
		t.Error("it is still there")
	}
	store.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e.Close(ctx)
}

// silent is a Transport that nothing comes from.
type silent struct{}

func (silent) Serve(ctx context.Context, _ func([]ike.Datagram)) error {
	<-ctx.Done()
	return nil
}

func (silent) Send([]ike.Send) {}
