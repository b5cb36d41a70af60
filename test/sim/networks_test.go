package sim

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goike/goike/conf"
)

var (
	oneSeed = flag.Uint64("seed", 0, "the only seed of TestNetworks")
	first   = flag.Uint64("first", 1, "the first seed of TestNetworks")
	count   = flag.Uint64("count", seedsOfCI, "how many seeds TestNetworks draws")
	soak    = flag.Duration("soak", 0, "how long TestNetworks draws seeds")
)

// How much a seed may take: a virtual day, or fewer when lifetimes of seconds make its
// messages many. The last part of it is calm.
const (
	calmTime    = 4 * time.Hour
	maxMessages = 2500             // of a hasty network
	slice       = 10 * time.Minute // after which the bounds are looked at
	maxSteps    = 100000           // in that time; more is a loop
)

// A run makes much garbage, and keeps little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// limitOfCI is how long TestNetworks takes at most where nobody has said how long. Two
// CPUs that do nothing else have done all seeds before.
const limitOfCI = 170 * time.Second

// simulate runs one seed and tells how many tunnel-days it had, and what was wrong.
func simulate(n *Network) (days float64, err error) {
	if err = n.storm(); err == nil {
		err = n.settle()
	}
	if err == nil {
		err = n.rest()
	}
	days = n.Now().Sub(0).Hours() / 24 * float64(len(n.Pairs))
	if err == nil {
		err = n.takeDown()
	}
	return days, err
}

// pass lets time go by, unless there are too many messages, or something is wrong.
func (n *Network) pass(d time.Duration, messages int) error {
	broken := func() bool { return n.breach != nil }
	for end, most := n.now.Add(d), n.sent+messages; n.now < end && (n.sent < most || !n.temper.hasty) && !broken(); {
		before := n.steps
		n.Run(min(slice, end.Sub(n.now)), broken)
		if n.steps-before > maxSteps {
			return fmt.Errorf("%d steps in %s", n.steps-before, slice)
		}
		for _, x := range n.Nodes {
			if err := x.bounded(); err != nil {
				return err
			}
		}
		for _, p := range n.Pairs {
			n.look(p)
		}
	}
	return n.breach
}

// storm is the time in which the network has its impairments.
func (n *Network) storm() error { return n.pass(day-calmTime-time.Hour, maxMessages*4/5) }

// settle waits until all is well after the network has healed.
func (n *Network) settle() error {
	n.Heal()
	for end := n.now.Add(n.healTime()); n.now < end && n.breach == nil; n.Rest(20 * time.Second) {
		if n.healed() == nil {
			return nil
		}
	}
	if n.breach != nil {
		return n.breach
	}
	for range 600 { // it need not be at rest at any one moment
		if n.healed() == nil {
			return nil
		}
		n.Rest(500 * time.Millisecond)
	}
	return fmt.Errorf("%s after the network has healed: %w", n.healTime(), n.healed())
}

// rest is the time in which the network is well, and no packet is lost.
func (n *Network) rest() error {
	n.calm = true
	err := n.pass(max(calmTime, day-n.now.Sub(0)), maxMessages/5)
	n.calm = false
	for range 600 {
		if err != nil || n.healed() == nil {
			return err
		}
		n.Rest(500 * time.Millisecond)
	}
	return fmt.Errorf("in a network that is well: %w", n.healed())
}

// takeDown takes all connections out of all configurations; nothing is left then.
func (n *Network) takeDown() error {
	for _, p := range n.Pairs {
		p.needs = false
	}
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
		s += fmt.Sprintf("\n%s: %s %+v\n%s %+v\n%s\n", p.ca.Name, p.a.Name, brief(p.ca), p.b.Name, brief(p.cb), n.Ladder(p.ca.Name, p.a.addr, p.b.addr, 60))
	}
	return s
}

func brief(c *conf.Connection) string {
	return fmt.Sprintf("behavior %d, lifetime %s/%s, margin %s, rekey %v, reauthenticate %v, tries %d, dpd %d after %s", c.Behavior, c.Lifetime, c.Children[0].Lifetime,
		c.Margin, c.Rekey, c.Reauthenticate, c.KeyingTries, c.DPDAction, c.DPDDelay)
}

