package engine

import (
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// upWith tells that an IKE SA is up with all children, and what resumes it.
func (o *office) upWith(ikeID uint64, s *ike.Session) {
	st := &ike.Status{ID: ikeID, Conn: "site", Initiator: true, SPIi: ikeID, LocalID: o.id, RemoteID: lowID}
	o.handle(Heard{ike.Report{Kind: ike.IKEUp, Conn: "site", IKE: ikeID, SA: st, Begun: o.now, Session: s}})
	o.childUp(ikeID, "lan")
	o.childUp(ikeID, "voice")
}

func newSession() *ike.Session {
	return &ike.Session{Ticket: []byte("ticket"), D: crypto.Secret("SK_d"), Expires: ike.Never}
}

// What was lost by silence is resumed, once; a ticket that is not taken costs no try. What
// either side has deleted, or is to authenticate again, is not (RFC 5723, 4.1).
func TestResumed(t *testing.T) {
	for cause, resumed := range map[ike.Cause]bool{
		ike.NoAnswer: true, ike.Terminated: false, ike.Expired: false, ike.PeerRefused: false, ike.BadMessage: false, ike.WrongKey: false,
	} {
		o := newOffice(t, twoChildren(conf.Start))
		s := newSession()
		old := o.locate(nil).ID
		o.upWith(old, s)
		o.wait(time.Hour)
		o.lose(old, cause)
		for len(o.tickets) == 0 {
			o.wait(time.Second)
		}
		d := o.locate(nil)
		if (d.Session == s) != resumed || (s.D[0] != 0) != resumed {
			t.Fatalf("cause %d: %v", cause, d.Session)
		}
		if !resumed {
			continue
		}
		o.handle(Heard{ike.Report{Kind: ike.Failed, Conn: "site", IKE: d.ID, Path: testPath, Why: &ike.Refusal{Cause: ike.NotResumed}}})
		if len(o.tickets) != 1 {
			t.Fatal("not set up anew at once")
		}
		if d = o.locate(nil); d.Session != nil || firsts(d) != "lan voice" || o.s.Conns()[0].Try != 1 {
			t.Errorf("%+v, try %d", d, o.s.Conns()[0].Try)
		}
	}
}

// A command ends what could be resumed, and so does another configuration.
func TestForgottenSession(t *testing.T) {
	o := newOffice(t, twoChildren(conf.Start))
	s := newSession()
	old := o.locate(nil).ID
	o.upWith(old, s)
	o.handle(Down{Waiter: 1, Match: control.TerminateRequest{Conn: "site"}})
	o.lose(old, ike.NoAnswer)
	if s.D[0] != 0 || o.s.byName["site"].session != nil {
		t.Error("kept after a command")
	}
	o = newOffice(t, twoChildren(conf.Start))
	s = newSession()
	old = o.locate(nil).ID
	o.upWith(old, s)
	o.lose(old, ike.NoAnswer)
	o.handle(Load{Config: conf.Default()})
	if s.D[0] != 0 {
		t.Error("kept without the connection")
	}
}
