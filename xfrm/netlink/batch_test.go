//go:build linux

package netlink

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/xfrm/message"
)

func TestHeaders(t *testing.T) {
	c, f := withFake(t, wide, acknowledge)
	for range 2 {
		do(t, c, requests(2)...)
	}
	for i, m := range slices.Concat(f.batches...) {
		want := header{headerLen + 1, uint16(message.NewPolicy), unix.NLM_F_REQUEST | unix.NLM_F_ACK | unix.NLM_F_EXCL, uint32(i + 1), 7}
		if m.header != want {
			t.Errorf("message %d: %+v, want %+v", i, m.header, want)
		}
	}
}

// While a batch is under way others gather, and go together in the next.
func TestCallersGoTogether(t *testing.T) {
	const callers = 20
	begun, goOn := make(chan struct{}, 8), make(chan struct{})
	c, f := withFake(t, wide, func(f *fake, batch []sent) {
		begun <- struct{}{}
		<-goOn
		acknowledge(f, batch)
	})
	var wg sync.WaitGroup
	call := func(n int) { wg.Go(func() { do(t, c, requests(n)...) }) }
	call(1)
	<-begun
	for range callers {
		call(2)
	}
	waitFor(c, callers)
	close(goOn)
	wg.Wait()
	if got := f.sizes(); !slices.Equal(got, []int{1, 2 * callers}) {
		t.Errorf("batches of %v", got)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	const octets = headerLen + 4
	for _, tc := range []struct {
		l    limits
		want []int
	}{
		{limits{4, 1 << 20, 1 << 30}, []int{4, 4, 2}},
		{limits{256, 3*octets + 1, 1 << 30}, []int{3, 3, 3, 1}},
		{limits{256, 1 << 20, 9*ackRoom - 1}, []int{8, 2}},
		{limits{256, 1, 1}, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}}, // one goes in any case
	} {
		c, f := withFake(t, tc.l, acknowledge)
		do(t, c, requests(10)...)
		if got := f.sizes(); !slices.Equal(got, tc.want) {
			t.Errorf("%+v: batches of %v, want %v", tc.l, got, tc.want)
		}
	}
	c, f := withFake(t, limits{256, 1 << 20, 2 * (ackRoom + answerRoom)}, acknowledge)
	do(t, c, Request{Type: message.GetSA}, Request{Type: message.AllocSPI}, Request{Type: message.GetPolicy})
	if got := f.sizes(); !slices.Equal(got, []int{2, 1}) {
		t.Errorf("requests with answers: batches of %v", got)
	}
}

// A call of many requests does not keep others waiting to its end.
func TestLongCallsTakeTurns(t *testing.T) {
	begun, goOn := make(chan struct{}, 64), make(chan struct{})
	c, f := withFake(t, limits{10, 1 << 20, 1 << 30}, func(f *fake, batch []sent) {
		begun <- struct{}{}
		<-goOn
		acknowledge(f, batch)
	})
	var wg sync.WaitGroup
	wg.Go(func() { do(t, c, requests(100)...) })
	<-begun
	wg.Go(func() { do(t, c, Request{Type: message.DelPolicy}) })
	waitFor(c, 1)
	close(goOn)
	wg.Wait()
	if got := f.batches[1][0].typ; got != uint16(message.DelPolicy) {
		t.Errorf("the second batch begins with type %#x", got)
	}
	n := 0
	for _, m := range slices.Concat(f.batches...) {
		if m.typ == uint16(message.NewPolicy) {
			if int(m.body[0]) != n {
				t.Errorf("request %d went as number %d", m.body[0], n)
			}
			n++
		}
	}
	if n != 100 {
		t.Errorf("%d requests", n)
	}
}

