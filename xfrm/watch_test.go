//go:build linux

package xfrm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// The bodies of notices, as linux/xfrm.h has them.

func flushBody(t *testing.T, b *bed, all bool) netlink.Message {
	t.Helper()
	if all {
		return netlink.Message{Type: message.FlushSA, Body: make([]byte, 4)}
	}
	return netlink.Message{Type: message.FlushPolicy}
}

// Another program flushes everything: policies are back at once, SAs are told.
func TestForeignFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		n := b.watch()
		up, down := b.child(1, 1000)
		b.apply(up...)
		_, before := b.k.snapshot()
		b.k.mu.Lock()
		clear(b.k.sas)
		clear(b.k.policies)
		b.k.mu.Unlock()
		b.k.tell(flushBody(t, b, true), flushBody(t, b, false))
		synctest.Wait()
		_, after := b.k.snapshot()
		if len(after) != len(before) {
			t.Errorf("%d policies", len(after))
		}
		got := n.take()
		if len(got) != 2 {
			t.Errorf("told %+v", got)
		}
		for _, x := range got {
			if e, ok := x.(esp.Expire); !ok || !e.Hard || e.ReqID != testReqID {
				t.Errorf("told %+v", x)
			}
		}
		if w := b.warnings(); len(w) != 1 || !strings.Contains(w[0], "3 policies and 2 SAs of goike were gone: another program") {
			t.Errorf("said %q", w)
		}
		b.agree()
		b.apply(down...)
		b.k.empty(t)
	})
}

// One policy or SA that another program removes or replaces.
func TestForeignChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		n := b.watch()
		up, _ := b.child(1, 1000)
		b.apply(up...)
		key, err := keysOf(&policies(1, 1000)[0])
		if err != nil {
			t.Fatal(err)
		}
		body, _ := message.AppendPolicyID(nil, key[0].id())
		b.k.mu.Lock()
		delete(b.k.policies, key[0])
		b.k.mu.Unlock()
		b.k.tell(netlink.Message{Type: message.DelPolicy, Body: slices.Clone(body), Own: true}) // our own
		synctest.Wait()
		if w := b.warnings(); len(w) != 0 {
			t.Errorf("said %q", w)
		}
		b.k.tell(netlink.Message{Type: message.DelPolicy, Body: body})
		synctest.Wait()
		b.agree()
		if _, is := b.k.snapshot(); len(is) != 3 {
			t.Errorf("%d policies", len(is))
		}
		if w := b.warnings(); len(w) != 1 || !strings.Contains(w[0], "1 policy and 0 SAs") {
			t.Errorf("said %q", w)
		}
		in := up[0].(esp.AddSA).SA
		body, _ = message.AppendSAID(nil, kernelID(in.ID), nil)
		b.k.mu.Lock()
		delete(b.k.sas, kernelID(in.ID))
		b.k.mu.Unlock()
		b.k.tell(netlink.Message{Type: message.DelSA, Body: body})
		synctest.Wait()
		if got := n.take(); !slices.Equal(got, []esp.Notice{esp.Expire{ID: in.ID, ReqID: testReqID, Hard: true}}) {
			t.Errorf("told %+v", got)
		}
		// In the place of ours another program has its own: it stays.
		b.k.mu.Lock()
		theirs := *b.k.policies[key[0]]
		theirs.Limits = message.NoLimits
		b.k.policies[key[0]] = &theirs
		b.k.mu.Unlock()
		body, _ = message.AppendPolicy(nil, &theirs)
		b.k.tell(netlink.Message{Type: message.UpdPolicy, Body: body})
		synctest.Wait()
		if w := b.warnings(); !strings.Contains(w[len(w)-1], "another program has") {
			t.Errorf("said %q", w)
		}
		_, is := b.k.snapshot()
		if p := is[key[0]]; tagged(&p) {
			t.Error("the policy of another program was replaced")
		}
		b.apply()
		b.k.mu.Lock()
		delete(b.k.policies, key[0])
		b.k.mu.Unlock()
	})
}

