//go:build linux

package netlink

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/goike/goike/test/lab"
	"github.com/goike/goike/xfrm/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newHost makes a network namespace.
func newHost(t testing.TB) *lab.Namespace {
	t.Helper()
	lab.Need(t, "ip")
	ns, err := lab.ForTest(t).Namespace("host", false)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

// open opens a Conn in the namespace. It is used from outside.
func open(t testing.TB, ns *lab.Namespace) *Conn {
	t.Helper()
	var c *Conn
	if err := ns.Do(func() (err error) { c, err = Open(); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return c
}

func listen(t testing.TB, ns *lab.Namespace, c *Conn, s size, groups ...message.Group) *Listener {
	t.Helper()
	var l *Listener
	if err := ns.Do(func() (err error) { l, err = c.listen(s, groups); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// number i is a destination.
func number(i int) netip.Prefix {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 10<<24|uint32(i))
	return netip.PrefixFrom(netip.AddrFrom4(a), 32)
}

func selector(i int) message.Selector {
	return message.Selector{Src: netip.MustParsePrefix("192.0.2.1/32"), Dst: number(i)}
}

// policy is a request for the policy of that number.
func policy(t testing.TB, i int, dir message.Direction) Request {
	t.Helper()
	body, err := message.AppendPolicy(nil, &message.Policy{Sel: selector(i), Dir: dir, Limits: message.NoLimits})
	if err != nil {
		t.Fatal(err)
	}
	return Request{Type: message.NewPolicy, Body: body}
}

func noPolicy(t testing.TB, i int) Request {
	t.Helper()
	body, err := message.AppendPolicyID(nil, &message.PolicyID{Sel: selector(i), Dir: message.Out})
	if err != nil {
		t.Fatal(err)
	}
	return Request{Type: message.DelPolicy, Body: body}
}

func allocSPI(t testing.TB, reqID uint32) Request {
	t.Helper()
	s := &message.State{ID: message.ID{Dst: netip.MustParseAddr("192.0.2.2"), Proto: 50}, Src: netip.MustParseAddr("192.0.2.1"), Mode: message.Tunnel, ReqID: reqID}
	body, err := message.AppendAllocSPI(nil, s, 0xc0000000, 0xcfffffff)
	if err != nil {
		t.Fatal(err)
	}
	return Request{Type: message.AllocSPI, Body: body}
}

func state(t testing.TB, typ message.Type, id message.ID) Request {
	t.Helper()
	body, err := message.AppendSAID(nil, id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Request{Type: typ, Body: body}
}

func do(t testing.TB, c *Conn, requests ...Request) []Reply {
	t.Helper()
	replies, err := c.Do(context.Background(), requests)
	if err != nil || len(replies) != len(requests) {
		t.Fatalf("%d replies to %d requests, %v", len(replies), len(requests), err)
	}
	return replies
}

// wantErrors asserts that the replies have these errors.
func wantErrors(t testing.TB, replies []Reply, want ...error) {
	t.Helper()
	for i, r := range replies {
		if !errors.Is(r.Err, want[i]) {
			t.Errorf("reply %d: %v, want %v", i, r.Err, want[i])
		}
	}
}

// dumped are the numbers of the policies that there are.
func dumped(t testing.TB, c *Conn) map[int]int {
	t.Helper()
	list, err := c.Dump(context.Background(), Request{Type: message.GetPolicy})
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[int]int)
	for _, m := range list {
		p, err := message.ParsePolicy(m.Body)
		if err != nil || m.Type != message.NewPolicy {
			t.Fatal(m.Type, err)
		}
		a := p.Sel.Dst.Addr().As4()
		all[int(binary.BigEndian.Uint32(a[:])&0xffffff)]++
	}
	return all
}

// Each error is that of its request, in the middle of a batch, too.
func TestErrorsAreMatched(t *testing.T) {
	c := open(t, newHost(t))
	replies := do(t, c, policy(t, 1, message.Out), policy(t, 1, message.Out), noPolicy(t, 9), policy(t, 2, message.Out),
		policy(t, 3, 7), Request{Type: message.NewPolicy, Body: []byte{1, 2, 3}}, policy(t, 4, message.Out), Request{Type: 0xfff})
	wantErrors(t, replies, nil, unix.EEXIST, unix.ENOENT, nil, unix.EINVAL, unix.EINVAL, nil, unix.EINVAL)
	if got := dumped(t, c); len(got) != 3 || got[1] != 1 || got[2] != 1 || got[4] != 1 {
		t.Errorf("there are the policies %v", got)
	}
	var e *KernelError
	if !errors.As(replies[4].Err, &e) || e.Text == "" || e.Error() != e.Text+" (invalid argument)" {
		t.Errorf("the kernel says %v", replies[4].Err)
	}
	if got := replies[1].Err.Error(); got != "file exists" {
		t.Errorf("the kernel says %s", got)
	}
}

func TestAnswers(t *testing.T) {
	c := open(t, newHost(t))
	var ids []message.ID
	for i, r := range do(t, c, allocSPI(t, 1), allocSPI(t, 2), allocSPI(t, 3)) {
		s, err := message.ParseState(r.Body)
		if r.Err != nil || err != nil || r.Type != message.NewSA || s.ReqID != uint32(i+1) || s.ID.SPI>>28 != 0xc {
			t.Fatalf("%+v, %v: %+v", r, err, s)
		}
		ids = append(ids, s.ID)
	}
	missing := ids[1]
	missing.SPI = 1
	replies := do(t, c, state(t, message.GetSA, ids[2]), state(t, message.GetSA, missing), state(t, message.DelSA, ids[0]), state(t, message.GetSA, ids[0]), state(t, message.GetSA, ids[1]))
	wantErrors(t, replies, nil, unix.ESRCH, nil, unix.ESRCH, nil)
	for i, id := range map[int]message.ID{0: ids[2], 4: ids[1]} {
		s, err := message.ParseState(replies[i].Body)
		if err != nil || s.ID != id {
			t.Errorf("%+v, %v", s, err)
		}
	}
	for _, i := range []int{1, 2, 3} {
		if replies[i].Body != nil || replies[i].Type != 0 {
			t.Errorf("answer %d: %+v", i, replies[i])
		}
	}
	list, err := c.Dump(context.Background(), Request{Type: message.GetSA, Body: message.AppendDump(nil, message.GetSA, 50)})
	if err != nil || len(list) != 2 {
		t.Errorf("%d SAs, %v", len(list), err)
	}
	list, err = c.Dump(context.Background(), Request{Type: message.GetSA, Body: message.AppendDump(nil, message.GetSA, 51)})
	if err != nil || len(list) != 0 {
		t.Errorf("%d SAs of AH, %v", len(list), err)
	}
}

func TestTenThousandPolicies(t *testing.T) {
	const n = 10000
	c := open(t, newHost(t))
	in, out := make([]Request, n), make([]Request, n)
	for i := range n {
		in[i], out[i] = policy(t, i, message.Out), noPolicy(t, i)
	}
	for i, r := range do(t, c, in...) {
		if r.Err != nil {
			t.Fatalf("policy %d: %v", i, r.Err)
		}
	}
	got := dumped(t, c)
	for i := range n {
		if got[i] != 1 {
			t.Fatalf("policy %d is there %d times", i, got[i])
		}
	}
	for i, r := range do(t, c, out...) {
		if r.Err != nil {
			t.Fatalf("policy %d: %v", i, r.Err)
		}
	}
	if got := dumped(t, c); len(got) != 0 {
		t.Errorf("%d policies are left", len(got))
	}
}

// Every caller gets the answers to its own requests, in their order.
func TestConcurrentCallers(t *testing.T) {
	const callers, rounds = 8, 60
	c := open(t, newHost(t))
	var wg sync.WaitGroup
	for w := range callers {
		wg.Go(func() {
			for i := range rounds {
				at := w*rounds + i
				requests := []Request{policy(t, at, message.Out), policy(t, at, message.Out), allocSPI(t, uint32(at+1)), noPolicy(t, at), noPolicy(t, at)}
				replies, err := c.Do(context.Background(), requests)
				if err != nil {
					t.Error(err)
					return
				}
				wantErrors(t, replies, nil, unix.EEXIST, nil, nil, unix.ENOENT)
				if s, err := message.ParseState(replies[2].Body); err != nil || s.ReqID != uint32(at+1) {
					t.Errorf("caller %d: %+v, %v", w, s, err)
				}
			}
		})
	}
	wg.Wait()
}

// What stays is in every list, whatever changes meanwhile.
func TestDumpWhilePoliciesChange(t *testing.T) {
	const stay, rounds = 500, 40
	c := open(t, newHost(t))
	for i := range stay {
		wantErrors(t, do(t, c, policy(t, i, message.Out)), nil)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			for i := stay; i < stay+20; i++ {
				if _, err := c.Do(context.Background(), []Request{policy(t, i, message.Out), noPolicy(t, i)}); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range rounds {
		got := dumped(t, c)
		for i := range stay {
			if got[i] != 1 {
				t.Errorf("policy %d is listed %d times", i, got[i])
			}
		}
	}
	cancel()
	wg.Wait()
}

func TestBodiesAreOverwritten(t *testing.T) {
	c := open(t, newHost(t))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range 2 {
		body, dump := []byte{1, 2, 3}, []byte{4, 5, 6}
		_, _ = c.Do(ctx, []Request{{Type: message.NewSA, Body: body}})
		_, _ = c.Dump(ctx, Request{Type: message.GetSA, Body: dump})
		if string(body)+string(dump) != "\x00\x00\x00\x00\x00\x00" {
			t.Errorf("%x, %x", body, dump)
		}
		cancel() // then they are not sent
	}
}

// The socket belongs to the namespace in which it was opened.
func TestNamespaces(t *testing.T) {
	a, b := open(t, newHost(t)), open(t, newHost(t))
	wantErrors(t, do(t, a, policy(t, 1, message.Out)), nil)
	if in, out := dumped(t, a), dumped(t, b); len(in) != 1 || len(out) != 0 {
		t.Errorf("policies: %v and %v", in, out)
	}
}

func TestClose(t *testing.T) {
	c := open(t, newHost(t))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				replies, err := c.Do(context.Background(), []Request{policy(t, w<<16|i, message.Out)})
				if errors.Is(err, net.ErrClosed) {
					return
				}
				if err != nil || replies[0].Err != nil {
					t.Errorf("%v, %v", replies, err)
					return
				}
				if i == 20 {
					_ = c.Close()
				}
			}
		})
	}
	wg.Wait()
	if _, err := c.Dump(context.Background(), Request{Type: message.GetSA}); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestRequestsThatAreNotSent(t *testing.T) {
	c := open(t, newHost(t))
	ctx, cancel := context.WithCancel(context.Background())
	if replies, err := c.Do(ctx, nil); replies != nil || err != nil {
		t.Error(replies, err)
	}
	huge := make([]byte, maxBody+1)
	if _, err := c.Do(ctx, []Request{{Body: huge}}); err == nil || err.Error() != "a request of 65537 octets, at most 65536 are possible" {
		t.Error(err)
	}
	if _, err := c.Dump(ctx, Request{Body: huge}); err == nil || err.Error() != "a request of 65537 octets, at most 65536 are possible" {
		t.Error(err)
	}
	if _, err := c.Do(ctx, []Request{{Type: message.GetSA, Flags: unix.NLM_F_DUMP}}); !errors.Is(err, errIsDump) {
		t.Error(err)
	}
	if _, err := c.Dump(ctx, Request{Type: 0xfff}); !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
	cancel()
	if _, err := c.Do(ctx, []Request{policy(t, 1, message.Out)}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := c.Dump(ctx, Request{Type: message.GetPolicy}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := dumped(t, c); len(got) != 0 {
		t.Errorf("there are the policies %v", got)
	}
}
