package v2

import (
	"fmt"

	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
)

// report fills in who speaks.
func (sa *SA) report(fx *ike.Effects, r ike.Report) {
	r.IKE, r.Path = sa.ID, sa.path
	if sa.conn != nil && r.Conn == "" {
		r.Conn = sa.conn.Name
	}
	fx.Do(r)
}

// say reports a line.
func (sa *SA) say(fx *ike.Effects, kind ike.ReportKind, format string, args ...any) {
	sa.report(fx, ike.Report{Kind: kind, Text: fmt.Sprintf(format, args...)})
}

// mark reports a line that is counted as something.
func (sa *SA) mark(fx *ike.Effects, m ike.Mark, format string, args ...any) {
	sa.report(fx, ike.Report{Kind: ike.Step, Mark: m, Text: fmt.Sprintf(format, args...)})
}

// count reports what is worth no line.
func (sa *SA) count(fx *ike.Effects, m ike.Mark) { sa.report(fx, ike.Report{Kind: ike.Step, Mark: m}) }

// failed reports an attempt that failed; child is empty for the IKE SA.
func (sa *SA) failed(fx *ike.Effects, childName string, why *ike.Refusal) {
	why = sa.between(why)
	sa.lastError = why
	s := sa.Status()
	s.Children = nil
	sa.report(fx, ike.Report{Kind: ike.Failed, Child: childName, SA: &s, Text: why.String(), Why: why})
}

// between is a refusal that tells as whom the two sides have shown themselves.
func (sa *SA) between(why *ike.Refusal) *ike.Refusal {
	r := *why
	if r.LocalID == "" && sa.localID.Kind != id.Any {
		r.LocalID = sa.localID.String()
	}
	if r.RemoteID == "" && sa.remoteID.Kind != id.Any {
		r.RemoteID = sa.remoteID.String()
	}
	return &r
}

// reportUp reports that the IKE SA is established.
func (sa *SA) reportUp(fx *ike.Effects, contact bool, kept *ike.Session) {
	s := sa.Status()
	sa.report(fx, ike.Report{
		Kind: ike.IKEUp, SA: &s, InitialContact: contact, Session: kept,
		Text: fmt.Sprintf("phase 1 established with %s (%s), %s", sa.path.Remote, sa.remoteID, sa.suite),
	})
}

// reportChild reports a change of a child SA.
func (sa *SA) reportChild(fx *ike.Effects, kind ike.ReportKind, c *child.SA, text string) {
	s := sa.Status()
	s.Children = []ike.ChildStatus{c.Status()}
	r := ike.Report{Kind: kind, Child: c.Name, ChildID: c.ID, SA: &s, Text: text}
	switch {
	case kind != ike.ChildDown:
	case c.Unused:
		r.Why = &ike.Refusal{Cause: ike.Unused, Err: text}
	case c.Expired:
		r.Why = &ike.Refusal{Cause: ike.Expired, Err: text}
	}
	sa.report(fx, r)
}

// reportRekeyed reports that a child SA was replaced.
func (sa *SA) reportRekeyed(fx *ike.Effects, old, heir *child.SA) {
	s := sa.Status()
	s.Children = []ike.ChildStatus{old.Status(), heir.Status()}
	sa.report(fx, ike.Report{
		Kind: ike.ChildRekeyed, Child: heir.Name, ChildID: old.ID, NewID: heir.ID, SA: &s,
		Text: fmt.Sprintf("replaced, SPIs %08x in, %08x out, %s", heir.SPIIn, heir.SPIOut, heir.Suite),
	})
}

// close ends the IKE SA without telling the peer: its children leave the data
// plane and everything that waits fails. how is the text for an established SA;
// why, for one that was not, or for its exchanges.
func (sa *SA) close(now ike.Instant, how string, why *ike.Refusal, fx *ike.Effects) {
	if sa.closed {
		return
	}
	sa.closed = true
	wasUp := sa.established != ike.Never
	if why == nil {
		why = &ike.Refusal{Cause: ike.Terminated, Err: how}
	}
	sa.failAll(now, why, fx)
	sa.dropServing(fx)
	for _, c := range sa.children {
		fx.Do(ike.Install{Ops: c.Remove()})
		switch {
		case c.Quiet:
			continue
		case c.State == ike.ChildCreated:
			sa.failed(fx, c.Name, why)
			continue
		}
		sa.reportChild(fx, ike.ChildDown, c, "down: "+downText(how, why))
	}
	sa.children = nil
	sa.sweep(now, true, fx)
	switch {
	case sa.redundant:
		sa.say(fx, ike.Step, "one of two replacements of phase 1 is gone: %s", downText(how, why))
	case wasUp:
		s := sa.Status()
		sa.report(fx, ike.Report{Kind: ike.IKEDown, SA: &s, Text: "phase 1 down: " + downText(how, why), Why: why})
	case !sa.told:
		sa.failed(fx, "", why)
	}
	sa.zero()
	fx.Do(ike.Closed{})
}

func downText(how string, why *ike.Refusal) string {
	if how != "" {
		return how
	}
	return why.String()
}

// failAll fails the exchange under way and those that wait.
func (sa *SA) failAll(now ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	if x := sa.active; x != nil {
		sa.end()
		sa.forget(x)
		x.fail(sa, now, why, fx)
	}
	sa.failQueue(now, why, fx)
}

// failQueue fails the exchanges that wait.
func (sa *SA) failQueue(now ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	for _, x := range sa.queue {
		x.fail(sa, now, why, fx)
	}
	sa.queue = nil
}

// zero wipes the keys.
func (sa *SA) zero() {
	sa.keys.zero()
	sa.boot, sa.win = nil, window{}
	sa.tickets, sa.candidates, sa.tentative = nil, nil, nil
}
