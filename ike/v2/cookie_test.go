package v2

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// firstRequest is the first message of an initiator, as it arrives.
func firstRequest(t testing.TB) ike.Datagram {
	t.Helper()
	n := newNetwork(t)
	n.intercept = func(packet) []packet { return nil }
	n.a.dial()
	return ike.Datagram{Path: pathOf("198.51.100.2:500", "192.0.2.1:500"), Data: n.sent[0].data}
}

// withCookie puts a cookie in front of a first message.
func withCookie(t testing.TB, dg ike.Datagram, cookie []byte) ike.Datagram {
	t.Helper()
	h := header(t, dg.Data)
	ps, err := wire.Parse(h.NextPayload, dg.Data[wire.HeaderLen:], wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ps = append([]wire.Payload{&wire.Notify{Kind: wire.NotifyCookie, Data: cookie}}, ps...)
	data, err := wire.Append(nil, h, ps...)
	if err != nil {
		t.Fatal(err)
	}
	return ike.Datagram{Path: dg.Path, Data: data}
}

// demand returns the cookie that is demanded of a first message.
func demand(t testing.TB, c *Cookies, now ike.Instant, dg ike.Datagram) []byte {
	t.Helper()
	ok, challenge := c.Check(now, dg)
	if ok || challenge == nil {
		t.Fatal("no cookie is demanded")
	}
	h := header(t, challenge)
	ps, err := wire.Parse(h.NextPayload, challenge[wire.HeaderLen:], wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	n := wire.FindNotify(ps, wire.NotifyCookie)
	if n == nil || len(ps) != 1 || len(n.Data) > 64 || h.SPIi != header(t, dg.Data).SPIi || h.SPIr != 0 ||
		h.Flags != wire.FlagResponse || h.Exchange != wire.IKESAInit || h.MessageID != 0 {
		t.Fatalf("%+v %+v", h, ps)
	}
	return bytes.Clone(n.Data)
}

func TestCookies(t *testing.T) {
	c := NewCookies(rand.NewChaCha8([32]byte{}))
	now := ike.Instant(5)
	dg := firstRequest(t)
	cookie := demand(t, c, now, dg)
	valid := func(now ike.Instant, dg ike.Datagram) bool { ok, _ := c.Check(now, dg); return ok }
	if !valid(now, withCookie(t, dg, cookie)) {
		t.Error("the cookie is not taken")
	}
	other := dg
	other.Path.Remote = netip.MustParseAddrPort("192.0.2.2:500")
	if valid(now, withCookie(t, other, cookie)) {
		t.Error("the cookie is taken from another address")
	}
	other.Path.Remote = netip.MustParseAddrPort("192.0.2.1:1234")
	if !valid(now, withCookie(t, other, cookie)) {
		t.Error("the cookie is not taken from another port, as a NAT may choose it")
	}
	other = ike.Datagram{Path: dg.Path, Data: bytes.Clone(dg.Data)}
	other.Data[7]++ // SPIi
	if valid(now, withCookie(t, other, cookie)) {
		t.Error("the cookie is taken for another SPI")
	}
	if valid(now, withCookie(t, firstOther(t), cookie)) {
		t.Error("the cookie is taken for another nonce")
	}
	for i := range cookie {
		wrong := bytes.Clone(cookie)
		wrong[i] ^= 1
		if valid(now, withCookie(t, dg, wrong)) {
			t.Errorf("a cookie with a wrong octet %d is taken", i)
		}
	}
	for _, wrong := range [][]byte{cookie[:cookieLen-1], append(bytes.Clone(cookie), 0), cookie[:1]} {
		if valid(now, withCookie(t, dg, wrong)) {
			t.Errorf("a cookie of %d octets is taken", len(wrong))
		}
	}
}

// firstOther is a first message with the same SPI and another nonce.
func firstOther(t testing.TB) ike.Datagram {
	dg := firstRequest(t)
	h := header(t, dg.Data)
	ps, err := wire.Parse(h.NextPayload, dg.Data[wire.HeaderLen:], wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := wire.Find[*wire.Nonce](ps)
	n.Data[0]++
	return dg
}

// The secret changes every minute; that before the last one still counts.
func TestCookieSecretsChange(t *testing.T) {
	c := NewCookies(rand.NewChaCha8([32]byte{}))
	dg := firstRequest(t)
	now := ike.Instant(time.Hour)
	old := demand(t, c, now, dg)
	if again := demand(t, c, now.Add(cookieTime-1), dg); !bytes.Equal(again, old) {
		t.Error("the secret changed too soon")
	}
	if again := demand(t, c, now.Add(cookieTime), dg); bytes.Equal(again, old) {
		t.Error("the secret did not change")
	}
	if ok, _ := c.Check(now.Add(2*cookieTime-1), withCookie(t, dg, old)); !ok {
		t.Error("a cookie of the secret before is not taken")
	}
	if ok, _ := c.Check(now.Add(2*cookieTime), withCookie(t, dg, old)); ok {
		t.Error("an old cookie is taken")
	}
	young := demand(t, c, now.Add(2*cookieTime), dg)
	if ok, _ := c.Check(now.Add(9*cookieTime), withCookie(t, dg, young)); ok {
		t.Error("a cookie is taken after a long pause")
	}
	// No number is taken for another of the same parity.
	for i := range 300 {
		if ok, _ := c.Check(now.Add(time.Duration(10+i)*cookieTime), withCookie(t, dg, old)); ok {
			t.Fatalf("an old cookie is taken after %d changes", i)
		}
	}
}

// What is no first message is not worth a cookie.
func TestCookieDeservesNone(t *testing.T) {
	c := NewCookies(rand.NewChaCha8([32]byte{}))
	dg := firstRequest(t)
	for i := range len(dg.Data) {
		if ok, challenge := c.Check(0, ike.Datagram{Path: dg.Path, Data: dg.Data[:i]}); ok || challenge != nil {
			t.Fatalf("%d octets are worth a cookie", i)
		}
	}
	broken := NewCookies(errReader{})
	if ok, challenge := broken.Check(0, dg); ok || challenge != nil {
		t.Error("a cookie without randomness")
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("no randomness") }

var _ io.Reader = errReader{}

func TestCookiesAtOnce(t *testing.T) {
	c := NewCookies(rand.NewChaCha8([32]byte{}))
	dg := firstRequest(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				now := ike.Instant(i+j) * ike.Instant(time.Second)
				_, challenge := c.Check(now, dg)
				if challenge == nil {
					t.Error("no challenge")
				}
			}
		})
	}
	wg.Wait()
}

// An initiator that is asked for a cookie gets through, also when the responder
// wants another group as well (RFC 7296, 2.6.1).
func TestInitiatorShowsCookie(t *testing.T) {
	for _, words := range []string{"aes256gcm16-prfsha256-curve25519", "aes256gcm16-prfsha256-modp2048-curve25519"} {
		n := newNetwork(t, func(a, b *conf.Connection) { a.Proposals = proposals(t, 1, words) })
		c := NewCookies(rand.NewChaCha8([32]byte{}))
		demands := 0
		n.intercept = func(p packet) []packet {
			h := header(t, p.data)
			if h.Exchange != wire.IKESAInit || p.from != n.a {
				return []packet{p}
			}
			ok, challenge := c.Check(n.now, ike.Datagram{Path: ike.Path{Local: p.dst, Remote: p.src}, Data: p.data})
			if ok {
				return []packet{p}
			}
			demands++
			return []packet{{n.b, p.dst, p.src, challenge}}
		}
		n.a.dial()
		n.run()
		n.established(1)
		if demands != 1 {
			t.Errorf("%s: %d cookies were demanded", words, demands)
		}
		if len(n.b.of(ike.Failed)) > 0 {
			t.Error(n.story())
		}
	}
}

func TestCheckFirst(t *testing.T) {
	dg := firstRequest(t)
	good := header(t, dg.Data)
	var m Machines
	if err := m.CheckFirst(good, dg.Data); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(h *wire.Header){
		"response":   func(h *wire.Header) { h.Flags |= wire.FlagResponse },
		"responder":  func(h *wire.Header) { h.Flags = 0 },
		"exchange":   func(h *wire.Header) { h.Exchange = wire.IKEAuth },
		"message ID": func(h *wire.Header) { h.MessageID = 1 },
		"no SPI":     func(h *wire.Header) { h.SPIi = 0 },
		"SPI":        func(h *wire.Header) { h.SPIr = 1 },
		"version":    func(h *wire.Header) { h.Major = 1 },
		"too long":   func(h *wire.Header) { h.Length++ },
		"too short":  func(h *wire.Header) { h.Length = 60 },
		"encrypted":  func(h *wire.Header) { h.NextPayload = wire.PayloadSK },
		"fragment":   func(h *wire.Header) { h.NextPayload = wire.PayloadSKF },
	} {
		h := good
		change(&h)
		if m.CheckFirst(h, dg.Data) == nil {
			t.Errorf("%s: a first message", name)
		}
	}
}

// The answers without an IKE SA carry the SPIs, exchange and message ID of the
// request (RFC 7296, 1.5).
func TestUnprotectedAnswers(t *testing.T) {
	var m Machines
	request := wire.Header{SPIi: 1, SPIr: 2, Major: 2, Exchange: wire.Informational, MessageID: 7, Flags: wire.FlagInitiator}
	for _, c := range []struct {
		data  []byte
		kind  wire.NotifyType
		flags uint8
	}{
		{m.InvalidSPI(request), wire.NotifyInvalidIKESPI, wire.FlagResponse},
		{m.RefuseVersion(request), wire.NotifyInvalidMajorVersion, wire.FlagResponse},
		{m.InvalidSPI(wire.Header{SPIi: 1, SPIr: 2, Exchange: wire.Informational, MessageID: 7}), wire.NotifyInvalidIKESPI, wire.FlagResponse | wire.FlagInitiator},
	} {
		h, ps := parsed(t, c.data)
		if h.SPIi != 1 || h.SPIr != 2 || h.Major != 2 || h.Exchange != wire.Informational || h.MessageID != 7 || h.Flags != c.flags {
			t.Errorf("%+v", h)
		}
		if len(ps) != 1 || wire.FindNotify(ps, c.kind) == nil {
			t.Errorf("%+v", ps)
		}
	}
}