// tally is what came of many seeds.
type tally struct {
	sync.Mutex
	days            float64
	seeds           int
	messages, pings int
	impaired        map[string]int
	failures        []string
}

func (y *tally) add(seed uint64, n *Network, days float64, err error) {
	y.Lock()
	defer y.Unlock()
	y.days += days
	y.seeds++
	y.messages += n.sent
	y.pings += n.pings
	for _, name := range n.Impair {
		y.impaired[name]++
	}
	if err != nil {
		y.failures = append(y.failures, failing(seed, n, err))
	}
}

func (y *tally) failed() int {
	y.Lock()
	defer y.Unlock()
	return len(y.failures)
}

// seeds simulates one seed after another, on all CPUs, while more wants to and few have
// failed.
func seeds(first uint64, more func(done uint64) bool) *tally {
	y := &tally{impaired: make(map[string]int)}
	var next atomic.Uint64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				i := next.Add(1) - 1
				if !more(i) || y.failed() >= 5 {
					return
				}
				n := Draw(first + i)
				days, err := simulate(n)
				y.add(first+i, n, days, err)
			}
		})
	}
	all.Wait()
	return y
}

// Networks of every kind, with every kind of fault.
func TestNetworks(t *testing.T) {
	if *oneSeed != 0 {
		n := Draw(*oneSeed)
		n.Quiet = !testing.Verbose()
		if _, err := simulate(n); err != nil {
			t.Error(failing(*oneSeed, n, err))
		}
		t.Log(strings.Join(n.Trace, "\n"))
		return
	}
	begun, from, limit := time.Now(), *first, limitOfCI
	more := func(done uint64) bool { return done < *count && time.Since(begun) < limit }
	if *soak > 0 {
		limit = *soak
		more = func(uint64) bool { return time.Since(begun) < limit }
		if from == 1 { // others than the last time
			from = uint64(begun.Unix()) << 20
		}
	}
	y := seeds(from, more)
	for _, f := range y.failures {
		t.Error(f)
	}
	t.Logf("%d seeds from %d, %.0f tunnel-days, in %s, %d messages, %d packets through, impaired by %v",
		y.seeds, from, y.days, time.Since(begun).Round(time.Second), y.messages, y.pings, y.impaired)
}

// Every impairment by itself; it makes a difference.
func TestImpairments(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(Impairments)) {
		t.Run(name, func(t *testing.T) {
			acted := name == "nothing" || name == "nat filter" // where nothing else happens all comes from where it is awaited
			for seed := uint64(1000); seed < 1003 || !acted && seed < 1060; seed++ {
				n, same := DrawWith(seed, name), DrawWith(seed, "nothing")
				for _, x := range []*Network{n, same} {
					if _, err := simulate(x); err != nil {
						t.Error(failing(seed, x, err))
					}
				}
				acted = acted || n.happened() != same.happened()
			}
			if !acted {
				t.Error("nothing has come of it")
			}
		})
	}
}

// happened counts what has happened.
func (n *Network) happened() int {
	c := n.sent + int(n.count)
	n.eachNAT(func(x *node) { c += int(n.nats[x.addr].last) })
	return c
}

// A failing seed draws a ladder and tells how it is replayed, and gives the same again.
func TestFailureReplays(t *testing.T) {
	const seed = 12
	fail := func() string {
		n := Draw(seed)
		n.After(10*time.Hour, func() { n.violated("test") })
		_, err := simulate(n)
		if err == nil {
			t.Fatal("no failure")
		}
		return failing(seed, n, err)
	}
	first := fail()
	for _, want := range []string{"seed 12: test", "replay: go test ./test/sim -run TestNetworks -seed 12\n", "-->|", "request", "response", "replaced"} {
		if !strings.Contains(first, want) {
			t.Errorf("without %q:\n%s", want, first)
		}
	}
	if again := fail(); again != first {
		t.Errorf("another run:\n%s\n%s", first, again)
	}
}
