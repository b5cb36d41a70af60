//go:build linux

package xfrm

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
)

// killed is a kernel in which a plane was killed that had a child, its traps, a
// reserved SPI and a packet that waits, beside SAs and policies of another program.
func killed(t *testing.T) (*fakeKernel, *bed) {
	t.Helper()
	k := newFake(t)
	old := &bed{t: t, k: k, net: &fakeNetwork{}}
	var err error
	old.Plane, err = New(t.Context(), Config{Kernel: k, FirstReqID: firstReqID, LastReqID: lastReqID})
	if err != nil {
		t.Fatal(err)
	}
	old.apply(adds(policies(0, 1001))...)
	up, _ := old.child(1, 1000)
	old.apply(up...)
	if _, err := old.AllocSPI(t.Context(), there, here, esp.ProtoESP); err != nil {
		t.Fatal(err)
	}
	foreign := outSA(0x77)
	foreign.ReqID = 4
	st, err := state(&foreign, true)
	if err != nil {
		t.Fatal(err)
	}
	k.sas[st.ID] = &fakeSA{State: *st}
	p := policies(1, 500)[0]
	p.Sel.Dst = prefix("10.77.0.0/16")
	keys, _ := keysOf(&p)
	m := kernelPolicy(&keys[0], &p, 0)
	m.Limits = message.NoLimits
	k.policies[keys[0]] = m
	return k, old
}

// others fails the test when what belongs to another program is not there, and tells
// how much else there is.
func (b *bed) others() (sas, policies int) {
	b.t.Helper()
	s, p := b.k.snapshot()
	foreign := false
	for _, st := range s {
		if st.ReqID == 4 {
			foreign = true
		} else {
			sas++
		}
	}
	for _, m := range p {
		if tagged(&m) {
			policies++
		}
	}
	if !foreign || len(p) != policies+1 {
		b.t.Error("SAs or policies of another program were touched")
	}
	return sas, policies
}

func (b *bed) want(sas, policies int) {
	b.t.Helper()
	if s, p := b.others(); s != sas || p != policies {
		b.t.Errorf("%d SAs and %d policies, want %d and %d", s, p, sas, policies)
	}
}

// notices collects what Watch tells.
type notices struct {
	mu   sync.Mutex
	list []esp.Notice
}

func (n *notices) take() []esp.Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.list
	n.list = nil
	return list
}

// watch runs Watch until the test is over.
func (b *bed) watch() *notices {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	n := &notices{}
	done := make(chan error, 1)
	go func() {
		done <- b.Watch(ctx, func(x esp.Notice) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.list = append(n.list, x)
		})
	}()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("Watch: %v", err)
		}
	})
	return n
}

// The tunnel of a killed instance goes on, is asked for anew, and is replaced without
// a gap; its SAs go with it.
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := killed(t)
		b := newBedOn(t, k)
		b.want(2, 3) // the reserved SPI is gone
		n := b.watch()
		b.guard(policies(0, 0), true)
		trap := policies(0, 1001)
		for i := range trap {
			trap[i].ReqID++
		}
		b.apply(adds(trap)...)
		b.want(2, 3)
		if b.priorityOf(trap[0]) != 1000 {
			t.Error("the trap has taken the place of the child")
		}
		synctest.Wait()
		if got := n.take(); !slices.Equal(got, []esp.Notice{esp.Acquire{Policy: "gateway/office", ReqID: trap[0].ReqID}}) {
			t.Errorf("told %v", got)
		}
		b.apply(adds(trap)...)
		up, down := b.child(1, 1000)
		for i := range up {
			switch op := up[i].(type) {
			case esp.AddSA:
				op.SA.ReqID++
				up[i] = op
			case esp.AddPolicy:
				op.Policy.ReqID++
				up[i] = op
			}
		}
		b.apply(up...)
		b.want(2, 3)
		sas, _ := k.snapshot()
		for _, st := range sas {
			if st.ReqID == testReqID {
				t.Error("an old SA is still there")
			}
		}
		b.apply(down...)
		b.want(0, 3)
		if b.priorityOf(trap[0]) != 1001 {
			t.Error("the policy of the killed instance has come back")
		}
		time.Sleep(2 * DefaultGrace)
		synctest.Wait()
		b.want(0, 3)
		b.guard(nil, false)
		if got := n.take(); len(got) != 0 {
			t.Errorf("told %v", got)
		}
	})
}

