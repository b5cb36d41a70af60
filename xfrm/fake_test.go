//go:build linux

package xfrm

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// fakeSA is an SA of the fake kernel.
type fakeSA struct {
	message.State
	larval bool
}

// fakeKernel behaves as the kernel does, as far as requests go.
type fakeKernel struct {
	t        testing.TB
	directed bool // knows the direction of SAs, as kernels from 6.10 on

	mu       sync.Mutex
	sas      map[message.ID]*fakeSA
	policies map[policyKey]*message.Policy
	lastSPI  uint32
	waiting  int // larval SAs without SPI of the test's request ID
	calls    int
	asked    []message.Type
	// refuse refuses a request before it is looked at; nil: it does not.
	refuse func(t message.Type, st *message.State, pol *message.Policy) error
	// seen is called after each change of a policy.
	seen    func()
	dead    error // of the socket: requests are carried out, but nobody is told
	deadIn  int   // after so many calls
	silent  bool  // nothing is offloaded, though it was asked for
	notices chan received
}

func newFake(t testing.TB) *fakeKernel {
	return &fakeKernel{
		t: t, directed: true, sas: make(map[message.ID]*fakeSA), policies: make(map[policyKey]*message.Policy),
		lastSPI: 0x1000, notices: make(chan received, 64),
	}
}

// Do implements Kernel.
func (k *fakeKernel) Do(ctx context.Context, requests []netlink.Request) ([]netlink.Reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls++
	replies := make([]netlink.Reply, len(requests))
	for i, r := range requests {
		replies[i] = k.one(r)
		clear(r.Body)
		k.asked = append(k.asked, r.Type)
		if k.seen != nil && r.Type >= message.NewPolicy {
			k.seen()
		}
	}
	if err := k.dead; err != nil {
		if k.deadIn--; k.deadIn >= 0 {
			return replies, nil
		}
		k.dead = nil
		return nil, err
	}
	return replies, nil
}

func (k *fakeKernel) one(r netlink.Request) netlink.Reply {
	var err error
	var out netlink.Reply
	switch r.Type {
	case message.NewSA, message.UpdSA:
		st, perr := message.ParseState(r.Body)
		k.must(perr)
		if err = k.refused(r.Type, st, nil); err == nil {
			err = k.putSA(r.Type, st)
		}
	case message.AllocSPI:
		out = k.alloc(r.Body)
		err = out.Err
	case message.DelSA, message.GetSA:
		out = k.named(r)
		err = out.Err
	case message.NewPolicy, message.UpdPolicy:
		pol, perr := message.ParsePolicy(r.Body)
		k.must(perr)
		if err = k.refused(r.Type, nil, pol); err == nil {
			err = k.putPolicy(r.Type, pol)
		}
	case message.DelPolicy, message.GetPolicy:
		out = k.namedPolicy(r)
		err = out.Err
	default:
		err = unix.EINVAL
	}
	if err != nil {
		var n syscall.Errno
		var whole *netlink.KernelError
		if errors.As(err, &n) && !errors.As(err, &whole) {
			err = &netlink.KernelError{Errno: n}
		}
		return netlink.Reply{Err: err}
	}
	return out
}

func (k *fakeKernel) must(err error) {
	if err != nil {
		k.t.Errorf("a request that is none: %v", err)
	}
}

func (k *fakeKernel) refused(t message.Type, st *message.State, pol *message.Policy) error {
	if k.refuse == nil {
		return nil
	}
	return k.refuse(t, st, pol)
}

