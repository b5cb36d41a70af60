//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// rekeyingTime is how long both ends replace their SAs; GOIKE_REKEYING makes it longer.
func rekeyingTime(t *testing.T) time.Duration {
	t.Helper()
	d := 40 * time.Second
	if text := os.Getenv("GOIKE_REKEYING"); text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// shortLived is a link both of whose ends replace the child every few seconds and the
// IKE SA now and then.
func shortLived() link {
	k := newLink(gcm)
	k.toml = "lifetime = \"40s\"\nmargintime = \"10s\"\nrekey_fuzz = 100\ndpd_delay = \"3s\"\n"
	k.children[0].toml = "  lifetime = \"20s\"\n"
	k.swan = "rekey_time = 30s\n\t\trand_time = 10s\n\t\tover_time = 10s"
	k.children[0].swan = "\t\t\t\trekey_time = 10s\n\t\t\t\trand_time = 5s\n\t\t\t\tlife_time = 20s\n"
	k.plutoLines = "\tikelifetime=40s\n\tsalifetime=20s\n\trekeymargin=8s\n\trekeyfuzz=100%\n\tdpddelay=3\n\tdpdtimeout=60\n"
	return k.wide()
}

// Both ends replace children and IKE SAs in the kernel, under traffic: no packet is lost
// and nothing is left over.
func TestRekeying(t *testing.T) {
	for _, c := range []struct {
		name string
		// early: the peer sends by a new SA as soon as it has agreed to it, instead of waiting
		// for a sign that this side knows it (RFC 7296, 2.8). A packet that overtakes the
		// answer finds an SA that is reserved only.
		early bool
		peer  func(*testing.T, *world, end) peer
	}{
		{"strongSwan", false, func(t *testing.T, w *world, e end) peer { return w.startSwan(t, e) }},
		{"libreswan", true, func(t *testing.T, _ *world, e end) peer {
			conf, secrets := e.pluto()
			l, err := lab.StartLibreswan(e.at, conf, secrets)
			if l != nil && l.Process != nil {
				t.Cleanup(func() { l.Stop() })
			}
			if err != nil {
				t.Fatal(err)
			}
			return libreswan{l}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.ends(shortLived())
			p := c.peer(t, w, b)
			g := w.start(t, a)
			if err := g.Up("lan"); err != nil {
				t.Fatal(err, last(g.Log(), 20), last(p.Log(), 20))
			}
			must(t, w.hosts4())
			stop := w.hosts4().pings(t)
			end := time.Now().Add(rekeyingTime(t))
			most := 0
			if err := lab.Eventually(2*rekeyingTime(t), func() error {
				if n := len(states(t, w.A)); n > most {
					most = n
				}
				if left := time.Until(end); left > 0 {
					return fmt.Errorf("%s are left", left)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
			sent, lost := stop()
			overtaken := 0
			if c.early {
				overtaken = min(early(t, w.A), slowest*strings.Count(g.Log(), "replacing lan"))
			}
			if len(lost) > overtaken || sent < 1000 {
				t.Errorf("%d of %d packets were lost, %d have overtaken the answer: %v: %s", len(lost), sent, overtaken, lost, last(g.Log(), 60))
			}
			if most > 8 {
				t.Errorf("%d SAs at a time", most)
			}
			if err := lab.Eventually(restTime, func() error { // but for what is being replaced just now
				if st, po := states(t, w.A), policies(t, w.A); len(st) != 2 || len(po) != 3 {
					return fmt.Errorf("states %v, policies %v", st, po)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
			for what, least := range map[string]int{"lan: replaced": 2, "phase 1 replaced": 1} {
				if n := strings.Count(g.Log(), what); n < least {
					t.Errorf("%d times %q: %s", n, what, last(g.Log(), 40))
				}
			}
			if strings.Contains(g.Log(), "does not answer") {
				t.Error(last(g.Log(), 40))
			}
		})
	}
}

// restTime is how long it may take until nothing is being replaced: what was stays some
// seconds, and about as often there is something else to replace.
const restTime = 2 * time.Minute

// slowest is how many packets a peer may lose each time, as early or late: those of half a
// second, on a machine that is emulated and busy.
const slowest = 50

// early is how many packets have come by an SA before the answer by which it comes was
// dealt with: its SPI is reserved, or it is there and its policy is not.
func early(t *testing.T, at *lab.Namespace) int {
	t.Helper()
	return counted(t, at, "XfrmAcquireError") + counted(t, at, "XfrmInTmplMismatch")
}

// late is how many packets have come by an SA that is not there any more: a CPU still has
// them in its queue when the daemon reads on another one that the SA is deleted.
func late(t *testing.T, at *lab.Namespace) int {
	t.Helper()
	return counted(t, at, "XfrmInNoStates")
}

// counted reads a counter of the kernel's.
func counted(t *testing.T, at *lab.Namespace, what string) int {
	t.Helper()
	for line := range strings.Lines(run(t, at, "cat", "/proc/net/xfrm_stat")) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == what {
			n, err := strconv.Atoi(words[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("the kernel has no counter " + what)
	return 0
}

// A's address changes under traffic: its SAs are moved in the kernel, and the capture
// asserts that nothing leaves in the clear meanwhile.
func TestMOBIKE(t *testing.T) {
	w := newWorld(t)
	k := newLink(gcm)
	k.roams = true
	a, b := w.ends(k)
	s := w.startSwan(t, b)
	g := w.start(t, a)
	if err := g.Up("lan"); err != nil {
		t.Fatal(err, last(g.Log(), 20), last(s.Log(), 20))
	}
	must(t, w.hosts4())
	was := oneSA(t, g, 1).Values["initiator-spi"]
	stop := w.hosts4().pings(t)
	run(t, w.A, "ip", "-6", "addr", "flush", "dev", "outer")
	run(t, w.A, "ip", "-4", "addr", "flush", "dev", "outer")
	if err := errors.Join(w.A.Address("outer", "192.0.2.77/24"), w.A.Default("192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	if err := lab.Eventually(wait, func() error {
		for _, st := range states(t, w.A) {
			if st.src != "192.0.2.77" && st.dst != "192.0.2.77" {
				return fmt.Errorf("SA %s > %s: %s", st.src, st.dst, last(g.Log(), 10))
			}
		}
		if sa := oneSA(t, s, 1); sa.Values["remote-host"] != "192.0.2.77" || sa.Values["initiator-spi"] != was {
			return fmt.Errorf("strongSwan has %v", sa)
		}
		return w.hosts4().transfer(make([]byte, 10_000))
	}); err != nil {
		t.Error(err)
	}
	if sent, lost := stop(); len(lost) > sent/2 {
		t.Errorf("%d of %d packets were lost: %s", len(lost), sent, last(g.Log(), 20))
	}
	if n := strings.Count(g.Log(), "moved from 192.0.2.2 "); n != 1 {
		t.Errorf("moved %d times: %s", n, last(g.Log(), 20))
	}
}
