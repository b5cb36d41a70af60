package engine

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// Large messages take up more room.
func TestInboxWeight(t *testing.T) {
	in := newInbox[shardItem](trafficLimit)
	in.weight = weigh
	huge := shardItem{in: from(500, make([]byte, 64<<10))}
	for range trafficLimit {
		in.offer([]shardItem{huge})
	}
	octets := 0
	for _, it := range in.take(nil) {
		octets += len(it.in.(Received).Data)
	}
	if octets < 1<<20 || octets > trafficLimit*weightUnit {
		t.Errorf("%d octets wait", octets)
	}
	small := shardItem{in: from(500, make([]byte, 300))}
	for range trafficLimit {
		in.offer([]shardItem{small})
	}
	if n, dropped := in.load(); n != trafficLimit || dropped == 0 {
		t.Errorf("%d wait, %d dropped", n, dropped)
	}
}

// Taking down that takes too long is told with the number of SAs that it is about:
// it is not that there was nothing to take down.
func TestTerminateTimeout(t *testing.T) {
	e, _ := start(t, siteConfig(conf.OnDemand), deaf)
	defer closeNow(e)
	if err := e.Initiate(t.Context(), control.InitiateRequest{Conn: "site"}, nil); err != nil {
		t.Fatal(err)
	}
	n, err := e.Terminate(t.Context(), control.TerminateRequest{Conn: "site", Timeout: time.Millisecond}, nil)
	if n != 1 || err == nil || !strings.Contains(err.Error(), "background") {
		t.Errorf("%d matched: %v", n, err)
	}
	if _, err := e.Terminate(t.Context(), control.TerminateRequest{Conn: "site", Force: true}, nil); err != nil {
		t.Error(err)
	}
	if n := len(e.steward.waiters); n > 0 {
		t.Errorf("%d waiters are left", n)
	}
}

// More searches than may run at a time wait for each other, and each has its time.
func TestManySearches(t *testing.T) {
	c := &conf.Config{}
	for i := range 3 * maxSearches {
		c.Connections = append(c.Connections, &conf.Connection{
			Name: fmt.Sprint("c", i), Gateways: conf.Gateways{{Host: "peer"}}, Behavior: conf.Start, KeyingTries: 1,
		})
	}
	var running, most atomic.Int32
	searched := make(chan time.Duration, len(c.Connections))
	e := New(Config{
		Machines: &lockedFakes{}, Cookies: demands{}, Plane: &None{}, Transport: newPipe(), Conf: c,
		Locate: func(ctx context.Context, _ *conf.Connection) ([]ike.Path, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			until, _ := ctx.Deadline()
			searched <- time.Until(until)
			return nil, errNoPath
		},
	})
	defer closeNow(e)
	for range c.Connections {
		select {
		case left := <-searched:
			if left < searchTime*9/10 {
				t.Errorf("a search has only %s", left)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a connection was not looked for")
		}
	}
	if n := most.Load(); n > maxSearches {
		t.Errorf("%d searches at a time", n)
	}
}
