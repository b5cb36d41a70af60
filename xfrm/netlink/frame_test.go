//go:build linux

package netlink

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/xfrm/message"
)

// withText is a refusal with a text behind the request or its header.
func withText(capped bool, text string) (flags uint16, body []byte) {
	body = native.AppendUint32(nil, uint32(0xffffffea)) // -EINVAL
	request := appendMessage(nil, message.NewSA, 0, []byte{1, 2, 3, 4, 5})
	flags = unix.NLM_F_ACK_TLVS
	if capped {
		request, flags = request[:headerLen], flags|unix.NLM_F_CAPPED
	}
	body = append(body, request...)
	body = append(body, 8, 0, 2, 0, 1, 2, 3, 4) // NLMSGERR_ATTR_OFFS
	body = native.AppendUint16(body, uint16(4+len(text)+1))
	body = native.AppendUint16(body, unix.NLMSGERR_ATTR_MSG)
	return flags, append(append(body, text...), 0)
}

func TestTextOfErrors(t *testing.T) {
	for _, capped := range []bool{true, false} {
		flags, body := withText(capped, "no such thing")
		refused, err := verdict(flags, body)
		var e *KernelError
		if err != nil || !errors.As(refused, &e) || !errors.Is(e, unix.EINVAL) || e.Error() != "no such thing (invalid argument)" {
			t.Errorf("%v, %v", refused, err)
		}
		for n := range body { // whatever is missing, the error is there or none is read
			if refused, err = verdict(flags, body[:n]); (n < 4+headerLen) != (err != nil) || err == nil && !errors.Is(refused, unix.EINVAL) {
				t.Errorf("%d octets: %v, %v", n, refused, err)
			}
		}
		if refused, _ = verdict(0, body); refused.Error() != "invalid argument" {
			t.Error(refused)
		}
	}
	flags, body := withText(true, strings.Repeat("x", 1000))
	refused, _ := verdict(flags, body)
	var e *KernelError
	if !errors.As(refused, &e) || len(e.Text) != maxText {
		t.Errorf("a text of %d octets", len(e.Text))
	}
	native.PutUint32(body, 0x80000000)
	if refused, err := verdict(0, body); refused == nil || err != nil {
		t.Errorf("%v, %v", refused, err)
	}
}

// A refusal by Linux 6.18 of a request of iproute2 6.1.0, read with strace.
func TestErrorOfTheKernel(t *testing.T) {
	text, err := os.ReadFile("testdata/refusal.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, text2, _ := strings.Cut(string(text), "\n")
	b, err := hex.DecodeString(strings.ReplaceAll(text2, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	h, body, rest, err := split(b)
	if err != nil || h.typ != unix.NLMSG_ERROR || len(rest) != 0 {
		t.Fatalf("%+v, %v", h, err)
	}
	refused, err := verdict(h.flags, body)
	if err != nil || !errors.Is(refused, unix.EPROTONOSUPPORT) || refused.Error() != "Requested type not found (protocol not supported)" {
		t.Errorf("%v, %v", refused, err)
	}
}

func TestUnwelcomeNotices(t *testing.T) {
	notice := func(text string, seq, port uint32) []byte {
		b := frame(uint16(message.NewSA), 0, seq, []byte(text))
		stamp(b, seq, port)
		return b
	}
	a := notice("a", 5, 7)
	for name, tc := range map[string]struct {
		ready []any
		want  []string
		lost  bool
	}{
		"lost":      {[]any{unix.ENOBUFS, one(a), one(notice("b", 0, 0))}, []string{"a", "b"}, true},
		"cut":       {[]any{one(a), []datagram{{notice("b", 0, 0), true}}}, []string{"a"}, true},
		"malformed": {[]any{one(a, []byte{1, 2, 3}, a)}, []string{"a"}, true},
		"overrun":   {[]any{one(a), one(frame(unix.NLMSG_OVERRUN, 0, 0, nil))}, []string{"a"}, true},
		"no notice": {[]any{one(frame(unix.NLMSG_NOOP, 0, 0, nil)), one(ack(1, 0)), one(a)}, []string{"a"}, false},
		"empty":     {[]any{[]datagram{}, one(a)}, []string{"a"}, false},
	} {
		f := &fake{}
		f.put(tc.ready...)
		l := &Listener{t: f, port: 7}
		var got []string
		lost := 0
		for {
			list, err := l.Receive(context.Background())
			got = append(got, texts(list)...)
			for _, m := range list {
				if m.Own != (string(m.Body) == "a") {
					t.Errorf("%s: %q is ours: %v", name, m.Body, m.Own)
				}
			}
			if errors.Is(err, ErrLost) {
				lost++
			} else if err != nil {
				break
			}
		}
		if !slices.Equal(got, tc.want) || (lost == 1) != tc.lost || lost > 1 {
			t.Errorf("%s: %q, lost %d", name, got, lost)
		}
	}
}

// A loss is told even if there is always one more notice.
func TestLossIsToldInTime(t *testing.T) {
	f := &fake{}
	f.put(unix.ENOBUFS)
	l := &Listener{t: f}
	for range maxLate {
		f.put(one(frame(uint16(message.NewSA), 0, 0, nil)))
		if _, err := l.Receive(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	f.put(one(frame(uint16(message.NewSA), 0, 0, nil)))
	if _, err := l.Receive(context.Background()); !errors.Is(err, ErrLost) {
		t.Error(err)
	}
	if list, err := l.Receive(context.Background()); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
}

// No datagram makes the readers of answers, dumps and notices stumble.
func FuzzDatagram(f *testing.F) {
	flags, body := withText(false, "text")
	f.Add(slices.Concat(ack(1, 0), ack(2, unix.EEXIST)))
	f.Add(frame(unix.NLMSG_ERROR, flags, 1, body))
	f.Add(slices.Concat(item(1, unix.NLM_F_DUMP_INTR, "a"), done(1, 0, -1, "text")))
	f.Add(frame(unix.NLMSG_OVERRUN, 0, 0, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		replies := make([]Reply, 2)
		batch := &batch{first: 1, open: 2, slots: []slot{{reply: &replies[0]}, {reply: &replies[1]}}}
		_ = batch.take(datagram{b: b})
		answered := 0
		for _, s := range batch.slots {
			if s.answered {
				answered++
			}
		}
		if batch.open != 2-answered {
			t.Errorf("%d answered, %d open", answered, batch.open)
		}
		state := &dumpState{seq: 1, open: true}
		_, _, _ = state.take(datagram{b: b})
		l := &Listener{}
		for _, m := range l.messages([]datagram{{b: b}}) {
			_, _ = message.ParseNotice(m.Type, m.Body)
		}
	})
}
