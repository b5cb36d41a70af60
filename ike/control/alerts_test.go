package control

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/goike/goike/ike"
)

// follow registers events and returns what comes, each up to the first key that only
// list-sa tests look at.
func follow(t *testing.T, f *fake, c *Client, events ...string) (next func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t))
	got, ended := make(chan string, 100), make(chan error, 1)
	go func() {
		ended <- c.Subscribe(ctx, append(events, "log"), func(e string, m *Message) { got <- e + " " + m.String() })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "all registrations", func() bool { // log is the last one
		f.publish(Event{Log: &LogLine{Text: "begun"}})
		return len(got) > 0
	})
	f.publish(Event{Log: &LogLine{Text: "now"}})
	for !strings.Contains(<-got, "msg=now") {
	}
	return func() string { return <-got }
}

func TestAlerts(t *testing.T) {
	f := newFake()
	next := follow(t, f, dial(t, serve(t, f, Options{})), "alert")
	for _, test := range []struct {
		kind  ike.ReportKind
		child string
		why   ike.Refusal
		mine  bool
		want  string
	}{
		{ike.Failed, "", ike.Refusal{Cause: ike.NoAnswer}, true, "retransmit-send-timeout"},
		{ike.Failed, "", ike.Refusal{Cause: ike.NoAnswer}, false, "half-open-timeout"},
		{ike.IKEDown, "", ike.Refusal{Cause: ike.NoAnswer}, false, "retransmit-send-timeout"},
		{ike.Failed, "", ike.Refusal{Cause: ike.NoProposal}, true, "proposal-mismatch-ike"},
		{ike.Failed, "lan", ike.Refusal{Cause: ike.NoProposal}, true, "proposal-mismatch-child"},
		{ike.Failed, "lan", ike.Refusal{Cause: ike.NoSelectors}, true, "ts-mismatch"},
		{ike.Failed, "", ike.Refusal{Cause: ike.WrongKey}, true, "peer-auth-failed"},
		{ike.Failed, "", ike.Refusal{Cause: ike.WrongKey, ByPeer: true}, true, "local-auth-failed"},
		{ike.Failed, "", ike.Refusal{Cause: ike.NoConnection}, false, "peer-auth-failed"},
		{ike.Failed, "", ike.Refusal{Cause: ike.BadMessage}, true, "parse-error-body"},
		{ike.Failed, "lan", ike.Refusal{Cause: ike.Internal}, true, "install-child-sa-failed"},
	} {
		expected := sampleReport(ike.IKEDown)
		expected.Why = &ike.Refusal{Cause: ike.Terminated} // alerts nobody
		f.publish(Event{Report: &expected})
		r := sampleReport(test.kind)
		r.Child, r.Why, r.SA.Initiator = test.child, &test.why, test.mine
		f.publish(Event{Report: &r})
		if got := next(); !strings.HasPrefix(got, "alert {type="+test.want+" ike-sa {site {uniqueid=1 version=2 ") || !strings.HasSuffix(got, "}}}") {
			t.Errorf("%+v: %s", test.why, got)
		}
	}
	f.publish(Event{Report: &ike.Report{Kind: ike.Failed, Why: &ike.Refusal{Cause: ike.NoProposal}}})
	if got := next(); got != "alert {type=proposal-mismatch-ike}" {
		t.Error(got)
	}
	again := ike.Report{Kind: ike.Step, Mark: ike.RequestRepeated, Conn: "site", IKE: 7, Path: sampleReport(ike.IKEUp).SA.Path}
	f.publish(Event{Report: &again})
	if got := next(); got != "alert {type=retransmit-send ike-sa {site {uniqueid=7 local-host=192.0.2.2 local-port=4500 remote-host=198.51.100.2 remote-port=4500}}}" {
		t.Error(got)
	}
}

// ike-update has the new addresses and the IKE SA with the old ones.
func TestIKEUpdate(t *testing.T) {
	f := newFake()
	next := follow(t, f, dial(t, serve(t, f, Options{})), "ike-update")
	r := sampleReport(ike.IKEMoved)
	r.Was = r.SA.Path
	r.SA.Path.Local = netip.MustParseAddrPort("203.0.113.9:4500")
	f.publish(Event{Report: &r})
	want := "ike-update {local-host=203.0.113.9 local-port=4500 remote-host=198.51.100.2 remote-port=4500 site {uniqueid=1 version=2 state=ESTABLISHED local-host=192.0.2.2 "
	if got := next(); !strings.HasPrefix(got, want) || strings.Contains(got, "child-sas") {
		t.Error(got)
	}
}

// FRR's nhrpd follows the states of child SAs.
func TestChildStates(t *testing.T) {
	f := newFake()
	next := follow(t, f, dial(t, serve(t, f, Options{})),
		"child-state-installing", "child-state-installed", "child-state-rekeyed", "child-state-destroying")
	expect := func(r ike.Report, events ...string) {
		t.Helper()
		f.publish(Event{Report: &r})
		for _, want := range events {
			event, rest, _ := strings.Cut(want, " ")
			got := next()
			if !strings.HasPrefix(got, "child-state-"+event+" {site {uniqueid=1 ") || !strings.Contains(got, rest) {
				t.Errorf("%s, want %s", got, want)
			}
		}
	}
	expect(sampleReport(ike.ChildUp), "installing child-sas {lan-2 {name=lan uniqueid=2 reqid=1 state=INSTALLING", "installed lan-2 {name=lan uniqueid=2 reqid=1 state=INSTALLED")
	r := sampleReport(ike.ChildRekeyed)
	heir := r.SA.Children[0]
	heir.ID = 9
	r.SA.Children = append(r.SA.Children[:1:1], heir)
	r.ChildID, r.NewID = 2, 9
	expect(r, "rekeyed lan-2 {name=lan uniqueid=2 reqid=1 state=REKEYED", "installing lan-9 {name=lan uniqueid=9 reqid=1 state=INSTALLING", "installed lan-9 {")
	expect(sampleReport(ike.ChildDown), "destroying lan-2 {name=lan uniqueid=2 reqid=1 state=DESTROYING")
}
