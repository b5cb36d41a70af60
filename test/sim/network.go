package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// Network is a world of two to five daemons, with tunnels between them, drawn from a
// seed.
type Network struct {
	*World
	Nodes  []*node
	Pairs  []*pairing
	Impair []string // the impairments, by name

	rng    *rand.Rand
	temper temper
	stormy bool
	calm   bool // it has healed, and no packet is lost any more
	gentle bool // no impairment takes a tunnel down
	pings  int  // packets that came through
}

// temper is how much happens in a network.
type temper struct {
	hasty    bool // lifetimes may be as short as seconds
	together bool // both ends replace what they have at the same moment
	slowest  time.Duration
}

// node is a place where a daemon runs; after a crash another one.
type node struct {
	*Host
	conf  *conf.Config
	nat   bool
	roams bool // its address changes
	addr  netip.Addr
	loads int // how often it was given its configuration
}

// pairing is two nodes with a connection between them.
type pairing struct {
	a, b   *node
	ca, cb *conf.Connection
	flows  []esp.Flow    // from a to b, one for each child
	ping   time.Duration // between packets, 0: none
	needs  bool          // to be up always
	gap    time.Duration // for which it may be down in a network that is well
	dark   darkness
}

// Draw makes the network of a seed, with the impairments that it draws.
func Draw(seed uint64) *Network { return DrawWith(seed) }

// DrawWith makes the network of a seed with these impairments.
func DrawWith(seed uint64, impairments ...string) *Network {
	n := &Network{World: New(seed, Faults{Delay: 10 * time.Millisecond, Jitter: 20 * time.Millisecond}), stormy: true}
	n.Quiet = true
	n.rng = rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a simulation
	n.Changing, n.Changed = n.changing, n.changed
	if n.Impair = n.pick(); len(impairments) > 0 {
		n.Impair = impairments
	}
	n.temper = temper{hasty: n.chance(0.04), together: n.chance(0.4)}
	n.nodes(2 + n.rng.IntN(4))
	n.topology()
	n.Keep = slices.Contains(n.Impair, "takeover")
	n.gentle = !n.temper.hasty && !slices.ContainsFunc(n.Impair, func(name string) bool { return !harmless[name] })
	for i, x := range n.Nodes {
		n.boot(x)
		if x.nat {
			n.NAT(x.Addr, netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)}))
		}
	}
	for _, name := range n.Impair {
		Impairments[name](n)
	}
	for _, p := range n.Pairs {
		if p.ping > 0 {
			n.pinging(p)
		}
	}
	return n
}

func (n *Network) boot(x *node) {
	was := x.Host
	x.Host = n.Host(fmt.Sprint("host", x.addr.As4()[3]-1), x.addr, x.conf)
	if was != nil { // it is the same machine
		x.Lag, x.Busy, x.Drift = was.Lag, was.Busy, was.Drift
	}
	n.guard(x)
}

// slowest is the longest lag of a data plane.
const slowest = 5 * time.Second

func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}) }

// guard notes which packets a node is never to send in the clear: those of connections
// that have policies while they are down.
func (n *Network) guard(x *node) {
	h := x.Host
	h.guarded = nil
	x.loads++
	loads := x.loads
	n.After(time.Second+2*slowest, func() {
		if x.loads != loads {
			return
		}
		for _, p := range n.Pairs {
			for _, f := range p.flows {
				if x == p.b {
					f = back(f)
				}
				if !x.traps(p) {
					continue
				}
				if h.guarded = append(h.guarded, f); h.Plane.policy(f) == nil {
					n.violated("%s has no policy for %v > %v, which leaves in the clear", h.Name, f.Src, f.Dst)
				}
			}
		}
	})
}

func (x *node) traps(p *pairing) bool {
	c := p.ca
	if x == p.b {
		c = p.cb
	}
	_, configured := x.conf.Connection(c.Name)
	return configured && (x == p.a || x == p.b) && !c.Gateways.Any()
}

func back(f esp.Flow) esp.Flow {
	f.Src, f.Dst, f.SrcPort, f.DstPort = f.Dst, f.Src, f.DstPort, f.SrcPort
	return f
}

// between draws a duration of which every order of magnitude is as likely.
func (n *Network) between(lo, hi time.Duration) time.Duration {
	return time.Duration(float64(lo) * math.Pow(float64(hi)/float64(lo), n.rng.Float64())).Round(time.Second)
}

