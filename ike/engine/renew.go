package engine

import (
	"slices"
	"time"

	"github.com/goike/goike/ike"
)

// overlap is how long an IKE SA stays beside the one by which its peer seems to
// replace it: the peer sets up its children again, and deletes the old one itself.
const overlap = 30 * time.Second

const whyReplaced = "replaced by a new IKE SA of the same identities"

// reauthenticate begins an IKE SA that is to take the place of another one, which
// goes on until then (make_before_break).
func (s *Steward) reauthenticate(now ike.Instant, r ike.Report) {
	sa := s.sas[r.IKE]
	if sa == nil || !sa.up || sa.ending || sa.link.gone || s.stopping || !sa.link.conn.Gateways.Dialable() {
		return
	}
	l := sa.link
	if r.Why != nil && (sa.leaving || l.stage != idle || !s.follow(now, l, sa, r.Why)) {
		return // redirected, and something is under way already
	}
	names := l.kept(sa)
	if len(sa.children) > 0 && len(names) == 0 {
		if r.Why != nil {
			l.redirect = nil
		}
		return // nobody here wants it
	}
	if !sa.leaving {
		sa.uncount()
		sa.leaving = true
		l.leaving++
	}
	if len(names) == 0 {
		l.demand("")
	}
	for _, name := range names {
		l.demand(name)
	}
	if l.stage == idle && len(l.asked) == 0 {
		l.notBefore = now
		l.restart()
	}
	s.reconcile(now, l)
}

// peerLives keeps an IKE SA that was to be replaced since its peer was silent, and ends
// the attempt at another one.
func (s *Steward) peerLives(now ike.Instant, r ike.Report) {
	sa := s.sas[r.IKE]
	if sa == nil || !sa.leaving || sa.link.ikes > 0 {
		return
	}
	l := sa.link
	sa.stay()
	if other := s.sas[l.attempt]; l.attempt != 0 && other != nil {
		s.end(other, ike.Terminate{Why: "the peer answers by the IKE SA that is there"})
	}
	s.reconcile(now, l)
}

// stay keeps an IKE SA that was to be replaced.
func (sa *phase1) stay() {
	if !sa.leaving {
		return
	}
	l := sa.link
	sa.leaving = false
	l.leaving--
	l.ikes++
	for _, c := range sa.children {
		if c.ending {
			continue
		}
		l.up[c.name]++
		if l.persists(c.name) && l.has(c.name) && !l.down[c.name] {
			l.demand(c.name)
		}
	}
}

// relieve ends the IKE SAs whose place has been taken, with all that they have. When
// that is not tried any more they stay.
func (s *Steward) relieve(l *link) {
	if l.leaving == 0 {
		return
	}
	trying := l.stage != idle || len(l.asked) > 0 || len(l.missing()) > 0
	for _, sa := range s.ofLink(l) {
		switch {
		case !sa.leaving:
		case l.ikes > 0 && l.replaces(sa):
			s.end(sa, ike.Terminate{Yield: true, Why: "replaced by a new IKE SA, both sides have authenticated again"})
		case !trying:
			sa.stay()
		}
	}
}

// kept are the children of an IKE SA that are to be there after it, too.
func (l *link) kept(sa *phase1) []string {
	var names []string
	for _, c := range sa.children {
		if !c.ending && l.has(c.name) && !l.down[c.name] {
			names = append(names, c.name)
		}
	}
	return names
}

// replaces tells whether the link has what an IKE SA has that is leaving.
func (l *link) replaces(sa *phase1) bool {
	return !slices.ContainsFunc(l.kept(sa), func(name string) bool { return l.up[name] == 0 })
}

// part ends the IKE SAs whose overlap is over, if there still is what replaces them.
func (s *Steward) part(now ike.Instant) {
	for s.partings.next() <= now {
		sa := s.partings[0]
		s.partings.set(sa, ike.Never)
		stays := func(x *phase1) bool { return x != sa && x.counts() && x.due == ike.Never }
		if slices.ContainsFunc(s.unique[sa.key], stays) {
			s.end(sa, ike.Terminate{Yield: true, Why: whyReplaced})
			s.reconcile(now, sa.link)
		}
	}
}
