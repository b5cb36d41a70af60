package child

import (
	"math"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
)

// A replacement begins between margin with fuzz and margin before the end, and what
// leaves too little of the lifetime is cut down.
func TestRekeyAfter(t *testing.T) {
	const most = math.MaxUint64
	for _, c := range []struct {
		lifetime, margin time.Duration
		fuzz             int
		first, last      time.Duration
	}{
		{time.Hour, 9 * time.Minute, 100, 42 * time.Minute, 51 * time.Minute},
		{3 * time.Hour, 9 * time.Minute, 100, 162 * time.Minute, 171 * time.Minute},
		{time.Hour, 9 * time.Minute, 0, 51 * time.Minute, 51 * time.Minute},
		{time.Hour, 0, 100, time.Hour, time.Hour},
		{20 * time.Second, 10 * time.Second, 100, 5 * time.Second, 10 * time.Second}, // no sooner than a quarter
		{time.Hour, 45 * time.Minute, 100, 15 * time.Minute, 15 * time.Minute},
		{time.Hour, time.Hour, 100, 15 * time.Minute, 30 * time.Minute}, // nothing would be left
		{time.Hour, 100 * time.Hour, 1000, 15 * time.Minute, 30 * time.Minute},
		{time.Hour, math.MaxInt64, math.MaxInt, 15 * time.Minute, 30 * time.Minute},
	} {
		jitter := (&conf.Connection{Margin: c.margin, RekeyFuzz: c.fuzz}).Jitter()
		last, ok := RekeyAfter(c.lifetime, c.margin, jitter, 0)
		first, ok2 := RekeyAfter(c.lifetime, c.margin, jitter, most)
		if !ok || !ok2 || last != c.last || first < c.first || first > c.first+time.Millisecond {
			t.Errorf("lifetime %v, margin %v, fuzz %d: %v to %v, want %v to %v", c.lifetime, c.margin, c.fuzz, first, last, c.first, c.last)
		}
		if mid, _ := RekeyAfter(c.lifetime, c.margin, jitter, most/2); mid < first || mid > last {
			t.Errorf("%v is not between %v and %v", mid, first, last)
		}
	}
	if _, ok := RekeyAfter(conf.Forever, time.Minute, 100, 0); ok {
		t.Error("what lives for ever is replaced")
	}
}

// What a child says itself is kept to, however long it lives beyond that.
func TestReplaceAfter(t *testing.T) {
	conn := &conf.Connection{Margin: 9 * time.Minute, RekeyFuzz: 100}
	for _, c := range []struct {
		child       conf.Child
		first, last time.Duration
	}{
		{conf.Child{Lifetime: time.Hour}, 42 * time.Minute, 51 * time.Minute},
		{conf.Child{Lifetime: 8 * time.Hour, Renewal: &conf.Renewal{Margin: 7 * time.Hour, Jitter: 10 * time.Minute}}, 50 * time.Minute, time.Hour},
		{conf.Child{Lifetime: 2 * time.Hour, Renewal: &conf.Renewal{Margin: time.Hour, Jitter: time.Hour}}, 15 * time.Minute, time.Hour},
		{conf.Child{Lifetime: time.Hour, Renewal: &conf.Renewal{}}, time.Hour, time.Hour},
	} {
		last, ok := ReplaceAfter(conn, &c.child, 0)
		first, _ := ReplaceAfter(conn, &c.child, math.MaxUint64)
		if !ok || last != c.last || first < c.first || first > c.first+time.Millisecond {
			t.Errorf("%+v: %v to %v", c, first, last)
		}
	}
	if _, ok := ReplaceAfter(conn, &conf.Child{Renewal: &conf.Renewal{}}, 0); ok {
		t.Error("what lives for ever is replaced")
	}
}

// An SA that carries much is replaced when a tenth of what it may carry is left, and up
// to fuzz percent of that earlier.
func TestLimits(t *testing.T) {
	c := &conf.Child{Lifetime: time.Hour, LifetimeBytes: 1_000_000, LifetimePackets: 5000}
	fuzz := func(percent int) *conf.Connection { return &conf.Connection{Rekey: true, RekeyFuzz: percent} }
	late, early := Limits(fuzz(100), c, 0), Limits(fuzz(100), c, math.MaxUint64)
	if late != (esp.Limits{HardTime: time.Hour, SoftBytes: 900_000, HardBytes: 1_000_000, SoftPackets: 4500, HardPackets: 5000}) {
		t.Errorf("latest %+v", late)
	}
	if early.SoftBytes < 800_000 || early.SoftBytes > 800_001 || early.SoftPackets < 4000 || early.SoftPackets > 4001 {
		t.Errorf("earliest %+v", early)
	}
	if l := Limits(fuzz(100_000), c, math.MaxUint64); l.SoftBytes != 225_000 {
		t.Errorf("with much fuzz %+v", l)
	}
	if l := Limits(&conf.Connection{RekeyFuzz: 100}, c, 0); l.SoftBytes != 0 || l.SoftPackets != 0 || l.HardBytes != 1_000_000 {
		t.Errorf("that is not replaced by this side: %+v", l)
	}
	if l := Limits(fuzz(100), &conf.Child{}, 0); l != (esp.Limits{}) {
		t.Errorf("without limits %+v", l)
	}
	c.Renewal = &conf.Renewal{BytesMargin: 300_000, BytesJitter: 100_000}
	if l := Limits(fuzz(100), c, 0); l.SoftBytes != 700_000 || l.SoftPackets != 5000 {
		t.Errorf("of its own, latest %+v", l)
	}
	if l := Limits(fuzz(100), c, math.MaxUint64); l.SoftBytes < 600_000 || l.SoftBytes > 600_001 {
		t.Errorf("of its own, earliest %+v", l)
	}
}

// What another has replaced receives a while longer; what has lost against another
// replacement does not send, and takes back what it has to do so already.
func TestReplaced(t *testing.T) {
	c := newChild(conf.Tunnel)
	now, later := c.Replaced()
	if text(now) != "-200 -pol:in -pol:fwd -pol:out" || text(later) != "-100" {
		t.Error(text(now), text(later))
	}
	c = newChild(conf.Tunnel)
	c.Replaces = 6
	if _, err := c.Install(in, Keys{Encr: crypto.Secret("own")}); err != nil {
		t.Fatal(err)
	}
	waiting := c.Waiting
	if got := text(c.StayBehind()); got != "" || c.Waiting != nil || string(waiting.Encr) == "own" || text(c.SwitchOver()) != "" {
		t.Errorf("%q, %+v", got, c)
	}
	to := c.Path
	if got := text(c.Move(to, true, false)); got != "~100 +pol:in +pol:fwd" {
		t.Error(got)
	}
	c = newChild(conf.Tunnel)
	if got := text(c.StayBehind()); got != "-200 -pol:out" || text(c.StayBehind()) != "" || !c.Behind {
		t.Error(got)
	}
}
