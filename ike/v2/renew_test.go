package v2

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

// renewing lets a replace what it has, with lifetimes of an hour for the IKE SA and ten
// minutes for the child.
func renewing(a, _ *conf.Connection) {
	a.Rekey, a.Margin, a.RekeyFuzz, a.Lifetime, a.Children[0].Lifetime = true, time.Minute, 100, time.Hour, 10*time.Minute
}

// soft tells a that a child has reached a soft limit.
func (n *network) soft(a *SA) {
	n.a.step(a, ike.Notice{Notice: esp.Expire{ID: a.children[0].InboundID()}})
}

// Each SA is replaced between two margins and one before its end, with four messages,
// and nothing but the SPIs is another.
func TestRenewChild(t *testing.T) {
	for _, words := range []string{"aes256gcm16", "aes256gcm16-curve25519"} {
		n, a, b := up(t, renewing, func(a, b *conf.Connection) {
			a.Children[0].Proposals = proposals(t, crypto.ESP, "aes128-sha256", words)
			b.Children[0].Proposals = proposals(t, crypto.ESP, words)
		})
		n.watch()
		old := a.children[0]
		if early := old.ExpireAt.Sub(old.RekeyAt); early < time.Minute || early > 2*time.Minute || a.Status().Children[0].RekeyAt != old.RekeyAt {
			t.Errorf("replaced %v before its end", early)
		}
		at := old.RekeyAt
		n.pass(at.Sub(n.now) - time.Second)
		before := len(n.sent)
		n.intercept = func(p packet) []packet {
			if len(n.sent) == before+1 {
				if s := a.Status(); !slices.Equal(s.Active, []string{"CHILD_REKEY"}) || s.Children[0].State != ike.ChildRekeying {
					t.Errorf("%v, state %d", s.Active, s.Children[0].State)
				}
				ps := n.open(b, p.data)
				r, offer := wire.FindNotify(ps, wire.NotifyRekeySA), ps[1].(*wire.SA)
				if r == nil || binary.BigEndian.Uint32(r.SPI) != old.SPIIn || r.Protocol != wire.ProtocolESP {
					t.Errorf("REKEY_SA %+v", r)
				}
				if first, _ := fromWire(offer.Proposals, wire.ProtocolESP); first[0].String() != words || len(first) != 2 {
					t.Errorf("offered: %v", first)
				}
			}
			return []packet{p}
		}
		n.pass(time.Second + 2*lateTime)
		if len(n.sent) != before+4 {
			t.Errorf("%d messages", len(n.sent)-before)
		}
		n.settled(1, 1)
		fresh := a.children[0]
		if fresh == old || fresh.ReqID != old.ReqID || ts.String(fresh.Local) != ts.String(old.Local) || fresh.Suite.String() != words || fresh.ExpireAt != at.Add(10*time.Minute) {
			t.Errorf("%+v", fresh)
		}
		if got := n.a.kinds(); got != "IKEUp ChildUp ChildRekeyed ChildDown" || n.b.kinds() != got {
			t.Error(n.story())
		}
	}
}

// The IKE SA is replaced; the child does not learn of it.
func TestRenewIKE(t *testing.T) {
	n, a, _ := up(t, renewing, func(a, b *conf.Connection) {
		a.Proposals = append(proposals(t, crypto.IKE, "aes128-sha256-modp2048"), a.Proposals...)
		a.Children[0].Lifetime = conf.Forever
	})
	n.watch()
	if early := a.expireAt.Sub(a.rekeyAt); early < time.Minute || early > 2*time.Minute || a.Status().RekeyAt != a.rekeyAt {
		t.Errorf("replaced %v before its end", early)
	}
	log, before, until := len(n.a.plane.log)+len(n.b.plane.log), len(n.sent), a.rekeyAt
	n.pass(until.Sub(n.now) + time.Second)
	heir, _ := n.established(1)
	if heir == a || !a.closed || len(n.sent) != before+4 || !heir.initiator || heir.suite.String() != "aes256gcm16-prfsha256-curve25519" {
		t.Errorf("%d messages\n%s", len(n.sent)-before, n.story())
	}
	if heir.expireAt != until.Add(time.Hour) || heir.rekeyAt < until.Add(58*time.Minute) || len(n.a.plane.log)+len(n.b.plane.log) != log {
		t.Error(n.story())
	}
	if got := n.a.kinds(); got != "IKEUp ChildUp IKERekeyed IKEDown" || n.b.kinds() != got {
		t.Error(n.story())
	}
	n.settled(1, 1)
}

