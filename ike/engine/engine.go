package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/ike/wire"
)

// Transport carries IKE messages. Ports are those of the protocol: what has the
// local port ike.NATTPort carries the non-ESP marker on the wire, which the
// transport adds and strips.
type Transport interface {
	// Serve delivers messages until ctx is done. The batch belongs to the transport
	// again when receive returns, the data of the messages does not.
	Serve(ctx context.Context, receive func([]ike.Datagram)) error
	// Send sends messages, each from the local address of its path. It keeps nothing
	// of ms. It is called from several goroutines.
	Send(ms []ike.Send)
}

// Locator finds the paths to a connection's peer, the best first.
type Locator func(ctx context.Context, c *conf.Connection) ([]ike.Path, error)

// Sources finds from which addresses of this host messages of a connection to others
// would leave; the result is as long as remotes, with the zero Addr where there is no
// way.
type Sources func(ctx context.Context, c *conf.Connection, remotes []netip.Addr) []netip.Addr

// Config is what an Engine is made from.
type Config struct {
	Info      control.Info
	Machines  Machines
	Cookies   Cookies
	Tickets   Tickets // nil: no session resumption
	Plane     DataPlane
	Transport Transport
	Locate    Locator // nil: NewLocator(0)
	Conf      *conf.Config
	Sources   Sources                  // nil: NewSources(0)
	Attached  []netip.Prefix           // see Engine.Attached
	Own       []netip.Addr             // see Engine.Roamed
	Store     Store                    // keeps IKE SAs for the next process, nil: nobody does
	Left      []Kept                   // by an earlier one, to be carried on
	Rand      io.Reader                // nil: crypto/rand
	Log       func(r ike.Report)       // is given every report, must not block; may be nil
	Shards    int                      // 0: GOMAXPROCS
	Counters  func() map[string]uint64 // of the data plane, for Stats; may be nil
}

// Engine runs IKE SAs in goroutines. It implements control.Backend.
type Engine struct {
	cfg     Config
	started time.Time
	boot    ike.Instant // when it was started
	runners []*runner
	workers *workers
	planes  *planeWorker
	steward *stewardRunner
	feed    feed
	taps    taps
	key     uint64 // of the hash that spreads first messages

	stop    context.CancelFunc
	ctx     context.Context
	closing chan struct{} // closed when Close begins
	shards  sync.WaitGroup
	serve   sync.WaitGroup // readers, watcher, locators
	err     chan error

	mu   sync.Mutex
	conf *conf.Config
}

// jobLimit is how many jobs of half-open IKE SAs may wait for a worker.
const jobLimit = 4096

// New starts an engine. The connections of cfg.Conf are begun at once. Close it.
func New(cfg Config) *Engine {
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Shards == 0 {
		cfg.Shards = runtime.GOMAXPROCS(0)
	}
	cfg.Shards = min(cfg.Shards, maxShards)
	if cfg.Locate == nil {
		cfg.Locate = NewLocator(0)
	}
	if cfg.Sources == nil {
		cfg.Sources = NewSources(0)
	}
	e := &Engine{cfg: cfg, started: time.Now(), boot: sinceBoot(), closing: make(chan struct{}), err: make(chan error, 4), conf: cfg.Conf}
	e.ctx, e.stop = context.WithCancel(context.Background())
	e.key = seed(cfg.Rand)
	e.workers = newWorkers(runtime.GOMAXPROCS(0), jobLimit, cfg.Rand)
	e.planes = newPlaneWorker(cfg.Plane, cfg.Sources, e.warn)
	e.planes.taps = &e.taps
	e.steward = newStewardRunner(e)
	e.makeShards()
	e.takeOver(cfg.Left)
	e.cfg.Left = nil
	e.steward.in.put(Attached{Networks: cfg.Attached}, Load{Config: cfg.Conf})
	for _, r := range e.runners {
		r.flush()
	}
	e.start()
	return e
}

