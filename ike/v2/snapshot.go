package v2

import (
	"net/netip"
	"slices"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/record"
	"github.com/goike/goike/ike/wire"
)

// snapshotFormat is that of snapshots; another one is refused.
const snapshotFormat = 1

// What an exchange is in a snapshot. Of those that this side has begun only the ones
// whose request is out, or that wait, are there.
const (
	noExchange    = iota
	asksNothing   // its answer only shows that the peer lives
	deletes       // deleteExchange
	lostChild     // a child SA that cannot be made any more
	wants         // childExchange that has not begun
	exchangeWords // how many there are
)

// Snapshot implements ike.Keeper. An IKE SA that is half-open, that is being replaced by
// this side, or whose child both sides replace at the moment, cannot be carried on: what
// decides about it is known to this process only.
func (sa *SA) Snapshot(part func(id uint64, data []byte)) bool {
	if sa.closed || sa.established == ike.Never || sa.pending || sa.doomed != nil || sa.over != nil || !sa.keys.ready() {
		return false
	}
	s := snapper{sa: sa, w: &record.Writer{}}
	if !s.exchanges() {
		return false
	}
	w := s.w
	for _, c := range s.children {
		w.B = w.B[:0]
		writeChild(w, c, s.began == c)
		part(c.ID, w.B)
	}
	w.B = w.B[:0]
	w.U8(snapshotFormat)
	s.identity()
	s.window()
	s.times()
	w.U32(uint32(len(s.children))) //nolint:gosec // at most maxChildren
	for _, c := range s.children {
		w.U64(c.ID)
	}
	s.leftovers()
	s.write()
	part(0, w.B)
	return true
}

// snapper writes a snapshot. It cuts what is under way to what another process can
// carry on.
type snapper struct {
	sa       *SA
	w        *record.Writer
	children []*child.SA
	began    *child.SA // its replacement has begun and begins again
	rekey    bool      // that of the IKE SA, likewise
	active   exchange  // whose request is out
	queue    []exchange
}

// exchanges sorts out what is under way and what waits.
func (s *snapper) exchanges() bool {
	sa := s.sa
	s.children = sa.children
	switch x := sa.active.(type) {
	case nil:
	case *rekeyExchange:
		if x.sent || x.rival != nil {
			return false
		}
		s.rekey = true
	case *childExchange:
		if x.rival != nil || x.doomed != "" {
			return false
		}
		s.cutChild(x)
	case *authExchange:
		s.cutFirst()
	default:
		if sa.win.out != nil {
			s.active = x
		}
	}
	for _, x := range sa.queue {
		if _, ok := x.(*rekeyExchange); ok {
			s.rekey = true
			continue
		}
		s.queue = append(s.queue, x)
	}
	return true
}

// cutChild makes of the exchange under way for a child what is left of it without the
// secrets that it has gathered.
func (s *snapper) cutChild(x *childExchange) {
	again := &childExchange{childName: x.childName, old: x.old, tries: x.tries}
	switch {
	case x.answer != nil:
		gone := x.answer.child
		s.children = slices.DeleteFunc(slices.Clone(s.children), func(c *child.SA) bool { return c == gone })
		s.queue = append(s.queue, &deleteExchange{proto: x.child.conf.Protocol, spi: x.child.spi.SPI, why: whyLost}, again)
		s.began = x.old
	case x.sent && s.sa.win.out != nil:
		s.active = &lostExchange{childName: x.childName, old: x.old, proto: x.child.conf.Protocol, spi: x.child.spi.SPI}
	default:
		s.queue = append(s.queue, again)
		s.began = x.old
	}
}

// cutFirst leaves out a first child that the data plane has not taken yet: whether it has
// is not known to another process. The peer has it.
func (s *snapper) cutFirst() {
	for _, c := range s.sa.children {
		if c.State == ike.ChildCreated {
			s.children = slices.DeleteFunc(slices.Clone(s.children), func(x *child.SA) bool { return x == c })
			s.queue = append(s.queue, &deleteExchange{proto: c.Suite.Proto, spi: c.SPIIn, why: whyLost}, &childExchange{childName: c.Name})
		}
	}
}

