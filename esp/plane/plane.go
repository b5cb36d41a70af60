// Package plane is the data plane in user space: it keeps SAs and policies, takes
// packets from a device, sends them as ESP through a carrier, and the other way
// round. What policy says to protect leaves it sealed or not at all. What reaches this
// host in the clear does not come by here: to drop what policy wants protected is the
// firewall's.
//
// Packets travel in batches. Outbound, one goroutine reads the device, finds policy
// and SA of every packet and reserves sequence numbers in order; inbound, who
// calls Receive finds the SA and looks at the replay window. Cipher work is done
// there too, or by workers (see line). No lock is taken to find a policy or an SA, and
// nothing is allocated for a packet.
package plane

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

// Device is what the plane takes packets from and gives them to: package tun has
// the real one. Read fills sizes[i] octets of bufs[i] from offset on and returns how
// many; what is larger than its buffer may be cut, and size tells. Write takes the
// packets bufs[i][offset:]; it may use the 10 octets before them, and the capacity
// behind them. Neither is called with more than BatchSize buffers. After Close, Read
// returns os.ErrClosed. A method MTU() int, if there is one, tells the size of the
// largest packet; it is 1500 otherwise.
type Device interface {
	Read(bufs [][]byte, sizes []int, offset int) (int, error)
	Write(bufs [][]byte, offset int) (int, error)
	BatchSize() int
	Close() error
}

// Carrier sends ESP packets to peers, in their order. The packets and what they
// hold are the caller's again when it returns. A packet that fails does not keep
// back the others; the first failure comes back as a *udp.PacketError, which wraps
// EMSGSIZE when the packet does not fit the path.
type Carrier interface {
	// WriteUDP sends ESP in UDP from port 4500 (RFC 3948), and NAT keepalives.
	WriteUDP(ps []udp.Packet) error
	// WriteRaw sends ESP as IP protocol 50. Ports have no meaning.
	WriteRaw(ps []udp.Packet) error
}

// Config is what a Plane needs.
type Config struct {
	Device  Device
	Carrier Carrier
	Network Network // nil: nobody leads packets into the device
	// MTU tells the MTU of the path to an outer address, nil: 1500. It is asked when an
	// SA comes or moves, and when a packet did not fit; from any goroutine.
	MTU func(dst netip.Addr) int
	// Workers is how many goroutines seal, and how many open. 0: half of the CPUs. With
	// one, whoever reads packets works on them.
	Workers int
	Warn    func(text string) // gets lines for the log; may be nil
	Rand    io.Reader         // nil: crypto/rand
}

// Plane is the data plane. Its methods are safe for concurrent use.
type Plane struct {
	cfg   Config
	rand  io.Reader
	start time.Time
	batch int // packets that the device takes at a time
	slot  int // octets of the largest packet that buffers hold

	out, in *spd
	inBySPI *table[uint32, []*inSA]
	secret  [32]byte // of the fingerprints of keys

	applying sync.Mutex // held by Apply; taken before mu
	routes   routes
	mu       sync.Mutex // guards what follows, and changes of the tables
	closed   bool
	inByID   map[esp.SAID]*inSA
	outByID  map[esp.SAID]*outSA
	bundles  map[uint32]*bundle
	asking   map[string]*acquire
	peers    map[netip.Addr]*peer
	mappings map[flowOut]*mapping
	larval   larvae
	estate   map[esp.SAID]*esp.Held // of the process before, see Inherit

	larvalTimer *timer
	estateTimer *timer
	timers      *timers
	notices     *notices
	count       counters
	held        atomic.Int64 // packets that wait for an SA
	warned      atomic.Bool  // of a device that cannot be read

	outLine *line[*outBatch]
	outPool *pool[*outBatch]
	inLine  *line[*inBatch]
	inPool  *pool[*inBatch]
	outlet  *outlet

	receiving sync.RWMutex // held by Receive; Close waits for it
	shut      bool         // guarded by receiving
	done      chan struct{}
	wg        sync.WaitGroup
}

