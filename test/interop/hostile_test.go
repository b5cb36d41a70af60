//go:build linux

package interop

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// What a stranger may send to a gateway whose tunnel is up: nothing of it may
// harm the tunnel, fill the log or use up the machine.
func TestHostileMessages(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	k.nat = true // B takes whoever comes
	a, b := w.ends(k)
	gb := b.startQuiet(t)
	ga := a.start(t)
	if err := ga.Up("lan"); err != nil {
		t.Fatal(err)
	}
	w.carries(t)
	sa := agree(t, ga, gb, 1)
	x := w.attacker(t, b.local)
	before := usage(t, gb)
	live := liveSPIs(t, sa)
	pings := w.pinging(t)
	for _, v := range volleys(live) {
		t.Run(v.name, func(t *testing.T) {
			for _, port := range []uint16{500, 4500} {
				for _, m := range v.messages {
					x.send(t, port, m)
					x.spoof(t, a.local, port, m)
				}
			}
			w.goesOn(t, ga, gb, sa)
		})
	}
	t.Run("raw ESP", func(t *testing.T) {
		for _, m := range espGarbage(live) {
			x.spoofESP(t, a.local, m)
		}
		w.goesOn(t, ga, gb, sa)
	})
	for _, f := range floods(live) {
		t.Run(f.name, func(t *testing.T) {
			for n := range floodSize {
				if f.from == nil {
					x.send(t, f.port, f.message(n))
				} else {
					x.spoof(t, f.from(n), f.port, f.message(n))
				}
			}
			w.goesOn(t, ga, gb, sa)
		})
	}
	pings(t)
	counted(t, gb)
	bounded(t, gb, before)
}

// pinging sends a ping ten times a second through the tunnel; the function ends
// that, and checks that nearly all came back: a flood may push out a few.
func (w *world) pinging(t *testing.T) (end func(*testing.T)) {
	t.Helper()
	stop := pings(t, w.HostA, lab.HostA4, lab.HostB4, 100*time.Millisecond)
	return func(t *testing.T) {
		t.Helper()
		if sent, lost := stop(); sent < 10 || len(lost) > sent/5 {
			t.Errorf("%d of %d pings were lost: %v", len(lost), sent, lost)
		}
	}
}

// goesOn checks that the tunnel is the one it was, and carries. before is of A.
func (w *world) goesOn(t *testing.T, ga, gb goike, before lab.SA) {
	t.Helper()
	if err := errors.Join(w.HostA.Ping(lab.HostA4, lab.HostB4, wait), w.HostB.Ping(lab.HostB6, lab.HostA6, wait)); err != nil {
		t.Error(err)
	}
	x, y := oneUp(t, ga), oneUp(t, gb)
	for _, sa := range []lab.SA{x, y} {
		if sa.Values["initiator-spi"] != before.Values["initiator-spi"] || len(sa.Children) != 1 {
			t.Fatalf("the IKE SA is another: %v, before %v", sa, before)
		}
	}
	if twin(y, before.Children[0]) == nil || x.Children[0].Values["spi-in"] != before.Children[0].Values["spi-in"] {
		t.Errorf("the child SA is another: %v and %v, before %v", x, y, before)
	}
}

// What strangers are told: one answer to what asks for one, and never more of them
// than the limit.
func TestAnswersToStrangers(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	k.nat = true // whoever asks
	_, b := w.ends(k)
	gb := b.startQuiet(t)
	x := w.attacker(t, b.local)
	critical := critical(firstMessage(1))
	for _, c := range []struct {
		name    string
		message []byte
		notify  uint16 // IANA number
		data    []byte
	}{
		{"higher major version", version(firstMessage(2), 3), 5, nil},
		{"unknown SPI", header(3, 4, 46, 37, 0x08, 0, random(64)), 4, nil},
		{"unknown critical payload", critical, 1, []byte{200}},
		{"key exchange that is not configured", otherGroup(firstMessage(5)), 17, []byte{0, 31}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x.send(t, 500, c.message)
			reply := x.receive(t)
			kind, data := notifyOf(t, reply)
			if kind != c.notify || string(data) != string(c.data) {
				t.Errorf("notify %d with % x, want %d with % x", kind, data, c.notify, c.data)
			}
			if string(reply[:8]) != string(c.message[:8]) || reply[17] != 0x20 || reply[19] != 0x20 {
				t.Errorf("the answer has another SPI, version or flags: % x", reply[:28])
			}
		})
	}
	t.Run("no more than the limit", func(t *testing.T) {
		begun := time.Now()
		const n = 20000
		answers := x.count(t)
		for i := range n {
			x.send(t, 500, header(uint64(i)+10, 4, 46, 37, 0x08, 0, random(32)))
		}
		w.settled(t, gb)
		limit := runtime.NumCPU() * (100 + 100*(int(time.Since(begun)/time.Second)+1))
		if got := answers(); got == 0 || got > limit {
			t.Errorf("%d answers to %d messages, at most %d are allowed", got, n, limit)
		}
	})
}

