//go:build linux

package netlink

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/test/lab"
	"github.com/goike/goike/xfrm/message"
)

// narrow is a Conn with a small receive buffer, of which room is thought.
func narrow(t *testing.T, ns *lab.Namespace, room func(octets int) int) *Conn {
	t.Helper()
	var c *Conn
	err := ns.Do(func() error {
		requests, err := openSocket(size{datagrams: 4, octets: 8 << 10, receive: 20000})
		if err != nil {
			return err
		}
		dumps, err := openSocket(dumpSize)
		c = newConn(requests, dumps, requests.port, limits{maxBatch, maxOctets, room(requests.room)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Batches are such that the answers fit into the receive buffer. Where they do not,
// the caller is told that nothing is known.
func TestAnswersFit(t *testing.T) {
	const n = 1000
	mixed := func() (all []Request, want []error) {
		for i := range n {
			get := noPolicy(t, i)
			get.Type = message.GetPolicy
			all = append(all, policy(t, i, message.Out), get, policy(t, i, 7))
			want = append(want, nil, nil, unix.EINVAL)
		}
		return all, want
	}
	ns := newHost(t)
	c := narrow(t, ns, func(octets int) int { return octets / 2 })
	requests, want := mixed()
	replies := do(t, c, requests...)
	wantErrors(t, replies, want...)
	for i := 1; i < len(replies); i += 3 {
		if p, err := message.ParsePolicy(replies[i].Body); err != nil || p.Sel.Dst != number(i/3) {
			t.Fatalf("policy %d: %+v, %v", i/3, p, err)
		}
	}
	c = narrow(t, newHost(t), func(int) int { return 1 << 30 })
	requests, _ = mixed()
	if _, err := c.Do(context.Background(), requests); !errors.Is(err, errNoAnswer) {
		t.Error(err)
	}
	wantErrors(t, do(t, c, policy(t, n, message.Out)), nil) // and it goes on
}
