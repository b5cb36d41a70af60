package v2

import (
	"encoding/binary"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

// childOffer is what the peer asks for.
type childOffer struct {
	proposals     []wire.Proposal
	local, remote []wire.Selector // TSr and TSi, as they came
	mode          conf.Mode       // that it asks for
	cpi           uint16          // by which the peer receives compressed packets, 0: none
	noTFC         bool            // the peer takes no padded packets
	old           *child.SA       // that it replaces, nil: none
	withKE        bool            // by CREATE_CHILD_SA, which may have a key exchange
}

// readOffer reads a child's part of a request; ok is false when a payload is
// missing.
func (sa *SA) readOffer(m *message) (o childOffer, ok bool) {
	offer, _ := wire.Find[*wire.SA](m.payloads)
	tsi, tsr := wire.FindTS(m.payloads, false), wire.FindTS(m.payloads, true)
	if offer == nil || tsi == nil || tsr == nil || len(tsi.Selectors) == 0 || len(tsr.Selectors) == 0 {
		return o, false
	}
	o.local, o.remote = tsr.Selectors, tsi.Selectors
	o.mode = modeOf(m.payloads, sa.beet)
	o.cpi, _ = readCompression(m.payloads)
	o.noTFC = wire.FindNotify(m.payloads, wire.NotifyESPTFCPaddingNotSupported) != nil
	for _, p := range offer.Proposals {
		if usableSPI(p.SPI) {
			o.proposals = append(o.proposals, p)
		}
	}
	return o, true
}

// usableSPI tells whether an SPI may be that of a child SA (RFC 4303, 2.1).
func usableSPI(b []byte) bool { return len(b) == 4 && binary.BigEndian.Uint32(b) != 0 }

// childChoice is a configured child that an offer fits.
type childChoice struct {
	agreement
	conf     *conf.Child
	num      uint8           // of the chosen proposal
	tsi, tsr []wire.Selector // as they go into the answer
	score    int
}

// chooseChild finds the configured child that serves an offer best. Otherwise it
// returns the notify to refuse with, and why.
func (sa *SA) chooseChild(o childOffer) (*childChoice, wire.NotifyType, *ike.Refusal) {
	fits := sa.bySelectors(o)
	if len(fits) == 0 {
		local, remote := sa.seen(o)
		return nil, wire.NotifyTSUnacceptable, noSelectors(local, remote, sa.conn, sa.path)
	}
	var why *ike.Refusal
	for _, c := range fits {
		miss := sa.suit(c, o)
		if miss == nil {
			return c, 0, nil
		}
		if why == nil {
			why = miss
		}
	}
	return nil, wire.NotifyNoProposalChosen, why
}

// suit agrees on mode and suite, and on compression where both want it. Tunnel mode
// is what a peer gets that asks for another mode than the configured tunnel mode
// (RFC 7296, 1.3.1).
func (sa *SA) suit(c *childChoice, o childOffer) *ike.Refusal {
	if why := sa.unfit(c.conf); why != nil {
		return why
	}
	c.mode = c.conf.Mode
	if c.mode != conf.Tunnel && c.mode != o.mode {
		return otherMode(o.mode, c.mode)
	}
	c.noTFC = o.noTFC
	if sa.compresses(c.conf) && !sa.sendsByCPI(o.cpi) {
		c.cpiOut = o.cpi
	}
	theirs, index := fromWire(o.proposals, wire.Protocol(c.conf.Protocol))
	if len(theirs) == 0 && len(o.proposals) > 0 {
		theirs, index = fromWire(o.proposals, o.proposals[0].Protocol) // to say how they differ
	}
	mine := c.conf.Proposals
	if o.old != nil {
		mine = append(slices.Clone(mine), withGroups(o.old.Suite.Proposal(), mine))
	}
	if !o.withKE {
		mine, theirs = withoutKE(mine), withoutKE(theirs)
	}
	suite, i, miss := crypto.Select(mine, theirs)
	if miss != nil {
		return noChild(miss, c.conf.Proposals)
	}
	p := o.proposals[index[i]]
	if sa.childBySPI(p.Protocol, p.SPI) != nil {
		return &ike.Refusal{Cause: ike.BadMessage, Err: errBadSPI.Error()}
	}
	c.suite, c.num, c.spiOut = suite, p.Num, binary.BigEndian.Uint32(p.SPI)
	return nil
}

// withGroups gives a suite that was agreed on the groups that are configured: the
// first child has no key exchange of its own, its replacement may need one.
func withGroups(p crypto.Proposal, configured []crypto.Proposal) crypto.Proposal {
	if len(p.Of(crypto.KE)) > 0 {
		return p
	}
	for _, c := range configured {
		for _, g := range c.Of(crypto.KE) {
			if !p.Has(g) {
				p.Algs = append(p.Algs, g)
			}
		}
	}
	return p
}

// seen is what the peer's selectors mean here: in transport mode a NAT has changed
// the addresses of the packets, not those in the selectors (RFC 7296, 2.23.1).
func (sa *SA) seen(o childOffer) (local, remote []wire.Selector) {
	local, remote = o.local, o.remote
	if o.mode == conf.Transport && sa.nat.local {
		local = translate(local, sa.path.Local.Addr())
	}
	if o.mode == conf.Transport && sa.nat.remote {
		remote = translate(remote, sa.path.Remote.Addr())
	}
	return local, remote
}

// bySelectors returns the configured children that have selectors in common with
// an offer, the best first.
func (sa *SA) bySelectors(o childOffer) []*childChoice {
	var out []*childChoice
	children := sa.conn.Children
	if o.old != nil {
		children = []*conf.Child{o.old.Conf}
	}
	for _, c := range children {
		if c.Mode.Shunt() {
			continue
		}
		how := o
		if how.mode != c.Mode {
			how.mode = conf.Tunnel
		}
		if fit := sa.narrow(c, how); fit != nil {
			out = append(out, fit)
		}
	}
	slices.SortStableFunc(out, func(a, b *childChoice) int { return b.score - a.score })
	return out
}

// narrow narrows an offer to a configured child (RFC 7296, 2.9), nil when nothing
// is left.
func (sa *SA) narrow(c *conf.Child, o childOffer) *childChoice {
	local, remote := sa.seen(o)
	mine, theirs := ts.FromConf(c.Local, sa.path.Local.Addr()), ts.FromConf(c.Remote, sa.path.Remote.Addr())
	n := &childChoice{conf: c}
	n.local, n.remote = ts.Narrow(local, mine), ts.Narrow(remote, theirs)
	if len(n.local) == 0 || len(n.remote) == 0 {
		return nil
	}
	n.tsr, n.tsi = n.local, n.remote
	if o.mode == conf.Transport && sa.nat.local {
		n.tsr = translate(n.tsr, o.local[0].Start)
	}
	if o.mode == conf.Transport && sa.nat.remote {
		n.tsi = translate(n.tsi, o.remote[0].Start)
	}
	// The packet that asked, if there was one, comes first; then it counts that
	// nothing is cut off, then that the child offers no more than is asked for.
	n.score = 4*count(ts.Within(local[:1], mine) && ts.Within(remote[:1], theirs)) +
		2*count(ts.Within(local, mine) && ts.Within(remote, theirs)) +
		count(ts.Within(mine, local) && ts.Within(theirs, remote))
	return n
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
