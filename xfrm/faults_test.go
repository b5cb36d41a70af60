//go:build linux

package xfrm

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

func contains(err error, words string) bool { return strings.Contains(err.Error(), words) }

// Whatever the kernel refuses of a child: no half of it is left, and the error says
// what, of whom, and why.
func TestRefusedSAs(t *testing.T) {
	for _, c := range []struct {
		errno       unix.Errno
		words       string
		unsupported bool
	}{
		{unix.ENOSYS, "lacks ESP with aes128gcm16 (rfc4106(gcm(aes)))", true},
		{unix.EPROTONOSUPPORT, "lacks ESP", true},
		{unix.ENOENT, "module", true},
		{unix.EPERM, "CAP_NET_ADMIN", false},
		{unix.ENOBUFS, "memory", false},
		{unix.ENOMEM, "memory", false},
		{unix.EINVAL, "takes no such SA", false},
		{unix.EOPNOTSUPP, "cannot", true},
		{unix.ENODEV, "interface", false},
		{unix.EIO, "input/output error", false},
	} {
		for _, dir := range []string{"in", "out"} {
			b := newBed(t)
			up, _ := b.child(1, 1000)
			b.k.refuse = errno(c.errno, func(m message.Type, st *message.State, _ *message.Policy) bool {
				return (m == message.NewSA || m == message.UpdSA) && (st.ID.Dst == here) == (dir == "in")
			})
			err := b.refusal(c.words+"|gateway/office|192.0.2.2|"+c.errno.Error(), up...)
			wantUnsupported(t, err, c.unsupported)
			b.k.empty(t)
			if b.larvae.has(up[0].(esp.AddSA).SA.ID) {
				t.Error("the SPI is still held")
			}
			b.k.refuse = nil
			b.apply(up...)
		}
	}
}

func TestExtendedText(t *testing.T) {
	b := newBed(t)
	up, _ := b.child(1, 1000)
	b.k.refuse = errno(&netlink.KernelError{Errno: unix.EINVAL, Text: "Requested mode not found"},
		func(m message.Type, _ *message.State, _ *message.Policy) bool { return m == message.UpdSA })
	b.refused("Requested mode not found", up...)
}

// A refused SA of a rekeying leaves the child that is there alone.
func TestRefusedRekeying(t *testing.T) {
	b := newBed(t)
	up, down := b.child(1, 1000)
	b.apply(up...)
	again, _ := b.child(2, 1000)
	b.k.refuse = errno(unix.ENOMEM, func(m message.Type, _ *message.State, _ *message.Policy) bool { return m == message.UpdSA })
	b.refused("memory", again...)
	sas, policies := b.k.snapshot()
	if len(sas) != 2 || len(policies) != 3 {
		t.Errorf("%d SAs and %d policies", len(sas), len(policies))
	}
	b.k.refuse = nil
	b.apply(down...)
	b.k.empty(t)
}

func TestForeignSA(t *testing.T) {
	b := newBed(t)
	foreign := outSA(0x6000)
	foreign.ReqID = 1
	st, err := state(&foreign, true)
	if err != nil {
		t.Fatal(err)
	}
	b.k.sas[st.ID] = &fakeSA{State: *st}
	b.refused("another program|request ID 1", esp.AddSA{SA: outSA(0x6000)})
	if sas, _ := b.k.snapshot(); sas[st.ID].ReqID != 1 {
		t.Error("the SA of another program was touched")
	}
	b.apply(esp.DelSA{ID: foreign.ID})
	if sas, _ := b.k.snapshot(); len(sas) != 1 {
		t.Error("the SA of another program was removed")
	}
}

// An SA of ours that is in the way gives way.
func TestOwnSAInTheWay(t *testing.T) {
	b := newBed(t)
	lost := outSA(0x6000)
	lost.ReqID++
	st, err := state(&lost, true)
	if err != nil {
		t.Fatal(err)
	}
	b.k.sas[st.ID] = &fakeSA{State: *st}
	b.apply(esp.AddSA{SA: outSA(0x6000)})
	if sas, _ := b.k.snapshot(); sas[st.ID].ReqID != testReqID {
		t.Error("the old SA is still there")
	}
}

func TestRefusedMove(t *testing.T) {
	b := newBed(t)
	in := inSA(0x5000)
	b.apply(append([]esp.Op{esp.AddSA{SA: in}}, adds(policies(1, 1000))...)...)
	b.k.refuse = errno(unix.ENOBUFS, func(m message.Type, _ *message.State, _ *message.Policy) bool { return m == message.NewSA })
	b.refused("cannot be moved|memory", esp.MoveSA{ID: in.ID, Src: here, Dst: there})
	if _, policies := b.k.snapshot(); len(policies) != 3 {
		t.Error("policies have gone with the SA")
	}
	b.k.refuse = errno(unix.EPERM, func(m message.Type, _ *message.State, _ *message.Policy) bool { return m == message.GetSA })
	in.ID.SPI++
	b.apply(esp.AddSA{SA: in})
	b.refused("CAP_NET_ADMIN", esp.MoveSA{ID: in.ID, Src: here, Dst: there})
}

