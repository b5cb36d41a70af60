package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
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
	stormy bool
	hasty  bool // lifetimes may be as short as seconds
	pings  int  // packets that came through
}

// node is a place where a daemon runs; after a crash another one.
type node struct {
	*Host
	conf *conf.Config
	nat  bool
}

// pairing is two nodes with a connection between them.
type pairing struct {
	a, b   *node
	ca, cb *conf.Connection
	flow   esp.Flow      // from a to b
	ping   time.Duration // between packets, 0: none
	hops   [2]int        // packets through, by direction
	needs  bool          // to be up always
}

// Draw makes the network of a seed, with the impairments that it draws.
func Draw(seed uint64) *Network { return DrawWith(seed) }

// DrawWith makes the network of a seed with these impairments.
func DrawWith(seed uint64, impairments ...string) *Network {
	n := &Network{World: New(seed, Faults{Delay: 10 * time.Millisecond, Jitter: 20 * time.Millisecond}), stormy: true}
	n.Quiet = true
	n.rng = rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a simulation
	n.hasty = n.chance(0.25)
	count := 2 + n.rng.IntN(4)
	for i := range count {
		n.Nodes = append(n.Nodes, &node{conf: n.config(), nat: i > 0 && n.chance(0.2)})
	}
	n.topology()
	for i, x := range n.Nodes {
		n.boot(x, i)
		if x.nat {
			n.NAT(x.Addr, netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)}))
		}
	}
	if n.Impair = impairments; len(impairments) == 0 {
		n.Impair = n.pick()
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

func (n *Network) boot(x *node, i int) {
	addr := address(i)
	x.Host = n.Host(fmt.Sprint("host", i), addr, x.conf)
	n.guard(x)
}

func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}) }

