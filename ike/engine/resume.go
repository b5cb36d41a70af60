package engine

import "github.com/goike/goike/ike"

// keep keeps by what the next try resumes a lost IKE SA, in the place of what there was.
func (l *link) keep(session *ike.Session) {
	l.session.Zero()
	l.session = session
}

// salvage keeps what resumes an IKE SA that is lost because its peer was silent. One that
// was deleted by either side, or is to authenticate again, is not resumed (RFC 5723, 4.1).
func (s *Steward) salvage(sa *phase1, why *ike.Refusal) {
	l := sa.link
	if sa.session == nil || !sa.counts() || l.gone || s.stopping || why == nil || why.Cause != ike.NoAnswer {
		return
	}
	l.keep(sa.session)
	sa.session = nil
}

// notResumed goes on at once, from the first message on, with a try whose ticket was not
// taken (RFC 5723, 4.3.3). It is still the same try.
func (s *Steward) notResumed(now ike.Instant, l *link, why *ike.Refusal) bool {
	if why == nil || why.Cause != ike.NotResumed || s.stopping || l.gone {
		return false
	}
	l.try, l.notBefore, l.paths = max(l.try-1, 0), now, nil
	s.reconcile(now, l)
	return true
}
