package control

import (
	"context"
	"errors"
)

var errNoRekeyChoice = errors.New("missing rekey selector")

// rekey replaces what `ike`, `child`, `ike-id` or `child-id` name; with `reauth` an IKE SA
// is set up anew. It does not wait for the outcome.
func rekey(ctx context.Context, s *session, args *Message) *Message {
	conn, child, connID, childID, err := names(args)
	r := RekeyRequest{Conn: conn, Child: child, ConnID: connID, ChildID: childID, Reauth: isYes(args, "reauth")}
	if err == nil && r.Conn == "" && r.Child == "" && r.ConnID == 0 && r.ChildID == 0 {
		err = errNoRekeyChoice
	}
	if err != nil {
		return failure(err)
	}
	n, err := s.server.backend.Rekey(ctx, r)
	return matched(n, err)
}

// names are the ways to name SAs.
func names(args *Message) (conn, child string, connID, childID uint64, err error) {
	ike, errIKE := number(args, "ike-id", 0)
	c, errChild := number(args, "child-id", 0)
	return args.Get("ike"), args.Get("child"), uint64(ike), uint64(c), errors.Join(errIKE, errChild)
}

// isYes reads a boolean argument in the words that strongSwan takes.
func isYes(args *Message, name string) bool {
	switch args.Get(name) {
	case "yes", "true", "1", "enabled":
		return true
	}
	return false
}

// matched is the answer of a command that is about so many SAs.
func matched(n int, err error) *Message {
	m := &Message{}
	if err == nil {
		m.Set("success", "yes")
		setInt(m, "matches", n)
		return m
	}
	m.Set("success", "no")
	setInt(m, "matches", n)
	m.Set("errmsg", err.Error())
	return m
}
