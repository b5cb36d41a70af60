//go:build linux

package netlink

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/goike/goike/xfrm/message"
)

var policies = []message.Group{message.GroupPolicy}

// next receives n notices.
func next(t *testing.T, l *Listener, n int) []Message {
	t.Helper()
	var all []Message
	for len(all) < n {
		list, err := l.Receive(t.Context())
		if err != nil {
			t.Fatalf("after %d notices: %v", len(all), err)
		}
		all = append(all, list...)
	}
	if len(all) != n {
		t.Fatalf("%d notices, want %d", len(all), n)
	}
	return all
}

func TestNoticesKnowTheirCause(t *testing.T) {
	ns := newHost(t)
	mine, other := open(t, ns), open(t, ns)
	l := listen(t, ns, mine, listenSize, message.GroupPolicy, message.GroupSA, 99)
	wantErrors(t, do(t, mine, policy(t, 1, message.Out)), nil)
	wantErrors(t, do(t, other, policy(t, 2, message.Out)), nil)
	wantErrors(t, do(t, mine, noPolicy(t, 2)), nil)
	r := do(t, other, allocSPI(t, 1))
	s, err := message.ParseState(r[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	wantErrors(t, do(t, mine, state(t, message.DelSA, s.ID)), nil)
	want := []struct {
		typ message.Type
		own bool
	}{{message.NewPolicy, true}, {message.NewPolicy, false}, {message.DelPolicy, true}, {message.DelSA, true}}
	for i, m := range next(t, l, len(want)) {
		if m.Type != want[i].typ || m.Own != want[i].own {
			t.Errorf("notice %d: type %#x, own %v", i, m.Type, m.Own)
		}
		v, err := message.ParseNotice(m.Type, m.Body)
		if err != nil {
			t.Error(err)
		}
		if p, ok := v.(*message.Policy); ok && p.Sel.Dst != number(i+1) {
			t.Errorf("notice %d: %v", i, p.Sel.Dst)
		}
	}
}

// What was lost is said once, after what came before, and receiving goes on.
func TestLostNotices(t *testing.T) {
	const n = 400
	ns := newHost(t)
	c := open(t, ns)
	l := listen(t, ns, c, size{datagrams: 2, octets: 4096, receive: 20000}, policies...)
	for round := range 2 {
		base := round * n
		for i := range n {
			wantErrors(t, do(t, c, policy(t, base+i, message.Out)), nil)
		}
		got := 0
		for {
			list, err := l.Receive(t.Context())
			if err != nil {
				if !errors.Is(err, ErrLost) {
					t.Fatal(err)
				}
				break
			}
			for _, m := range list {
				p, err := message.ParsePolicy(m.Body)
				if err != nil || p.Sel.Dst != number(base+got) {
					t.Fatalf("notice %d: %+v, %v", got, p, err)
				}
				got++
			}
		}
		if got == 0 || got == n {
			t.Errorf("%d notices before the loss", got)
		}
		wantErrors(t, do(t, c, noPolicy(t, base)), nil)
		if m := next(t, l, 1)[0]; m.Type != message.DelPolicy {
			t.Errorf("after the loss: type %#x", m.Type)
		}
	}
}

// waits returns when a goroutine waits for a socket.
func waits() {
	for stacks := make([]byte, 1<<20); ; runtime.Gosched() {
		for _, g := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			head, rest, _ := strings.Cut(g, "\n")
			if strings.Contains(head, "[IO wait") && strings.Contains(rest, "(*Listener).Receive") {
				return
			}
		}
	}
}

// blocked runs f when Receive waits; it has to end with an error.
func blocked(ctx context.Context, t *testing.T, l *Listener, f func(), want error) {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		_, err := l.Receive(ctx)
		result <- err
	}()
	waits()
	f()
	if err := <-result; !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
}

func TestReceiveEnds(t *testing.T) {
	ns := newHost(t)
	c := open(t, ns)
	var l *Listener
	if err := ns.Do(func() (err error) { l, err = c.Listen(policies...); return err }); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		blocked(ctx, t, l, cancel, context.Canceled)
		if _, err := l.Receive(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	wantErrors(t, do(t, c, policy(t, 1, message.Out)), nil)
	next(t, l, 1) // the context of before does not end it
	got := make(chan message.Type, 1)
	go func() {
		list, err := l.Receive(t.Context())
		if err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
			list = make([]Message, 1)
		}
		got <- list[0].Type
	}()
	waits()
	wantErrors(t, do(t, c, noPolicy(t, 1)), nil)
	if typ := <-got; typ != message.DelPolicy {
		t.Errorf("type %#x", typ)
	}
	blocked(t.Context(), t, l, func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}, net.ErrClosed)
	if _, err := l.Receive(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
