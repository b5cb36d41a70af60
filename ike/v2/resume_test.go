package v2

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/crypto/prf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// There are no test vectors for RFC 5723, and no peer here speaks it: these tests hold
// both ends to its words.

func resumes(a, b *conf.Connection) { a.SessionResumption, b.SessionResumption = true, true }

// session is what a host keeps of the IKE SA that came up last.
func (h *host) session() *ike.Session {
	ups := h.of(ike.IKEUp)
	return ups[len(ups)-1].Session
}

// lost is a network whose IKE SA is lost at both ends, and what a keeps of it.
func lost(t *testing.T, change ...func(a, b *conf.Connection)) (*network, *ike.Session) {
	t.Helper()
	n, a, b := up(t, append([]func(a, b *conf.Connection){resumes}, change...)...)
	s := n.a.session()
	if s == nil || n.b.session() != nil {
		t.Fatal("no ticket, or one for the wrong side")
	}
	n.a.step(a, ike.Terminate{Silent: true})
	n.b.step(b, ike.Terminate{Silent: true})
	n.a.reports, n.b.reports, n.sent = nil, nil, nil
	return n, s
}

// again begins an IKE SA by a session.
func (n *network) again(s *ike.Session) *SA {
	p := n.a.params()
	p.Session = s
	a := dial(p, n.a.conn(), ike.Path{Local: netip.AddrPortFrom(n.a.addr, ike.Port), Remote: netip.AddrPortFrom(n.b.addr, ike.Port)})
	n.a.add(p.SPI, a)
	n.a.step(a, ike.Initiate{Child: "lan"})
	return a
}

func copyOf(s *ike.Session) *ike.Session {
	c := *s
	c.D = bytes.Clone(s.D)
	return &c
}

// 4.3.2: IKE_SESSION_RESUME has the message ID 0, a nonce and the ticket, IKE_AUTH follows
// with 1; no key exchange. A new ticket comes with it (4.2).
func TestResume(t *testing.T) {
	n, s := lost(t)
	old := copyOf(s)
	n.again(s)
	n.run()
	a, _ := n.established(1)
	first, second := header(t, n.sent[0].data), header(t, n.sent[2].data)
	if first.Exchange != 38 || first.MessageID != 0 || second.Exchange != wire.IKEAuth || second.MessageID != 1 || len(n.sent) != 4 {
		t.Errorf("%+v %+v, %d messages", first, second, len(n.sent))
	}
	_, ps := parsed(t, n.sent[0].data)
	if _, ok := wire.Find[*wire.KE](ps); ok || !bytes.Equal(wire.FindNotify(ps, wire.NotifyTicketOpaque).Data, old.Ticket) {
		t.Errorf("%+v", ps)
	}
	if fresh := n.a.session(); fresh == nil || bytes.Equal(fresh.Ticket, old.Ticket) || bytes.Equal(fresh.D, old.D) {
		t.Error("no new ticket")
	}
	for _, octet := range s.D {
		if octet != 0 {
			t.Fatal("the old key is not wiped")
		}
	}
	// 5.1: SKEYSEED = prf(SK_d_old, "Resumption" | Ni | Nr), then prf+ as ever.
	_, pr := parsed(t, n.sent[1].data)
	ni, _ := wire.Find[*wire.Nonce](ps)
	nr, _ := wire.Find[*wire.Nonce](pr)
	f, _ := prf.Get(old.Suite.PRF.ID)
	seed := f.Sum(old.D, []byte("Resumption"), ni.Data, nr.Data)
	text := appendSPIs(append(bytes.Clone(ni.Data), nr.Data...), a.spiI, a.spiR)
	want, err := prf.Plus(f, seed, text, f.KeyLen())
	if err != nil || !bytes.Equal(want, a.keys.d) {
		t.Error("SK_d is not that of RFC 5723, 5.1")
	}
}