func (s *snapper) identity() {
	sa, w := s.sa, s.w
	w.String(sa.conn.Name)
	w.U64(sa.SPI)
	w.U64(sa.Seed)
	w.U64(sa.spiI)
	w.U64(sa.spiR)
	state := sa.state
	if state == ike.Rekeying {
		state = ike.Up
	}
	w.U8(uint8(state))
	for _, v := range []bool{sa.initiator, sa.nat.local, sa.nat.remote, sa.nat.forced, sa.fragments, sa.beet, sa.redundant} {
		w.Bool(v)
	}
	for _, v := range []bool{sa.ext.redirectable, sa.ext.follows, sa.ext.sync, sa.sync.done} {
		w.Bool(v)
	}
	w.U32(sa.sync.m1)
	w.Bytes(sa.sync.digest[:])
	writePackets(w, sa.sync.reply)
	w.String(sa.dismissed)
	s.mobility()
	writePath(w, sa.path)
	writeSuite(w, sa.suite)
	w.Bytes(sa.keys.all)
	w.U64(sa.ivCounter)
	for _, i := range []id.ID{sa.localID, sa.remoteID} {
		w.U8(uint8(i.Kind))
		w.String(i.Data)
	}
	w.Bool(sa.leaving != nil)
	if sa.leaving != nil {
		w.U8(uint8(sa.leaving.Cause))
		w.String(sa.leaving.Err)
	}
}

func (s *snapper) mobility() {
	m, w := &s.sa.mobile, s.w
	w.Bool(m.on)
	w.Bool(m.decides)
	for _, list := range [][]netip.Addr{m.peers, m.told} {
		w.U32(uint32(len(list))) //nolint:gosec // at most maxAddresses
		for _, a := range list {
			w.Addr(a)
		}
	}
	writePath(w, m.best)
	writePath(w, m.was)
	w.Bytes(m.mapping)
}

func (s *snapper) window() {
	win, w := &s.sa.win, s.w
	w.U32(win.nextSend)
	w.U32(win.nextRecv)
	w.Bytes(win.lastDigest[:])
	writePackets(w, win.lastReply)
	w.Bool(s.active != nil)
	if s.active == nil {
		return
	}
	out := win.out
	w.U32(out.id)
	w.U8(uint8(out.exchange))
	writePackets(w, out.packets)
	w.U64(uint64(out.begun)) //nolint:gosec // the bits of an instant
	w.U64(uint64(out.due))   //nolint:gosec // likewise
	w.U8(uint8(min(out.tries, 255)))
	w.U8(uint8(out.rounds)) //nolint:gosec // at most maxRounds
}

func (s *snapper) times() {
	sa := s.sa
	rekeyAt := sa.rekeyAt
	if s.rekey {
		rekeyAt = sa.established // at once
	}
	for _, t := range []ike.Instant{sa.established, sa.expireAt, rekeyAt, sa.heard} {
		s.w.U64(uint64(t)) //nolint:gosec // the bits of an instant
	}
	s.w.U64(sa.draws)
}

func (s *snapper) leftovers() {
	w := s.w
	w.U32(uint32(len(s.sa.leftovers))) //nolint:gosec // a few
	for _, l := range s.sa.leftovers {
		w.U64(uint64(l.at)) //nolint:gosec // the bits of an instant
		w.U32(l.reqID)
		w.U32(uint32(len(l.ops))) //nolint:gosec // a few
		for _, op := range l.ops {
			del, _ := op.(esp.DelSA) // there is nothing else in it
			w.Addr(del.ID.Dst)
			w.U32(del.ID.SPI)
			w.U8(uint8(del.ID.Proto))
		}
	}
}

