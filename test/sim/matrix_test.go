package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/conf"
)

// Each message of setting up a tunnel, in both directions, lost, doubled, late and behind
// the next one; begun by one side and by both. What comes after is in the crossings of
// package v2.
func TestEveryMessage(t *testing.T) {
	for _, behavior := range []conf.Behavior{conf.ResponderOnly, conf.Start} {
		for _, fault := range []string{"drop", "duplicate", "delay", "reorder"} {
			for k := range 8 {
				t.Run(fmt.Sprint(behavior, fault, k), func(t *testing.T) {
					w, a, b := pair(t, uint64(k), calm, siteA(conf.Start), siteB(behavior))
					count := 0
					w.Drop = func(from, to netip.AddrPort, data []byte) bool {
						if count++; count != k+1 {
							return false
						}
						again := Faults{Delay: 10 * time.Millisecond}
						switch fault {
						case "delay":
							again.Delay = 15 * time.Second // the request has been sent again by then
						case "reorder":
							again.Delay = 35 * time.Millisecond
						}
						if fault != "drop" {
							w.carry(again, packet{from: from, to: to, data: data}, "")
						}
						return fault != "duplicate"
					}
					settles(t, w, a, b, 10*time.Minute)
				})
			}
		}
	}
}