func TestRefusedPolicies(t *testing.T) {
	for _, c := range []struct {
		errno       unix.Errno
		words       string
		unsupported bool
	}{
		{unix.EEXIST, "another program has a policy|ip xfrm policy delete", false},
		{unix.EPERM, "CAP_NET_ADMIN", false},
		{unix.ENOBUFS, "memory", false},
		{unix.ENODEV, "interface", false},
		{unix.EPROTONOSUPPORT, "cannot", true},
		{unix.EINVAL, "invalid argument", false},
	} {
		b := newBed(t)
		trap := policies(0, 1001)
		b.apply(adds(trap)...)
		up, down := b.child(1, 1000)
		b.k.refuse = errno(c.errno, func(m message.Type, _ *message.State, pol *message.Policy) bool {
			return (m == message.NewPolicy || m == message.UpdPolicy) && pol.Dir == message.Forward
		})
		err := b.refusal(c.words+"|gateway/office|forwarded from 10.2.0.0/16 to 10.1.0.0/16", up...)
		wantUnsupported(t, err, c.unsupported)
		_, is := b.k.snapshot()
		for k, p := range is {
			want := uint32(1000)
			if k.dir == message.Forward {
				want = 1001 // what was in force still is
			}
			if p.Priority != want {
				t.Errorf("%s has priority %d", keyText(k), p.Priority)
			}
		}
		b.k.refuse = nil
		b.apply(append(down, dels(trap)...)...)
		b.k.empty(t)
	}
}

// A policy of another program with the same selector is not touched.
func TestForeignPolicy(t *testing.T) {
	b := newBed(t)
	ps := policies(1, 1000)
	keys, err := keysOf(&ps[0])
	if err != nil {
		t.Fatal(err)
	}
	foreign := kernelPolicy(&keys[0], &ps[0], 0)
	foreign.Limits, foreign.Priority = message.NoLimits, 7
	b.k.policies[keys[0]] = foreign
	b.refused("another program|for packets out from 10.1.0.0/16 to 10.2.0.0/16", adds(ps)...)
	b.apply(dels(ps)...)
	_, is := b.k.snapshot()
	if len(is) != 1 || is[keys[0]].Priority != 7 {
		t.Errorf("%v", is)
	}
}

// What a removal was refused for is tried again with the next operations.
func TestRefusedRemoval(t *testing.T) {
	b := newBed(t)
	up, down := b.child(1, 1000)
	b.apply(up...)
	b.k.refuse = errno(unix.ENOMEM, func(m message.Type, _ *message.State, _ *message.Policy) bool {
		return m == message.DelPolicy || m == message.DelSA
	})
	b.refused("cannot be removed|memory", down...)
	b.k.refuse = nil
	b.apply(down...)
	b.k.empty(t)
}

// After an error of the socket nothing is known. The next Apply looks first.
func TestLostAnswers(t *testing.T) {
	for after := range 2 {
		b := newBed(t)
		b.apply(adds(policies(0, 1001))...)
		up, down := b.child(1, 1000)
		b.k.dead, b.k.deadIn = errors.New("gone wrong"), after
		if err := b.Apply(t.Context(), up); err == nil || !contains(err, "gone wrong") {
			t.Fatal(err)
		}
		b.apply(down...)
		if sas, policies := b.k.snapshot(); len(sas) != 0 || len(policies) != 3 {
			t.Errorf("%d SAs, %d policies", len(sas), len(policies))
		}
		up, down = b.child(2, 1000)
		b.apply(up...)
		b.k.dead = errors.New("gone wrong")
		if err := b.Apply(t.Context(), down); err == nil || !contains(err, "gone wrong") {
			t.Fatal(err)
		}
		b.k.refuse = errno(unix.ENOBUFS, func(m message.Type, _ *message.State, _ *message.Policy) bool { return m == 0 })
		if err := b.Apply(t.Context(), nil); err == nil || !contains(err, "memory") {
			t.Fatal(err) // it cannot look
		}
		b.k.refuse = nil
		b.apply()
		if sas, policies := b.k.snapshot(); len(sas) != 0 || len(policies) != 3 {
			t.Errorf("%d SAs, %d policies", len(sas), len(policies))
		}
	}
}

