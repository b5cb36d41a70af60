package engine

import (
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// heard learns from what a machine reports.
func (s *Steward) heard(now ike.Instant, r ike.Report) {
	if sa := s.sas[r.IKE]; sa != nil && r.Path.Remote.IsValid() {
		sa.peer = r.Path.Remote
	}
	s.refused.remember(now, r)
	if l := s.linkOf(r); l != nil && r.Why != nil {
		l.traffic, l.lastChild = r.Traffic, r.Child
	}
	switch r.Kind {
	case ike.IKEUp:
		s.ikeUp(now, r)
	case ike.IKEDown:
		s.ikeDown(now, r)
	case ike.IKERekeyed:
		s.ikeRekeyed(r)
	case ike.ChildUp:
		s.childUp(now, r)
	case ike.ChildDown:
		s.childDown(now, r)
	case ike.ChildRekeyed:
		s.childRekeyed(now, r)
	case ike.Failed:
		s.attemptFailed(now, r)
	case ike.ReauthDue:
		s.reauthenticate(now, r)
	case ike.PeerLives:
		s.peerLives(now, r)
	}
}

// linkOf is the link that a report is about.
func (s *Steward) linkOf(r ike.Report) *link {
	if sa := s.sas[r.IKE]; sa != nil {
		return sa.link
	}
	return s.byName[r.Conn]
}

func (s *Steward) ikeUp(now ike.Instant, r ike.Report) {
	l := s.linkOf(r)
	if l == nil || r.SA == nil {
		return
	}
	l.said = nil
	sa := s.sas[r.IKE]
	if sa == nil {
		sa = &phase1{timer: newTimer(r.IKE), id: r.IKE, link: l, contact: r.InitialContact}
		s.sas[r.IKE] = sa
	}
	if sa.up {
		return
	}
	sa.up, sa.initiator, sa.spiI, sa.begun, sa.established = true, r.SA.Initiator, r.SA.SPIi, r.Begun, now
	sa.key = identities{conn: l.conn.Name, local: r.SA.LocalID, remote: r.SA.RemoteID}
	sa.peer, sa.session = r.SA.Path.Remote, r.Session
	if sa.counts() {
		l.ikes++
	}
	if l.attempt == sa.id {
		l.attempt, l.stage, l.paths, l.redirect = 0, idle, nil, nil
	} else {
		// The peer began: its children come first.
		l.notBefore = max(l.notBefore, now.Add(settleTime))
	}
	clear(l.trapped)
	s.achieved(sa, "")
	if l.gone {
		s.end(sa, ike.Terminate{Why: "the connection is no longer configured"})
		return
	}
	s.keepUnique(now, sa, r.InitialContact)
	s.yield(sa)
	s.reconcile(now, l)
}

func (s *Steward) ikeDown(now ike.Instant, r ike.Report) {
	sa := s.sas[r.IKE]
	if sa == nil {
		return
	}
	l := sa.link
	expected := !sa.counts()
	fallen := sa.fallenAt(now)
	s.salvage(sa, r.Why)
	s.drop(sa)
	s.tellDown()
	if expected || l.gone || l.ikes > 0 {
		s.reconcile(now, l)
		return
	}
	cause := ike.Cause(0)
	if r.Why != nil {
		cause = r.Why.Cause
	}
	l.flaps++
	if cause == ike.Expired || now.Sub(sa.established) >= stable {
		l.flaps = 0
	}
	if cause == ike.Unused {
		s.rest(l, l.names())
		s.reconcile(now, l)
		return
	}
	var left []string
	if cause == ike.NoAnswer {
		if left = s.afterSilence(l); len(left) == len(l.names()) {
			s.reconcile(now, l)
			return
		}
	}
	wait := soon
	if cause == ike.NoAnswer || cause == ike.Expired {
		l.recall(fallen)
		wait = 0
	}
	if l.flaps > 0 {
		wait = backoff(l.flaps)
	}
	l.notBefore = now.Add(wait + s.upTo(wait/2))
	l.restart()
	if l.persistent() {
		l.wantAll()
	}
	l.leave(left)
	s.reconcile(now, l)
}

// afterSilence does what dpd_action says about a peer that does not answer any more, and
// returns the children that are not to be set up again.
func (s *Steward) afterSilence(l *link) (left []string) {
	var hold []string
	for _, name := range l.names() {
		switch l.dpdActionOf(name) {
		case conf.DPDClear:
			left = append(left, name)
		case conf.DPDHold:
			left, hold = append(left, name), append(hold, name)
		}
	}
	l.leave(left)
	s.trapChildren(l, hold)
	return left
}

// dpdActionOf is what becomes of a child when the peer is dead, or of the IKE SA when the
// name is empty.
func (l *link) dpdActionOf(name string) conf.DPDAction {
	if c, ok := l.conn.Child(name); ok {
		return l.conn.DPDActionOf(c)
	}
	return l.conn.DPDAction
}

// rest gives up children that nobody uses until traffic asks for them.
func (s *Steward) rest(l *link, names []string) {
	l.leave(names)
	s.trapChildren(l, names)
}

// trapChildren lets traffic bring children up, whatever their behavior.
func (s *Steward) trapChildren(l *link, names []string) {
	if len(names) == 0 || !l.conn.Gateways.Dialable() {
		return
	}
	for _, name := range names {
		l.trapped[name] = true
	}
	s.trap(l)
}

// recall wants again what a lost IKE SA has had. A connection that only waits for its
// peer goes on waiting.
func (l *link) recall(names []string) {
	if l.held || !l.conn.Gateways.Dialable() {
		return
	}
	for _, name := range names {
		if l.has(name) && !l.down[name] && l.behaviorOf(name) != conf.ResponderOnly {
			l.demand(name)
		}
	}
}

func (s *Steward) ikeRekeyed(r ike.Report) {
	sa := s.sas[r.IKE]
	if sa == nil || !sa.up || s.sas[r.NewID] != nil {
		return
	}
	heir := *sa // in the place of sa in the counts of the link
	heir.id, heir.timer = r.NewID, newTimer(r.NewID)
	s.sas[heir.id] = &heir
	s.unique[heir.key] = append(s.unique[heir.key], &heir)
	s.partings.set(&heir, sa.due)
	s.partings.set(sa, ike.Never)
	sa.children, sa.session, sa.ending, sa.leaving = nil, nil, true, false
	s.release(sa)
	s.passOn(sa.id, &heir)
}

// passOn gives an IKE SA the orders that its predecessor may not have got in time.
func (s *Steward) passOn(old uint64, heir *phase1) {
	if heir.ending {
		for _, w := range s.downs {
			if w.ikes[old] {
				w.ikes[heir.id] = true
			}
		}
		s.out.Order(Order{IKE: heir.id, Event: heir.how})
	}
	for _, c := range heir.children {
		if c.ending && !heir.ending {
			s.out.Order(Order{IKE: heir.id, Event: c.how})
		}
	}
	l := heir.link
	for _, name := range append(l.names(), "") {
		if l.asked[name] == old {
			s.ask(l, heir.id, []string{name})
		}
	}
}

func (s *Steward) childUp(now ike.Instant, r ike.Report) {
	sa := s.sas[r.IKE]
	if sa == nil {
		return
	}
	sa.gain(phase2{id: r.ChildID, name: r.Child, since: now})
	l := sa.link
	s.achieved(sa, r.Child)
	if sa.leaving && l.has(r.Child) && !l.down[r.Child] {
		l.demand(r.Child) // of the IKE SA that takes its place
	}
	s.reconcile(now, l)
}

// achieved notes a child that is up, or the IKE SA when the name is empty. One that is
// to go is no success.
func (s *Steward) achieved(sa *phase1, child string) {
	l := sa.link
	switch {
	case !sa.ending && !sa.leaving:
		s.succeed(l, child)
	case l.asked[child] == sa.id:
		delete(l.asked, child)
	}
}

// succeed ends what waited for a child, or for the IKE SA when the name is empty.
func (s *Steward) succeed(l *link, child string) {
	delete(l.asked, child)
	delete(l.given, child)
	switch {
	case !l.persists(child) || !l.has(child):
		delete(l.want, child)
	case !l.down[child]:
		l.want[child] = true
	}
	if len(l.missing()) == 0 && len(l.asked) == 0 && len(l.given) == 0 {
		l.lastError, l.unreached = nil, false
		l.restart()
	}
	s.gratify(l, child)
}

func (s *Steward) childDown(now ike.Instant, r ike.Report) {
	sa := s.sas[r.IKE]
	if sa == nil {
		return
	}
	i := slices.IndexFunc(sa.children, func(c phase2) bool { return c.id == r.ChildID })
	if i < 0 {
		return
	}
	c := sa.children[i]
	sa.lose(c)
	s.noteGone(0, c)
	sa.children = slices.Delete(sa.children, i, i+1)
	s.tellDown()
	l := sa.link
	if sa.counts() && !c.ending {
		sa.fell(now, c.name)
		s.pause(now, l, c, r.Why != nil && r.Why.Cause == ike.Expired)
	}
	if r.Why != nil && r.Why.Cause == ike.Unused && l.up[c.name] == 0 {
		s.rest(l, []string{c.name})
	}
	s.reconcile(now, l)
}

// pause sets the time after which a child that went down is asked for again. When the
// whole IKE SA goes its own report follows; this leaves time for it. One that has reached
// its limit is missed at once.
func (s *Steward) pause(now ike.Instant, l *link, c phase2, expired bool) {
	wait := soon
	switch {
	case expired && now.Sub(c.since) >= soon:
		wait = 0
	case expired || l.up[c.name] > 0: // another one has replaced it
	case l.want[c.name] && now.Sub(c.since) < stable:
		l.falls++
		wait = backoff(l.falls)
	default:
		l.falls = 0
	}
	l.notBefore = max(l.notBefore, now.Add(wait+s.upTo(wait)))
}

func (s *Steward) childRekeyed(now ike.Instant, r ike.Report) {
	sa := s.sas[r.IKE]
	if sa == nil {
		return
	}
	heir := phase2{id: r.NewID, name: r.Child, since: now}
	i := slices.IndexFunc(sa.children, func(c phase2) bool { return c.id == r.ChildID })
	if i >= 0 && sa.children[i].ending { // by a command that came too late for the old one
		heir.ending, heir.how = true, sa.children[i].how
		heir.how.ChildID = heir.id
		s.out.Order(Order{IKE: sa.id, Event: heir.how})
		for _, w := range s.downs {
			if w.children[r.ChildID] {
				w.children[heir.id] = true
			}
		}
		if sa.link.asked[r.Child] == sa.id { // it may have seen the new one there already
			s.ask(sa.link, sa.id, []string{r.Child})
		}
	}
	sa.gain(heir)
}

// attemptFailed learns that an IKE SA or a child SA did not come about.
func (s *Steward) attemptFailed(now ike.Instant, r ike.Report) {
	l := s.linkOf(r)
	if l == nil {
		s.blame(now, r)
		return
	}
	if sa := s.sas[r.IKE]; sa != nil {
		s.ownFailed(now, l, sa, r)
		return
	}
	if r.Child == "" {
		l.lastError, l.lastAt = r.Why, now
	}
}

func (s *Steward) ownFailed(now ike.Instant, l *link, sa *phase1, r ike.Report) {
	asked := r.Child != "" && l.asked[r.Child] == sa.id
	switch {
	case r.Child == "" && !sa.up:
		s.drop(sa)
		s.tellDown()
		switch {
		case sa.ending:
			s.reconcile(now, l)
		case s.redirected(now, l, sa, r.Why), s.notResumed(now, l, r.Why):
		case !s.dialNext(l, r.Why):
			s.failed(now, l, r.Why, r.Text)
		}
	case asked && sa.up && r.Why != nil && r.Why.Cause == ike.Terminated:
		// The IKE SA is about to end: its own report follows.
		delete(l.asked, r.Child)
		l.notBefore = max(l.notBefore, now.Add(soon+s.upTo(soon)))
		s.reconcile(now, l)
	case asked && sa.up:
		delete(l.asked, r.Child)
		s.failed(now, l, r.Why, r.Text)
	case r.Child != "":
		l.lastError, l.lastAt = r.Why, now
		if asked { // asked for again when the IKE SA is up
			delete(l.asked, r.Child)
		}
	}
}

// blame shows a refusal before the connection was known with those connections
// that the peer's address may belong to.
func (s *Steward) blame(now ike.Instant, r ike.Report) {
	from := r.Path.Remote.Addr()
	for _, l := range s.links {
		if l.ikes == 0 && l.conn.Gateways.Covers(from) {
			l.lastError, l.lastAt = r.Why, now
		}
	}
}
