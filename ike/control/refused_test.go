package control

import (
	"testing"

	"github.com/goike/goike/ike"
)

func TestRefused(t *testing.T) {
	f := newFake()
	f.refused = []Refused{
		{Conn: "site", Child: "lan", Path: f.sas[0].Path, Times: 3, At: f.Now().Add(-5e9), Traffic: ike.Traffic{NATT: ike.Packets{Sent: 4, Received: 3, Ignored: 2, Largest: 1}},
			Why: &ike.Refusal{Cause: ike.NoProposal, Phase: 2, Offered: "o", Configured: "c", Differs: "d", MendHere: "h", MendThere: "t", LocalID: "l", RemoteID: "r"}},
		{Path: f.sas[0].Path, Times: 1, Why: &ike.Refusal{Cause: ike.WrongKey, Subject: ike.OwnIdentity}},
	}
	list, err := dial(t, serve(t, f, Options{})).Refused(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatal(err, list)
	}
	r := list[0]
	if r.Conn != "site" || r.Child != "lan" || r.RemoteHost != f.sas[0].Path.Remote.Addr().String() || r.Times != 3 || *r.Why.At != 5 || *r.Traffic != (Traffic{NATT: Packets{4, 3, 2, 1}}) {
		t.Errorf("%+v", r)
	}
	if w := r.Why; w.Cause != "no-proposal" || w.Phase != 2 || w.MendHere != "h" || w.MendThere != "t" || w.LocalID != "l" || w.RemoteID != "r" || w.Subject != "" {
		t.Errorf("%+v", w)
	}
	if list[1].Why.Subject != "own-identity" || list[1].Conn != "" {
		t.Errorf("%+v", list[1])
	}
}