// 4.3.3 and 5.1 again: what refuses a ticket, and that nothing but time is lost by it.
func TestNotResumed(t *testing.T) {
	for name, c := range map[string]struct {
		spoil   func(n *network, s *ike.Session)
		refused bool // by the responder, at once
	}{
		"changed ticket":        {func(_ *network, s *ike.Session) { s.Ticket[40] ^= 1 }, true},
		"short ticket":          {func(_ *network, s *ike.Session) { s.Ticket = s.Ticket[:5] }, true},
		"key of the process":    {func(n *network, _ *ike.Session) { n.b.tickets = NewTickets(n.rand) }, true},
		"connection is gone":    {func(n *network, _ *ike.Session) { n.b.conf.Connections[0].Name = "other" }, true},
		"switched off":          {func(n *network, _ *ike.Session) { n.b.conf.Connections[0].SessionResumption = false }, true},
		"other peer_identifier": {func(n *network, _ *ike.Session) { n.b.conf.Connections[0].Remote.ID = mustID(t, "x.example.org") }, true},
		"weak suite": {func(n *network, _ *ike.Session) {
			n.b.conf.Connections[0].Proposals = proposals(t, crypto.IKE, "aes128-sha256-curve25519")
		}, true},
		"expired there": {func(n *network, s *ike.Session) { n.now, s.Expires = s.Expires, ike.Never }, true},
		"silence": {func(n *network, _ *ike.Session) {
			n.intercept = func(p packet) []packet {
				if header(t, p.data).Exchange == wire.IKESessionResume {
					return nil
				}
				return []packet{p}
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			n, s := lost(t)
			c.spoil(n, s)
			begun := n.now
			n.again(s)
			n.run()
			if c.refused == (len(n.a.of(ike.Failed)) == 0) {
				t.Fatal(n.story())
			}
			n.pass(5 * time.Second)
			if f := n.a.failure(); f.Why.Cause != ike.NotResumed || len(n.a.sas) != 0 {
				t.Errorf("%+v after %s", f.Why, n.now.Sub(begun))
			}
			if k := n.b.kinds(); len(n.b.sas) != 0 || k != "" {
				t.Error(k, n.story())
			}
			n.a.empty()
			n.b.empty()
		})
	}
}

// 4.3.1: a ticket is good once. One who only saw it on the wire gets nowhere, and does not
// spoil it for its owner.
func TestTicketIsUsedOnce(t *testing.T) {
	n, s := lost(t)
	thief, twice := copyOf(s), copyOf(s)
	thief.D[0] ^= 1
	n.again(thief)
	n.pass(5 * time.Second)
	if len(n.a.of(ike.IKEUp))+len(n.b.of(ike.IKEUp)) > 0 {
		t.Fatal(n.story())
	}
	n.pass(halfOpenTime)
	n.a.sas = make(map[uint64]*SA)
	n.again(s)
	n.run()
	if len(n.b.of(ike.IKEUp)) != 1 {
		t.Fatal(n.story())
	}
	n.a.reports = nil
	n.again(twice)
	n.run()
	if f := n.a.failure(); f.Why.Cause != ike.NotResumed || len(n.b.of(ike.IKEUp)) != 1 {
		t.Error(n.story())
	}
}

// 4.3.3: the identities of IKE_AUTH are those of the ticket, on both sides.
func TestResumedIdentities(t *testing.T) {
	n, s := lost(t, func(_, b *conf.Connection) { b.Remote.ID = mustID(t, "*.example.org") })
	s.LocalID = id.ID{Kind: id.FQDN, Data: "eve.example.org"}
	n.again(s)
	n.run()
	if f := n.b.failure(); f.Why.Cause != ike.WrongKey || len(n.b.of(ike.IKEUp)) > 0 || n.a.failure().Why.Cause != ike.NotResumed {
		t.Error(n.story())
	}
	n, s = lost(t, func(a, _ *conf.Connection) { a.Remote.ID = mustID(t, "*.example.org") })
	s.RemoteID = id.ID{Kind: id.FQDN, Data: "c.example.org"}
	n.again(s)
	n.pass(closingTime)
	if len(n.a.of(ike.IKEUp)) > 0 || len(n.b.sas) > 0 {
		t.Error(n.story())
	}
}

// A ticket is not asked for, kept or used where the configuration says no; one that is too
// old, or for algorithms that are not allowed any more, is not shown.
func TestNoResumption(t *testing.T) {
	for _, change := range []func(a, b *conf.Connection){
		func(_, _ *conf.Connection) {}, func(a, _ *conf.Connection) { a.SessionResumption = true }, func(_, b *conf.Connection) { b.SessionResumption = true },
	} {
		n, _, _ := up(t, change)
		if n.a.session() != nil {
			t.Error("a ticket")
		}
	}
	for _, spoil := range []func(n *network, s *ike.Session){
		func(n *network, s *ike.Session) { n.now = s.Expires },
		func(n *network, _ *ike.Session) { n.a.conf.Connections[0].SessionResumption = false },
		func(_ *network, s *ike.Session) { s.Suite.Encr.ID = crypto.EncrAESCBC },
	} {
		n, s := lost(t)
		spoil(n, s)
		n.again(s)
		n.run()
		n.established(1)
		if header(t, n.sent[0].data).Exchange != wire.IKESAInit {
			t.Error("shown all the same")
		}
	}
}

// A NAT is found as in IKE_SA_INIT, and a cookie is given.
func TestResumeThroughNAT(t *testing.T) {
	n, s := lost(t)
	n.nat = func(p *packet) {
		if p.from == n.a {
			p.src = netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), p.src.Port()+7)
		} else {
			p.dst = netip.AddrPortFrom(n.a.addr, p.dst.Port()-7)
		}
	}
	n.again(s)
	n.run()
	a, b := n.established(1)
	if !a.nat.local || !b.nat.remote || a.path.Remote.Port() != ike.NATTPort {
		t.Errorf("%+v %+v", a.nat, b.nat)
	}
	n, s = lost(t)
	cookies := NewCookies(n.rand)
	demanded := false
	n.intercept = func(p packet) []packet {
		if p.from != n.a || header(t, p.data).Exchange != wire.IKESessionResume {
			return []packet{p}
		}
		ok, challenge := cookies.Check(n.now, ike.Datagram{Path: ike.Path{Local: p.dst, Remote: p.src}, Data: p.data})
		if ok {
			return []packet{p}
		}
		demanded = true
		return []packet{{n.b, p.dst, p.src, challenge}}
	}
	n.again(s)
	n.run()
	n.established(1)
	if !demanded {
		t.Error("no cookie was demanded")
	}
}

