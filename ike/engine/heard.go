package engine

import (
	"net/netip"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// heard learns from what a machine reports.
func (s *Steward) heard(now ike.Instant, r ike.Report) {
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
		s.childRekeyed(r)
	case ike.Failed:
		s.attemptFailed(now, r)
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
	sa := s.sas[r.IKE]
	if sa == nil {
		sa = &phase1{id: r.IKE, link: l}
		s.sas[r.IKE] = sa
	}
	if sa.up {
		return
	}
	sa.up, sa.initiator, sa.spiI, sa.begun, sa.established = true, r.SA.Initiator, r.SA.SPIi, r.Begun, now
	sa.key = identities{conn: l.conn.Name, local: r.SA.LocalID, remote: r.SA.RemoteID}
	if !sa.ending {
		l.ikes++
	}
	if l.attempt == sa.id {
		l.attempt, l.stage = 0, idle
	} else {
		// The peer began: its children come first.
		l.notBefore = max(l.notBefore, now.Add(settleTime))
	}
	s.succeed(l, "")
	if l.gone {
		s.end(sa, ike.Terminate{Why: "the connection is no longer configured"})
		return
	}
	s.keepUnique(sa, r.InitialContact)
	s.yield(sa)
	s.reconcile(now, l)
}

func (s *Steward) ikeDown(now ike.Instant, r ike.Report) {
	sa := s.sas[r.IKE]
	if sa == nil {
		return
	}
	l := sa.link
	s.drop(sa)
	s.tellDown()
	if sa.ending || l.gone || l.ikes > 0 {
		s.reconcile(now, l)
		return
	}
	if r.Why != nil && r.Why.Cause == ike.NoAnswer && !s.afterSilence(l) {
		s.reconcile(now, l)
		return
	}
	if now.Sub(sa.established) < stable {
		l.flaps++
	} else {
		l.flaps = 0
	}
	wait := soon
	if l.flaps > 0 {
		wait = backoff(l.flaps)
	}
	l.notBefore = now.Add(wait + s.upTo(wait/2))
	s.resume(now, l)
}

// afterSilence does what dpd_action says about a peer that does not answer any
// more; it tells whether the tunnel is to be set up again.
func (s *Steward) afterSilence(l *link) bool {
	switch l.conn.DPDAction {
	case conf.DPDClear, conf.DPDHold:
		clear(l.want)
		return false
	}
	return true
}

// resume wants again what is always wanted.
func (s *Steward) resume(now ike.Instant, l *link) {
	if l.persistent() {
		l.wantAll()
	}
	s.reconcile(now, l)
}

// drop forgets an IKE SA.
func (s *Steward) drop(sa *phase1) {
	l := sa.link
	delete(s.sas, sa.id)
	s.noteGone(sa.id, sa.children...)
	sa.uncount()
	if sa.up {
		s.release(sa)
	}
	sa.children = nil
	if l.attempt == sa.id {
		l.attempt, l.stage = 0, idle
	}
	for name, ikeID := range l.asked {
		if ikeID == sa.id {
			delete(l.asked, name)
		}
	}
}

// uncount takes an IKE SA and its children off what the link has.
func (sa *phase1) uncount() {
	if sa.up && !sa.ending {
		sa.link.ikes--
	}
	for _, c := range sa.children {
		sa.lose(c)
	}
}

// gain adds a child to an IKE SA.
func (sa *phase1) gain(c phase2) {
	sa.children = append(sa.children, c)
	if !sa.ending {
		sa.link.up[c.name]++
	}
}

// lose takes a child off what the link has.
func (sa *phase1) lose(c phase2) {
	if sa.ending || c.ending {
		return
	}
	l := sa.link
	if l.up[c.name]--; l.up[c.name] <= 0 {
		delete(l.up, c.name)
	}
}

func (s *Steward) ikeRekeyed(r ike.Report) {
	sa := s.sas[r.IKE]
	if sa == nil || !sa.up || s.sas[r.NewID] != nil {
		return
	}
	heir := &phase1{
		id: r.NewID, link: sa.link, up: true, initiator: sa.initiator, spiI: sa.spiI, ending: sa.ending,
		established: sa.established, key: sa.key, children: sa.children,
	}
	s.sas[heir.id] = heir // in the place of sa in the counts of the link
	s.unique[heir.key] = append(s.unique[heir.key], heir)
	sa.children, sa.ending = nil, true
	s.release(sa)
}

func (s *Steward) childUp(now ike.Instant, r ike.Report) {
	sa := s.sas[r.IKE]
	if sa == nil {
		return
	}
	sa.gain(phase2{id: r.ChildID, name: r.Child})
	l := sa.link
	delete(l.asked, r.Child)
	s.succeed(l, r.Child)
	s.reconcile(now, l)
}

// succeed ends what waited for a child, or for the IKE SA when the name is empty.
func (s *Steward) succeed(l *link, child string) {
	delete(l.asked, child)
	if !l.persistent() {
		delete(l.want, child)
	}
	if len(l.missing()) == 0 && len(l.asked) == 0 {
		l.try, l.lastError = 0, nil
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
	sa.lose(sa.children[i])
	s.noteGone(0, sa.children[i])
	sa.children = slices.Delete(sa.children, i, i+1)
	s.tellDown()
	// When the whole IKE SA goes its own report follows; this leaves time for it.
	l := sa.link
	l.notBefore = max(l.notBefore, now.Add(soon+s.upTo(soon)))
	s.reconcile(now, l)
}

func (s *Steward) childRekeyed(r ike.Report) {
	sa := s.sas[r.IKE]
	if sa == nil {
		return
	}
	sa.gain(phase2{id: r.NewID, name: r.Child})
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
	switch {
	case r.Child == "" && !sa.up:
		ending := sa.ending
		s.drop(sa)
		s.tellDown()
		if ending {
			s.reconcile(now, l)
			return
		}
		s.failed(now, l, r.Why, r.Text)
	case r.Child != "" && l.asked[r.Child] == sa.id && sa.up:
		delete(l.asked, r.Child)
		l.try++
		if l.begun == 0 || sa.link.attempt == 0 {
			l.begun = now
		}
		s.failed(now, l, r.Why, r.Text)
	case r.Child != "":
		l.lastError, l.lastAt = r.Why, now
		if l.asked[r.Child] == sa.id { // asked for again when the IKE SA is up
			delete(l.asked, r.Child)
		}
	}
}

// blame shows a refusal before the connection was known with those connections
// that the peer's address may belong to.
func (s *Steward) blame(now ike.Instant, r ike.Report) {
	from := r.Path.Remote.Addr()
	for _, l := range s.links {
		if l.ikes == 0 && covers(l.conn.Gateway, from) {
			l.lastError, l.lastAt = r.Why, now
		}
	}
}

func covers(g conf.Gateway, a netip.Addr) bool {
	return g.Any || (g.Prefix.IsValid() && g.Prefix.Contains(a))
}

// end takes an IKE SA down.
func (s *Steward) end(sa *phase1, how ike.Terminate) {
	if sa.ending && !how.Force {
		return
	}
	sa.uncount()
	sa.ending = true
	s.out.Order(Order{IKE: sa.id, Event: how})
}
