package control

import "github.com/goike/goike/ike"

// alertType is strongSwan's word for what a report complains of; "" is none.
func alertType(r ike.Report) string {
	if r.Mark == ike.RequestRepeated {
		return "retransmit-send"
	}
	if r.Why == nil || r.Kind != ike.Failed && r.Kind != ike.IKEDown {
		return ""
	}
	switch r.Why.Cause {
	case ike.NoAnswer:
		if r.SA != nil && !r.SA.Initiator && r.Kind == ike.Failed {
			return "half-open-timeout"
		}
		return "retransmit-send-timeout"
	case ike.NoProposal:
		if r.Child != "" {
			return "proposal-mismatch-child"
		}
		return "proposal-mismatch-ike"
	case ike.NoSelectors:
		return "ts-mismatch"
	case ike.WrongKey, ike.NoConnection:
		if r.Why.ByPeer {
			return "local-auth-failed" // the peer does not accept what we have shown
		}
		return "peer-auth-failed"
	case ike.BadMessage:
		return "parse-error-body"
	case ike.Internal:
		if r.Child != "" {
			return "install-child-sa-failed"
		}
	}
	return ""
}

// sendAlert sends an alert event when a report complains of something, with the IKE SA
// that it is about.
func (s *session) sendAlert(r ike.Report) {
	kind := alertType(r)
	if kind == "" || !s.wants("alert") {
		return
	}
	m := &Message{}
	m.Set("type", kind)
	switch {
	case r.SA != nil:
		addIKE(m.AddSection("ike-sa").AddSection(nameOf(r.SA.Conn)), s.server.backend.Now(), *r.SA)
	case r.IKE != 0: // all that the report tells
		sec := m.AddSection("ike-sa").AddSection(nameOf(r.Conn))
		setInt(sec, "uniqueid", r.IKE)
		addAddress(sec, "local", r.Path.Local)
		addAddress(sec, "remote", r.Path.Remote)
	}
	s.sendEvent("alert", m)
}