// The other side's group is asked for with both kinds of replacement.
func TestRenewOtherGroup(t *testing.T) {
	n, a, b := up(t, renewing, func(a, b *conf.Connection) {
		a.Children[0].Proposals = proposals(t, crypto.ESP, "aes256gcm16-modp2048-curve25519")
		b.Children[0].Proposals = proposals(t, crypto.ESP, "aes256gcm16-curve25519")
		a.Proposals = proposals(t, crypto.IKE, "aes256gcm16-prfsha256-curve25519", "aes256gcm16-prfsha256-ecp256")
	})
	n.soft(a)
	n.run()
	n.pass(lateTime)
	n.settled(1, 1)
	if got := a.children[0].Suite.String(); got != "aes256gcm16-curve25519" {
		t.Error(got)
	}
	// The responder prefers another group by now, and says so once.
	b.conn.Proposals = proposals(t, crypto.IKE, "aes256gcm16-prfsha256-ecp256")
	once := true
	n.intercept = func(p packet) []packet {
		if h := header(t, p.data); once && p.from == n.b && h.Exchange == wire.CreateChildSA {
			once = false
			reply := craftMessage(t, b, b.header(wire.CreateChildSA, h.MessageID, true), &wire.Notify{Kind: wire.NotifyInvalidKEPayload, Data: []byte{0, 19}})
			return []packet{{n.b, p.src, p.dst, reply}}
		}
		return []packet{p}
	}
	before := len(n.sent)
	deeds["rekeys the IKE SA"](n.a, a)
	n.run()
	if x, ok := a.active.(*rekeyExchange); len(n.sent)-before < 3 || ok && x.group != 19 {
		t.Error(n.story())
	}
}

// refusing makes b refuse every CREATE_CHILD_SA with a notify. It counts them.
func (n *network) refusing(b *SA, kind wire.NotifyType) *int {
	count := new(int)
	n.intercept = func(p packet) []packet {
		h := header(n.t, p.data)
		if p.from != n.a || h.Exchange != wire.CreateChildSA {
			return []packet{p}
		}
		*count++
		b.win.nextRecv++
		return []packet{{n.b, p.dst, p.src, craftMessage(n.t, b, b.header(wire.CreateChildSA, h.MessageID, true), &wire.Notify{Kind: kind})}}
	}
	return count
}

// A peer that refuses is asked again and again, until the end.
func TestRenewRefused(t *testing.T) {
	for kind, cause := range map[wire.NotifyType]ike.Cause{
		wire.NotifyNoProposalChosen: ike.NoProposal, wire.NotifyNoAdditionalSAs: ike.PeerRefused, wire.NotifyTemporaryFailure: ike.PeerRefused,
		wire.NotifyTSUnacceptable: ike.NoSelectors, wire.NotifyInvalidKEPayload: ike.PeerRefused,
	} {
		n, a, b := up(t, renewing)
		count := n.refusing(b, kind)
		n.pass(9*time.Minute + 50*time.Second)
		n.established(1)
		if *count < 4 || *count > 40 || a.lastError == nil || a.lastError.Cause != cause || len(n.a.plane.sas) != 2 || len(n.a.plane.reserved) != 1 {
			t.Errorf("%s: asked %d times, %v", kind, *count, a.lastError)
		}
		if failed := n.a.of(ike.Failed); (kind == wire.NotifyTemporaryFailure) != (len(failed) == 0) {
			t.Errorf("%s: %d failures", kind, len(failed))
		}
		n.pass(time.Minute)
		n.established(0)
		if got := n.a.of(ike.ChildDown); len(got) != 1 || !strings.Contains(got[0].Text, "its lifetime is over") {
			t.Error(n.story())
		}
	}
	// The IKE SA.
	n, a, b := up(t, renewing, func(a, _ *conf.Connection) { a.Children[0].Lifetime = conf.Forever })
	count := n.refusing(b, wire.NotifyNoProposalChosen)
	n.pass(59*time.Minute + 50*time.Second)
	n.established(1)
	if *count < 4 || *count > 40 || a.state != ike.Up || len(n.a.of(ike.Warning)) != *count || n.a.of(ike.Warning)[0].Why.Cause != ike.NoProposal {
		t.Errorf("asked %d times\n%s", *count, n.story())
	}
	n.pass(time.Minute)
	if d := n.a.of(ike.IKEDown); len(d) != 1 || d[0].Why.Cause != ike.Expired || len(n.b.sas) != 0 {
		t.Error(n.story())
	}
}

