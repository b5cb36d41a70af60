package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// Both kinds of reauthentication, under every unique_ids, for hours: with
// make_before_break there is no gap, without it a short one; in the end there is one IKE
// SA.
func TestReauthentication(t *testing.T) {
	calm := Faults{Delay: 10 * time.Millisecond, Jitter: 30 * time.Millisecond}
	for seed := range uint64(2) { // 1: both sides begin
		for _, mbb := range []bool{true, false} {
			for _, unique := range []conf.UniqueIDs{conf.UniqueReplace, conf.UniqueNo, conf.UniqueNever, conf.UniqueKeep} {
				if unique == conf.UniqueNever && seed == 1 {
					continue // two IKE SAs that have crossed stay both
				}
				t.Run(fmt.Sprint(seed, mbb, unique), func(t *testing.T) {
					w, a, b := shortLived(t, seed, calm, func(c *conf.Config) {
						c.MakeBeforeBreak, c.UniqueIDs = mbb, unique
						c.Connections[0].Reauthenticate = true
					})
					limit := 3 * time.Second
					if mbb {
						limit = 0
					}
					if !w.Run(time.Minute, func() bool { return Settled(a, b, 1, flow) == nil }) {
						t.Fatalf("%v\n%s", Settled(a, b, 1, flow), tail(w.Trace))
					}
					longest(t, w, a, b, time.Hour, limit)
					if n := len(ofKind(a, ike.IKEUp)); n < 10 {
						t.Errorf("%d IKE SAs in an hour", n)
					}
					if !w.Run(time.Minute, func() bool { return Settled(a, b, 1, flow) == nil }) {
						t.Errorf("%v\n%s", Settled(a, b, 1, flow), tail(w.Trace))
					}
				})
			}
		}
	}
}

// The answers to the IKE_AUTH of a new IKE SA are lost, once or twice: there is no gap
// all the same, since the responder goes on to send by the old one until it has a sign
// that the initiator knows the new one.
func TestMakeBeforeBreakLosesNothing(t *testing.T) {
	for lost := range 3 {
		w, a, b := shortLived(t, 2, Faults{Delay: 10 * time.Millisecond}, func(c *conf.Config) {
			c.MakeBeforeBreak = true
			c.Connections[0].Reauthenticate = true
			c.Connections[0].Margin = 40 * time.Second // the responder's lifetime begins before the repetitions
		})
		if !w.Run(time.Minute, func() bool { return Settled(a, b, 1, flow) == nil }) {
			t.Fatalf("%v\n%s", Settled(a, b, 1, flow), tail(w.Trace))
		}
		answers, drops := make(map[uint64]int), 0
		w.Drop = func(_, _ netip.AddrPort, data []byte) bool {
			h, err := wire.ParseHeader(data)
			if err != nil || h.Exchange != wire.IKEAuth || h.Flags&wire.FlagResponse == 0 {
				return false
			}
			answers[h.SPIi]++
			if answers[h.SPIi] <= lost {
				drops++
			}
			return answers[h.SPIi] <= lost
		}
		longest(t, w, a, b, time.Hour, 0)
		if n := len(ofKind(a, ike.IKEUp)); n < 10 || drops < lost*(n-1) {
			t.Errorf("%d IKE SAs in an hour, %d answers lost", n, drops)
		}
		if !w.Run(time.Minute, func() bool { return Settled(a, b, 1, flow) == nil }) {
			t.Errorf("%v\n%s", Settled(a, b, 1, flow), tail(w.Trace))
		}
	}
}

// longest fails when packets do not get through for longer than limit.
func longest(t *testing.T, w *World, a, b *Host, d, limit time.Duration) {
	t.Helper()
	good := w.Now()
	for end := w.Now().Add(d); w.Now() < end; w.Rest(20 * time.Millisecond) {
		err := both(a, b)
		if err == nil {
			good = w.Now()
		} else if gap := w.Now().Sub(good); gap > limit {
			t.Fatalf("nothing gets through for %s: %v\n%s", gap, err, tail(w.Trace))
		}
	}
}

func ofKind(h *Host, kind ike.ReportKind) []ike.Report {
	var out []ike.Report
	for _, r := range h.Reports {
		if r.Kind == kind {
			out = append(out, r)
		}
	}
	return out
}
