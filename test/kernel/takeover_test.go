//go:build linux

package kernel

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/goike/goike/test/lab"
)

// TestHandover puts another goiked in the place of one again and again, under traffic
// and while both ends replace their SAs: the IKE SA is the same afterwards, no packet is
// lost, and strongSwan notices nothing. A killed one is replaced likewise, and one of
// another version.
func TestHandover(t *testing.T) {
	h := beginHandover(t, shortLived())
	lost := make(chan error, 1)
	go func() {
		p := h.hosts4()
		m, err := lab.Measure(p.client, p.server, lab.Iperf{From: p.from, To: p.to, Seconds: 20, UDP: true, Size: 1000, Rate: 1_000_000})
		if err == nil && m.Lost > 0 {
			err = fmt.Errorf("iperf3: %.2f percent were lost", m.Lost)
		}
		lost <- err
	}()
	h.repeat(handovers)
	if err := <-lost; err != nil && overflown(t, h.HostB) == 0 { // else iperf3 was too slow to read them
		t.Error(err)
	}
	h.end(handovers)
}

// overflown is how many datagrams have found no room in the socket that they were for.
func overflown(t *testing.T, at *lab.Namespace) int {
	t.Helper()
	for line := range strings.Lines(run(t, at, "cat", "/proc/net/snmp")) {
		if words := strings.Fields(line); len(words) > 5 && words[0] == "Udp:" && words[5] != "RcvbufErrors" {
			n, err := strconv.Atoi(words[5])
			if err != nil {
				t.Error(err)
			}
			return n
		}
	}
	t.Error("the kernel does not count datagrams")
	return 0
}

// Where the tunnel is an interface, that stays, too.
func TestHandoverRouteBased(t *testing.T) {
	k := shortLived()
	k.global = "[network]\nroute_based = true\n"
	h := beginHandover(t, k)
	index := func() string {
		n, _, _ := strings.Cut(run(t, h.A, "ip", "-o", "link", "show", "type", "xfrm"), ":")
		return n
	}
	before := index()
	h.repeat(few)
	if now := index(); now != before || now == "" {
		t.Errorf("interface %q, before %q", now, before)
	}
	h.end(few)
}

const handovers, few = 50, 8

// handover is goiked with strongSwan, and packets between them.
type handover struct {
	*world
	t     *testing.T
	s     swan
	g     goike
	start func(lab.Binaries) goike
	stop  func() (sent int, lost lab.Lost)
	log   string
}

func beginHandover(t *testing.T, k link) *handover {
	t.Helper()
	w := newWorld(t)
	k.behavior = "start"
	a, b := w.ends(k)
	h := &handover{world: w, t: t, s: w.startSwan(t, b)}
	dir := t.TempDir() // that of all
	opts := lab.GoikedOptions{Args: []string{"--run-dir", dir, "--socket", dir + "/vici"}}
	h.start = func(bins lab.Binaries) goike {
		g := w.startBuilt(t, bins, a, "kernel", opts)
		g.vici = newVICI(dir + "/vici")
		return g
	}
	h.g = h.start(w.bins)
	oneSA(t, h.g, 1)
	must(t, w.hosts4())
	h.stop = w.hosts4().pings(t)
	return h
}

// repeat puts others in the place of goiked, some times.
func (h *handover) repeat(times int) {
	h.t.Helper()
	newer, err := h.bins.Newer()
	if err != nil {
		h.t.Fatal(err)
	}
	for i := range times {
		if i%5 == 4 {
			h.g.Kill()
		} else {
			if err := h.g.Signal(syscall.SIGUSR2); err != nil {
				h.t.Fatal(err)
			}
			if code, ended := h.g.Wait(wait); !ended || code != 0 {
				h.t.Fatalf("exit code %d, ended %v: %s", code, ended, last(h.g.Log(), 20))
			}
		}
		h.log += h.g.Log()
		bins := h.bins
		if i%5 == 2 {
			bins = newer
		}
		h.g = h.start(bins)
		if err := lab.Eventually(wait, h.settled); err != nil {
			h.t.Fatal(i, err, last(h.log+h.g.Log(), 60))
		}
	}
	h.log += h.g.Log()
}

func (h *handover) settled() error {
	if st, po := states(h.t, h.A), policies(h.t, h.A); len(st) < 2 || len(po) != 3 {
		return fmt.Errorf("states %v, policies %v", st, po)
	}
	sas, err := h.g.SAs()
	if err != nil || len(sas) != 1 || len(sas[0].Children) == 0 {
		return fmt.Errorf("%v: %w", sas, err)
	}
	return nil
}

func (h *handover) end(times int) {
	h.t.Helper()
	if sent, lost := h.stop(); len(lost) > 0 || sent < 10*times {
		h.t.Errorf("%d of %d packets were lost: %v: %s", len(lost), sent, lost, last(h.log, 80))
	}
	if n := strings.Count(h.log, "phase 1 established"); n != 1 {
		h.t.Errorf("set up %d times: %s", n, last(h.log, 80))
	}
	if n := strings.Count(h.log, "taken over"); n < times {
		h.t.Errorf("taken over %d times", n)
	}
	if n := strings.Count(h.log, "version="+lab.NewerVersion); n != (times+2)/5 {
		h.t.Errorf("another version ran %d times", n)
	}
	if n := strings.Count(h.s.Log(), "parsed IKE_SA_INIT request"); n != 1 {
		h.t.Errorf("strongSwan was asked for %d IKE SAs", n)
	}
	must(h.t, h.hosts4())
}
