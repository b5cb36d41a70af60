package v2

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// claim is who a peer says it is, and whom it wants to talk to.
type claim struct {
	peer id.ID
	own  id.ID // of kind Any: it did not say
}

// readClaim reads IDi and IDr of an IKE_AUTH request.
func readClaim(ps []wire.Payload) (claim, error) {
	var c claim
	idi := wire.FindID(ps, false)
	if idi == nil {
		return c, fmt.Errorf("the peer shows no identity")
	}
	var err error
	if c.peer, err = id.FromWire(uint8(idi.Kind), idi.Data); err != nil {
		return c, err
	}
	if idr := wire.FindID(ps, true); idr != nil {
		// An identity that cannot be read is none of ours.
		if c.own, err = id.FromWire(uint8(idr.Kind), idr.Data); err != nil {
			return c, fmt.Errorf("the identity that the peer asks for: %w", err)
		}
	}
	return c, nil
}

// fitting returns the connections that accept the claim, of those with the most
// specific peer_identifier only: whoever shows an identity has to prove it by the
// key of the connection that is meant for it.
func (sa *SA) fitting(c claim) []*conf.Connection {
	best := 0
	var out []*conf.Connection
	for _, conn := range sa.candidates {
		score := conn.Remote.ID.Match(c.peer)
		if score <= 0 || score < best || !sa.isOurs(conn, c.own) || !crypto.Accepts(conn.Proposals, sa.suite) {
			continue
		}
		if score > best {
			best, out = score, out[:0]
		}
		out = append(out, conn)
	}
	return out
}

// isOurs tells whether the identity that the peer asks for is this host's on a
// connection. Behind a NAT an own identity that is the address in use may be the
// address that the peer sees.
func (sa *SA) isOurs(conn *conf.Connection, want id.ID) bool {
	if want.Kind == id.Any || ownID(conn, sa.path).Match(want) > 0 {
		return true
	}
	address := want.Kind == id.IPv4 || want.Kind == id.IPv6
	return conn.Local.ID.Kind == id.Any && sa.nat.local && address
}

// answerID is the identity that we show to a claim on a connection.
func (sa *SA) answerID(conn *conf.Connection, want id.ID) id.ID {
	if want.Kind != id.Any && conn.Local.ID.Kind == id.Any {
		return want // isOurs has agreed to it
	}
	return ownID(conn, sa.path)
}

// maxListed bounds how many identities a refusal lists.
const maxListed = 6

// noIdentity explains that no connection accepts the claim.
func (sa *SA) noIdentity(c claim) *ike.Refusal {
	var theirs, own []string
	for _, conn := range sa.candidates {
		theirs = append(theirs, word(conn.Remote.ID))
		own = append(own, word(ownID(conn, sa.path)))
	}
	why := &ike.Refusal{
		Cause: ike.WrongKey, Subject: ike.PeerIdentity, Notify: wire.NotifyAuthenticationFailed.String(),
		Offered: c.peer.String(), Configured: list(theirs),
		Differs: fmt.Sprintf("the peer's identity is %s, peer_identifier is %s", c.peer, list(theirs)),
		Hint:    "set peer_identifier to what the peer calls itself, or the peer's own identity to what is configured here",
	}
	if c.own.Kind != id.Any && !slices.ContainsFunc(sa.candidates, func(conn *conf.Connection) bool { return sa.isOurs(conn, c.own) }) {
		why.Subject, why.Offered, why.Configured = ike.OwnIdentity, c.own.String(), list(own)
		why.Differs = fmt.Sprintf("the peer asks for the identity %s, identifier is %s", c.own, list(own))
		why.Hint = "set identifier to what the peer expects of this host"
	}
	return why
}

func word(i id.ID) string {
	if i.Kind == id.Any {
		return "%any"
	}
	return i.String()
}

// list writes a few words without repetition.
func list(words []string) string {
	var out []string
	for _, w := range words {
		if slices.Contains(out, w) {
			continue
		}
		if len(out) == maxListed {
			out = append(out, "...")
			break
		}
		out = append(out, w)
	}
	return strings.Join(out, " or ")
}
