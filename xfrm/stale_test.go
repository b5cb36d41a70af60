//go:build linux

package xfrm

import "testing"

// What the kernel has asked for more than once is forgotten with the SA, so that it asks
// again once that is gone.
func TestQuestionsEnd(t *testing.T) {
	for _, asked := range []bool{true, false} {
		b := newBed(t)
		b.apply(adds(policies(0, 1001))...)
		up, down := b.child(1, 1000)
		b.k.waiting = 3
		if asked {
			b.asked[testReqID] = true
		}
		b.apply(up...)
		if left := map[bool]int{true: 0, false: 3}[asked]; b.k.waiting != left || len(b.asked) != 0 {
			t.Errorf("asked %v: %d questions are left, %v", asked, b.k.waiting, b.asked)
		}
		if len(b.k.sas) != 2 {
			t.Errorf("asked %v: %d SAs in the kernel", asked, len(b.k.sas))
		}
		b.apply(down...)
	}
}
