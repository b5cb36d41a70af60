package v2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

// installation makes a child SA of our offer and the peer's answer. It belongs to
// the exchange under way, which is over when the child is installed or has failed.
type installation struct {
	*proposal
	agreement
	accepted bool // the peer believes that the child is there
	child    *child.SA
	by       *childExchange // nil: IKE_AUTH
}

// agreement is what two sides have agreed on for a child SA.
type agreement struct {
	suite         crypto.Suite
	spiOut        uint32
	cpiOut        uint16 // 0: no compression
	noTFC         bool   // the peer takes no padded packets
	mode          conf.Mode
	local, remote []wire.Selector
}

var deletedAtOnce = &ike.Refusal{Cause: ike.PeerRefused, ByPeer: true, Err: "the peer deleted the child SA at once"}

var (
	errSuiteNotOffered = errors.New("the peer chose a phase 2 proposal that was not offered")
	errBadSPI          = errors.New("the peer's SPI is none, or is in use")
	errNoSelectors     = errors.New("the peer's answer lacks traffic selectors")
	errModeNotOffered  = errors.New("the peer chose a mode that was not offered")
	errDataplane       = errors.New("the data plane did not take the SAs")
)

// accept takes the child's part of a response and installs the child. dh is the
// shared secret of its own key exchange, nil without perfect forward secrecy.
func (i *installation) accept(sa *SA, now ike.Instant, m *message, proposals []crypto.Proposal, dh, ni, nr []byte, fx *ike.Effects) {
	if why := i.check(sa, m, proposals); why != nil {
		i.fail(sa, now, why, fx)
		return
	}
	i.install(sa, now, dh, ni, nr, fx)
}

// check reads the peer's answer to our offer; nil means that it is good.
func (i *installation) check(sa *SA, m *message, proposals []crypto.Proposal) *ike.Refusal {
	if n := errorNotify(m.payloads); n != nil {
		return i.refused(n, proposals)
	}
	answer, _ := wire.Find[*wire.SA](m.payloads)
	if answer == nil {
		return &ike.Refusal{Cause: ike.BadMessage, Err: "the peer's answer is silent about the child SA"}
	}
	i.accepted = true
	suite, spi, ok := chosen(answer, proposals, wire.Protocol(i.conf.Protocol))
	if !ok {
		return &ike.Refusal{Cause: ike.BadMessage, Err: errSuiteNotOffered.Error(), Offered: words(proposals)}
	}
	if !usableSPI(spi) || sa.childBySPI(wire.Protocol(i.conf.Protocol), spi) != nil {
		return &ike.Refusal{Cause: ike.BadMessage, Err: errBadSPI.Error()}
	}
	if i.by != nil && slices.Contains(i.by.gone, binary.BigEndian.Uint32(spi)) {
		i.accepted = false
		return deletedAtOnce
	}
	i.suite, i.spiOut = suite, binary.BigEndian.Uint32(spi)
	i.noTFC = wire.FindNotify(m.payloads, wire.NotifyESPTFCPaddingNotSupported) != nil
	if cpi, seen := readCompression(m.payloads); seen {
		if i.cpi == 0 || cpi == 0 || sa.sendsByCPI(cpi) {
			return &ike.Refusal{Cause: ike.BadMessage, Err: errCompression.Error()}
		}
		i.cpiOut = cpi
	}
	if why := i.checkMode(m); why != nil {
		return why
	}
	return i.checkSelectors(sa, m)
}

// refused explains that the peer does not want the child.
func (i *installation) refused(n *wire.Notify, proposals []crypto.Proposal) *ike.Refusal {
	why := refusedByPeer(n, proposals, 2)
	if why.Cause == ike.NoProposal {
		why.MendThere = takes(i.conf.Proposals) // with the groups that IKE_AUTH leaves out
	}
	if why.Cause == ike.NoSelectors {
		why.Offered = ts.String(i.proposal.local) + " === " + ts.String(i.proposal.remote)
	}
	return why
}

// checkMode demands the configured mode (RFC 7296, 1.3.1).
func (i *installation) checkMode(m *message) *ike.Refusal {
	i.mode = i.conf.Mode
	switch peer := modeOf(m.payloads, i.mode == conf.BEET); peer {
	case i.mode:
		return nil
	case conf.Tunnel:
		return otherMode(peer, i.mode)
	}
	return &ike.Refusal{Cause: ike.BadMessage, Err: errModeNotOffered.Error()}
}

// checkSelectors demands that the peer narrowed what we offered and did not widen
// it (RFC 7296, 2.9).
func (i *installation) checkSelectors(sa *SA, m *message) *ike.Refusal {
	tsi, tsr := wire.FindTS(m.payloads, false), wire.FindTS(m.payloads, true)
	if tsi == nil || tsr == nil || len(tsi.Selectors) == 0 || len(tsr.Selectors) == 0 {
		return &ike.Refusal{Cause: ike.BadMessage, Err: errNoSelectors.Error()}
	}
	i.agreement.local, i.agreement.remote = clip(tsi.Selectors), clip(tsr.Selectors)
	if i.mode == conf.Transport && sa.nat.local {
		i.agreement.local = translate(i.agreement.local, sa.path.Local.Addr())
	}
	if i.mode == conf.Transport && sa.nat.remote {
		i.agreement.remote = translate(i.agreement.remote, sa.path.Remote.Addr())
	}
	if ts.Within(i.agreement.local, i.proposal.local) && ts.Within(i.agreement.remote, i.proposal.remote) {
		return nil
	}
	return &ike.Refusal{
		Cause:      ike.NoSelectors,
		Offered:    ts.String(i.proposal.local) + " === " + ts.String(i.proposal.remote),
		Configured: ts.String(i.agreement.local) + " === " + ts.String(i.agreement.remote),
		Differs:    "the peer's choice goes beyond the offer",
	}
}

