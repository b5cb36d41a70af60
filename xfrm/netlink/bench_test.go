//go:build linux

package netlink

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/goike/goike/xfrm/message"
)

// Policies installed per second: one a call, many a call, and one a call by many
// callers at once.
func BenchmarkNewPolicy(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("%d-per-call", n), func(b *testing.B) {
			c := open(b, newHost(b))
			at := 0
			for b.Loop() {
				requests := make([]Request, n)
				for i := range requests {
					requests[i] = policy(b, at, message.Out)
					at++
				}
				wantErrors(b, do(b, c, requests...), make([]error, n)...)
			}
			b.ReportMetric(float64(at)/b.Elapsed().Seconds(), "policies/s")
		})
	}
	b.Run("64-callers", func(b *testing.B) {
		c := open(b, newHost(b))
		b.SetParallelism(32)
		var at atomic.Int32
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				wantErrors(b, do(b, c, policy(b, int(at.Add(1)), message.Out)), nil)
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "policies/s")
	})
}
