package v2

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

func follows(a, _ *conf.Connection) { a.FollowRedirects = true }

func redirectNotify(to string, nonce []byte) *wire.Notify {
	r := wire.RedirectTo(to)
	r.Nonce = nonce
	return &wire.Notify{Kind: wire.NotifyRedirect, Data: r.Append(nil)}
}

// What the first message says of redirects (RFC 5685, 3 and 4).
func TestRedirectAnnounced(t *testing.T) {
	for _, c := range []struct {
		follow     bool
		from, want string
	}{{true, "", "REDIRECT_SUPPORTED"}, {true, "198.51.100.9", "REDIRECTED_FROM"}, {false, "198.51.100.9", ""}} {
		n := newNetwork(t, func(a, _ *conf.Connection) { a.FollowRedirects = c.follow })
		p := n.a.params()
		if c.from != "" {
			p.RedirectedFrom = netip.MustParseAddr(c.from)
		}
		a := dial(p, n.a.conn(), pathOf("192.0.2.1:500", "198.51.100.2:500"))
		n.a.add(p.SPI, a)
		n.a.step(a, ike.Initiate{Child: "lan"})
		_, ps := parsed(t, n.sent[0].data)
		n.run()
		_, b := n.established(1)
		if said := notifies(ps); strings.Contains(said, "REDIRECT") != (c.want != "") || !strings.Contains(said, c.want) {
			t.Errorf("%+v: %s", c, said)
		}
		if b.Status().Redirects != (c.want != "") || a.Status().Redirects {
			t.Errorf("%+v: %v", c, b.Status().Redirects)
		}
		if from := wire.FindNotify(ps, wire.NotifyRedirectedFrom); from != nil && !bytes.Equal(from.Data, []byte{1, 4, 198, 51, 100, 9}) {
			t.Errorf("%x", from.Data)
		}
		if strings.Contains(n.story(), "sent here by the gateway 198.51.100.9") != (c.want == "REDIRECTED_FROM") {
			t.Error(n.story())
		}
	}
}

// REDIRECT in the response to IKE_SA_INIT counts with our nonce only, and after a moment
// for a true answer (RFC 5685, 3).
func TestRedirectInInit(t *testing.T) {
	for name, c := range map[string]struct {
		to       string
		nonce    func(ni []byte) []byte
		follow   bool
		followed bool
	}{
		"address":       {"203.0.113.7", func(ni []byte) []byte { return ni }, true, true},
		"IPv6":          {"2001:db8::7", func(ni []byte) []byte { return ni }, true, true},
		"host name":     {"gw2.example.org", func(ni []byte) []byte { return ni }, true, true},
		"other nonce":   {"203.0.113.7", func(ni []byte) []byte { return make([]byte, len(ni)) }, true, false},
		"no nonce":      {"203.0.113.7", func([]byte) []byte { return nil }, true, false},
		"longer nonce":  {"203.0.113.7", func(ni []byte) []byte { return append(bytes.Clone(ni), 0) }, true, false},
		"loopback":      {"127.0.0.1", func(ni []byte) []byte { return ni }, true, false},
		"any address":   {"0.0.0.0", func(ni []byte) []byte { return ni }, true, false},
		"not announced": {"203.0.113.7", func(ni []byte) []byte { return ni }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, func(a, _ *conf.Connection) { a.FollowRedirects = c.follow })
			var true1 []packet
			n.intercept = func(p packet) []packet {
				if p.from == n.b && true1 == nil {
					true1 = []packet{p}
					return nil
				}
				return []packet{p}
			}
			a := n.a.dial()
			n.run()
			h := header(t, true1[0].data)
			h.SPIr = 0
			data, err := wire.Append(nil, h, redirectNotify(c.to, c.nonce(a.boot.ni)))
			if err != nil {
				t.Fatal(err)
			}
			n.a.step(a, ike.Datagram{Path: a.path, Data: data})
			if len(n.a.of(ike.Failed)) > 0 {
				t.Fatal("at once", n.story())
			}
			if c.followed {
				n.pass(graceTime)
				if f := n.a.failure(); f.Why.Cause != ike.Redirected || f.Why.Gateway != c.to || !a.closed {
					t.Errorf("%+v", f.Why)
				}
				return
			}
			n.queue = append(n.queue, true1...) // the true answer still counts
			n.run()
			n.established(1)
		})
	}
	// The true answer comes in time.
	n := newNetwork(t, follows)
	n.intercept = func(p packet) []packet {
		if h := header(t, p.data); p.from == n.b && h.Exchange == wire.IKESAInit {
			h.SPIr = 0
			lie := p
			lie.data, _ = wire.Append(nil, h, redirectNotify("203.0.113.7", n.a.last.boot.ni))
			return []packet{lie, p}
		}
		return []packet{p}
	}
	n.a.dial()
	n.run()
	n.established(1)
}

