package plane

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// segment makes a TCP segment of a flow.
func segment(src string, n int, ack byte, flags byte) []byte {
	p := packet(protoTCP, src, "10.2.0.1:2000", n)
	at := 20
	if p[0]>>4 == 6 {
		at = 40
	}
	copy(p[at+4:], []byte{0, 0, 0, 0, 0, 0, 0, ack, 0x50, flags})
	return p
}

// Which packets are joined: how many trains each list makes, and where they begin.
func TestOutletTrains(t *testing.T) {
	const ackFlag = 0x10
	seg := func(n int) []byte { return segment("10.1.0.1:1000", n, 1, ackFlag) }
	long := slices.Repeat([][]byte{seg(1400)}, 100)
	udpOf := func(src string, n int) []byte { return packet(protoUDP, src, "10.2.0.1:2000", n) }
	options := seg(1000)
	options[0] = 0x46
	for _, c := range []struct {
		name string
		pkts [][]byte
		want []int // indices of the packets with room behind them
	}{
		{"one", [][]byte{seg(1000)}, nil},
		{"two", [][]byte{seg(1000), seg(1000)}, []int{0}},
		{"shorter ends it", [][]byte{seg(1000), seg(900), seg(900), seg(900)}, []int{0, 2}},
		{"longer starts another", [][]byte{seg(900), seg(1000), seg(1000)}, []int{1}},
		{"push ends it", [][]byte{seg(1000), segment("10.1.0.1:1000", 1000, 1, ackFlag|flagPSH), seg(1000), seg(1000)}, []int{0, 2}},
		{"push at the start", [][]byte{segment("10.1.0.1:1000", 1000, 1, ackFlag|flagPSH), seg(1000)}, nil},
		{"other acknowledgement", [][]byte{seg(1000), segment("10.1.0.1:1000", 1000, 2, ackFlag)}, nil},
		{"other port", [][]byte{seg(1000), segment("10.1.0.1:1001", 1000, 1, ackFlag), seg(1000), seg(1000)}, []int{2}},
		{"small ones", [][]byte{seg(100), seg(100), seg(100)}, nil},
		{"options", [][]byte{options, options}, nil},
		{"UDP", [][]byte{udpOf("10.1.0.1:1", 500), udpOf("10.1.0.1:1", 500), udpOf("10.1.0.1:2", 500)}, []int{0}},
		{"other protocol", [][]byte{packet(47, "10.1.0.1:1", "10.2.0.1:1", 500), packet(47, "10.1.0.1:1", "10.2.0.1:1", 500)}, nil},
		{"64 KB", long, []int{0, 47, 94}},
	} {
		o := newOutlet(128)
		for _, p := range c.pkts {
			buf := append(make([]byte, headroom, headroom+len(p)+tailroom), p...)
			o.add(buf, buf[headroom:])
		}
		var got []int
		for i, b := range o.bufs {
			if cap(b) > len(b) {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: trains begin at %v, want %v", c.name, got, c.want)
		}
	}
}

// More trains than there is memory for are written packet by packet.
func TestOutletIsBounded(t *testing.T) {
	o := newOutlet(128)
	for i := range 3 * maxLeaders {
		p := segment("10.1.0.1:1000", 1000, byte(i/2), 0x10)
		buf := append(make([]byte, headroom), p...)
		o.add(buf, buf[headroom:])
	}
	for i := range maxLeaders {
		p := segment("10.1.0.1:1000", 1000, byte(100+i/2), 0x10)
		buf := append(make([]byte, headroom), p...)
		o.add(buf, buf[headroom:])
	}
	if o.used != maxLeaders || len(o.bufs) != 4*maxLeaders {
		t.Errorf("%d trains, %d packets", o.used, len(o.bufs))
	}
}

func TestTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ts := newTimers(func() int64 { return int64(time.Since(start)) + 1 })
		done := make(chan struct{})
		go ts.run(done)
		defer close(done)
		var mu sync.Mutex
		var fired []string
		seen := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(fired)
		}
		mk := func(name string, again int64) *timer {
			return newTimer(func(now int64) int64 {
				mu.Lock()
				defer mu.Unlock()
				fired = append(fired, name)
				if again == 0 {
					return 0
				}
				return now + again
			})
		}
		sec := int64(time.Second)
		a, b, c, d := mk("a", 0), mk("b", 2*sec), mk("c", 0), mk("d", 0)
		ts.set(a, 5*sec)
		ts.set(b, 2*sec)
		ts.set(c, 3*sec)
		ts.set(d, sec)
		ts.set(a, 3*sec/2) // earlier
		ts.set(d, 6*sec)   // later
		ts.cancel(c)
		ts.set(c, sec) // cancelled for good
		ts.cancel(nil)
		time.Sleep(4500 * time.Millisecond)
		synctest.Wait()
		if want := []string{"a", "b", "b"}; !slices.Equal(seen(), want) {
			t.Errorf("fired %v, want %v", seen(), want)
		}
		time.Sleep(1700 * time.Millisecond)
		synctest.Wait()
		if got := seen()[3:]; len(got) != 2 || !slices.Contains(got, "b") || !slices.Contains(got, "d") {
			t.Errorf("then fired %v, want b and d", got)
		}
		ts.cancel(b)
		if len(ts.due) != 0 {
			t.Errorf("%d timers are left", len(ts.due))
		}
	})
}

// The table against a map, with keys that all meet in a few chains.
func TestTable(t *testing.T) {
	tab := newTable[int, int](func(k int) uint64 { return uint64(k % 5) })
	want := make(map[int]int)
	for i := range 2000 {
		k := i * 7919 % 97
		if i%3 == 0 {
			tab.del(k)
			delete(want, k)
		} else {
			tab.set(k, i)
			want[k] = i
		}
	}
	for k := range 97 {
		v, ok := tab.get(k)
		if w, in := want[k]; ok != in || v != w {
			t.Errorf("key %d is %d (%v), want %d (%v)", k, v, ok, w, in)
		}
	}
	if tab.n != len(want) {
		t.Errorf("it counts %d, want %d", tab.n, len(want))
	}
}
