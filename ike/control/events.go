package control

import "github.com/goike/goike/ike"

// publish sends an event of the backend to the client, if that wants it.
func (s *session) publish(ev Event) {
	switch {
	case ev.Lost > 0:
		s.sendEvent("log", lostMessage(ev.Lost))
	case ev.Log != nil && s.wants("log"):
		s.sendEvent("log", logMessage(*ev.Log, true))
	case ev.Report != nil:
		s.sendAlert(*ev.Report)
		if ev.Report.SA != nil {
			s.publishReport(*ev.Report)
		}
	}
}

func (s *session) publishReport(r ike.Report) {
	now := s.server.backend.Now()
	switch r.Kind {
	case ike.IKEUp, ike.IKEDown:
		s.sendEvent("ike-updown", updown(r, now, r.Kind == ike.IKEUp))
	case ike.ChildUp, ike.ChildDown:
		s.sendEvent("child-updown", childUpdown(r, now, r.Kind == ike.ChildUp))
		s.sendChildState(r, now)
	case ike.IKERekeyed:
		s.sendEvent("ike-rekey", ikeRekey(r, now))
	case ike.ChildRekeyed:
		s.sendEvent("child-rekey", childRekey(r, now))
		s.sendChildState(r, now)
	case ike.IKEMoved:
		s.sendEvent("ike-update", ikeUpdate(r, now))
	}
}

func updown(r ike.Report, now ike.Instant, up bool) *Message {
	m := &Message{}
	setYes(m, "up", up)
	addIKE(m.AddSection(nameOf(r.SA.Conn)), now, *r.SA)
	return m
}

func childUpdown(r ike.Report, now ike.Instant, up bool) *Message {
	m := &Message{}
	setYes(m, "up", up)
	addSA(m.AddSection(nameOf(r.SA.Conn)), now, *r.SA, childrenOf(r.SA, up))
	return m
}

// childrenOf are the children in a report. New ones have carried nothing; what
// others have carried a report does not tell.
func childrenOf(st *ike.Status, isNew bool) []usedChild {
	var out []usedChild
	for _, c := range st.Children {
		u := usedChild{ChildStatus: c}
		if isNew {
			u.usage = &ChildUsage{}
		}
		out = append(out, u)
	}
	return out
}

// ikeRekey has the IKE SA that the report is about in full; of the other one the
// report tells the unique ID.
func ikeRekey(r ike.Report, now ike.Instant) *Message {
	m := &Message{}
	both := m.AddSection(nameOf(r.SA.Conn))
	old, replacement := both.AddSection("old"), both.AddSection("new")
	if r.SA.ID == r.NewID {
		setInt(old, "uniqueid", r.IKE)
		addIKE(replacement, now, *r.SA)
	} else {
		addIKE(old, now, *r.SA)
		setInt(replacement, "uniqueid", r.NewID)
	}
	return m
}

// ikeUpdate has the new addresses, and the IKE SA as it was.
func ikeUpdate(r ike.Report, now ike.Instant) *Message {
	m := &Message{}
	was, to := *r.SA, r.SA.Path
	was.Path = r.Was
	addAddress(m, "local", to.Local)
	addAddress(m, "remote", to.Remote)
	addIKE(m.AddSection(nameOf(was.Conn)), now, was)
	return m
}

func childRekey(r ike.Report, now ike.Instant) *Message {
	m := &Message{}
	sa := m.AddSection(nameOf(r.SA.Conn))
	addIKE(sa, now, *r.SA)
	both := sa.AddSection("child-sas").AddSection(r.Child)
	for _, c := range r.SA.Children {
		switch c.ID {
		case r.ChildID:
			addChild(both.AddSection("old"), now, usedChild{ChildStatus: c})
		case r.NewID:
			addChild(both.AddSection("new"), now, usedChild{ChildStatus: c, usage: &ChildUsage{}})
		}
	}
	return m
}