// REDIRECT in the response to IKE_AUTH: after the gateway has proved itself, and the IKE
// SA is deleted there (RFC 5685, 6).
func TestRedirectInAuth(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		n := newNetwork(t, follows)
		n.intercept = func(p packet) []packet {
			if h := header(t, p.data); p.from == n.b && h.Exchange == wire.IKEAuth {
				ps := n.open(n.a.list()[0], p.data)[:2]
				if wrong {
					ps[1].(*wire.Auth).Data[0]++
				}
				p.data = craftMessage(t, n.b.list()[0], h, append(ps, redirectNotify("203.0.113.7", nil))...)
			}
			return []packet{p}
		}
		n.a.dial()
		n.run()
		want := ike.Redirected
		if wrong {
			want = ike.WrongKey
		}
		if f := n.a.failure(); f.Why.Cause != want {
			t.Errorf("%+v", f.Why)
		}
		n.bothGone("Failed", "IKEUp ChildUp ChildDown IKEDown")
	}
}

// A gateway sends an established peer away, which reports where to; the IKE SA goes on
// until it has been replaced, or for a bounded time (RFC 5685, 5).
func TestRedirectEstablished(t *testing.T) {
	n, a, b := up(t, follows)
	n.b.step(b, ike.Redirect{Gateway: "203.0.113.7"})
	n.b.step(b, ike.Redirect{Gateway: "203.0.113.8"})
	n.run()
	due := n.a.of(ike.ReauthDue)
	if len(due) < 1 || due[0].Why.Cause != ike.Redirected || due[0].Why.Gateway != "203.0.113.7" || a.state != ike.Up {
		t.Fatal(n.story())
	}
	if due[0].IKE != a.ID || due[0].Path.Remote != a.path.Remote {
		t.Errorf("%+v", due[0])
	}
	n.pass(redirectTime - time.Second)
	if b.closed || b.state != ike.Up {
		t.Error("too early", n.story())
	}
	n.pass(2 * time.Second)
	n.bothGone("IKEUp ChildUp ReauthDue ReauthDue ChildDown IKEDown", "IKEUp ChildUp ChildDown IKEDown")
}

// Who began has nothing to say; who has not announced it is not redirected, and neither
// follows one. A rekeying changes nothing about that.
func TestRedirectRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(a, b *conf.Connection)
		byA    bool
	}{"not announced": {func(a, _ *conf.Connection) { a.FollowRedirects = false }, false}, "the initiator": {follows, true}} {
		n, a, b := up(t, c.change)
		h, sa, other := n.b, b, a
		if c.byA {
			h, sa, other = n.a, a, b
		}
		sent := len(n.sent)
		h.step(sa, ike.Redirect{Gateway: "203.0.113.7"})
		n.run()
		if w := h.of(ike.Warning); len(w) != 1 || len(n.sent) != sent || sa.Status().Redirects {
			t.Error(name, n.story())
		}
		// Sent all the same.
		h.step(sa, ike.Initiate{})
		sa.push(&redirectExchange{"203.0.113.7"})
		h.step(sa, ike.Initiate{})
		n.run()
		if len(n.a.of(ike.ReauthDue))+len(n.b.of(ike.ReauthDue)) > 0 || other.state != ike.Up {
			t.Error(name, n.story())
		}
	}
	n, a, _ := up(t, follows)
	a.push(&rekeyExchange{})
	n.a.step(a, ike.Initiate{})
	n.run()
	if heir := n.b.last; !heir.Status().Redirects || !n.a.last.ext.follows || n.a.last == a {
		t.Error("lost by rekeying")
	}
}