// After lost notices the kernel is looked at: what is missing comes back, and packets
// that wait ask again.
func TestLostNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		n := b.watch()
		b.apply(adds(policies(0, 1001))...)
		up, _ := b.child(1, 1000)
		b.apply(up[:2]...)
		b.k.mu.Lock()
		clear(b.k.sas)
		for k := range b.k.policies {
			if k.dir != message.Out {
				delete(b.k.policies, k)
			}
		}
		waiting := message.State{ID: message.ID{Dst: there, Proto: 50}, Src: here, ReqID: testReqID, Mode: message.Tunnel, Sel: packetFrom(17, 1, 53)}
		b.k.sas[waiting.ID] = &fakeSA{State: waiting, larval: true}
		b.k.mu.Unlock()
		b.k.notices <- received{err: netlink.ErrLost}
		synctest.Wait()
		b.agree()
		var expired, asked int
		for _, x := range n.take() {
			switch x := x.(type) {
			case esp.Expire:
				expired++
			case esp.Acquire:
				asked++
				if x.Policy != "gateway/office" || x.Packet.DstPorts != single(53) {
					t.Errorf("%+v", x)
				}
			}
		}
		if expired != 2 || asked != 1 {
			t.Errorf("%d expired, %d asked", expired, asked)
		}
		if _, is := b.k.snapshot(); len(is) != 3 {
			t.Errorf("%d policies", len(is))
		}
		b.k.mu.Lock()
		delete(b.k.sas, waiting.ID)
		b.k.mu.Unlock()
	})
}

// Who fights us does not make us spin.
func TestFight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.watch()
		b.apply(adds(policies(1, 1000))...)
		dumps := 0
		for range 100 {
			b.k.mu.Lock()
			clear(b.k.policies)
			b.k.mu.Unlock()
			b.k.tell(flushBody(t, b, false))
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		_, asked := b.k.counted()
		for _, m := range asked {
			if m == message.GetPolicy {
				dumps++
			}
		}
		if dumps < freeRepairs || dumps > freeRepairs+6 {
			t.Errorf("it looked %d times within 10 s", dumps)
		}
		slow := 0
		for _, w := range b.warnings() {
			if strings.Contains(w, "again and again") {
				slow++
			}
		}
		if slow != 1 || len(b.warnings()) > freeRepairs+6 {
			t.Errorf("said %q", b.warnings())
		}
		time.Sleep(lastInterval)
		synctest.Wait()
		if _, is := b.k.snapshot(); len(is) != 3 {
			t.Errorf("%d policies", len(is))
		}
	})
}

// A repair that fails is tried again.
func TestRepairFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.watch()
		b.apply(adds(policies(1, 1000))...)
		b.k.mu.Lock()
		clear(b.k.policies)
		b.k.refuse = errno(unix.ENOBUFS, func(m message.Type, _ *message.State, _ *message.Policy) bool {
			return m == 0 || m == message.NewPolicy
		})
		b.k.mu.Unlock()
		b.k.tell(flushBody(t, b, false))
		synctest.Wait()
		b.k.mu.Lock()
		b.k.refuse = nil
		b.k.mu.Unlock()
		time.Sleep(2 * firstInterval)
		synctest.Wait()
		b.agree()
		if _, is := b.k.snapshot(); len(is) != 3 {
			t.Errorf("%d policies", len(is))
		}
		if w := b.warnings(); !strings.Contains(fmt.Sprint(w), "tried again") {
			t.Errorf("said %q", w)
		}
	})
}

func TestWatchEnds(t *testing.T) {
	b := newBed(t)
	b.k.notices <- received{err: errors.New("broken")}
	if err := b.Watch(t.Context(), func(esp.Notice) {}); err == nil || !contains(err, "broken") {
		t.Error(err)
	}
}