// check refuses what the kernel refuses of SAs.
func (k *fakeKernel) check(st *message.State) error {
	esn := st.Flags&message.ESN != 0
	dir := st.Dir
	if !k.directed {
		dir = 0
	}
	switch {
	case larval(st) || st.ID.SPI == 0:
		return unix.EINVAL
	case esn && st.Window == 0 && dir != message.SADirOut:
		return unix.EINVAL
	case dir == message.SADirOut && (st.Window != 0 || st.Flags&message.DecapDSCP != 0):
		return unix.EINVAL
	case dir == message.SADirIn && (st.Flags&message.NoPMTUD != 0 || st.ExtraFlags != 0):
		return unix.EINVAL
	case dir == message.SADirOut && st.Replay != nil && (st.Replay.InSeq != 0 || st.Replay.InSeqHigh != 0):
		return unix.EINVAL
	case st.TFCPad != 0 && (st.Mode != message.Tunnel || st.ID.Proto != unix.IPPROTO_ESP):
		return unix.EINVAL
	case st.Mode != message.Tunnel && st.Sel.Src.IsValid() && st.Sel.Src.Addr().Is4() != st.ID.Dst.Is4() && st.Mode == message.Transport:
		return unix.EINVAL
	}
	return nil
}

func (k *fakeKernel) putSA(t message.Type, st *message.State) error {
	if err := k.check(st); err != nil {
		return err
	}
	if !k.directed {
		st.Dir = 0
	}
	if k.silent {
		st.Offload = nil
	}
	old := k.sas[st.ID]
	switch {
	case t == message.NewSA && old != nil:
		return unix.EEXIST
	case t == message.NewSA || old != nil && old.larval:
		if t == message.UpdSA && st.Dir != 0 && old.Dir != st.Dir {
			return unix.ESRCH
		}
		if st.Replay == nil {
			st.Replay = &message.Replay{Bitmap: make([]uint32, (max(st.Window, 1)+31)/32)}
			if st.Window == 0 && st.Flags&message.ESN != 0 {
				st.Replay.Bitmap = nil
			}
		}
		st.Used, st.Stats = message.Used{AddTime: 1_700_000_000}, message.Stats{}
		k.sas[st.ID] = &fakeSA{State: *st}
		return nil
	case old == nil || old.Dir != st.Dir:
		return unix.ESRCH
	}
	// The keys of an SA never change.
	switch {
	case old.Encap != nil && st.Encap != nil:
		old.Encap = st.Encap
	case old.Encap != nil || st.Encap != nil:
		return unix.EINVAL
	}
	old.Limits = st.Limits
	return nil
}

const sizeOfState = 224

func (k *fakeKernel) alloc(body []byte) netlink.Reply {
	lo, hi := binary.NativeEndian.Uint32(body[sizeOfState:]), binary.NativeEndian.Uint32(body[sizeOfState+4:])
	st, err := message.ParseState(slices.Concat(body[:sizeOfState], body[sizeOfState+8:]))
	k.must(err)
	if err := k.refused(message.AllocSPI, st, nil); err != nil {
		return netlink.Reply{Err: err}
	}
	if k.waiting > 0 && st.ReqID == testReqID {
		k.waiting--
		st.Seq = 7
	}
	k.lastSPI++
	st.ID.SPI = lo + k.lastSPI%(hi-lo)
	if !k.directed {
		st.Dir = 0
	}
	k.sas[st.ID] = &fakeSA{State: *st, larval: true}
	return netlink.Reply{Type: message.NewSA, Body: k.encode(&k.sas[st.ID].State)}
}

// encode is an SA as the kernel tells it, with what is read only.
func (k *fakeKernel) encode(st *message.State) []byte {
	b, err := message.AppendState(nil, st)
	k.must(err)
	put := binary.NativeEndian
	for i, v := range []uint64{st.Used.Bytes, st.Used.Packets, st.Used.AddTime, st.Used.UseTime} {
		put.PutUint64(b[160+8*i:], v)
	}
	for i, v := range []uint32{st.Stats.ReplayWindow, st.Stats.Replay, st.Stats.IntegrityFailed} {
		put.PutUint32(b[192+4*i:], v)
	}
	if st.LastUsed != 0 {
		b = put.AppendUint16(put.AppendUint16(b, 12), 15) // XFRMA_LASTUSED
		b = put.AppendUint64(b, st.LastUsed)
	}
	return b
}

