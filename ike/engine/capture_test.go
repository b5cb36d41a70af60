package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// Disclose implements ike.Discloser: a fake has keys as soon as it has a connection.
func (f *fake) Disclose() (ike.Keys, bool) {
	return ike.Keys{Conn: f.status.Conn, SPIi: f.birth.SPI, Ei: crypto.Secret("key")}, f.status.Conn != ""
}

// listener is somebody who records; begun is closed when that has begun.
type listener struct {
	got   chan control.Captured
	begun chan struct{}
	stop  context.CancelFunc
	ended chan error
}

func listen(e *Engine, r control.CaptureRequest) *listener {
	ctx, cancel := context.WithCancel(context.Background())
	rec := &listener{got: make(chan control.Captured, 100), begun: make(chan struct{}), stop: cancel, ended: make(chan error, 1)}
	go func() {
		rec.ended <- e.Capture(ctx, r, func(c control.Captured) error {
			if c.Number == 0 {
				close(rec.begun)
				return nil
			}
			rec.got <- c
			return nil
		})
	}()
	return rec
}

func (r *listener) end(t *testing.T) {
	t.Helper()
	r.stop()
	select {
	case err := <-r.ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the capture does not end")
	}
}

func (r *listener) next(t *testing.T) control.Captured {
	t.Helper()
	select {
	case c := <-r.got:
		return c
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was recorded")
		return control.Captured{}
	}
}

func wait(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("not begun")
	}
}

// talking is a script: a message makes an IKE SA of the connection that the message names
// at its end.
func talking(f *fake, ev ike.Event, fx *ike.Effects) {
	if dg, ok := ev.(ike.Datagram); ok {
		_, f.status.Conn, _ = strings.Cut(string(dg.Data), "conn=")
		fx.Do(ike.Send{Path: dg.Path, Data: []byte("answer")})
	}
}

// What comes and what is sent is recorded in order, by the connection that it turns out to
// be of; keys only for who asks for them, those in use included.
func TestCapture(t *testing.T) {
	e, p := start(t, siteConfig(conf.OnDemand), talking)
	defer closeNow(e)
	p.in <- []ike.Datagram{from(500, first(1, "conn=site")).Datagram}
	<-p.sent
	all, keyed := listen(e, control.CaptureRequest{}), listen(e, control.CaptureRequest{Conn: "site", Keys: true, By: "a test"})
	defer all.end(t)
	defer keyed.end(t)
	wait(t, all.begun)
	wait(t, keyed.begun)
	if c := keyed.next(t); c.Number != 1 || c.IKE == nil || c.IKE.Conn != "site" || string(c.IKE.Ei) != "key" {
		t.Errorf("%+v", c)
	}
	for i, name := range []string{"other", "", "site"} {
		p.in <- []ike.Datagram{from(500, first(uint64(2+i), "conn="+name)).Datagram}
		<-p.sent
		if c := all.next(t); c.Number != uint64(2*i+1) || c.Conn != name || c.Message == nil || c.Message.Out || !strings.HasSuffix(string(c.Message.Data), "conn="+name) || c.Message.Path.Remote.Port() != 500 {
			t.Errorf("%+v %+v", c, c.Message)
		}
		if c := all.next(t); c.Number != uint64(2*i+2) || c.Conn != name || !c.Message.Out || string(c.Message.Data) != "answer" || time.Since(c.Message.At) > time.Minute {
			t.Errorf("%+v %+v", c, c.Message)
		}
	}
	for n, want := range []string{"in", "out", "in", "out", "keys"} { // nothing of the other connection
		c := keyed.next(t)
		got := "keys"
		if c.Message != nil {
			got = map[bool]string{false: "in", true: "out"}[c.Message.Out]
		}
		if got != want || c.Number != uint64(n+2) {
			t.Errorf("%d: %s, want %s", c.Number, got, want)
		}
	}
}

// Nothing is noted when nobody records any more.
func TestCaptureLeavesNothing(t *testing.T) {
	e, p := start(t, siteConfig(conf.OnDemand), talking)
	defer closeNow(e)
	r := listen(e, control.CaptureRequest{Keys: true})
	wait(t, r.begun)
	r.end(t)
	p.in <- []ike.Datagram{from(500, first(1, "conn=site")).Datagram}
	<-p.sent
	for _, run := range e.runners {
		c, ok := atShard(t.Context(), run, func(s *Shard) string {
			return fmt.Sprint(s.capture.captures, s.capture.withKeys, len(s.capture.noted))
		})
		if !ok || c != "0 0 0" {
			t.Errorf("a shard still records: %s", c)
		}
	}
	if n, keys := e.taps.count.Load(), e.taps.withKeys.Load(); n != 0 || keys != 0 || len(e.taps.all) != 0 {
		t.Errorf("%d still record, %d of them keys", n, keys)
	}
}

// Somebody who is too slow misses some, and can tell; the others do not.
func TestSlowCapture(t *testing.T) {
	var ts taps
	slow := ts.add(control.CaptureRequest{})
	for range captureRoom + 7 {
		ts.publish(control.Captured{Message: &control.CapturedMessage{}})
	}
	if len(slow.queue) != captureRoom {
		t.Errorf("%d are there", len(slow.queue))
	}
	for range captureRoom {
		<-slow.queue
	}
	ts.publish(control.Captured{Message: &control.CapturedMessage{}})
	if c := <-slow.queue; c.Number != captureRoom+8 {
		t.Errorf("the next has number %d", c.Number)
	}
}

// The keys of child SAs are copies, and named by their policies.
func TestKeysOfChildren(t *testing.T) {
	var ts taps
	blind, keyed := ts.add(control.CaptureRequest{}), ts.add(control.CaptureRequest{Keys: true})
	w := newPlaneWorker(&None{}, nil, func(string) {})
	w.taps = &ts
	key := crypto.Secret("key of a child")
	sa := esp.SA{ID: esp.SAID{Dst: netip.MustParseAddr("192.0.2.1"), SPI: 5, Proto: esp.ProtoESP}, ReqID: 9, EncrKey: key}
	comp := esp.SA{ID: esp.SAID{Dst: sa.ID.Dst, SPI: 6, Proto: esp.ProtoIPComp}, ReqID: 9}
	w.disclose([]esp.Op{esp.AddSA{SA: sa}, esp.AddSA{SA: comp}, esp.AddPolicy{Policy: esp.Policy{ReqID: 9, Name: "site/lan"}}})
	clear(key)
	if c := <-keyed.queue; c.Conn != "site" || c.SA.ID != sa.ID || string(c.SA.EncrKey) != "key of a child" {
		t.Errorf("%+v", c)
	}
	if len(keyed.queue) != 0 || len(blind.queue) != 0 {
		t.Errorf("%d and %d more", len(keyed.queue), len(blind.queue))
	}
}
