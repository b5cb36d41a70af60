package v2

import (
	"fmt"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

// errorNotify is the first error notify of a message, nil if there is none.
func errorNotify(ps []wire.Payload) *wire.Notify {
	for _, p := range ps {
		if n, ok := p.(*wire.Notify); ok && n.Kind.IsError() {
			return n
		}
	}
	return nil
}

// noProposal explains a refusal of ours, of phase 1 or 2.
func noProposal(miss *crypto.Mismatch, phase int) *ike.Refusal {
	why := &ike.Refusal{
		Cause: ike.NoProposal, Phase: phase, Notify: wire.NotifyNoProposalChosen.String(),
		Offered: miss.OfferedWords(), Configured: miss.ConfiguredWords(),
		Nearest: miss.NearestWords(), Differs: miss.Differs(),
		Hint: fmt.Sprintf("make the proposals of phase %d agree on both sides", phase),
	}
	if p, ok := miss.MendHere(); ok {
		why.MendHere = p.String()
	}
	if p, ok := miss.MendThere(); ok {
		why.MendThere = p.String()
	}
	return why
}

// noChild is noProposal for a child. In IKE_AUTH nobody speaks of key exchange groups: those
// that are configured are to stay.
func noChild(miss *crypto.Mismatch, configured []crypto.Proposal) *ike.Refusal {
	why := noProposal(miss, 2)
	if p, ok := miss.MendHere(); ok {
		why.MendHere = withGroups(p, configured).String()
	}
	if p, ok := miss.MendThere(); ok {
		why.MendThere = withGroups(p, configured).String()
	}
	return why
}

// takes is a proposal that a peer has to take which took none of ours: the first, with one
// algorithm of each type.
func takes(proposals []crypto.Proposal) string {
	miss := crypto.Mismatch{Configured: proposals, NearestOffered: -1, NearestConfigured: -1}
	p, ok := miss.MendThere()
	if !ok {
		return ""
	}
	return p.String()
}

// refusedByPeer explains an error notify of the peer. offered is what we proposed, nil: that
// is not what the peer complains of.
func refusedByPeer(n *wire.Notify, offered []crypto.Proposal, phase int) *ike.Refusal {
	why := &ike.Refusal{Cause: ike.PeerRefused, ByPeer: true, Notify: n.Kind.String()}
	switch n.Kind {
	case wire.NotifyNoProposalChosen:
		why.Cause, why.Phase, why.Offered, why.MendThere = ike.NoProposal, phase, words(offered), takes(offered)
		why.Hint = "compare with the peer's phase 1 settings; it may also have no connection for our address"
		if phase == 2 {
			why.Hint = "compare with the peer's phase 2 settings"
		}
	case wire.NotifyTSUnacceptable:
		why.Cause, why.Hint = ike.NoSelectors, mirrorHint
	case wire.NotifyInvalidMajorVersion:
		why.Subject, why.Hint = ike.OtherVersion, "the peer does not speak IKEv2: switch it on there"
	case wire.NotifyNoAdditionalSAs:
		why.Hint = "the peer takes no more child SAs"
	case wire.NotifyTemporaryFailure:
		why.Hint = "the peer is busy replacing or ending an SA; it will be tried again"
	case wire.NotifyAuthenticationFailed:
		why.Cause = ike.WrongKey
		why.Hint = "compare the pre-shared keys and the identities (identifier, peer_identifier) on both sides"
	}
	return why
}

// withGroup is our first proposal with another key exchange group; empty when that is not
// known here.
func withGroup(proposals []crypto.Proposal, group uint16) string {
	a := crypto.Alg{Type: crypto.KE, ID: group}
	miss := crypto.Mismatch{Configured: proposals, NearestOffered: -1}
	p, ok := miss.MendThere()
	if !ok || !a.Known() {
		return ""
	}
	p = p.Without(crypto.KE)
	p.Algs = append(p.Algs, a)
	return p.String()
}

// mirrorHint is what to do about traffic selectors.
const mirrorHint = "local_network and remote_network of the two sides must mirror each other"

// noSelectors explains that what the peer offers and what is configured for the
// child that comes nearest have nothing in common.
func noSelectors(offeredLocal, offeredRemote []wire.Selector, conn *conf.Connection, path ike.Path) *ike.Refusal {
	why := &ike.Refusal{
		Cause: ike.NoSelectors, Notify: wire.NotifyTSUnacceptable.String(),
		Offered: ts.String(offeredLocal) + " === " + ts.String(offeredRemote),
		Differs: "no phase 2 is configured", Hint: mirrorHint,
	}
	best := -1
	for _, c := range conn.Children {
		if c.Mode.Shunt() {
			continue
		}
		local, remote := ts.FromConf(c.Local, path.Local.Addr()), ts.FromConf(c.Remote, path.Remote.Addr())
		inLocal, inRemote := ts.Narrow(offeredLocal, local), ts.Narrow(offeredRemote, remote)
		score := 0
		differs := "neither local_network nor remote_network has anything in common"
		switch {
		case len(inLocal) > 0:
			score = 1
			differs = "remote_network: " + ts.String(offeredRemote) + " (peer) has nothing in common with " + ts.String(remote)
		case len(inRemote) > 0:
			score = 1
			differs = "local_network: " + ts.String(offeredLocal) + " (peer) has nothing in common with " + ts.String(local)
		}
		if score > best {
			best = score
			why.Configured = ts.String(local) + " === " + ts.String(remote)
			why.Nearest, why.Differs = c.Name, differs
		}
	}
	return why
}
