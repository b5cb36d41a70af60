package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

func (o *office) redirect(kind ike.ReportKind, ikeID uint64, to string) {
	o.handle(Heard{ike.Report{
		Kind: kind, Conn: "site", IKE: ikeID, Path: testPath, Text: "redirected", Why: &ike.Refusal{Cause: ike.Redirected, Gateway: to},
	}})
}

// sought is the gateway that is looked for.
func (o *office) sought() string {
	l := o.s.byName["site"]
	return l.gateway().Gateways.String()
}

// A gateway that is asked names another one: the same try goes on there, and the next
// one begins at the configured gateway (RFC 5685, 3 and 6).
func TestRedirectedWhileConnecting(t *testing.T) {
	o := newOffice(t, twoChildren(conf.Start))
	d := o.locate(nil)
	o.redirect(ike.Failed, d.ID, "gw2.example.org")
	if o.sought() != "gw2.example.org" || len(o.outcomes) > 0 {
		t.Fatalf("%s %+v", o.sought(), o.reports)
	}
	d = o.locate(nil)
	if firsts(d) != "lan voice" || d.RedirectedFrom != peerAddr.Addr() || o.s.Conns()[0].Try != 1 {
		t.Fatalf("%+v, try %d", d, o.s.Conns()[0].Try)
	}
	o.fail(d.ID)
	for len(o.tickets) == 0 {
		o.wait(time.Second)
	}
	if o.sought() == "gw2.example.org" {
		t.Error("still there")
	}
	if d = o.locate(nil); d.RedirectedFrom.IsValid() {
		t.Errorf("%+v", d)
	}
}

// No more than five redirects within five minutes are followed (RFC 5685, 7).
func TestRedirectLoop(t *testing.T) {
	cfg := twoChildren(conf.Start)
	cfg.Connections[0].KeyingTries = 0
	o := newOffice(t, cfg)
	for i := range maxRedirects + 1 {
		if len(o.tickets) == 0 {
			t.Fatalf("redirect %d is not followed", i)
		}
		d := o.locate(nil)
		o.redirect(ike.Failed, d.ID, fmt.Sprintf("203.0.113.%d", i+1))
	}
	if len(o.tickets) > 0 || o.s.byName["site"].redirect != nil {
		t.Error("followed without end")
	}
	// Tries go on, with their pauses, at the configured gateway; later it is followed again.
	o.wait(redirectPeriod)
	for len(o.tickets) == 0 {
		o.wait(time.Second)
	}
	d := o.locate(nil)
	if d.RedirectedFrom.IsValid() {
		t.Errorf("%+v", d)
	}
	o.redirect(ike.Failed, d.ID, "203.0.113.1")
	if len(o.tickets) != 1 || o.sought() != "203.0.113.1" {
		t.Error("not followed any more")
	}
	for _, bad := range []string{"any", "10.0.0.0/8", "", "a b"} {
		d := o.locate(nil)
		o.redirect(ike.Failed, d.ID, bad)
		if o.s.byName["site"].redirect != nil {
			t.Errorf("%q is followed", bad)
		}
		for len(o.tickets) == 0 {
			o.wait(time.Second)
		}
	}
}

// An established IKE SA goes when what it has is up at the other gateway (RFC 5685, 5).
func TestRedirectedWhileUp(t *testing.T) {
	o := newOffice(t, twoChildren(conf.Start))
	old := o.locate(nil).ID
	o.both(old, true)
	o.redirect(ike.ReauthDue, old, "203.0.113.7")
	if o.sought() != "203.0.113.7" || o.terminated(old) {
		t.Fatal(o.sought())
	}
	o.redirect(ike.ReauthDue, old, "203.0.113.8") // it is on its way already
	d := o.locate(nil)
	if firsts(d) != "lan voice" || d.RedirectedFrom != peerAddr.Addr() || d.InitialContact {
		t.Fatalf("%+v", d)
	}
	o.both(d.ID, true)
	if !o.terminated(old) || o.terminated(d.ID) {
		t.Fatalf("%+v", o.orders)
	}
	o.lose(old, ike.Terminated)
	o.wait(time.Hour)
	if o.state() != "up" || o.s.byName["site"].redirect != nil || len(o.dials) != 2 {
		t.Errorf("%s, %d dials", o.state(), len(o.dials))
	}
}
