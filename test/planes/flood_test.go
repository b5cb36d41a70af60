//go:build linux

package planes

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// flood sends messages without a pause from one host to another, whose echoes it
// counts.
type flood struct {
	c        *client
	stop     chan struct{}
	sending  chan struct{}
	reading  chan struct{}
	sent     atomic.Int64
	answered atomic.Int64
}

// inFlight is how many messages of a flood are on the way at most.
const inFlight = 32

func startFlood(t testing.TB, from, to netip.Addr) *flood {
	t.Helper()
	f := &flood{c: dial(t, from, 0), stop: make(chan struct{}), sending: make(chan struct{}), reading: make(chan struct{})}
	room := make(chan struct{}, inFlight)
	go func() {
		defer close(f.sending)
		for {
			select {
			case <-f.stop:
				return
			case room <- struct{}{}:
			case <-time.After(200 * time.Millisecond): // what was on the way is lost
				for range inFlight {
					select {
					case <-room:
					default:
					}
				}
				continue
			}
			f.sent.Add(1)
			_, _ = f.c.WriteToUDPAddrPort([]byte("flood"), netip.AddrPortFrom(to, echoPort))
		}
	}()
	go func() {
		defer close(f.reading)
		b := make([]byte, 64)
		for {
			if _, _, err := f.c.ReadFromUDPAddrPort(b); err != nil {
				return
			}
			f.answered.Add(1)
			select {
			case <-room:
			default:
			}
		}
	}()
	return f
}

// progress waits until so many more messages were answered that all that were on the
// way before have been, too.
func (f *flood) progress(t testing.TB) {
	t.Helper()
	want := f.answered.Load() + 4*inFlight
	eventually(t, func() error {
		if n := f.answered.Load(); n < want {
			return fmt.Errorf("%d of %d messages were answered", n, f.sent.Load())
		}
		return nil
	})
}

// end stops the flood and returns how many messages got no answer.
func (f *flood) end(t testing.TB) (lost int64) {
	t.Helper()
	close(f.stop)
	<-f.sending
	err := lab.Eventually(time.Second, func() error {
		if lost = f.sent.Load() - f.answered.Load(); lost != 0 {
			return fmt.Errorf("%d messages of %d got no answer", lost, f.sent.Load())
		}
		return nil
	})
	_ = f.c.Close()
	<-f.reading
	if err != nil {
		t.Log(err)
	}
	return lost
}