// settled waits until a daemon has dealt with what was sent to it.
func (w *world) settled(t *testing.T, g goike) {
	t.Helper()
	last := ""
	if err := lab.Eventually(wait, func() error {
		now := fmt.Sprint(drops(t, g))
		if now == last {
			return nil
		}
		last = now
		return errors.New("it still counts")
	}); err != nil {
		t.Error(err)
	}
}

// startQuiet starts goiked with the log that an administrator has.
func (e end) startQuiet(t *testing.T) goike {
	t.Helper()
	g, err := lab.StartGoiked(e.at, binaries(t), e.config(), lab.GoikedOptions{Args: []string{"--log-level", "info"}})
	if g != nil && g.Process != nil {
		t.Cleanup(func() {
			if code := g.Stop(); code != 0 {
				t.Errorf("goiked ended with exit code %d: %s", code, last(g.Output(), 15))
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return goike{g}
}

// drops are the counters of `swanctl --stats --raw`.
func drops(t *testing.T, g goike) map[string]int {
	t.Helper()
	raw, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]int)
	for _, word := range strings.FieldsFunc(raw, func(r rune) bool { return strings.ContainsRune(" {}\n", r) }) {
		name, value, _ := strings.Cut(word, "=")
		if n, err := strconv.Atoi(value); err == nil {
			out[name] = n
		}
	}
	return out
}

// counted checks that every kind of bad message shows in the counters.
func counted(t *testing.T, g goike) {
	t.Helper()
	got := drops(t, g)
	for _, name := range []string{"ike_malformed", "version", "unknown-spi", "first-message", "cookie-demanded", "no-effect",
		"in_no_sa", "in_auth_failed", "in_malformed"} {
		if got[name] == 0 {
			t.Errorf("nothing is counted as %s: %v", name, got)
		}
	}
}

// resources are what a process uses.
type resources struct{ rss, threads, files, goroutines, lines int }

func usage(t *testing.T, g goike) resources {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	r := resources{goroutines: drops(t, g)["goroutines"], lines: strings.Count(g.Log(), "\n")}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		switch f[0] {
		case "VmRSS:":
			r.rss, err = strconv.Atoi(f[1])
		case "Threads:":
			r.threads, err = strconv.Atoi(f[1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	r.files = len(files)
	return r
}

// bounded checks that a daemon uses about as much as before.
func bounded(t *testing.T, g goike, before resources) {
	t.Helper()
	room := 96 << 10 // KB
	if lab.RaceDetector {
		room *= 8
	}
	if err := lab.Eventually(wait, func() error {
		now := usage(t, g)
		if now.rss > before.rss+room || now.threads > before.threads+16 || now.files > before.files+4 ||
			now.goroutines > before.goroutines+4 || before.goroutines == 0 || now.lines > before.lines+500 {
			return fmt.Errorf("%+v, before %+v: %s", now, before, last(g.Log(), 10))
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// spis are those of a live tunnel.
type spis struct {
	i, r uint64
	esp  uint32 // inbound at the target
}

func liveSPIs(t *testing.T, sa lab.SA) spis {
	t.Helper()
	number := func(s string) uint64 {
		b, err := hex.DecodeString(strings.Repeat("0", 16-len(s)) + s)
		if err != nil {
			t.Fatal(err)
		}
		return binary.BigEndian.Uint64(b)
	}
	return spis{i: number(sa.Values["initiator-spi"]), r: number(sa.Values["responder-spi"]), esp: uint32(number(sa.Children[0].Values["spi-out"]))}
}

// floodSize is how many messages a flood has.
const floodSize = 20000

type flood struct {
	name    string
	port    uint16
	message func(n int) []byte
	from    func(n int) netip.Addr // nil: the attacker's own address
}

func floods(live spis) []flood {
	again := firstMessage(77)
	first := func(n int) []byte { return firstMessage(uint64(n) + 1<<40) }
	anyone := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, byte(n >> 8), byte(n)}) }
	return []flood{
		{"flood of first messages", 500, first, nil},
		{"flood of first messages from everywhere", 500, first, anyone},
		{"flood of one first message", 500, func(int) []byte { return again }, nil},
		{"flood for the live IKE SA", 4500, func(n int) []byte { return header(live.i, live.r, 46, 37, 0x08, uint32(n%4), random(60)) }, nil},
		{"flood of ESP for the live SA", 4500, func(n int) []byte {
			return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, live.esp), uint32(n)+1000)
		}, nil},
		{"flood of garbage", 500, func(int) []byte { return random(rand.IntN(200) + 1) }, nil},
	}
}

func espGarbage(live spis) [][]byte {
	var out [][]byte
	for n := range 64 {
		b := binary.BigEndian.AppendUint32(nil, live.esp)
		b = binary.BigEndian.AppendUint32(b, uint32(n)<<uint(n%28))
		out = append(out, b[:min(n, 8)], append(b, random(n*20)...), random(8+n))
	}
	return out
}
