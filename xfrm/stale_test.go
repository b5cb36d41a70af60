//go:build linux

package xfrm

import (
	"slices"
	"testing"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
)

// What the kernel has asked for more than once is forgotten with the SA, so that it asks
// again once that is gone.
func TestQuestionsEnd(t *testing.T) {
	for _, asked := range []bool{true, false} {
		b := newBed(t)
		b.apply(adds(policies(0, 1001))...)
		up, down := b.child(1, 1000)
		b.k.waiting = 3
		if asked {
			b.asked[testReqID] = ends{here, there}
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

// What the kernel has asked for in vain is forgotten when the trap is installed again, so
// that the next packet asks again.
func TestTrapAgain(t *testing.T) {
	b := newBed(t)
	trap := policies(0, 1001)
	b.apply(adds(trap)...)
	b.k.waiting = 2
	b.apply(adds(trap[:1])...) // nobody has asked
	if b.k.waiting != 2 {
		t.Error("a question was ended that nobody has put")
	}
	b.asked[testReqID] = ends{here, there}
	b.apply(adds(trap[1:])...)
	if b.k.waiting != 2 {
		t.Error("it is ended by inbound policies")
	}
	b.apply(adds(trap[:1])...)
	if b.k.waiting != 0 || len(b.asked) != 0 || len(b.k.sas) != 0 {
		t.Errorf("%d questions are left, %v, SAs %v", b.k.waiting, b.asked, b.k.sas)
	}
}

// Two children of a peer that are for the same packets: each of their SAs may bring them,
// while both are there. The policy of the one that stays is in force before the SAs of
// the other one go.
func TestTwoOfAPeer(t *testing.T) {
	b := newBed(t)
	b.apply(adds(policies(0, 1001))...)
	up1, down1 := b.child(1, 1000)
	b.apply(up1...)
	other := func(ops []esp.Op) {
		for i, op := range ops {
			switch op := op.(type) {
			case esp.AddSA:
				op.SA.ReqID++
				ops[i] = op
			case esp.AddPolicy:
				op.Policy.ReqID++
				ops[i] = op
			}
		}
	}
	up2, down2 := b.child(2, 1000)
	other(up2)
	reqIDs := func() (list []uint32) {
		for _, d := range []message.Direction{message.Out, message.In, message.Forward} {
			for _, p := range b.k.policies {
				if p.Dir == d {
					list = append(list, p.Templates[0].ReqID)
				}
			}
		}
		return list
	}
	for _, step := range []struct {
		ops  []esp.Op
		want []uint32
	}{
		{up2, []uint32{testReqID + 1, 0, 0}},
		{down1, []uint32{testReqID + 1, testReqID + 1, testReqID + 1}},
		{down2, []uint32{testReqID, testReqID, testReqID}},
	} {
		b.k.counted()
		b.apply(step.ops...)
		if got := reqIDs(); !slices.Equal(got, step.want) {
			t.Errorf("request IDs %x, want %x", got, step.want)
		}
		_, asked := b.k.counted()
		first, last := slices.Index(asked, message.DelSA), slices.Index(asked, message.UpdPolicy)
		if first >= 0 && (last < 0 || first < last) {
			t.Errorf("SAs go before policies change: %v", asked)
		}
	}
}
