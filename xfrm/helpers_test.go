//go:build linux

package xfrm

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/hostnet"
	"github.com/goike/goike/xfrm/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	firstReqID = 0x4000_0000
	lastReqID  = 0x4fff_ffff
	testReqID  = firstReqID + 7
)

var (
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("192.0.2.2")
	gcm   = crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESGCM16, KeyBits: 128}
)

// bed is a plane over a fake kernel.
type bed struct {
	*Plane
	t   *testing.T
	k   *fakeKernel
	net *fakeNetwork

	mu    sync.Mutex
	lines []string
}

func (b *bed) warn(s string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, s)
}

func (b *bed) warnings() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lines)
}

func newBed(t *testing.T) *bed { return newBedOn(t, newFake(t)) }

func newBedOn(t *testing.T, k *fakeKernel) *bed {
	t.Helper()
	b := &bed{t: t, k: k, net: &fakeNetwork{}}
	var err error
	b.Plane, err = New(t.Context(), Config{
		Kernel: k, Notices: k, Network: b.net, FirstReqID: firstReqID, LastReqID: lastReqID, Warn: b.warn,
		Device:        func(id uint32) string { return map[uint32]string{5: "xfrm5"}[id] },
		OffloadDevice: func(a netip.Addr) int { return map[netip.Addr]int{here: 3}[a] },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		k.mu.Lock()
		k.refuse, k.dead, k.seen = nil, nil, nil
		k.mu.Unlock()
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

// apply must succeed.
func (b *bed) apply(ops ...esp.Op) {
	b.t.Helper()
	if err := b.Apply(b.t.Context(), ops); err != nil {
		b.t.Fatalf("Apply: %v", err)
	}
	b.agree()
}

// refused must fail with words in its error.
func (b *bed) refused(words string, ops ...esp.Op) {
	b.t.Helper()
	_ = b.refusal(words, ops...)
}

// refusal must fail with words in its error, which is returned.
func (b *bed) refusal(words string, ops ...esp.Op) error {
	b.t.Helper()
	err := b.Apply(b.t.Context(), ops)
	if err == nil {
		b.t.Fatalf("Apply succeeded")
	}
	for w := range strings.SplitSeq(words, "|") {
		if !strings.Contains(err.Error(), w) {
			b.t.Errorf("the error is %q, want it to say %q", err, w)
		}
	}
	b.agree()
	return err
}

// agree compares the table with the kernel: what the plane believes must be so.
func (b *bed) agree() {
	b.t.Helper()
	b.Plane.mu.Lock()
	defer b.Plane.mu.Unlock()
	if b.stale {
		return
	}
	sas, policies := b.k.snapshot()
	for id := range b.sas {
		if _, ok := sas[kernelID(id)]; !ok {
			b.t.Errorf("%s is believed to be there", nameSA(id, ""))
		}
	}
	for id, st := range sas {
		if b.ours(st.ReqID) && !larval(&st) && b.sas[espID(id)] == nil {
			b.t.Errorf("%s is there, and not known", nameSA(espID(id), ""))
		}
	}
	for key, e := range b.table.entries {
		is, ok := policies[key]
		if ok && !tagged(&is) {
			ok = false
		}
		if ok != (e.image != nil) || ok && !samePolicy(&is, e.image) {
			b.t.Errorf("the policy %s is not what it is believed to be", keyText(key))
		}
	}
	for key, pol := range policies {
		if tagged(&pol) && b.table.entries[key] == nil {
			b.t.Errorf("the policy %s is there, and not known", keyText(key))
		}
	}
}

// fakeNetwork takes routes.
type fakeNetwork struct {
	mu     sync.Mutex
	routes []hostnet.Route
	sets   int
	err    error
}

func (n *fakeNetwork) Set(_ context.Context, routes []hostnet.Route) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err != nil {
		return n.err
	}
	n.routes, n.sets = routes, n.sets+1
	return nil
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func selector(src, dst string) esp.Selector {
	return esp.Selector{Src: prefix(src), Dst: prefix(dst), SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort}
}

func key(a crypto.Alg, fill byte) crypto.Secret {
	k := make(crypto.Secret, crypto.KeyLen(a))
	for i := range k {
		k[i] = fill + byte(i)
	}
	return k
}

func inSA(spi uint32) esp.SA {
	return esp.SA{
		ID: esp.SAID{Dst: here, SPI: spi, Proto: esp.ProtoESP}, Src: there, Dir: esp.In, Encr: gcm, EncrKey: key(gcm, 1),
		Window: 64, ReqID: testReqID,
	}
}

func outSA(spi uint32) esp.SA {
	return esp.SA{
		ID: esp.SAID{Dst: there, SPI: spi, Proto: esp.ProtoESP}, Src: here, Dir: esp.Out, Encr: gcm, EncrKey: key(gcm, 2),
		Window: 64, ReqID: testReqID,
	}
}

// policies are those of a child: out, in and forward.
func policies(owner uint64, priority uint32) []esp.Policy {
	out := esp.Policy{
		Sel: selector("10.1.0.0/16", "10.2.0.0/16"), Priority: priority, Proto: esp.ProtoESP, Src: here, Dst: there,
		ReqID: testReqID, Name: "gateway/office", Owner: owner,
	}
	in := out
	in.Dir, in.Sel, in.Src, in.Dst = esp.In, selector("10.2.0.0/16", "10.1.0.0/16"), there, here
	fwd := in
	fwd.Dir = esp.Forward
	return []esp.Policy{out, in, fwd}
}

func adds(ps []esp.Policy) []esp.Op {
	var ops []esp.Op
	for _, p := range ps {
		ops = append(ops, esp.AddPolicy{Policy: p})
	}
	return ops
}

func dels(ps []esp.Policy) []esp.Op {
	var ops []esp.Op
	for _, p := range ps {
		ops = append(ops, esp.DelPolicy{Policy: p})
	}
	return ops
}

// child installs both SAs and the policies of a child; its inbound SPI is reserved.
func (b *bed) child(owner uint64, priority uint32) (up, down []esp.Op) {
	b.t.Helper()
	spi, err := b.AllocSPI(b.t.Context(), there, here, esp.ProtoESP)
	if err != nil {
		b.t.Fatal(err)
	}
	in, out := inSA(spi), outSA(spi+0x10000)
	ps := policies(owner, priority)
	up = append([]esp.Op{esp.AddSA{SA: in}, esp.AddSA{SA: out}}, adds(ps)...)
	down = append([]esp.Op{esp.DelSA{ID: out.ID}, esp.DelSA{ID: in.ID}}, dels(ps)...)
	return up, down
}

// errno makes refusals.
func errno(n error, when func(t message.Type, st *message.State, pol *message.Policy) bool) func(message.Type, *message.State, *message.Policy) error {
	return func(t message.Type, st *message.State, pol *message.Policy) error {
		if when(t, st, pol) {
			return n
		}
		return nil
	}
}

func wantUnsupported(t *testing.T, err error, want bool) {
	t.Helper()
	if errors.Is(err, errors.ErrUnsupported) != want {
		t.Errorf("%v: is ErrUnsupported: %t, want %t", err, !want, want)
	}
}
