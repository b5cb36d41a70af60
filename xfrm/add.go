//go:build linux

package xfrm

import (
	"crypto/subtle"
	"fmt"
	"syscall"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// installation is an SA on its way into the kernel.
type installation struct {
	a       *application
	sa      esp.SA
	st      *message.State
	how     message.Type // UpdSA over a reserved SPI, else NewSA
	kinds   []*message.OffloadDev
	replied bool // an SA that was in the way has been looked at
	old     *sa  // an earlier form of it, of which it takes the place
	before  esp.Usage
}

// addSA installs an SA. An inbound one takes the place of its reserved SPI.
func (a *application) addSA(sa esp.SA) {
	sa.ID, sa.Src = unmappedID(sa.ID), sa.Src.Unmap()
	st, err := state(&sa, a.p.directed.Load())
	if err != nil {
		a.fail(&sa, err)
		return
	}
	n := &installation{a: a, sa: sa, st: st, how: message.NewSA}
	if n.kinds, err = a.offloads(&sa); err != nil {
		a.fail(&sa, err)
		return
	}
	old := a.p.sas[sa.ID]
	switch {
	case old != nil:
		a.getSA(old.id, old.mark, func(was *message.State, err error) { n.renew(old, was, err) })
		return
	case a.p.larvae.take(sa.ID):
		n.how = message.UpdSA
	}
	n.send()
}

// renew installs an SA over one that is there. With the same keys its sequence numbers
// go on: a number that comes again under the same key would betray what it protects.
func (n *installation) renew(old *sa, was *message.State, err error) {
	if err != nil && !gone(err) {
		n.a.fail(&n.sa, refusedSA(&n.sa, err))
		return
	}
	n.a.p.forgetSA(old)
	if err == nil {
		if sameKeys(was, n.st) {
			n.before = total(old, was)
			carry(n.st, was, n.sa.Dir)
		}
		n.a.delSA(old.id, old.mark, ignore)
	}
	n.old = old
	n.send()
}

// sameKeys tells whether two states have the same algorithms and keys.
func sameKeys(a, b *message.State) bool {
	return sameAlg(a.Encr, b.Encr) && sameAlg(a.Auth, b.Auth) && sameAlg(a.AEAD, b.AEAD)
}

func sameAlg(a, b *message.Alg) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && subtle.ConstantTimeCompare(a.Key, b.Key) == 1
}

// send asks the kernel, with the best kind of offload that was not refused yet.
func (n *installation) send() {
	n.st.Offload = n.kinds[0]
	n.a.putSA(n.how, n.st, n.answer)
}

func (n *installation) answer(r netlink.Reply) {
	switch {
	case r.Err == nil && n.sa.Offload == esp.OffloadCrypto:
		n.done()
		n.a.getSA(n.sa.ID, n.st.Mark, n.offloaded)
	case r.Err == nil:
		n.done()
	case n.how == message.UpdSA && gone(r.Err):
		// The kernel keeps reserved SPIs for a short time only.
		n.how = message.NewSA
		n.a.delSA(n.sa.ID, nil, ignore)
		n.send()
	case is(r.Err, syscall.EEXIST) && !n.replied:
		n.replied = true
		n.a.getSA(n.sa.ID, n.st.Mark, n.inTheWay)
	case len(n.kinds) > 1 && is(r.Err, syscall.EINVAL, syscall.EOPNOTSUPP, syscall.ENODEV):
		n.kinds = n.kinds[1:]
		n.send()
	default:
		n.refused(r.Err)
	}
}

func (n *installation) refused(err error) {
	if n.how == message.UpdSA {
		n.a.release(n.sa.ID)
	}
	n.a.fail(&n.sa, refusedSA(&n.sa, err))
}

// inTheWay has the SA that has the same SPI. One of ours, which a killed instance has
// left or whose answer was lost, gives way.
func (n *installation) inTheWay(was *message.State, err error) {
	switch {
	case err != nil && !gone(err):
		n.refused(err)
		return
	case err == nil && !n.a.p.ours(was.ReqID):
		n.refused(fmt.Errorf("%w (request ID %d)", syscall.EEXIST, was.ReqID))
		return
	case err == nil:
		if !larval(was) && sameKeys(was, n.st) {
			carry(n.st, was, n.sa.Dir)
		}
		n.a.delSA(n.sa.ID, was.Mark, ignore)
	}
	n.how = message.NewSA
	n.send()
}

// offloaded sees whether the card took the SA: the kernel does not say when it did not.
func (n *installation) offloaded(st *message.State, err error) {
	if err != nil || st.Offload == nil {
		if err == nil {
			err = syscall.EOPNOTSUPP
		}
		n.a.fail(&n.sa, refusedSA(&n.sa, err))
	}
}

// done enters the SA.
func (n *installation) done() {
	s := &sa{id: n.sa.ID, src: n.sa.Src, dir: n.sa.Dir, reqID: n.sa.ReqID, mark: n.st.Mark, before: n.before}
	if o := n.st.Offload; o != nil && o.Flags&message.OffloadPacket != 0 {
		s.device = o.IfIndex
	}
	n.a.p.enterSA(s)
	if n.old == nil {
		n.a.fresh = append(n.a.fresh, s)
		return
	}
	s.seen, s.seenAt = n.old.seen, n.old.seenAt
}

// removed is the answer to the removal of an SA: one that the kernel would not remove
// is still there.
func (a *application) removed(s *sa) func(netlink.Reply) {
	return func(r netlink.Reply) {
		if r.Err == nil || gone(r.Err) {
			return
		}
		if a.p.sas[s.id] == nil {
			a.p.enterSA(s)
		}
		a.errs = append(a.errs, fmt.Errorf("%s cannot be removed: %w", nameSA(s.id, s.src.String()), common(r.Err)))
	}
}