// A child that the peer has lost is set up anew.
func TestRenewLost(t *testing.T) {
	n, a, b := up(t, renewing)
	n.b.step(b, ike.Terminate{Child: "lan", Silent: true})
	n.soft(a)
	n.run()
	n.settled(1, 1)
	if got := n.a.kinds(); got != "IKEUp ChildUp ChildDown ChildUp" || len(n.a.of(ike.Failed)) != 0 {
		t.Error(n.story())
	}
}

// rekey = false: nothing is begun, what the peer begins is served.
func TestRenewNot(t *testing.T) {
	n, a, b := up(t, renewing, func(a, b *conf.Connection) { a.Rekey, b.Rekey = false, true })
	if a.rekeyAt != ike.Never || a.children[0].RekeyAt != ike.Never {
		t.Error("it is to be replaced")
	}
	n.soft(a)
	if len(a.queue) != 0 || a.active != nil {
		t.Error("it is being replaced")
	}
	deeds["rekeys the child"](n.b, b)
	n.run()
	n.pass(lateTime)
	n.settled(1, 1)
	if n.a.kinds() != "IKEUp ChildUp ChildRekeyed ChildDown" {
		t.Error(n.story())
	}
}

// A soft limit begins one replacement, a hard one does not get before it.
func TestRenewByLimit(t *testing.T) {
	n, a, _ := up(t, renewing)
	n.a.hold = true
	for range 3 {
		n.soft(a)
	}
	n.a.step(a, ike.Notice{Notice: esp.Expire{ID: a.children[0].OutboundID(), Hard: true}})
	if s := a.Status(); len(s.Active) != 1 || !slices.Equal(s.Queued, []string{"CHILD_DELETE"}) {
		t.Errorf("%v %v", s.Active, s.Queued)
	}
	n.a.hold = false
	n.a.release()
	n.run()
	n.pass(lateTime)
	n.settled(1, 1)
	if n.a.kinds() != "IKEUp ChildUp ChildRekeyed ChildDown" {
		t.Error(n.story())
	}
}

// A child that reaches a hard limit and is not replaced ends, and it is said why.
func TestHardLimit(t *testing.T) {
	n, a, _ := up(t)
	n.a.step(a, ike.Notice{Notice: esp.Expire{ID: a.children[0].OutboundID(), Hard: true}})
	n.run()
	n.settled(1, 0)
	for h, cause := range map[*host]ike.Cause{n.a: ike.Expired, n.b: 0} {
		d := h.of(ike.ChildDown)
		if len(d) != 1 || (d[0].Why != nil) != (cause != 0) || cause != 0 && d[0].Why.Cause != cause {
			t.Errorf("%s: %+v", h.name, d)
		}
	}
}

// A command ends what is being replaced, and what replaces it.
func TestEndWhileRenewing(t *testing.T) {
	for name, end := range map[string]func(a *SA) ike.Terminate{
		"by name":      func(*SA) ike.Terminate { return ike.Terminate{Child: "lan", Why: "test"} },
		"by ID":        func(a *SA) ike.Terminate { return ike.Terminate{ChildID: known(a), Why: "test"} },
		"with force":   func(a *SA) ike.Terminate { return ike.Terminate{ChildID: known(a), Force: true} },
		"the IKE SA":   func(*SA) ike.Terminate { return ike.Terminate{Why: "test"} },
		"IKE by force": func(*SA) ike.Terminate { return ike.Terminate{Force: true} },
	} {
		for _, deed := range []string{"rekeys the child", "rekeys the IKE SA"} {
			for steps := range 6 {
				t.Run(name+", "+deed, func(t *testing.T) {
					n, a, _ := up(t, renewing)
					n.a.hold = true
					deeds[deed](n.a, a)
					for range steps {
						n.turn()
					}
					if a.closed || len(a.children) == 0 {
						return
					}
					n.a.step(a, end(a))
					n.passHeld(replacedTime + closingTime)
					if strings.Contains(name, "IKE") {
						for _, h := range []*host{n.a, n.b} {
							if len(h.plane.sas)+len(h.plane.policies) != 0 && !strings.Contains(name, "force") || len(n.a.sas) != 0 {
								t.Errorf("%s: %v\n%s", h.name, h.plane.log, n.story())
							}
						}
						return
					}
					n.settled(1, 0)
				})
			}
		}
	}
}