func (b *bed) priorityOf(p esp.Policy) uint32 {
	keys, err := keysOf(&p)
	if err != nil {
		b.t.Fatal(err)
	}
	_, is := b.k.snapshot()
	return is[keys[0]].Priority
}

// What nothing takes the place of ends with the time of grace.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := killed(t)
		b := newBedOn(t, k)
		trap := policies(0, 1001)[:1]
		b.apply(adds(trap)...)
		time.Sleep(DefaultGrace - time.Second)
		synctest.Wait()
		b.want(2, 3)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		b.agree()
		b.want(0, 1)
		if b.priorityOf(trap[0]) != 1001 {
			t.Error("the trap is not in force")
		}
		if w := b.warnings(); len(w) != 0 {
			t.Errorf("said %v", w)
		}
	})
}

func TestGraceRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := killed(t)
		b := newBedOn(t, k)
		k.mu.Lock()
		k.refuse = errno(unix.EPERM, func(m message.Type, _ *message.State, _ *message.Policy) bool { return m == message.DelPolicy })
		k.mu.Unlock()
		time.Sleep(2 * DefaultGrace)
		synctest.Wait()
		if w := b.warnings(); len(w) != 3 {
			t.Errorf("said %v", w)
		}
		k.mu.Lock()
		k.refuse = nil
		k.mu.Unlock()
		b.apply()
		b.want(0, 0)
	})
}

// Close takes leftovers with it, and stops the clock.
func TestCloseTakesLeftovers(t *testing.T) {
	k, _ := killed(t)
	b := newBedOn(t, k)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b.want(0, 0)
}

// The request IDs of a new instance begin where those of the killed one began: its
// policies never find SAs of the new one.
func TestRequestIDAgain(t *testing.T) {
	k, _ := killed(t)
	b := newBedOn(t, k)
	ps := policies(1, 1000)
	for i := range ps {
		ps[i].Sel.Src, ps[i].Sel.Dst = prefix("10.8.0.0/16"), prefix("10.9.0.0/16")
		ps[i].Name = "other/child"
	}
	b.guard(policies(0, 0), true)
	b.apply(append([]esp.Op{esp.AddSA{SA: outSA(0x8888)}}, adds(ps)...)...)
	b.guard(nil, false)
	sas, is := k.snapshot()
	for _, st := range sas {
		if st.ReqID == testReqID && st.ID.SPI != 0x8888 {
			t.Error("an old SA is still there")
		}
	}
	for key, m := range is {
		if old := key.sel.Dst.Addr() != prefix("10.9.0.0/16").Addr() && tagged(&m); old && m.Templates[0].ReqID == testReqID && key.dir == message.Out {
			t.Errorf("the old policy %s finds the new SA", keyText(key))
		}
	}
	b.want(1, 6)
}

// Traps alone that were left: equal ones take their place, and nobody is asked.
func TestTrapsTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(t)
		old, err := New(t.Context(), Config{Kernel: k, FirstReqID: firstReqID, LastReqID: lastReqID})
		if err != nil {
			t.Fatal(err)
		}
		if err := old.Apply(t.Context(), adds(policies(0, 1001))); err != nil {
			t.Fatal(err)
		}
		b := newBedOn(t, k)
		n := b.watch()
		b.apply(adds(policies(0, 1001))...)
		time.Sleep(2 * DefaultGrace)
		synctest.Wait()
		if _, is := k.snapshot(); len(is) != 3 {
			t.Errorf("%d policies", len(is))
		}
		if got := n.take(); len(got) != 0 {
			t.Errorf("told %v", got)
		}
		if len(b.net.routes) != 1 {
			t.Errorf("routes %v", b.net.routes)
		}
	})
}

func TestNoStart(t *testing.T) {
	k := newFake(t)
	k.refuse = errno(unix.EPERM, func(m message.Type, _ *message.State, _ *message.Policy) bool { return m == 0 })
	_, err := New(t.Context(), Config{Kernel: k})
	if err == nil || !contains(err, "CAP_NET_ADMIN") {
		t.Error(err)
	}
}