// Keys of tickets are changed; memory of used ones is bounded.
func TestTickets(t *testing.T) {
	n := newNetwork(t)
	tk := NewTickets(n.rand)
	state := crypto.Secret("state")
	ticket, err := tk.Seal(0, ike.SealTicket{State: state, Expires: ike.Never})
	if err != nil || bytes.Contains(ticket, state) {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   time.Duration
		good bool
	}{{0, true}, {ticketKeyTime, true}, {2*ticketKeyTime - 1, true}, {2 * ticketKeyTime, false}} {
		if o, err := tk.Open(ike.Instant(c.at), ticket); (err == nil) != c.good || c.good && string(o.State) != "state" {
			t.Errorf("after %s: %v", c.at, err)
		}
	}
	tk = NewTickets(n.rand)
	ticket, _ = tk.Seal(0, ike.SealTicket{State: state, Expires: 10})
	if _, err := tk.Open(10, ticket); err == nil {
		t.Error("expired")
	}
	for i := range maxUsed + 5 {
		if err := tk.Use(0, ike.UseTicket{ID: [16]byte{1, byte(i), byte(i >> 8), byte(i >> 16)}, Expires: 100}); err != nil {
			t.Fatal(i, err)
		}
		if len(tk.used) > maxUsed {
			t.Fatal("unbounded")
		}
	}
	if _, err := tk.Open(0, ticket); err == nil {
		t.Error("a ticket from before the memory was full is good")
	}
}

func FuzzTicketState(f *testing.F) {
	s := &ticketState{
		conn: "site", d: crypto.Secret("a key"), local: id.ID{Kind: id.FQDN, Data: "b.example.org"}, peer: id.ID{Kind: id.FQDN, Data: "a.example.org"},
		suite: crypto.Suite{Proto: crypto.IKE, Encr: crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESGCM16, KeyBits: 256}},
	}
	seed, err := s.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(seed))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, ok := decodeTicket(data)
		if !ok {
			return
		}
		again, err := s.encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x becomes %x, %v", data, []byte(again), err)
		}
	})
}
