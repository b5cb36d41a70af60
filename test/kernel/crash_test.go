//go:build linux

package kernel

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// pings sends an echo request every 10 ms until stop, which tells how many there
// were and which of them had no answer.
func (p path) pings(t *testing.T) (stop func() (sent int, lost lab.Lost)) {
	t.Helper()
	pings, err := p.client.Pings(p.from, p.to, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pings.Stop() })
	return pings.Stop
}

// TestKilled ends goiked under traffic as a crash would: the kernel carries the
// tunnel on, the next goiked takes over, and there is one clean set of SAs and
// policies. The capture asserts that nothing left in the clear.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	before := owned(t, w.A)
	k := newLink(gcm)
	k.behavior = "start"
	a, b := w.ends(k)
	s := w.startSwan(t, b)
	run := t.TempDir() // that of both
	opts := lab.GoikedOptions{Args: []string{"--run-dir", run, "--socket", run + "/vici"}}
	start := func() goike {
		g := w.startWith(t, a, "kernel", opts)
		g.vici = newVICI(run + "/vici")
		return g
	}
	g := start()
	oneSA(t, g, 1)
	must(t, w.hosts4())
	stop := w.hosts4().pings(t)
	g.Kill()
	if err := w.hosts4().transfer(make([]byte, 100_000)); err != nil {
		t.Error("the kernel alone:", err)
	}
	g = start()
	clean := func() error {
		sas, err := g.SAs()
		if err != nil {
			return err
		}
		if st, po := states(t, w.A), policies(t, w.A); len(sas) != 1 || len(st) != 2 || len(po) != 3 {
			return fmt.Errorf("%d IKE SAs, states %v, policies %v", len(sas), st, po)
		}
		return nil
	}
	if err := lab.Eventually(2*wait, clean); err != nil {
		t.Fatal(err)
	}
	a.holds(t, g, 1)
	oneSA(t, s, 1)
	must(t, w.hosts4())
	sent, lost := stop()
	t.Logf("%d of %d pings were lost", len(lost), sent)
	if len(lost) > sent/10 {
		t.Errorf("%d of %d pings were lost: %v", len(lost), sent, lost)
	}
	if code := g.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	unchanged(t, w.A, before)
}

// TestRekey has strongSwan replace the child's SAs while packets pass: none is
// lost.
func TestRekey(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(newLink(gcm).wide())
	s, g := w.startSwan(t, b), w.start(t, a)
	if err := g.Up("lan"); err != nil {
		t.Fatal(err)
	}
	must(t, w.hosts4())
	stop := w.hosts4().pings(t)
	for range 3 {
		old := oneSA(t, g, 1).Children[0].Values["spi-in"]
		if err := s.Rekey("lan"); err != nil {
			t.Fatal(err)
		}
		if err := lab.Eventually(wait, func() error {
			sas, err := g.SAs()
			if err != nil {
				return err
			}
			if len(sas) != 1 || len(sas[0].Children) != 1 || sas[0].Children[0].Values["spi-in"] == old || len(states(t, w.A)) != 2 {
				return fmt.Errorf("%w replaced: %v", errNotYet, sas)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if sent, lost := stop(); len(lost) > 0 {
		t.Errorf("%d of %d pings were lost: %v", len(lost), sent, lost)
	}
	a.holds(t, g, 1)
}

// TestFlushed lets another program take goiked's SAs and policies away: it is
// noticed, said in one line, and repaired.
func TestFlushed(t *testing.T) {
	w := newWorld(t)
	k := newLink(gcm)
	k.behavior = "start"
	k.toml = "dpd_delay = \"5s\""
	a, b := w.ends(k)
	w.startSwan(t, b)
	g := w.start(t, a)
	oneSA(t, g, 1)
	must(t, w.hosts4())
	for _, what := range []string{"policy flush", "state flush", "state deleteall", "policy deleteall"} {
		t.Run(what, func(t *testing.T) {
			begun := len(g.Log())
			run(t, w.A, append([]string{"ip", "xfrm"}, strings.Fields(what)...)...)
			if err := lab.Eventually(3*wait, func() error { // each time the tunnel is taken away it comes later
				if st, po := states(t, w.A), policies(t, w.A); len(st) != 2 || len(po) != 3 {
					return fmt.Errorf("states %v, policies %v: %s", st, po, last(g.Log()[begun:], 20))
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			must(t, w.hosts4())
			most := 1
			if strings.HasSuffix(what, "deleteall") {
				most = 3 // ip takes one away after the other, which may be seen one by one
			}
			if said := warnings(g.Log()[begun:]); len(said) < 1 || len(said) > most {
				t.Errorf("%d lines, %d may be: %q", len(said), most, said)
			}
			oneSA(t, g, 1)
		})
	}
}

// warnings are the lines of a log that warn.
func warnings(log string) (found []string) {
	for line := range strings.Lines(log) {
		if fields := strings.Fields(line); len(fields) > 1 && (fields[1] == "warn" || fields[1] == "error") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// many is how many children TestMany has.
const many = 400

// TestMany sets up and takes down many children: nothing is left behind.
func TestMany(t *testing.T) {
	w := newWorld(t)
	k := newLink("")
	k.children = nil
	for i := range many {
		k.children = append(k.children, child{name: fmt.Sprint("c", i), mode: "tunnel", esp: "aes128gcm16",
			left: fmt.Sprintf("10.1.%d.%d/28", i/16, i%16*16), right: fmt.Sprintf("10.2.%d.%d/28", i/16, i%16*16)})
	}
	a, b := w.ends(k)
	before := owned(t, w.A)
	beforeB := owned(t, w.B)
	gb := w.startWith(t, b, "none", lab.GoikedOptions{}) // one kernel is enough
	a.behavior = "start"
	begun := time.Now()
	g := w.start(t, a)
	if err := lab.Eventually(9*wait, func() error { // emulated and beside other tests, 0.1 s a child and more
		if n := len(states(t, w.A)); n != 2*many {
			return fmt.Errorf("%d SAs, not %d", n, 2*many)
		}
		return nil
	}); err != nil {
		t.Fatal(err, last(g.Log(), 10))
	}
	t.Log(timed(fmt.Sprint(many, " children"), begun))
	if n := len(policies(t, w.A)); n != 3*many {
		t.Errorf("%d policies, not %d", n, 3*many)
	}
	if err := g.Down(); err != nil {
		t.Error(err)
	}
	gone(t, gb)
	for _, p := range []goike{g, gb} {
		if code := p.Stop(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	unchanged(t, w.A, before)
	unchanged(t, w.B, beforeB)
}