// New makes a plane and starts it. The device is the plane's from now on: Close
// closes it.
func New(cfg Config) (*Plane, error) {
	if cfg.Device == nil || cfg.Carrier == nil {
		return nil, errors.New("a data plane needs a device and a carrier")
	}
	p := &Plane{
		cfg: cfg, rand: cfg.Rand, start: time.Now(), batch: max(cfg.Device.BatchSize(), 1), slot: slotFor(cfg.Device),
		inByID: make(map[esp.SAID]*inSA), outByID: make(map[esp.SAID]*outSA), bundles: make(map[uint32]*bundle),
		asking: make(map[string]*acquire), peers: make(map[netip.Addr]*peer), mappings: make(map[flowOut]*mapping),
		notices: newNotices(), done: make(chan struct{}),
	}
	if p.rand == nil {
		p.rand = rand.Reader
	}
	if err := p.seeds(); err != nil {
		return nil, err
	}
	p.timers = newTimers(p.now)
	p.larvalTimer = newTimer(p.expireLarval)
	p.estateTimer = newTimer(p.expireEstate)
	p.outlet = newOutlet(p.batch)
	p.lines()
	p.wg.Go(p.read)
	p.wg.Go(func() { p.timers.run(p.done) })
	return p, nil
}

// leastSlot is the least size of the buffers for packets.
const leastSlot = 2048

func slotFor(d Device) int {
	n := leastSlot
	if m, ok := d.(interface{ MTU() int }); ok {
		n = max(n, min(m.MTU(), 0xffff))
	}
	return n
}

// seeds draws the secrets of the tables.
func (p *Plane) seeds() error {
	var b [24]byte
	for _, part := range [][]byte{b[:], p.secret[:]} {
		if _, err := io.ReadFull(p.rand, part); err != nil {
			return fmt.Errorf("random numbers for the data plane: %w", err)
		}
	}
	p.out, p.in = newSPD(seedOf(b[:8])), newSPD(seedOf(b[8:16]))
	seed := seedOf(b[16:])
	hash := func(spi uint32) uint64 { return mix(seed, uint64(spi)) }
	p.inBySPI = newTable[uint32, []*inSA](hash)
	p.larval.bySPI, p.larval.early = make(map[uint32]larva), newTable[uint32, *early](hash)
	return nil
}

// Batches beyond those in the lines: for the reader, for packets that were held, and
// for as many goroutines that call Receive as there are sockets.
const spareBatches = 4

func (p *Plane) lines() {
	workers := p.cfg.Workers
	if workers <= 0 {
		workers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	depth := 4 * workers
	if workers == 1 {
		depth = 0
	}
	n := depth + spareBatches
	p.outPool, p.inPool = newPool(n, p.newOutBatch), newPool(n, p.newInBatch)
	p.outLine = newLine(workers, n, p.seal, p.send, p.recycleOut)
	p.inLine = newLine(workers, n, p.open, p.deliver, p.recycleIn)
}

// now is the time since the plane was made, in nanoseconds and never 0.
func (p *Plane) now() int64 { return int64(time.Since(p.start)) + 1 }

func (p *Plane) warn(text string) {
	if p.cfg.Warn != nil {
		p.cfg.Warn(text)
	}
}

// Close stops everything, drops what is under way, closes the device and zeroes all
// keys. Routes stay: packets for protected networks then have no way out.
func (p *Plane) Close() error {
	_, err := p.end(false)
	return err
}

// end ends the plane, and describes its SAs if it is asked to.
func (p *Plane) end(handOver bool) ([]esp.Held, error) {
	if !p.beginClose() {
		return nil, nil
	}
	err := p.cfg.Device.Close()
	p.receiving.Lock()
	p.shut = true
	p.receiving.Unlock()
	p.wg.Wait()
	p.outLine.close()
	p.inLine.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	var held []esp.Held
	if handOver {
		held = p.describe()
	}
	p.forget()
	return held, err
}

// beginClose is false when somebody else closes the plane.
func (p *Plane) beginClose() bool {
	p.applying.Lock()
	defer p.applying.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.closed = true
	close(p.done)
	close(p.notices.closed)
	return true
}

// forget removes all SAs.
func (p *Plane) forget() {
	for id, s := range p.outByID {
		delete(p.outByID, id)
		p.removeOut(s)
	}
	for id, s := range p.inByID {
		delete(p.inByID, id)
		p.swapIn(id.SPI, s, nil)
		p.removeIn(s)
	}
	p.disinherit()
}
