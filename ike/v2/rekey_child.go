package v2

import (
	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/wire"
)

// startRekey begins the replacement of a child (RFC 7296, 1.3.3).
func (x *childExchange) startRekey(sa *SA, now ike.Instant, fx *ike.Effects) {
	old := x.old
	if sa.indexOf(old) < 0 || old.State != ike.ChildInstalled {
		sa.end()
		return
	}
	if sa.replacedByPeer(old) {
		old.RekeyAt = sa.retryAt(now, old.ExpireAt, nil) // in case the peer fails
		sa.end()
		return
	}
	old.State = ike.ChildRekeying
	sa.askBefore(old, fx)
	x.child, x.proposals = sameAgain(sa, old), oldFirst(old)
	x.group = firstGroup(x.proposals)
	sa.say(fx, ike.Step, "replacing %s%s", old.Name, withKey(x.group))
	x.compute(sa, x, offerJob{group: x.group}, fx)
	x.ask(sa, x, x.child.reserve(sa, old.ReqID), fx)
}

// sameAgain offers what a child has. The addresses in the selectors of transport mode,
// and those of the hosts themselves, are those in use now.
func sameAgain(sa *SA, old *child.SA) *proposal {
	p := newProposal(sa, old.Conf, nil)
	if old.Mode == conf.Transport {
		return p
	}
	if !old.NewLocal {
		p.local = old.Local
	}
	if !old.NewRemote {
		p.remote = old.Remote
	}
	return p
}

// oldFirst offers the suite that was agreed on first, which the peer has accepted
// before.
func oldFirst(old *child.SA) []crypto.Proposal {
	return withFirst(withGroups(old.Suite.Proposal(), old.Conf.Proposals), old.Conf.Proposals)
}

// denied ends the replacement of a child that the peer has refused. Its own
// replacement, if there is one, stays: it has been served before it noticed ours.
func (x *childExchange) denied(sa *SA, now ike.Instant, n *wire.Notify, fx *ike.Effects) {
	why := refusedByPeer(n, x.proposals, 2)
	missing := n.Kind == wire.NotifyChildSANotFound && sa.indexOf(x.old) >= 0 && x.rival == nil && !sa.replacedByPeer(x.old)
	if !missing {
		x.lose(sa, now, why, fx)
		return
	}
	// The peer has lost it: it is set up anew (RFC 7296, 2.25).
	x.child.release(fx)
	sa.end()
	sa.dropChild(now, x.old, "the peer does not know it any more", fx)
	if x.doomed == "" && !sa.asked(x.childName) {
		sa.pushFirst(&childExchange{childName: x.childName})
	}
}

// again plans another try after one that did not come to a new child of ours.
func (x *childExchange) again(sa *SA, now ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	switch {
	case x.rival != nil && sa.indexOf(x.rival.child) >= 0:
		sa.succeed(now, x.old, x.rival.child, fx)
		if x.doomed != "" {
			sa.retire(x.rival.child, x.doomed)
		}
	case sa.indexOf(x.old) < 0 || x.old.State != ike.ChildRekeying:
		// It is gone, or about to go.
	default:
		x.old.State = ike.ChildInstalled
		if x.doomed != "" {
			return
		}
		x.old.RekeyAt = sa.retryAt(now, x.old.ExpireAt, why)
		if busyPeer(why) {
			sa.postpone(now, x.old.RekeyAt, x.childName, "not replaced yet", why, fx)
			return
		}
		sa.failed(fx, x.childName, why)
	}
}