func (k *fakeKernel) named(r netlink.Request) netlink.Reply {
	is, err := message.ParseNotice(message.DelSA, r.Body)
	k.must(err)
	id := is.(*message.Deleted).State.ID
	if err := k.refused(r.Type, is.(*message.Deleted).State, nil); err != nil {
		return netlink.Reply{Err: err}
	}
	s := k.sas[id]
	if s == nil || id.SPI == 0 {
		return netlink.Reply{Err: unix.ESRCH}
	}
	if m := is.(*message.Deleted).State.Mark; s.Mark != nil && (m == nil || m.Value&m.Mask&s.Mark.Mask != s.Mark.Value) {
		return netlink.Reply{Err: unix.ESRCH}
	}
	if r.Type == message.DelSA {
		delete(k.sas, id)
		return netlink.Reply{}
	}
	return netlink.Reply{Type: message.NewSA, Body: k.encode(&s.State)}
}

func (k *fakeKernel) putPolicy(t message.Type, pol *message.Policy) error {
	for _, tmpl := range pol.Templates {
		if tmpl.Optional && tmpl.Mode != message.Transport && pol.Dir == message.Out {
			return unix.EINVAL
		}
	}
	key := keyOf(pol.Sel, pol.Dir, pol.Mark, pol.IfID)
	if t == message.NewPolicy && k.policies[key] != nil {
		return unix.EEXIST
	}
	k.policies[key] = pol
	return nil
}

func (k *fakeKernel) namedPolicy(r netlink.Request) netlink.Reply {
	is, err := message.ParseNotice(message.DelPolicy, r.Body)
	k.must(err)
	want := is.(*message.Deleted).Policy
	if err := k.refused(r.Type, nil, want); err != nil {
		return netlink.Reply{Err: err}
	}
	key := keyOf(want.Sel, want.Dir, want.Mark, want.IfID)
	pol := k.policies[key]
	if pol == nil {
		return netlink.Reply{Err: unix.ENOENT}
	}
	if r.Type == message.DelPolicy {
		delete(k.policies, key)
		return netlink.Reply{}
	}
	b, err := message.AppendPolicy(nil, pol)
	k.must(err)
	return netlink.Reply{Type: message.NewPolicy, Body: b}
}

// Dump implements Kernel.
func (k *fakeKernel) Dump(ctx context.Context, r netlink.Request) ([]netlink.Message, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, r.Type)
	if k.refuse != nil && r.Flags&unix.NLM_F_DUMP != 0 {
		if err := k.refuse(0, nil, nil); err != nil {
			return nil, err
		}
	}
	var out []netlink.Message
	if r.Type == message.GetSA {
		for _, s := range k.sas {
			out = append(out, netlink.Message{Type: message.NewSA, Body: k.encode(&s.State)})
		}
		return out, ctx.Err()
	}
	for _, p := range k.policies {
		b, err := message.AppendPolicy(nil, p)
		k.must(err)
		out = append(out, netlink.Message{Type: message.NewPolicy, Body: b})
	}
	return out, ctx.Err()
}

// Receive implements Notices.
func (k *fakeKernel) Receive(ctx context.Context) ([]netlink.Message, error) {
	select {
	case r := <-k.notices:
		return r.list, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (k *fakeKernel) tell(m ...netlink.Message) { k.notices <- received{list: m} }

// snapshot is what there is, to be compared.
func (k *fakeKernel) snapshot() (map[message.ID]message.State, map[policyKey]message.Policy) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sas := make(map[message.ID]message.State, len(k.sas))
	for id, s := range k.sas {
		sas[id] = s.State
	}
	policies := make(map[policyKey]message.Policy, len(k.policies))
	for key, p := range k.policies {
		policies[key] = *p
	}
	return sas, policies
}

// empty tells what is there, "" for nothing.
func (k *fakeKernel) empty(t *testing.T) {
	t.Helper()
	sas, policies := k.snapshot()
	if len(sas)+len(policies) > 0 {
		t.Errorf("left behind: %d SAs, %d policies: %v", len(sas), len(policies), slices.Collect(maps.Keys(policies)))
	}
}

// counted empties the counters and returns what they were.
func (k *fakeKernel) counted() (calls int, asked []message.Type) {
	k.mu.Lock()
	defer k.mu.Unlock()
	calls, asked = k.calls, k.asked
	k.calls, k.asked = 0, nil
	return calls, asked
}