// What cannot be put right does not keep the next operations from being carried out.
func TestPartlyPutRight(t *testing.T) {
	b := newBed(t)
	b.apply(adds(policies(0, 1001))...)
	up, _ := b.child(1, 1000)
	again, _ := b.child(2, 1000)
	b.k.dead = errors.New("gone wrong")
	if err := b.Apply(t.Context(), up); err == nil {
		t.Fatal("no error")
	}
	b.k.mu.Lock()
	clear(b.k.policies)
	b.k.mu.Unlock()
	b.k.refuse = errno(unix.ENOBUFS, func(m message.Type, _ *message.State, pol *message.Policy) bool {
		return m == message.NewPolicy && pol.Dir == message.Forward
	})
	if err := b.Apply(t.Context(), again[:2]); err == nil || !contains(err, "memory") {
		t.Errorf("what is still to be done is tried again: %v", err)
	}
	if sas, _ := b.k.snapshot(); len(sas) != 2 {
		t.Errorf("%d SAs", len(sas))
	}
	if w := b.warnings(); len(w) != 1 || !strings.Contains(w[0], "memory") {
		t.Errorf("said %q", w)
	}
	b.k.refuse = nil
	b.apply()
	if _, policies := b.k.snapshot(); len(policies) != 3 {
		t.Errorf("%d policies", len(policies))
	}
}

// The same when Close is the next.
func TestLostAnswersThenClose(t *testing.T) {
	b := newBed(t)
	up, _ := b.child(1, 1000)
	b.k.dead = errors.New("gone wrong")
	if err := b.Apply(t.Context(), up); err == nil {
		t.Fatal("no error")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b.k.empty(t)
}

func TestContext(t *testing.T) {
	b := newBed(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Apply(ctx, adds(policies(1, 1000))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := b.AllocSPI(ctx, there, here, esp.ProtoESP); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	b.k.empty(t)
}

func TestCloseTellsWhatStays(t *testing.T) {
	b := newBed(t)
	up, _ := b.child(1, 1000)
	b.apply(up...)
	b.k.refuse = errno(unix.EPERM, func(m message.Type, _ *message.State, _ *message.Policy) bool { return m == message.DelPolicy })
	if err := b.Close(); err == nil || !contains(err, "CAP_NET_ADMIN") {
		t.Error(err)
	}
	b.k.refuse = nil
}

func TestOffload(t *testing.T) {
	device := func(st *message.State) message.OffloadFlags {
		if st.Offload == nil {
			return 0xff
		}
		return st.Offload.Flags
	}
	for name, c := range map[string]struct {
		kind   esp.Offload
		can    message.OffloadFlags // beyond crypto
		crypto bool
		want   message.OffloadFlags
		words  string
	}{
		"auto takes packet offload": {kind: esp.OffloadAuto, can: message.OffloadPacket, crypto: true, want: message.OffloadPacket},
		"auto takes crypto offload": {kind: esp.OffloadAuto, crypto: true, want: 0},
		"auto takes none":           {kind: esp.OffloadAuto, want: 0xff},
		"no crypto offload":         {kind: esp.OffloadCrypto, words: "crypto offload"},
		"no packet offload":         {kind: esp.OffloadPacket, crypto: true, words: "packet offload"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.k.refuse = errno(unix.EOPNOTSUPP, func(_ message.Type, st *message.State, pol *message.Policy) bool {
				switch {
				case st != nil && st.Offload != nil:
					return !c.crypto || st.Offload.Flags&message.OffloadPacket&^c.can != 0
				case pol != nil && pol.Offload != nil:
					return c.can == 0
				}
				return false
			})
			out := outSA(0x6000)
			out.Offload = c.kind
			ops := append([]esp.Op{esp.AddSA{SA: out}}, adds(policies(1, 1000))...)
			if c.words != "" {
				wantUnsupported(t, b.refusal(c.words, ops...), true)
				b.k.empty(t)
				return
			}
			b.apply(ops...)
			sas, policies := b.k.snapshot()
			if st := sas[kernelID(out.ID)]; device(&st) != c.want || st.Offload != nil && st.Offload.IfIndex != 3 {
				t.Errorf("%+v", st.Offload)
			}
			for k, p := range policies {
				if (p.Offload != nil) != (c.can != 0 && k.dir != message.Forward) {
					t.Errorf("the policy %s has offload %v", keyText(k), p.Offload)
				}
			}
		})
	}
}

// The kernel says nothing when a card does not do crypto offload.
func TestSilentlyNotOffloaded(t *testing.T) {
	b := newBed(t)
	b.k.silent = true
	out := outSA(0x6000)
	out.Offload = esp.OffloadCrypto
	wantUnsupported(t, b.refusal("crypto offload", esp.AddSA{SA: out}), true)
	b.k.empty(t)
	out.Src = there
	b.refused("no network interface with the address 192.0.2.2", esp.AddSA{SA: out})
}
