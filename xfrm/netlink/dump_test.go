//go:build linux

package netlink

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/xfrm/message"
)

// done ends a dump.
func done(seq uint32, flags uint16, code int32, text string) []byte {
	body := native.AppendUint32(nil, uint32(code))
	if text != "" {
		flags |= unix.NLM_F_ACK_TLVS
		body = native.AppendUint16(body, uint16(4+len(text)))
		body = native.AppendUint16(body, unix.NLMSGERR_ATTR_MSG)
		body = append(body, text...)
	}
	return frame(unix.NLMSG_DONE, flags|unix.NLM_F_MULTI, seq, body)
}

func item(seq uint32, flags uint16, body string) []byte {
	return frame(uint16(message.NewSA), flags|unix.NLM_F_MULTI, seq, []byte(body))
}

func texts(list []Message) (all []string) {
	for _, m := range list {
		all = append(all, string(m.Body))
	}
	return all
}

func TestDump(t *testing.T) {
	c, f := withFake(t, wide, func(f *fake, batch []sent) {
		seq := batch[0].seq
		f.put(one(item(seq, 0, "one"), item(seq-1, 0, "of another"), item(seq, 0, "two")), one(item(seq, 0, "three")), one(done(seq, 0, 0, "")))
	})
	for round := range 2 {
		list, err := c.Dump(context.Background(), Request{Type: message.GetSA, Body: []byte{9}})
		if err != nil || !slices.Equal(texts(list), []string{"one", "two", "three"}) {
			t.Errorf("%q, %v", texts(list), err)
		}
		m := f.batches[round][0]
		if m.flags != unix.NLM_F_REQUEST|unix.NLM_F_DUMP || m.typ != uint16(message.GetSA) || !slices.Equal(m.body, []byte{9}) {
			t.Errorf("%+v", m)
		}
	}
}

// A list that changed is read again, with the request as it was.
func TestDumpIsReadAgain(t *testing.T) {
	for changes := range maxDumps + 1 {
		n := 0
		c, f := withFake(t, wide, func(f *fake, batch []sent) {
			seq, flags := batch[0].seq, uint16(0)
			if n < changes {
				flags = unix.NLM_F_DUMP_INTR
			}
			n++
			if n%2 == 0 {
				f.put(one(item(seq, 0, "a"), done(seq, flags, 0, "")))
			} else {
				f.put(one(item(seq, flags, "a"), done(seq, 0, 0, "")))
			}
		})
		list, err := c.Dump(context.Background(), Request{Type: message.GetSA, Body: []byte{9}})
		if changes == maxDumps {
			if !errors.Is(err, errChanges) || list != nil {
				t.Errorf("%q, %v", texts(list), err)
			}
			continue
		}
		if err != nil || !slices.Equal(texts(list), []string{"a"}) || n != changes+1 {
			t.Errorf("after %d changes: %q, %v", n, texts(list), err)
		}
		if last := f.batches[n-1][0]; !slices.Equal(last.body, []byte{9}) {
			t.Errorf("the last request has the body %x", last.body)
		}
	}
}

func TestDumpFails(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(seq uint32) []any
		want   error
		text   string
	}{
		"at its end": {func(seq uint32) []any {
			return []any{one(item(seq, 0, "a"), done(seq, 0, -int32(unix.ENOMEM), "no room"))}
		}, unix.ENOMEM, "no room (cannot allocate memory)"},
		"refused":     {func(seq uint32) []any { return []any{one(ack(seq, unix.EPERM))} }, unix.EPERM, "operation not permitted"},
		"short end":   {func(seq uint32) []any { return []any{one(frame(unix.NLMSG_DONE, 0, seq, nil))} }, errMalformed, ""},
		"cut":         {func(seq uint32) []any { return []any{[]datagram{{item(seq, 0, "a"), true}}} }, errMalformed, ""},
		"malformed":   {func(seq uint32) []any { return []any{one(item(seq, 0, "a"), []byte{1, 2, 3})} }, errMalformed, ""},
		"without end": {func(seq uint32) []any { return []any{one(item(seq, 0, "a"))} }, os.ErrDeadlineExceeded, ""},
		"socket":      {func(uint32) []any { return []any{unix.ENOBUFS} }, unix.ENOBUFS, ""},
	} {
		c, f := withFake(t, wide, func(f *fake, batch []sent) { f.put(tc.answer(batch[0].seq)...) })
		list, err := c.Dump(context.Background(), Request{Type: message.GetSA})
		if !errors.Is(err, tc.want) || list != nil || !strings.HasSuffix(err.Error(), tc.text) {
			t.Errorf("%s: %q, %v", name, texts(list), err)
		}
		// The rest of it is read before the next.
		f.put(one(item(1, 0, "rest")), one(done(1, 0, -int32(unix.EINTR), "")))
		f.answer = func(f *fake, batch []sent) {
			f.put(one(item(batch[0].seq, 0, "b"), done(batch[0].seq, 0, 0, "")))
		}
		if list, err = c.Dump(context.Background(), Request{Type: message.GetSA}); err != nil || !slices.Equal(texts(list), []string{"b"}) {
			t.Errorf("%s, and then: %q, %v", name, texts(list), err)
		}
	}
}

func TestDumpIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c, f := withFake(t, wide, func(f *fake, batch []sent) {
		cancel()
		f.put(one(item(batch[0].seq, 0, "a")), one(done(batch[0].seq, 0, 0, "")))
	})
	if _, err := c.Dump(ctx, Request{Type: message.GetSA}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if list, err := c.Dump(context.Background(), Request{Type: message.GetSA}); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
	if got := f.sizes(); !slices.Equal(got, []int{1, 1}) || len(f.ready) != 0 {
		t.Errorf("batches of %v, %d left", got, len(f.ready))
	}
	c.turn <- struct{}{} // another dumps
	if _, err := c.Dump(ctx, Request{Type: message.GetSA}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