// guard notes which packets a node is never to send in the clear: those of connections
// that have policies while they are down.
func (n *Network) guard(x *node) {
	h := x.Host
	h.guarded = nil
	n.After(time.Second+h.Lag, func() {
		for _, p := range n.Pairs {
			for _, f := range []esp.Flow{p.flow, back(p.flow)} {
				if x.Host == h && (f == p.flow) == (x == p.a) && x.traps(p) {
					h.guarded = append(h.guarded, f)
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
	return configured && (x == p.a || x == p.b) && !c.Gateway.Any
}

func back(f esp.Flow) esp.Flow {
	f.Src, f.Dst, f.SrcPort, f.DstPort = f.Dst, f.Src, f.DstPort, f.SrcPort
	return f
}

// topology draws who speaks with whom: everybody with the first, with the next, or with
// everybody.
func (n *Network) topology() {
	kind := n.rng.IntN(3)
	for i := range n.Nodes {
		for j := range i {
			if kind == 0 && j == 0 || kind == 1 && j == i-1 || kind == 2 {
				n.pair(j, i)
			}
		}
	}
}

func (n *Network) config() *conf.Config {
	c := conf.Default()
	c.MakeBeforeBreak = n.chance(0.5)
	return c
}

// between draws a duration of which every order of magnitude is as likely.
func (n *Network) between(lo, hi time.Duration) time.Duration {
	return time.Duration(float64(lo) * math.Pow(float64(hi)/float64(lo), n.rng.Float64())).Round(time.Second)
}

func (n *Network) chance(p float64) bool { return n.rng.Float64() < p }

func oneOf[T any](n *Network, all ...T) T { return all[n.rng.IntN(len(all))] }

func mustPropose(p crypto.Proto, word string) []crypto.Proposal {
	got, err := crypto.ParseProposal(p, word)
	if err != nil {
		panic(err) // a constant of this package
	}
	return []crypto.Proposal{got}
}

func (n *Network) pair(i, j int) {
	a, b := n.Nodes[i], n.Nodes[j]
	if a.nat && b.nat {
		b.nat = false
	}
	behavior := oneOf(n, [2]conf.Behavior{conf.Start, conf.ResponderOnly}, [2]conf.Behavior{conf.ResponderOnly, conf.Start},
		[2]conf.Behavior{conf.Start, conf.Start}, [2]conf.Behavior{conf.OnDemand, conf.ResponderOnly}, [2]conf.Behavior{conf.OnDemand, conf.Start}, [2]conf.Behavior{conf.OnDemand, conf.OnDemand})
	switch {
	case a.nat:
		behavior = [2]conf.Behavior{oneOf(n, conf.Start, conf.OnDemand), conf.ResponderOnly}
	case b.nat:
		behavior = [2]conf.Behavior{conf.ResponderOnly, oneOf(n, conf.Start, conf.OnDemand)}
	}
	name := fmt.Sprintf("%d-%d", i, j)
	p := &pairing{a: a, b: b, ping: oneOf(n, 0, 20*time.Second, time.Minute, 10*time.Minute)}
	p.flow = esp.Flow{Src: inner(i, j), Dst: inner(j, i), Proto: 6, SrcPort: 40000, DstPort: 443}
	ikeSuite := oneOf(n, "aes256gcm16-prfsha256-curve25519", "aes128-sha256-curve25519")
	espSuite := oneOf(n, "aes256gcm16", "aes256gcm16-curve25519", "aes128-sha256")
	life, childLife := n.between(time.Hour, 8*time.Hour), n.between(time.Hour, 4*time.Hour)
	if n.hasty {
		life, childLife = n.between(time.Minute, 8*time.Hour), n.between(20*time.Second, 4*time.Hour)
	}
	reauth, mobike := n.chance(0.15), n.chance(0.5)
	connection := func(mine, other int, b conf.Behavior, peerNAT bool) *conf.Connection {
		c := conf.DefaultConnection()
		c.Name, c.Version, c.PSK = name, conf.IKEv2, crypto.Secret("of "+name)
		c.Gateway = conf.Gateway{Prefix: netip.PrefixFrom(address(other), 32)}
		if peerNAT {
			c.Gateway = conf.Gateway{Any: true}
		}
		c.Local.ID, c.Remote.ID = fqdn(mine), fqdn(other)
		c.Proposals = mustPropose(crypto.IKE, ikeSuite)
		c.Behavior, c.MOBIKE, c.Reauthenticate = b, mobike, reauth
		c.Lifetime, c.Rekey = life+n.between(time.Second, life), n.chance(0.85)
		c.Margin = min(c.Lifetime, childLife) / 6
		c.KeyingTries = oneOf(n, 0, 0, 3)
		c.DPDAction, c.DPDDelay = oneOf(n, conf.DPDRestart, conf.DPDRestart, conf.DPDHold, conf.DPDClear), oneOf(n, 30*time.Second, 5*time.Minute, 10*time.Minute, 10*time.Minute)
		c.FragmentSize = oneOf(n, 1280, 576, 300)
		k := conf.DefaultChild()
		k.Name, k.Lifetime, k.Proposals = "lan", childLife, mustPropose(crypto.ESP, espSuite)
		k.Local, k.Remote = network(mine, other), network(other, mine)
		c.Children = []*conf.Child{k}
		return c
	}
	p.ca, p.cb = connection(i, j, behavior[0], b.nat), connection(j, i, behavior[1], a.nat)
	a.conf.Connections, b.conf.Connections = append(a.conf.Connections, p.ca), append(b.conf.Connections, p.cb)
	for _, c := range []*conf.Connection{p.ca, p.cb} {
		p.needs = p.needs || c.Behavior == conf.Start && c.KeyingTries == 0 && c.DPDAction == conf.DPDRestart ||
			c.Behavior == conf.OnDemand && p.ping > 0 && p.ping <= time.Minute
	}
	n.Pairs = append(n.Pairs, p)
}

func inner(i, j int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i), byte(j), 10}) }

func fqdn(i int) id.ID { return id.ID{Kind: id.FQDN, Data: fmt.Sprintf("host%d.example", i)} }

func network(i, j int) []conf.Selector {
	return []conf.Selector{{First: netip.AddrFrom4([4]byte{10, byte(i), byte(j), 0}), Last: netip.AddrFrom4([4]byte{10, byte(i), byte(j), 255}), PortLast: 65535}}
}

// pinging sends packets both ways from time to time.
func (n *Network) pinging(p *pairing) {
	n.send2(p)
	n.After(p.ping, func() { n.pinging(p) })
}

// send2 sends a packet each way.
func (n *Network) send2(p *pairing) {
	p.hops[0] += n.packet(p.a, p.b, p.flow)
	p.hops[1] += n.packet(p.b, p.a, back(p.flow))
}

// packet sends one; it gives 1 when it comes through. Without an SA the policy asks.
func (n *Network) packet(from, to *node, f esp.Flow) int {
	if from.dead || to.dead {
		return 0
	}
	out, protected, found := from.Plane.Outbound(f)
	if !found {
		return 0
	}
	if !protected {
		from.Acquire(from.Plane.policy(f).Name, esp.Selector{Src: netip.PrefixFrom(f.Src, 32), Dst: netip.PrefixFrom(f.Dst, 32), Proto: f.Proto,
			SrcPorts: esp.PortRange{First: f.SrcPort, Last: f.SrcPort}, DstPorts: esp.PortRange{First: f.DstPort, Last: f.DstPort}})
		return 0
	}
	if l := n.way(from.Addr, to.Addr); l.Cut || n.chance(l.Faults.Loss) {
		return 0
	}
	for _, in := range to.Plane.SAs(esp.In) {
		if in.ID.SPI == out.ID.SPI && sameSA(out, in) == nil {
			to.Plane.Carried(to.now(), in.ID)
			n.pings++
			return 1
		}
	}
	return 0
}

// replace crashes a node; another daemon starts in its place after a time.
func (n *Network) replace(x *node, after time.Duration) {
	if x.dead {
		return
	}
	x.Die()
	i := slices.Index(n.Nodes, x)
	n.After(after, func() { n.boot(x, i) })
}

// reload gives a node its configuration.
func (n *Network) reload(x *node) {
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
	n.Faults = Faults{Delay: 10 * time.Millisecond, Jitter: 20 * time.Millisecond}
	clear(n.links)
	n.Drop = nil
	for _, x := range n.Nodes {
		x.Lag = 0
	}
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

// steady tells whether the tunnel is replaced before its end, without a gap, by both ends.
func (p *pairing) steady() bool { return p.needs && p.ca.Rekey && p.cb.Rekey && !p.ca.Reauthenticate }

// agrees is nil when both ends have the same: one IKE SA and one child, or nothing where
// the tunnel may be down.
func (p *pairing) agrees() error {
	a, b := p.a.of(p.ca.Name), p.b.of(p.cb.Name)
	if len(a) == 0 && len(b) == 0 && !p.needs {
		return nil
	}
	switch {
	case len(a) != 1 || len(b) != 1:
		return fmt.Errorf("%s: %d IKE SAs at %s, %d at %s", p.ca.Name, len(a), p.a.Name, len(b), p.b.Name)
	case a[0].SPIi != b[0].SPIi || a[0].SPIr != b[0].SPIr:
		return fmt.Errorf("%s: different IKE SAs", p.ca.Name)
	case len(a[0].Children) != len(b[0].Children) || len(a[0].Children) > 1 || p.needs && len(a[0].Children) == 0:
		return fmt.Errorf("%s: %d children at %s, %d at %s", p.ca.Name, len(a[0].Children), p.a.Name, len(b[0].Children), p.b.Name)
	case len(a[0].Children) == 0:
		return nil
	}
	if err := Carries(p.a.Host, p.b.Host, p.flow); err != nil {
		return err
	}
	return Carries(p.b.Host, p.a.Host, back(p.flow))
}

func (x *node) of(conn string) []ike.Status {
	return slices.DeleteFunc(x.Shard.Statuses(), func(s ike.Status) bool { return s.Conn != conn })
}