// makeShards makes the shards. Unique IDs of IKE SAs count up in steps, so that
// shards and steward never give the same.
func (e *Engine) makeShards() {
	n := e.cfg.Shards
	for i := range n {
		r := &runner{engine: e, in: newInbox[shardItem](trafficLimit)}
		r.in.weight = weigh
		r.shard = NewShard(ShardConfig{
			Index: i, Count: n, Machines: e.cfg.Machines, Cookies: e.cfg.Cookies, Tickets: e.cfg.Tickets, Config: e.cfg.Conf, Rand: e.cfg.Rand,
			FirstID: uint64(i) + 2, StepID: uint64(n) + 1, Own: e.cfg.Own, Keep: e.cfg.Store != nil,
		}, r)
		e.runners = append(e.runners, r)
	}
}

func (e *Engine) start() {
	for _, r := range e.runners {
		e.shards.Go(r.run)
	}
	// Operations that are under way end; what a closed engine wants is not cut off.
	e.planes.wg.Go(func() { e.planes.run(context.WithoutCancel(e.ctx)) })
	e.steward.wg.Go(e.steward.run)
	e.serve.Go(func() { e.fail("IKE sockets", e.cfg.Transport.Serve(e.ctx, e.receive)) })
	e.serve.Go(func() { e.fail("data plane", e.cfg.Plane.Watch(e.ctx, e.noticed)) })
}

func seed(r io.Reader) uint64 {
	var b [8]byte
	_, _ = io.ReadFull(r, b[:])
	return binary.BigEndian.Uint64(b[:])
}

// fail tells Failed of an error that ends a part of the engine.
func (e *Engine) fail(what string, err error) {
	if err == nil || e.ctx.Err() != nil {
		return
	}
	select {
	case e.err <- errors.New(what + ": " + err.Error()):
	default:
	}
}

// Failed delivers the error with which a part of the engine ended before Close.
func (e *Engine) Failed() <-chan error { return e.err }

// Now implements control.Backend. Instants count from the start of the machine, so that
// they mean the same to another process.
func (e *Engine) Now() ike.Instant { return e.boot.Add(time.Since(e.started)) }

func sinceBoot() ike.Instant {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // cannot fail
	return ike.Instant(t.Nano())
}

// until is the time to an instant, for a timer.
func (e *Engine) until(at ike.Instant) time.Duration {
	if at == ike.Never {
		return time.Hour
	}
	return max(0, at.Sub(e.Now()))
}

// receive routes messages from the network to the shards.
func (e *Engine) receive(dgs []ike.Datagram) {
	n := len(e.runners)
	if n == 1 {
		e.runners[0].in.offer(wrap(nil, dgs, nil, 0))
		return
	}
	which := make([]uint8, len(dgs))
	for i, dg := range dgs {
		which[i] = uint8(e.shardFor(dg))
	}
	var items []shardItem
	for i, r := range e.runners {
		if items = wrap(items[:0], dgs, which, uint8(i)); len(items) > 0 {
			r.in.offer(items)
		}
	}
}

// wrap collects the messages for one shard.
func wrap(items []shardItem, dgs []ike.Datagram, which []uint8, shard uint8) []shardItem {
	for i, dg := range dgs {
		if which == nil || which[i] == shard {
			items = append(items, shardItem{in: Received{dg}})
		}
	}
	return items
}

// maxShards is how many shards there may be: more than cores is no use.
const maxShards = 255

// shardFor names the shard of a message: by our SPI, or for a first message by its
// source and the SPI of the peer.
func (e *Engine) shardFor(dg ike.Datagram) int {
	n := len(e.runners)
	h, err := wire.ParseHeader(dg.Data)
	if err != nil {
		return 0
	}
	if spi := ourSPI(h); spi != 0 {
		return ShardOf(spi, n)
	}
	return int(spread(e.key, h.SPIi, dg.Path.Remote) % uint64(n))
}

// spread is a keyed hash: nobody outside can aim at one shard.
func spread(key, spi uint64, from netip.AddrPort) uint64 {
	a := from.Addr().As16()
	x := mix(key ^ spi)
	x = mix(x ^ binary.BigEndian.Uint64(a[:8]))
	x = mix(x ^ binary.BigEndian.Uint64(a[8:]))
	return mix(x ^ uint64(from.Port()))
}