// clip drops redundant selectors and those beyond the bound.
func clip(list []wire.Selector) []wire.Selector { return ts.Narrow(list, list) }

// install derives the keys and gives the child to the data plane.
func (i *installation) install(sa *SA, now ike.Instant, dh, ni, nr []byte, fx *ike.Effects) {
	if i.cpiOut == 0 && i.cpi != 0 {
		sa.say(fx, ike.Step, "%s is not compressed: the peer does not want IPComp", i.conf.Name)
		releaseCPI(i.at, i.cpi, fx)
		i.cpi = 0
	}
	c := sa.newChild(now, i.conf, i.spi, i.cpi, i.at, i.agreement)
	if i.by != nil {
		inheritUse(now, c, i.by.old)
	}
	out, in, err := child.DeriveKeys(sa.prf(), sa.keys.d, dh, ni, nr, i.suite)
	if err != nil {
		i.fail(sa, now, &ike.Refusal{Cause: ike.Internal, Err: err.Error()}, fx)
		return
	}
	if i.by != nil && i.by.old != nil && i.by.outdone(sa) {
		c.Replaces = i.by.old.ID // so that it does not send
	}
	ops, err := c.Install(in, out)
	if err != nil {
		i.fail(sa, now, &ike.Refusal{Cause: ike.Internal, Err: err.Error()}, fx)
		return
	}
	i.child = c
	sa.children = append(sa.children, c)
	fx.Do(ike.Install{Ticket: sa.newTicket(i), Ops: ops})
	sa.fetch(c, fx)
}

// newChild makes the child SA of an agreement, on the path for which its SPI was
// reserved. It is not installed yet.
func (sa *SA) newChild(now ike.Instant, c *conf.Child, own ike.Reserved, cpi uint16, at ike.Path, a agreement) *child.SA {
	n := &child.SA{
		ID: own.ID, Conn: sa.conn.Name, Name: c.Name, Conf: c, ReqID: own.ReqID, State: ike.ChildCreated,
		Mode: a.mode, Suite: a.suite, SPIIn: own.SPI, SPIOut: a.spiOut, Local: a.local, Remote: a.remote,
		CPIIn: cpi, CPIOut: a.cpiOut, NoTFC: a.noTFC,
		Path: at, Encap: sa.nat.encap(), Keepalive: sa.nat.local, Installed: now, Yields: sa.yields,
	}
	sa.setTimes(now, n)
	n.UsedAt, n.IdleAt = now, ike.Never
	if c.Inactivity != conf.Forever {
		n.IdleAt = now.Add(c.Inactivity)
	}
	return n
}

// resume has the data plane's answer: the child is up, or it is not.
func (i *installation) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if sa.indexOf(i.child) < 0 {
		// The peer has deleted it in the meantime.
		i.accepted = false
		i.spi, i.cpi = ike.Reserved{}, 0
		i.fail(sa, now, deletedAtOnce, fx)
		return
	}
	if d.Err != nil {
		sa.forgetChild(i.child)
		fx.Do(ike.Install{Ops: i.child.Remove()})
		i.fail(sa, now, &ike.Refusal{Cause: ike.Internal, Subject: ike.DataPlane, Err: fmt.Sprintf("%v: %v", errDataplane, d.Err)}, fx)
		return
	}
	i.child.State, i.child.Installed = ike.ChildInstalled, now
	if i.by != nil {
		i.by.waits, i.child.Quiet = true, true
		return // it goes on in settle
	}
	sa.end()
	sa.reportChild(fx, ike.ChildUp, i.child, upText(i.child))
}

// fail ends the exchange without a child; the peer is told when it has one.
func (i *installation) fail(sa *SA, now ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	if i.accepted {
		sa.push(&deleteExchange{proto: i.conf.Protocol, spi: i.spi.SPI, why: "it cannot be used"})
	}
	i.release(fx)
	sa.end()
	if i.by != nil && i.by.old != nil {
		i.by.again(sa, now, why, fx)
		return
	}
	sa.failed(fx, i.conf.Name, why)
}

func upText(c *child.SA) string {
	text := fmt.Sprintf("up: %s === %s, %s%s %s mode, SPIs %08x in, %08x out",
		ts.String(c.Local), ts.String(c.Remote), protoWord(c.Suite.Proto), c.Suite, c.Mode, c.SPIIn, c.SPIOut)
	if c.Compressed() {
		text += fmt.Sprintf(", compressed, CPIs %04x in, %04x out", c.CPIIn, c.CPIOut)
	}
	return text
}

// protoWord names the protocol before a suite where it is not ESP.
func protoWord(p crypto.Proto) string {
	if p == crypto.AH {
		return "AH "
	}
	return ""
}