func (n *Network) chance(p float64) bool { return n.rng.Float64() < p }

func oneOf[T any](n *Network, all ...T) T { return all[n.rng.IntN(len(all))] }

// pinging sends packets both ways from time to time.
func (n *Network) pinging(p *pairing) {
	for _, f := range p.flows {
		p.a.Ping(f, n.fate)
		p.b.Ping(back(f), n.fate)
	}
	n.After(p.ping, func() { n.pinging(p) })
}

func (n *Network) fate(p *probe) {
	if p.seen == arrived {
		n.pings++
	}
}

// replace crashes a node; another daemon starts in its place after a time.
func (n *Network) replace(x *node, after time.Duration) {
	if x.dead {
		return
	}
	x.Die()
	n.After(after, func() { n.boot(x); n.disturb(x) })
}

// succeed lets a node's daemon die, at any moment, and another one carry on.
func (n *Network) succeed(x *node, after time.Duration) {
	if x.dead {
		return
	}
	x.Die()
	n.After(after, func() {
		x.dead = false
		x.Restart(x.conf)
		n.guard(x)
	})
}

// reload gives a node its configuration.
func (n *Network) reload(x *node) {
	n.disturb(x)
	if x.dead {
		return
	}
	x.guarded = nil
	x.Configure(x.conf)
	n.guard(x)
}

// Heal ends all faults. Daemons that are down come up.
func (n *Network) Heal() {
	n.stormy = false
	n.disturbAll()
	n.Faults = Faults{Delay: 10 * time.Millisecond, Jitter: 20 * time.Millisecond}
	clear(n.links)
	n.Drop = nil
	for _, x := range n.Nodes {
		x.Lag, x.Busy = 0, 0
	}
	n.eachNAT(func(x *node) {
		if y := n.nats[x.addr]; y.expiry > 0 {
			y.expiry = max(y.expiry, 2*keepalive)
		}
	})
}

// healed is nil when every tunnel that is to be up is up, both ends of every pair agree,
// and nothing is under way.
func (n *Network) healed() error {
	for _, x := range n.Nodes {
		if x.dead {
			return fmt.Errorf("%s is down", x.Name)
		}
		if err := x.atRest(); err != nil {
			return err
		}
	}
	for _, p := range n.Pairs {
		if err := p.agrees(); err != nil {
			return err
		}
	}
	return nil
}

// agrees is nil when both ends have the same: one IKE SA and all children, or nothing
// where the tunnel may be down.
func (p *pairing) agrees() error {
	a, b := p.a.of(p.ca.Name), p.b.of(p.cb.Name)
	if len(a) == 0 && len(b) == 0 && !p.needs {
		return nil
	}
	most := len(p.flows)
	switch {
	case len(a) != 1 || len(b) != 1:
		return fmt.Errorf("%s: %d IKE SAs at %s, %d at %s", p.ca.Name, len(a), p.a.Name, len(b), p.b.Name)
	case a[0].SPIi != b[0].SPIi || a[0].SPIr != b[0].SPIr:
		return fmt.Errorf("%s: different IKE SAs", p.ca.Name)
	case len(a[0].Children) != len(b[0].Children) || len(a[0].Children) > most || p.needs && len(a[0].Children) < most:
		return fmt.Errorf("%s: %d children at %s, %d at %s", p.ca.Name, len(a[0].Children), p.a.Name, len(b[0].Children), p.b.Name)
	}
	for _, path := range []ike.Path{a[0].Path, b[0].Path} {
		if !p.a.world.reaches(path) {
			return fmt.Errorf("%s: a NAT keeps %s > %s out", p.ca.Name, path.Local, path.Remote)
		}
	}
	if len(a[0].Children) < most {
		return nil
	}
	return p.carries()
}

// carries is nil while packets of all children come through, both ways.
func (p *pairing) carries() error {
	for _, f := range p.flows {
		if err := Carries(p.a.Host, p.b.Host, f); err != nil {
			return err
		}
		if err := Carries(p.b.Host, p.a.Host, back(f)); err != nil {
			return err
		}
	}
	return nil
}

func (x *node) of(conn string) []ike.Status {
	return slices.DeleteFunc(x.Shard.Statuses(), func(s ike.Status) bool { return s.Conn != conn })
}