// mix is the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// noticed routes a notice of the data plane.
func (e *Engine) noticed(n esp.Notice) {
	switch n := n.(type) {
	case esp.Acquire:
		e.steward.in.put(Acquired{Acquire: n})
	case esp.Expire:
		e.toShards(shardItem{in: Noticed{ReqID: n.ReqID, Notice: n}})
	case esp.Mapping:
		e.toShards(shardItem{in: Noticed{ReqID: n.ReqID, Notice: n}})
	}
}

func (e *Engine) toShards(it shardItem) {
	for _, r := range e.runners {
		r.in.put(it)
	}
}

// runnerOf is where an IKE SA lives, by its unique ID.
func (e *Engine) runnerOf(id uint64) *runner {
	n := uint64(len(e.runners))
	switch i := (id - 1) % (n + 1); i {
	case 0: // the steward's: spread over the shards
		return e.runners[(id-1)/(n+1)%n]
	default:
		return e.runners[i-1]
	}
}

// warn reports something that belongs to no IKE SA.
func (e *Engine) warn(text string) { e.publish(ike.Report{Kind: ike.Warning, Text: text}) }

// publish gives a report to the log and to the subscribers.
func (e *Engine) publish(r ike.Report) {
	if e.cfg.Log != nil {
		e.cfg.Log(r)
	}
	e.feed.publish(r)
}

// Configure puts another configuration in force. Connections that read as before
// are not touched.
func (e *Engine) Configure(c *conf.Config) {
	e.mu.Lock()
	e.conf = c
	e.mu.Unlock()
	e.toShards(shardItem{in: Reconfigured{Config: c}})
	e.steward.in.put(Load{Config: c})
}

// Standing waits until the data plane has dealt with all that the configuration wants
// of it: from then on what is to be encrypted does not leave in any other way. What the
// plane refuses has been reported.
func (e *Engine) Standing(ctx context.Context) error {
	done := make(chan struct{})
	asked, ok := atSteward(ctx, e, func(*Steward) bool { return e.planes.put(wish{done: done}) })
	if !ok {
		return errors.New("the steward does not answer")
	}
	if !asked {
		return errClosed
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the data plane has not done yet what it should: %w", ctx.Err())
	}
}

// Attached tells which networks this host is directly attached to, for
// exclude_my_network.
func (e *Engine) Attached(networks []netip.Prefix) {
	e.steward.in.put(Attached{Networks: networks})
}

// Roamed tells that addresses, interfaces or routes of this host have changed. own are
// the addresses that IKE may be spoken from, none of them a tunnel's.
func (e *Engine) Roamed(own []netip.Addr) {
	e.toShards(shardItem{in: Roamed{Own: own}})
	e.steward.in.put(Roamed{Own: own})
}

// Healthy tells whether all goroutines still answer; it waits for them until ctx
// ends.
func (e *Engine) Healthy(ctx context.Context) error {
	for i, r := range e.runners {
		if _, ok := atShard(ctx, r, (*Shard).Len); !ok {
			return fmt.Errorf("shard %d does not answer", i)
		}
	}
	if _, ok := atSteward(ctx, e, (*Steward).Next); !ok {
		return errNoSteward
	}
	return nil
}

// errClosed is returned by a closed engine.
var errClosed = errors.New("the engine is closed")

// forceTime is how long Close waits for what is taken down without the peers.
const forceTime = 2 * time.Second

// Close takes all SAs down, waits for the peers' answers until ctx ends, removes
// the policies and ends all goroutines. The data plane and the transport are the
// caller's to close, afterwards.
func (e *Engine) Close(ctx context.Context) {
	close(e.closing)
	if _, err := e.command(ctx, func(w uint64) StewardInput { return Stop{Waiter: w} }); err != nil {
		forced, cancel := context.WithTimeout(context.Background(), forceTime)
		_, _ = e.command(forced, func(w uint64) StewardInput { return Stop{Waiter: w, Force: true} })
		cancel()
	}
	_, _ = atSteward(context.Background(), e, func(s *Steward) bool { s.Release(); return true })
	e.stop()
	e.steward.in.close()
	e.steward.wg.Wait()
	e.serve.Wait()
	for _, r := range e.runners {
		r.in.close()
	}
	e.shards.Wait()
	e.workers.close()
	e.planes.in.close()
	e.planes.wg.Wait()
	e.feed.close()
}
