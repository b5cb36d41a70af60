package control

import "github.com/goike/goike/ike"

// sendChildState sends the events of the dialect that FRR's nhrpd speaks, one for each
// state that a child SA comes to: installing and installed, rekeyed (the old one, by its
// successor), destroying. Each has what child-updown has.
func (s *session) sendChildState(r ike.Report, now ike.Instant) {
	for _, c := range r.SA.Children {
		switch {
		case r.Kind == ike.ChildDown:
			s.sendState("destroying", r, now, usedChild{ChildStatus: c})
		case r.Kind == ike.ChildUp, c.ID == r.NewID:
			used := usedChild{ChildStatus: c, usage: &ChildUsage{}}
			s.sendState("installing", r, now, used)
			s.sendState("installed", r, now, used)
		case c.ID == r.ChildID:
			s.sendState("rekeyed", r, now, usedChild{ChildStatus: c})
		}
	}
}

// stateWords are the states as the children of these events show them.
var stateWords = map[string]string{"installing": "INSTALLING", "installed": "INSTALLED", "rekeyed": "REKEYED", "destroying": "DESTROYING"}

func (s *session) sendState(state string, r ike.Report, now ike.Instant, c usedChild) {
	name := "child-state-" + state
	if !s.wants(name) {
		return
	}
	m := &Message{}
	sa := m.AddSection(nameOf(r.SA.Conn))
	addIKE(sa, now, *r.SA)
	addChildAs(sa.AddSection("child-sas").AddSection(childKey(c.ChildStatus)), now, c, stateWords[state])
	s.sendEvent(name, m)
}
