package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/internal/udp"
)

func TestPortInUse(t *testing.T) {
	host, _ := newHosts(t)
	for _, f := range families {
		for _, port := range []uint16{ike.Port, ike.NATTPort} {
			other := socket(t, host, at(f.any, port), false)
			err := host.Do(func() error {
				_, err := Open(t.Context(), Options{})
				return err
			})
			want := fmt.Sprintf("UDP port %d of %s is in use", port, f.any)
			if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
			if err := other.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	start(t, host, Options{}) // nothing of the failed ones is left
}

func TestTwoTransportsNeedTwoSetsOfPorts(t *testing.T) {
	host, _ := newHosts(t)
	start(t, host, Options{})
	start(t, host, Options{Port: 1500, NATTPort: 14500})
	if _, err := Open(t.Context(), Options{Port: 4500}); err == nil || !strings.Contains(err.Error(), "different ports") {
		t.Errorf("got %v", err)
	}
}

func TestWithoutIPv6(t *testing.T) {
	host, _ := newHosts(t)
	opener := func(failure error) func(context.Context, udp.Options) (*udp.Socket, error) {
		return func(ctx context.Context, o udp.Options) (s *udp.Socket, err error) {
			if o.Addr.Addr().Is6() {
				return nil, fmt.Errorf("no socket: %w", failure)
			}
			err = host.Do(func() error {
				s, err = udp.Listen(ctx, o)
				return err
			})
			return s, err
		}
	}
	tr := new(Transport)
	tr.closing = tr.close
	if err := openPair(t.Context(), &tr.natt, opener(syscall.EAFNOSUPPORT), 4500, udp.Options{}); err != nil || tr.natt.v4 == nil || tr.natt.v6 != nil {
		t.Fatalf("got %v", err)
	}
	if n := len(tr.sockets()); n != 1 {
		t.Errorf("%d sockets", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Serve(ctx, nil); err != nil {
		t.Error(err)
	}
	f := families[1]
	tr.senders.New = func() any { return new(sender) }
	tr.Send([]ike.Send{{Path: ike.Path{Local: at(f.daemon, 4500), Remote: at(f.peer, 4500)}, Data: message("m", 28)}})
	wantCount(t, tr, "ike_send_errors", 1)
	if err := tr.WriteUDP([]udp.Packet{{Data: []byte("x"), Remote: at(f.peer, 4500)}}); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Errorf("got %v", err)
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	var p pair
	if err := openPair(t.Context(), &p, opener(syscall.EADDRINUSE), 4500, udp.Options{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
	_ = p.v4.Close()
}

func TestWarningsAreLimited(t *testing.T) {
	var out []string
	now := time.Unix(1000, 0)
	l := limiter{out: func(s string) { out = append(out, s) }, now: func() time.Time { return now }}
	say := func(err error) { l.warn(err, func() string { return err.Error() }) }
	odd := errors.New("odd")
	for range 3 {
		say(syscall.ENETUNREACH)
		say(fmt.Errorf("wrapped: %w", syscall.EPERM))
		say(odd)
	}
	now = now.Add(warnEvery)
	say(syscall.ENETUNREACH)
	say(syscall.ENETUNREACH)
	now = now.Add(warnEvery)
	say(odd)
	want := "network is unreachable|wrapped: operation not permitted|odd|network is unreachable (and 2 more of the kind before)|odd (and 2 more of the kind before)"
	if got := strings.Join(out, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	(&limiter{}).warn(odd, func() string { t.Error("asked for a text"); return "" })
}
