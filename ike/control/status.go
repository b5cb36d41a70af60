package control

import (
	"context"
	"fmt"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
)

// status streams what goikectl shows and strongSwan's commands cannot tell: each
// connection as a goike-conn event, then each IKE SA as a goike-sa event, which is
// list-sa and more. `ike` filters by connection.
func status(ctx context.Context, s *session, args *Message) *Message {
	only := args.Get("ike")
	err := s.streamConns(ctx, only)
	if err == nil {
		err = s.streamSAs(ctx, "goike-sa", saFilter{ike: only}, addOwnSA)
	}
	if err != nil {
		return failure(err)
	}
	i := s.server.backend.Info()
	m := success()
	m.Set("daemon", i.Daemon)
	m.Set("version", i.Version)
	m.Set("dataplane", i.Dataplane)
	return m
}

func (s *session) streamConns(ctx context.Context, only string) error {
	now := s.server.backend.Now()
	states := make(map[string]ConnState)
	for _, st := range s.server.backend.Conns() {
		states[st.Conn] = st
	}
	for _, conn := range s.server.backend.Config().Connections {
		if only != "" && only != conn.Name {
			continue
		}
		err := stream(ctx, s, "goike-conn", conn.Children, func(children []*conf.Child) *Message {
			m := &Message{}
			sec := m.AddSection(conn.Name)
			addOwnConn(sec, now, conn, states[conn.Name])
			list := sec.AddSection("children")
			for _, c := range children {
				addOwnChild(list.AddSection(c.Name), c)
			}
			return m
		})
		if err != nil {
			return fmt.Errorf("connection %s: %w", conn.Name, err)
		}
	}
	return nil
}

// addOwnConn adds a connection in the words of goike.toml, and what it is doing.
func addOwnConn(m *Message, now ike.Instant, conn *conf.Connection, st ConnState) {
	m.Set("state", st.State)
	setInt(m, "try", st.Try)
	addLeft(m, "next-try", now, orNever(st.State, st.NextTry))
	setYes(m, "given-up", st.GivenUp)
	m.Set("key-exchange", conn.Version.String())
	m.Set("remote-gateway", conn.Gateways.String())
	m.Set("local-address", localAddress(conn))
	if conn.Local.ID.Kind != id.Any { // else the address in use
		m.Set("identifier", conn.Local.ID.String())
	}
	m.Set("peer-identifier", idWord(conn.Remote.ID))
	m.Set("connection-behavior", conn.Behavior.String())
	setInt(m, "keying-tries", conn.KeyingTries)
	if st.LastError != nil {
		addAge(m, "last-at", now, st.LastAt)
		addRefusal(m, st.LastError)
		setText(m, "last-child", st.LastChild)
		addTraffic(m, st.Traffic)
	}
	addUnreachable(m, st.Unreachable)
}

// addUnreachable adds what somebody on the way says about messages that did not arrive.
func addUnreachable(m *Message, u *ike.Unreachable) {
	if u == nil {
		return
	}
	sec := m.AddSection("unreachable")
	sec.Set("by", u.By.String())
	sec.Set("host", u.Peer.Addr().Unmap().String())
	setInt(sec, "port", u.Peer.Port())
	sec.Set("what", u.What)
	if u.MTU > 0 {
		setInt(sec, "mtu", u.MTU)
	}
	setInt(sec, "times", u.Times)
}

// addTraffic adds what an IKE SA has sent and received, by the port of this host.
func addTraffic(m *Message, t ike.Traffic) {
	sec := m.AddSection("traffic")
	for _, of := range []struct {
		name string
		is   ike.Packets
	}{{"ike", t.Plain}, {"natt", t.NATT}} {
		port := sec.AddSection(of.name)
		setInt(port, "sent", of.is.Sent)
		setInt(port, "received", of.is.Received)
		setInt(port, "ignored", of.is.Ignored)
		setInt(port, "largest", of.is.Largest)
	}
}

// orNever is the instant of a state that was told; a connection without one plans
// nothing.
func orNever(state string, at ike.Instant) ike.Instant {
	if state == "" {
		return ike.Never
	}
	return at
}

func localAddress(conn *conf.Connection) string {
	switch {
	case conn.LocalInterface != "":
		return conn.LocalInterface
	case conn.LocalAddr.IsValid():
		return conn.LocalAddr.String()
	}
	return "any"
}

var causes = [...]string{
	ike.NoAnswer: "no-answer", ike.NoConnection: "no-connection", ike.NoProposal: "no-proposal", ike.NoSelectors: "no-selectors",
	ike.WrongKey: "wrong-key", ike.PeerRefused: "peer-refused", ike.BadMessage: "bad-message", ike.Internal: "internal",
	ike.Terminated: "terminated", ike.Expired: "expired", ike.Unused: "unused",
	ike.Redirected: "redirected", ike.NotResumed: "not-resumed",
}

var subjects = [...]string{
	ike.NoSubject: "", ike.SharedKey: "shared-key", ike.NoSharedKey: "no-shared-key", ike.PeerIdentity: "peer-identity", ike.OwnIdentity: "own-identity",
	ike.AuthMethod: "auth-method", ike.GatewayName: "gateway-name", ike.Route: "route", ike.LocalAddress: "local-address", ike.DataPlane: "data-plane",
	ike.ExchangeGroup: "exchange-group", ike.OtherMode: "other-mode", ike.OtherVersion: "other-version", ike.Unfinished: "unfinished",
}

// addRefusal adds a refusal in one line, and its parts.
func addRefusal(m *Message, r *ike.Refusal) {
	m.Set("last-error", r.String())
	parts := m.AddSection("refusal")
	parts.Set("cause", word(causes[:], r.Cause))
	setText(parts, "subject", subjects[r.Subject])
	if r.Phase > 0 {
		setInt(parts, "phase", r.Phase)
	}
	setYes(parts, "by-peer", r.ByPeer)
	setText(parts, "notify", r.Notify)
	setText(parts, "offered", r.Offered)
	setText(parts, "configured", r.Configured)
	setText(parts, "nearest", r.Nearest)
	setText(parts, "differs", r.Differs)
	setText(parts, "mend-here", r.MendHere)
	setText(parts, "mend-there", r.MendThere)
	setText(parts, "local-id", r.LocalID)
	setText(parts, "remote-id", r.RemoteID)
	setText(parts, "hint", r.Hint)
	setText(parts, "error", r.Err)
}

func addOwnChild(m *Message, c *conf.Child) {
	setText(m, "description", c.Description)
	m.Set("mode", modeWord(c.Mode))
	m.Set("protocol", c.Protocol.String())
	m.SetList("local-network", confSelectors(c.Local)...)
	m.SetList("remote-network", confSelectors(c.Remote)...)
}

// addOwnSA is addSA, and what list-sa has no keys for.
func addOwnSA(m *Message, now ike.Instant, st ike.Status, children []usedChild) {
	addIKE(m, now, st)
	if st.State != ike.Up { // which addIKE has told
		addAge(m, "established", now, st.Established)
	}
	setText(m, "suite", st.Suite.String())
	addLeft(m, "expire-time", now, st.ExpireAt)
	setYes(m, "fragmentation", st.Fragments)
	addTraffic(m, st.Traffic)
	if st.LastError != nil {
		addRefusal(m, st.LastError)
	}
	list := m.AddSection("child-sas")
	for _, c := range children {
		sec := list.AddSection(childKey(c.ChildStatus))
		addChild(sec, now, c)
		setText(sec, "suite", c.Suite.String())
	}
}
