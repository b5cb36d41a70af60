package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

func recorded() []Captured {
	path := ike.Path{Local: netip.MustParseAddrPort("192.0.2.2:4500"), Remote: netip.MustParseAddrPort("[2001:db8::1]:4500")}
	gcm := crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESGCM16, KeyBits: 256}
	cbc, sha := crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESCBC, KeyBits: 128}, crypto.Alg{Type: crypto.Integ, ID: crypto.IntegHMACSHA256}
	return []Captured{
		{Number: 1, Message: &CapturedMessage{At: time.Unix(1700000000, 5), Path: path, Data: []byte("a\x00\xff message")}},
		{Number: 2, Conn: "site", Message: &CapturedMessage{At: time.Unix(1700000000, 6), Out: true, Path: path, Data: bytes.Repeat([]byte{7}, 60000)}},
		{Number: 4, Conn: "site", IKE: &ike.Keys{Conn: "site", SPIi: 1, SPIr: 0xffffffffffffffff, Suite: crypto.Suite{Proto: crypto.IKE, Encr: gcm}, Ei: crypto.Secret("\x00i"), Er: crypto.Secret("r")}},
		{Number: 9, SA: &esp.SA{ID: esp.SAID{Dst: path.Remote.Addr(), SPI: 0xd53b77cc, Proto: esp.ProtoESP}, Src: path.Local.Addr(), ESN: true,
			Encr: cbc, Integ: sha, EncrKey: crypto.Secret("e"), IntegKey: crypto.Secret("i")}},
	}
}

// alike compares what does not compare by itself: empty secrets are none.
func alike(a, b Captured) bool {
	text := func(c Captured) string {
		s := fmt.Sprintf("%d %s %+v", c.Number, c.Conn, c.Message)
		if c.Message != nil {
			s = fmt.Sprintf("%d %s %v %v %v %q", c.Number, c.Conn, c.Message.At.UnixNano(), c.Message.Out, c.Message.Path, c.Message.Data)
		}
		if k := c.IKE; k != nil {
			s += fmt.Sprintf("%s %x %x %v %q %q %q %q", k.Conn, k.SPIi, k.SPIr, k.Suite, string(k.Ei), string(k.Er), string(k.Ai), string(k.Ar))
		}
		if sa := c.SA; sa != nil {
			s += fmt.Sprintf("%v %v %v %v %v %q %q", sa.ID, sa.Src, sa.ESN, sa.Encr, sa.Integ, string(sa.EncrKey), string(sa.IntegKey))
		}
		return s
	}
	return text(a) == text(b)
}

// What was recorded arrives as it was, and what is missing is counted.
func TestCapture(t *testing.T) {
	f := newFake()
	f.recorded = recorded()
	c := dial(t, serve(t, f, Options{}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun, n := 0, 0
	lost, err := c.Capture(ctx, CaptureRequest{Conn: "site"}, func() { begun++ }, func(got Captured) error {
		if !alike(got, f.recorded[n]) {
			t.Errorf("%d: %+v", n, got)
		}
		if n++; n == len(f.recorded) {
			cancel()
		}
		return nil
	})
	if err != nil || begun != 1 || n != len(f.recorded) || lost != 5 {
		t.Errorf("error %v, begun %d times, %d came, %d were lost", err, begun, n, lost)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-f.left: // the daemon records no more
	case <-time.After(10 * time.Second):
		t.Error("the capture goes on without its client")
	}
	if r := f.captured()[0]; r.Conn != "site" || r.Keys || r.By != "" {
		t.Errorf("%+v", r)
	}
}

// An error of who records ends the capture, and so does one of the daemon.
func TestCaptureEnds(t *testing.T) {
	f := newFake()
	f.recorded = recorded()
	full := errors.New("no space left")
	if _, err := dial(t, serve(t, f, Options{})).Capture(t.Context(), CaptureRequest{}, func() {}, func(Captured) error { return full }); !errors.Is(err, full) {
		t.Error(err)
	}
	_, err := dial(t, serve(t, f, Options{})).Capture(t.Context(), CaptureRequest{Conn: "nobody"}, func() { t.Error("begun") }, nil)
	if err == nil || !strings.Contains(err.Error(), `no connection "nobody"`) {
		t.Error(err)
	}
}

// Keys are for root, whom only a Unix socket tells apart.
func TestKeysAreForRoot(t *testing.T) {
	if err := mayHaveKeys(0); err != nil {
		t.Error(err)
	}
	if err := mayHaveKeys(1000); !errors.Is(err, errNotRoot) || !strings.Contains(err.Error(), "user 1000") {
		t.Error(err)
	}
	a, b := net.Pipe()
	defer func() { _, _ = a.Close(), b.Close() }()
	if _, err := rootAt(a); !errors.Is(err, errNotRoot) {
		t.Error(err)
	}
	f := newFake()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := dial(t, serve(t, f, Options{})).Capture(ctx, CaptureRequest{Keys: true}, cancel, nil)
	if os.Geteuid() != 0 {
		if err == nil || len(f.captured()) > 0 {
			t.Error("keys were told to somebody who is not root")
		}
		return
	}
	if r := f.captured(); err != nil || len(r) != 1 || !r[0].Keys || r[0].By != fmt.Sprint("process ", os.Getpid()) {
		t.Errorf("%v %+v", err, r)
	}
}

// Keys are not printed.
func TestCapturedKeysAreRedacted(t *testing.T) {
	c := recorded()[2]
	c.IKE.Ei = crypto.Secret("very secret")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, *c.IKE); strings.Contains(s, "secret") || strings.Contains(s, "118") {
			t.Error(s)
		}
	}
}

func FuzzCaptured(f *testing.F) {
	for _, c := range append(recorded(), Captured{}) {
		f.Add(capturedMessage([]Captured{c}).Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		c, err := readCaptured(m)
		if err != nil || c.Message == nil && c.IKE == nil && c.SA == nil {
			return
		}
		again, err := readCaptured(capturedMessage([]Captured{c}))
		if err != nil || !alike(c, again) && !reflect.DeepEqual(c, again) {
			t.Errorf("%+v is read as %+v (%v)", c, again, err)
		}
	})
}
