package sim

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goike/goike/conf"
)

var (
	oneSeed = flag.Uint64("seed", 0, "the only seed of TestNetworks")
	soak    = flag.Duration("soak", 0, "how long TestNetworks draws seeds")
)

// How much a seed may take: a virtual day, or fewer when lifetimes of seconds make its
// messages many.
const (
	day         = 24 * time.Hour
	maxMessages = 2000
	slice       = 10 * time.Minute // after which the bounds are looked at
)

// healTime is within what a tunnel is up after the network has healed. The longest way:
// a peer that lost its state is found out by a liveness check (dpd_delay, at most 10
// minutes) and its 165 s of retransmission; the try under way may have another 165 s to
// go, and the next one begins after the longest pause between tries, 5 minutes and a
// quarter, and takes 165 s where it meets a half-open IKE SA. Where the two ends take
// one another's tries for their own this may come twice. A daemon that is down comes up
// within an hour.
const healTime = time.Hour + 2*(10*time.Minute+3*165*time.Second+375*time.Second)

// simulate runs one seed and tells how many tunnel-days it had, and what was wrong.
func simulate(n *Network) (days float64, err error) {
	for n.Now().Sub(0) < day && n.sent < maxMessages && n.breach == nil {
		n.Run(slice, func() bool { return n.breach != nil })
		for _, x := range n.Nodes {
			if err := x.bounded(); err != nil {
				return 0, err
			}
		}
	}
	n.Heal()
	var last error
	ok := n.Run(healTime, func() bool { return n.breach != nil })
	until := n.Now().Add(5 * time.Minute) // it need not be at rest at any one moment
	for !ok && n.Now() < until {
		if last = n.healed(); last == nil {
			break
		}
		n.Rest(500 * time.Millisecond)
	}
	days = n.Now().Sub(0).Hours() / 24 * float64(len(n.Pairs))
	if n.breach != nil {
		return days, n.breach
	}
	if last != nil {
		return days, fmt.Errorf("%s after the network has healed: %w", healTime, last)
	}
	if err := n.flows(calmTime); err != nil {
		return days, err
	}
	return days, n.takeDown()
}

// calmTime is how long no packet is lost in a network that is well.
const calmTime = 30 * time.Minute

// flows looks at every moment whether a packet would come through.
func (n *Network) flows(d time.Duration) error {
	var lost error
	n.Run(d, func() bool {
		for _, p := range n.Pairs {
			if !p.steady() {
				continue
			}
			if lost = Carries(p.a.Host, p.b.Host, p.flow); lost == nil {
				lost = Carries(p.b.Host, p.a.Host, back(p.flow))
			}
			if lost != nil {
				lost = fmt.Errorf("a packet is lost in a network that is well: %w", lost)
				return true
			}
		}
		return n.breach != nil
	})
	if lost == nil {
		lost = n.breach
	}
	return lost
}

// takeDown takes all connections out of all configurations; nothing is left then.
func (n *Network) takeDown() error {
	for _, x := range n.Nodes {
		x.guarded = nil
		x.Configure(conf.Default())
	}
	n.Rest(10 * time.Minute)
	for _, x := range n.Nodes {
		if err := x.gone(); err != nil {
			return fmt.Errorf("when all was taken down: %w", err)
		}
	}
	return n.breach
}

func failing(seed uint64, n *Network, err error) string {
	s := fmt.Sprintf("seed %d: %v\n%d hosts, impaired by %q\nreplay: go test ./test/sim -run TestNetworks -seed %d\n", seed, err, len(n.Nodes), n.Impair, seed)
	for _, p := range n.Pairs {
		if n.breach == nil && p.agrees() == nil && len(n.Pairs) > 1 {
			continue
		}
		s += fmt.Sprintf("\n%s: %s %+v\n%s %+v\n%s\n", p.ca.Name, p.a.Name, brief(p.ca), p.b.Name, brief(p.cb), n.Ladder(p.a.Addr, p.b.Addr, 60))
	}
	return s
}

func brief(c *conf.Connection) string {
	return fmt.Sprintf("behavior %d, lifetime %s/%s, margin %s, rekey %v, reauthenticate %v, tries %d, dpd %d after %s", c.Behavior, c.Lifetime, c.Children[0].Lifetime,
		c.Margin, c.Rekey, c.Reauthenticate, c.KeyingTries, c.DPDAction, c.DPDDelay)
}

// Networks of every kind, with every kind of fault.
func TestNetworks(t *testing.T) {
	if *oneSeed != 0 {
		n := Draw(*oneSeed)
		if _, err := simulate(n); err != nil {
			t.Error(failing(*oneSeed, n, err))
		}
		return
	}
	limit := 20 * time.Second
	if *soak > 0 {
		limit = *soak
	}
	begun := time.Now()
	var next, messages, pings atomic.Int64
	var lock sync.Mutex
	days, failures := 0.0, 0
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for time.Since(begun) < limit {
				seed := uint64(next.Add(1))
				n := Draw(seed)
				d, err := simulate(n)
				messages.Add(int64(n.sent))
				pings.Add(int64(n.pings))
				lock.Lock()
				days += d
				if err != nil {
					if failures++; failures <= 5 {
						t.Error(failing(seed, n, err))
					}
				}
				lock.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("%d seeds, %.0f tunnel-days, %d messages, %d packets through, %d failures", next.Load(), days, messages.Load(), pings.Load(), failures)
}

// Every impairment by itself.
func TestImpairments(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(Impairments)) {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				n := DrawWith(1000+seed, name)
				if _, err := simulate(n); err != nil {
					t.Error(failing(seed, n, err))
				}
			}
		})
	}
}