// write writes the exchange whose request is out, and those that wait.
func (s *snapper) write() {
	s.exchange(s.active)
	s.w.U32(uint32(len(s.queue))) //nolint:gosec // far less than maxChildren
	for _, x := range s.queue {
		s.exchange(x)
	}
}

func (s *snapper) exchange(x exchange) {
	w := s.w
	switch x := x.(type) {
	case nil:
		w.U8(noExchange)
	case *deleteExchange:
		if x.child != nil && s.index(x.child) == none {
			w.U8(asksNothing) // what it deletes is gone already
			return
		}
		w.U8(deletes)
		w.U32(s.index(x.child))
		w.String(x.named)
		w.U8(uint8(x.proto))
		w.U32(x.spi)
		w.String(x.why)
	case *lostExchange:
		w.U8(lostChild)
		w.String(x.childName)
		w.U32(s.index(x.old))
		w.U8(uint8(x.proto))
		w.U32(x.spi)
	case *childExchange:
		w.U8(wants)
		w.String(x.childName)
		w.U32(s.index(x.old))
		w.Bool(x.old != nil)
		w.U64(uint64(x.notBefore))     //nolint:gosec // the bits of an instant
		w.U8(uint8(min(x.tries, 255))) //nolint:gosec // bounded
	default:
		w.U8(asksNothing)
	}
}

// none stands for no child.
const none = ^uint32(0)

// index is the place of a child in the snapshot.
func (s *snapper) index(c *child.SA) uint32 {
	if i := slices.Index(s.children, c); i >= 0 && c != nil {
		return uint32(i) //nolint:gosec // at most maxChildren
	}
	return none
}

func writeChild(w *record.Writer, c *child.SA, began bool) {
	state := c.State
	if began && state == ike.ChildRekeying {
		state = ike.ChildInstalled
	}
	w.String(c.Name)
	w.U32(c.ReqID)
	w.U8(uint8(state))
	w.U8(uint8(c.Mode))
	writeSuite(w, c.Suite)
	w.U32(c.SPIIn)
	w.U32(c.SPIOut)
	w.U16(c.CPIIn)
	w.U16(c.CPIOut)
	for _, v := range []bool{c.NoTFC, c.Encap, c.Keepalive, c.Outlived, c.Behind} {
		w.Bool(v)
	}
	writeSelectors(w, c.Local)
	writeSelectors(w, c.Remote)
	writePath(w, c.Path)
	w.Bool(c.Unused)
	for _, t := range []ike.Instant{c.Installed, c.RekeyAt, c.ExpireAt, c.UsedAt, c.IdleAt} {
		w.U64(uint64(t)) //nolint:gosec // the bits of an instant
	}
	w.U64(c.Replaces)
	w.Bool(c.Waiting != nil)
	if c.Waiting != nil {
		w.Bytes(c.Waiting.Encr)
		w.Bytes(c.Waiting.Integ)
	}
}

func writePath(w *record.Writer, p ike.Path) {
	w.AddrPort(p.Local)
	w.AddrPort(p.Remote)
}

func writeSuite(w *record.Writer, s crypto.Suite) {
	w.U8(uint8(s.Proto))
	for _, a := range []crypto.Alg{s.Encr, s.PRF, s.Integ, s.KE, s.ESN} {
		w.U8(uint8(a.Type))
		w.U16(a.ID)
		w.U16(a.KeyBits)
	}
}

func writeSelectors(w *record.Writer, list []wire.Selector) {
	w.U32(uint32(len(list))) //nolint:gosec // at most some hundred
	for _, s := range list {
		w.U8(s.Proto)
		w.U16(s.StartPort)
		w.U16(s.EndPort)
		w.Addr(s.Start)
		w.Addr(s.End)
	}
}

func writePackets(w *record.Writer, packets [][]byte) {
	w.U32(uint32(len(packets))) //nolint:gosec // at most maxFragments
	for _, p := range packets {
		w.Bytes(p)
	}
}
