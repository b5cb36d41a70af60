package engine

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// check tests what holds after every input.
func (w *world) check() {
	w.t.Helper()
	for _, l := range w.s.links {
		w.checkCounts(l)
		w.checkStage(l)
		if w.s.stopping {
			continue
		}
		for _, name := range append([]string{""}, l.names()...) {
			w.checkNext(l, name)
		}
		if len(l.waiters) > 0 && !l.busy() {
			w.fatal("%s: nobody works for who waits", l.conn.Name)
		}
	}
}

// busy tells whether a link has a next step and a time for it.
func (l *link) busy() bool {
	return l.stage != idle || len(l.asked) > 0 || l.nextTry != ike.Never && l.at != unscheduled && l.due <= l.nextTry
}

// checkNext: what should be up and is not has a next step and a time for it, or it was
// given up, and traffic brings it up.
func (w *world) checkNext(l *link, name string) {
	up := l.up[name] > 0 || name == "" && l.ikes > 0
	should := l.want[name] || l.persistent() && l.has(name) && !l.down[name]
	if !should || up || l.busy() {
		return
	}
	if l.want[name] || !l.given[name] {
		w.fatal("%s/%s: it is to be up, and there is no next step: %+v", l.conn.Name, name, l)
	}
	dependsOn := len(l.children()) > 0 && l.openToClear()
	seeking := l.nextTrap != ike.Never || w.s.tickets[l.ticket] == l
	if c, ok := l.conn.Child(name); ok && l.reqIDs[c.Name] == 0 && (!dependsOn || !seeking) {
		w.fatal("%s/%s: given up, and no traffic can bring it up: %+v", l.conn.Name, name, l)
	}
}

func (w *world) checkStage(l *link) {
	for name, id := range l.asked {
		if sa := w.s.sas[id]; sa == nil || sa.link != l {
			w.fatal("%s/%s is asked of #%d, which is not there", l.conn.Name, name, id)
		}
	}
	switch sa := w.s.sas[l.attempt]; {
	case l.try == 0 && (l.stage != idle || len(l.asked) > 0):
		w.fatal("%s: a try without a number", l.conn.Name)
	case l.stage == locating && w.s.tickets[l.ticket] != l:
		w.fatal("%s: nobody looks for its peer", l.conn.Name)
	case l.stage == connecting && (sa == nil || sa.link != l || sa.up):
		w.fatal("%s: nobody connects", l.conn.Name)
	case l.stage != connecting && l.attempt != 0:
		w.fatal("%s: an attempt that it does not know of", l.conn.Name)
	}
}

func (w *world) checkCounts(l *link) {
	ikes, leaving := 0, 0
	up := make(map[string]int)
	for _, sa := range w.s.sas {
		if sa.link != l {
			continue
		}
		if sa.counts() {
			ikes++
		}
		if sa.leaving {
			leaving++
		}
		for _, c := range sa.children {
			if !sa.ending && !sa.leaving && !c.ending {
				up[c.name]++
			}
		}
	}
	if ikes != l.ikes || leaving != l.leaving || len(up) != len(l.up) {
		w.fatal("%s counts %d IKE SAs, %d leaving, %v; there are %d, %d, %v", l.conn.Name, l.ikes, l.leaving, l.up, ikes, leaving, up)
	}
	for name, n := range up {
		if l.up[name] != n {
			w.fatal("%s/%s counts %d, there are %d", l.conn.Name, name, l.up[name], n)
		}
	}
}

// quiet lets everything that is under way arrive.
func (w *world) quiet() {
	for len(w.mail)+len(w.orders)+len(w.tickets) > 0 || slices.ContainsFunc(w.order, func(id uint64) bool { return w.machines[id].works() }) {
		switch {
		case len(w.mail) > 0:
			r := w.mail[0]
			w.mail = w.mail[1:]
			w.handle(Heard{r})
		case len(w.orders) > 0:
			w.obey()
		case len(w.tickets) > 0:
			w.located()
		default:
			for _, id := range slices.Clone(w.order) {
				if p := w.machines[id]; p != nil && p.works() {
					w.settle(p)
				}
			}
		}
	}
}

func (p *puppet) works() bool {
	return !p.up || p.ending || p.rekeyed || len(p.pending) > 0 || slices.ContainsFunc(p.children, func(c phase2) bool { return c.ending })
}

// A connection that is to be up has at every moment a next step and a time for it,
// whatever happens; and when everything works again, everything is up that should be.
func TestNextStep(t *testing.T) {
	seeds := uint64(500)
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a test
		w := &world{t: t, seed: seed, rng: rng, machines: make(map[uint64]*puppet), open: make(map[uint64]bool)}
		w.s = NewSteward(StewardConfig{Seed: seed, FirstID: 1, StepID: 2}, w)
		w.handle(Load{Config: randomConfig(rng)})
		for range 400 {
			w.move()
		}
		w.heal()
	}
}

// heal ends all troubles and looks at what comes of it.
func (w *world) heal() {
	w.kind = true
	for range 40 {
		w.quiet()
		w.sleep(30 * time.Second)
	}
	w.quiet()
	for _, l := range w.s.links {
		if l.openToClear() {
			w.fatal("%s: its networks are not protected: %+v", l.conn.Name, l)
		}
		for _, name := range l.names() {
			if l.given[name] && name != "" && (l.behaviorOf(name) != conf.ResponderOnly || l.trapped[name]) {
				w.handle(Acquired{Acquire: esp.Acquire{Policy: l.conn.Name + "/" + name}})
			}
		}
	}
	for range 40 {
		w.quiet()
		w.sleep(30 * time.Second)
	}
	w.quiet()
	for _, l := range w.s.links {
		for _, name := range l.names() {
			up := l.up[name] > 0 || name == "" && l.ikes > 0
			if l.persists(name) && !l.down[name] && !l.given[name] && !up {
				w.fatal("%s/%s is not up: %+v", l.conn.Name, name, l)
			}
		}
		if l.leaving > 0 {
			w.fatal("%s: the old IKE SA was not ended: %+v", l.conn.Name, l)
		}
	}
	w.quiet()
	if len(w.open) > 0 {
		w.fatal("commands without an outcome: %v", w.open)
	}
	w.finish()
}

// finish takes everything down; nothing is left.
func (w *world) finish() {
	w.commands++
	w.open[w.commands] = true
	w.handle(Stop{Waiter: w.commands})
	w.quiet()
	w.sleep(time.Hour)
	w.quiet()
	s := w.s
	if len(w.open) > 0 || len(s.sas)+len(s.unique)+len(s.tickets)+len(s.downs)+len(s.schedule)+len(s.partings) > 0 || len(w.machines) > 0 {
		w.fatal("left: %v, %+v", w.open, s)
	}
}