// known is the ID of the child of which was reported last.
func known(a *SA) (id uint64) {
	for _, c := range a.children {
		if !c.Quiet && c.State != ike.ChildCreated {
			id = c.ID
		}
	}
	return id
}

// Reauthentication ends the IKE SA when it would be replaced, and says so.
func TestReauthenticate(t *testing.T) {
	n, a, _ := up(t, renewing, func(a, _ *conf.Connection) { a.Reauthenticate = true })
	n.pass(a.rekeyAt.Sub(n.now))
	if d := n.a.of(ike.IKEDown); len(d) != 1 || d[0].Why.Cause != ike.Expired || len(n.b.sas) != 0 {
		t.Error(n.story())
	}
	n, a, _ = up(t, renewing, func(a, _ *conf.Connection) { a.Reauthenticate = true })
	n.a.conf.MakeBeforeBreak = true
	n.pass(a.rekeyAt.Sub(n.now))
	n.established(1)
	if d := n.a.of(ike.ReauthDue); len(d) != 1 || d[0].IKE != a.ID || a.rekeyAt != ike.Never || a.Deadline() <= n.now {
		t.Error(n.story())
	}
	// One that cannot begin leaves it to the peer.
	_, _, b := up(t, func(_, b *conf.Connection) {
		b.Rekey, b.Reauthenticate, b.Behavior = true, true, conf.ResponderOnly
	})
	if b.rekeyAt != ike.Never || b.expireAt == ike.Never {
		t.Error("a responder replaces it")
	}
}

// Children of every kind are replaced from either side.
func TestRenewKinds(t *testing.T) {
	for name, kind := range map[string]func(c *conf.Child){
		"AH":        func(c *conf.Child) { ah(t, "sha256", c) },
		"IPComp":    func(c *conf.Child) { c.IPComp = true },
		"transport": func(c *conf.Child) { c.Mode, c.Local, c.Remote = conf.Transport, nil, nil },
		"BEET": func(c *conf.Child) {
			c.Mode = conf.BEET
			c.Local[0].Last, c.Remote[0].Last = c.Local[0].First, c.Remote[0].First
		},
	} {
		for _, left := range []bool{true, false} {
			n, a, b := up(t, func(a, b *conf.Connection) {
				a.Rekey, b.Rekey = true, true
				kind(a.Children[0])
				kind(b.Children[0])
			})
			sas, policies := len(n.a.plane.sas), len(n.a.plane.policies)
			from, sa := n.a, a
			if !left {
				from, sa = n.b, b
			}
			old := sa.children[0]
			deeds["rekeys the child"](from, sa)
			n.run()
			n.pass(lateTime)
			n.established(1)
			if c := sa.children[0]; c == old || c.Mode != old.Mode || c.Compressed() != old.Compressed() || c.Suite != old.Suite || ts.String(c.Local) != ts.String(old.Local) {
				t.Errorf("%s: %+v\n%s", name, c, n.story())
			}
			for _, h := range []*host{n.a, n.b} {
				if len(h.plane.sas) != sas || len(h.plane.policies) != policies || len(h.of(ike.Failed)) != 0 {
					t.Errorf("%s: %v", name, h.plane.log)
				}
			}
		}
	}
}

// Transport mode behind a NAT is replaced from either side: the addresses in the
// selectors are those that each side sees (RFC 7296, 2.23.1).
func TestRenewTransportBehindNAT(t *testing.T) {
	for _, left := range []bool{true, false} {
		n := newNetwork(t, func(a, b *conf.Connection) {
			b.Gateways = conf.Gateways{{Any: true}}
			for _, c := range []*conf.Connection{a, b} {
				c.Rekey = true
				c.Children[0].Mode, c.Children[0].Local, c.Children[0].Remote = conf.Transport, nil, nil
			}
		})
		n.nat = natA
		a := n.a.dial()
		n.run()
		from, sa := n.a, a
		if !left {
			from, sa = n.b, n.b.list()[0]
		}
		if len(sa.children) != 1 {
			t.Fatal(n.story())
		}
		old := sa.children[0]
		deeds["rekeys the child"](from, sa)
		n.run()
		n.pass(lateTime)
		b := n.b.list()[0]
		if len(a.children) != 1 || len(b.children) != 1 || sa.children[0] == old || a.children[0].SPIIn != b.children[0].SPIOut ||
			ts.String(sa.children[0].Local) != ts.String(old.Local) || ts.String(sa.children[0].Remote) != ts.String(old.Remote) {
			t.Error(n.story())
		}
	}
}