// A caller that leaves takes back what was not sent. What was sent is answered, and
// nobody is confused.
func TestCallersLeave(t *testing.T) {
	begun, goOn := make(chan struct{}, 8), make(chan struct{})
	c, f := withFake(t, wide, func(f *fake, batch []sent) {
		begun <- struct{}{}
		<-goOn
		acknowledge(f, batch)
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	leaves := func(n int) {
		wg.Go(func() {
			if _, err := c.Do(ctx, requests(n)); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	leaves(1)
	<-begun
	leaves(2)
	waitFor(c, 1)
	cancel()
	wg.Wait()
	close(goOn)
	do(t, c, requests(3)...)
	if got := f.sizes(); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("batches of %v", got)
	}
}

func TestCloseEndsCalls(t *testing.T) {
	begun, goOn := make(chan struct{}, 8), make(chan struct{})
	c, _ := withFake(t, limits{1, 1 << 20, 1 << 30}, func(f *fake, batch []sent) {
		begun <- struct{}{}
		<-goOn
		acknowledge(f, batch)
	})
	var wg sync.WaitGroup
	ends := func() {
		wg.Go(func() {
			if _, err := c.Do(context.Background(), requests(3)); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
	}
	ends()
	<-begun
	ends()
	waitFor(c, 1)
	done := make(chan error)
	go func() { done <- c.Close() }()
	wg.Wait() // also while the kernel does not come back
	close(goOn)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := c.Do(context.Background(), requests(1)); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	short := frame(unix.NLMSG_ERROR, 0, 1, []byte{0, 0, 0, 0})
	positive := ack(1, 0)
	native.PutUint32(positive[headerLen:], 5)
	long := ack(1, 0)
	native.PutUint32(long, 1000)
	for name, tc := range map[string]struct {
		ready []any
		want  error
	}{
		"lost":              {[]any{one(ack(1, 0)), unix.ENOBUFS, one(ack(2, 0))}, errNoAnswer},
		"lost twice":        {[]any{unix.ENOBUFS, unix.ENOBUFS, one(ack(1, 0), ack(2, 0), ack(3, 0))}, unix.ENOBUFS},
		"missing":           {[]any{one(ack(1, 0)), one(ack(3, 0))}, os.ErrDeadlineExceeded},
		"of others":         {[]any{one(ack(0, 0), ack(4, 0), ack(77, 0), ack(1, 0), ack(1, 0), ack(2, 0))}, os.ErrDeadlineExceeded},
		"no acknowledgment": {[]any{one(frame(uint16(message.NewSA), 0, 1, nil), ack(2, 0), ack(3, 0))}, os.ErrDeadlineExceeded},
		"cut":               {[]any{[]datagram{{ack(1, 0), true}}, one(ack(1, 0), ack(2, 0), ack(3, 0))}, errMalformed},
		"half":              {[]any{one(ack(1, 0)[:30]), one(ack(1, 0), ack(2, 0), ack(3, 0))}, errMalformed},
		"too long":          {[]any{one(long)}, errNoAnswer},
		"short":             {[]any{one(short)}, errNoAnswer},
		"positive":          {[]any{one(positive), one(ack(1, 0), ack(2, 0), ack(3, 0))}, errMalformed},
		"rest":              {[]any{one(ack(1, 0), ack(2, 0), ack(3, 0), []byte{1})}, errMalformed},
		"socket":            {[]any{unix.EIO}, unix.EIO},
	} {
		c, f := withFake(t, wide, func(*fake, []sent) {})
		f.put(tc.ready...)
		if replies, err := c.Do(context.Background(), requests(3)); !errors.Is(err, tc.want) || replies != nil {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		f.ready, f.answer = nil, acknowledge
		wantErrors(t, do(t, c, requests(1)...), nil) // and it goes on
	}
	// Lost, but not of ours: nothing is missing.
	c, f := withFake(t, wide, acknowledge)
	f.put(unix.ENOBUFS)
	wantErrors(t, do(t, c, requests(3)...), nil, nil, nil)
}

func TestSendFails(t *testing.T) {
	c, f := withFake(t, wide, acknowledge)
	f.err = unix.ENOMEM
	if _, err := c.Do(context.Background(), requests(2)); !errors.Is(err, unix.ENOMEM) || err.Error() != "XFRM request: cannot allocate memory" {
		t.Error(err)
	}
	if _, err := c.Dump(context.Background(), Request{Type: message.GetSA}); !errors.Is(err, unix.ENOMEM) || err.Error() != "XFRM dump: cannot allocate memory" {
		t.Error(err)
	}
	f.err = nil
	wantErrors(t, do(t, c, requests(2)...), nil, nil)
}

// Who of a batch got all answers is not told of what others lost.
func TestOnlyThoseWhoLostAreTold(t *testing.T) {
	begun, goOn := make(chan struct{}, 8), make(chan struct{})
	c, _ := withFake(t, wide, func(f *fake, batch []sent) {
		begun <- struct{}{}
		<-goOn
		for _, m := range batch {
			if m.typ != uint16(message.DelPolicy) {
				f.put(one(ack(m.seq, unix.EEXIST)))
			} else {
				f.put(unix.ENOBUFS)
			}
		}
	})
	var wg sync.WaitGroup
	wg.Go(func() { wantErrors(t, do(t, c, requests(1)...), unix.EEXIST) })
	<-begun
	wg.Go(func() { wantErrors(t, do(t, c, requests(2)...), unix.EEXIST, unix.EEXIST) })
	wg.Go(func() {
		if _, err := c.Do(context.Background(), append(requests(1), Request{Type: message.DelPolicy})); !errors.Is(err, errNoAnswer) {
			t.Error(err)
		}
	})
	waitFor(c, 2)
	close(goOn)
	wg.Wait()
}

// Buffers are overwritten when they were read, and what nobody waits for, too.
func TestReceivedKeysAreOverwritten(t *testing.T) {
	var seen [][]byte
	c, _ := withFake(t, wide, func(f *fake, batch []sent) {
		for _, m := range batch {
			b := slices.Concat(frame(uint16(message.NewSA), 0, m.seq, []byte("secret")), ack(m.seq, 0))
			seen = append(seen, b)
			f.put([]datagram{{b: b}})
		}
	})
	r := do(t, c, Request{Type: message.GetSA})
	if string(r[0].Body) != "secret" {
		t.Errorf("%q", r[0].Body)
	}
	for _, b := range seen {
		if !slices.Equal(b, make([]byte, len(b))) {
			t.Errorf("%q is left", b)
		}
	}
}
