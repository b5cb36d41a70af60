package v2

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/crypto/prf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/record"
	"github.com/goike/goike/ike/wire"
)

// Restore makes an IKE SA from a snapshot; TakeOver is to be its first event. Of its birth
// the unique ID, the configuration and the addresses are used. conn is the
// connection that it is of, nil when that is not configured any more or reads otherwise:
// then it can only be ended, and has no children. Damage of any kind is an error.
func (Machines) Restore(b ike.Birth, conn *conf.Connection, parts map[uint64][]byte) (ike.Machine, error) {
	sa, err := restore(b, conn, parts)
	if err != nil {
		return nil, err
	}
	return sa, nil
}

func restore(b ike.Birth, conn *conf.Connection, parts map[uint64][]byte) (*SA, error) {
	r := &restorer{Reader: record.Reader{B: parts[0]}, conn: conn, parts: parts}
	if f := r.U8(); r.Err == nil && f != snapshotFormat {
		return nil, fmt.Errorf("an IKE SA in format %d, this goiked knows format %d", f, snapshotFormat)
	}
	sa := newSA(ike.Birth{ID: b.ID, Config: b.Config, Own: b.Own}, ike.Path{})
	sa.boot = nil
	r.sa = sa
	r.identity()
	r.window()
	r.times()
	r.children()
	r.leftovers()
	r.exchanges()
	if err := r.End(); err != nil {
		sa.keys.zero()
		return nil, err
	}
	return sa, nil
}

// restorer reads a snapshot.
type restorer struct {
	record.Reader
	parts map[uint64][]byte
	sa    *SA
	conn  *conf.Connection
	out   *outgoing
	all   []*child.SA
}

func (r *restorer) instant() ike.Instant { return ike.Instant(r.U64()) } //nolint:gosec // the bits of one

func (r *restorer) identity() {
	sa := r.sa
	name := r.String()
	sa.conn = r.conn
	if sa.conn == nil {
		sa.conn = &conf.Connection{Name: name, DPDAction: conf.DPDNone}
	} else if sa.conn.Name != name {
		r.Fail()
	}
	sa.SPI, sa.Seed, sa.spiI, sa.spiR = r.U64(), r.U64(), r.U64(), r.U64()
	switch sa.state = ike.State(r.U8()); sa.state {
	case ike.Up, ike.Rekeyed, ike.Deleting:
	default:
		r.Fail()
	}
	for _, v := range []*bool{&sa.initiator, &sa.nat.local, &sa.nat.remote, &sa.nat.forced, &sa.fragments, &sa.beet, &sa.redundant} {
		*v = r.Bool()
	}
	own := sa.spiR
	if sa.initiator {
		own = sa.spiI
	}
	if own != sa.SPI || sa.spiI == 0 || sa.spiR == 0 {
		r.Fail()
	}
	for _, v := range []*bool{&sa.ext.redirectable, &sa.ext.follows, &sa.ext.sync, &sa.sync.done} {
		*v = r.Bool()
	}
	sa.sync.m1 = r.U32()
	r.digest(&sa.sync.digest)
	sa.sync.reply, sa.dismissed = r.packets(), r.String()
	r.mobility()
	sa.path, sa.suite = r.path(), r.suite()
	r.keys()
	sa.ivCounter = r.U64()
	for _, i := range []*id.ID{&sa.localID, &sa.remoteID} {
		i.Kind = id.Kind(r.U8())
		i.Data = r.String()
	}
	if r.Bool() {
		sa.leaving = &ike.Refusal{Cause: ike.Cause(r.U8()), Err: r.String()}
	}
}

// keys reads the keys of the suite, and sees that it can be spoken.
func (r *restorer) keys() {
	sa, all := r.sa, crypto.Secret(r.Bytes())
	f, ok := prf.Get(sa.suite.PRF.ID)
	if !ok || len(all) == 0 || len(all) != keysLen(sa.suite, f) {
		r.Fail()
		return
	}
	sa.keys = cutKeys(sa.suite, f, all)
	if _, err := sa.sealer(); err != nil {
		r.Fail()
	}
}

func (r *restorer) digest(d *digest) {
	if copy(d[:], r.Bytes()) != len(d) {
		r.Fail()
	}
}

func (r *restorer) mobility() {
	m := &r.sa.mobile
	m.on, m.decides = r.Bool(), r.Bool()
	for _, list := range []*[]netip.Addr{&m.peers, &m.told} {
		n := r.Count(4)
		if n > maxAddresses+1 {
			r.Fail()
		}
		for ; n > 0 && r.Err == nil; n-- {
			*list = append(*list, r.Addr())
		}
	}
	m.best, m.was, m.mapping = r.anyPath(), r.anyPath(), r.Bytes()
	m.roamed = m.on // what has changed meanwhile is not known
}

func (r *restorer) window() {
	win := &r.sa.win
	win.nextSend, win.nextRecv = r.U32(), r.U32()
	r.digest(&win.lastDigest)
	win.lastReply = r.packets()
	if !r.Bool() {
		return
	}
	r.out = &outgoing{id: r.U32(), exchange: wire.ExchangeType(r.U8()), packets: r.packets(), begun: r.instant(), due: r.instant(), carried: true}
	r.out.tries, r.out.rounds = int(r.U8()), int(r.Below(maxRounds+1))
	if r.out.id >= win.nextSend || r.out.exchange != wire.CreateChildSA && r.out.exchange != wire.Informational {
		r.Fail()
	}
}

func (r *restorer) times() {
	sa := r.sa
	sa.established, sa.expireAt, sa.rekeyAt, sa.heard, sa.draws = r.instant(), r.instant(), r.instant(), r.instant(), r.U64()
	if sa.established == ike.Never {
		r.Fail()
	}
}

func (r *restorer) children() {
	n := r.Count(8)
	if n > maxChildren {
		r.Fail()
	}
	for ; n > 0 && r.Err == nil; n-- {
		id := r.U64()
		data, ok := r.parts[id]
		if !ok || id == 0 || slices.ContainsFunc(r.all, func(c *child.SA) bool { return c.ID == id }) {
			r.Fail()
			return
		}
		of := restorer{Reader: record.Reader{B: data}, sa: r.sa, conn: r.conn}
		c := of.child()
		if c.ID = id; of.End() != nil {
			r.Fail()
		}
		if c.Conf != nil {
			c.Limits = child.Limits(r.conn, c.Conf, id)
		}
		r.all = append(r.all, c)
		if r.conn != nil {
			r.sa.children = append(r.sa.children, c)
		}
	}
}

func (r *restorer) child() *child.SA {
	c := &child.SA{Conn: r.sa.conn.Name, Name: r.String(), ReqID: r.U32()}
	if r.conn != nil {
		var ok bool
		if c.Conf, ok = r.conn.Child(c.Name); !ok {
			r.Fail()
		}
	}
	c.State = ike.ChildState(r.Below(uint8(ike.ChildDeleting) + 1))
	c.Mode = conf.Mode(r.Below(uint8(conf.BEET) + 1))
	c.Suite = r.suite()
	c.SPIIn, c.SPIOut, c.CPIIn, c.CPIOut = r.U32(), r.U32(), r.U16(), r.U16()
	for _, v := range []*bool{&c.NoTFC, &c.Encap, &c.Keepalive, &c.Outlived, &c.Behind} {
		*v = r.Bool()
	}
	c.Local, c.Remote, c.Path = r.selectors(), r.selectors(), r.path()
	c.Unused = r.Bool()
	c.Installed, c.RekeyAt, c.ExpireAt, c.UsedAt, c.IdleAt = r.instant(), r.instant(), r.instant(), r.instant(), r.instant()
	c.Replaces = r.U64()
	if r.Bool() {
		c.Waiting = &child.Keys{Encr: r.Bytes(), Integ: r.Bytes()}
		if !child.KeysFit(*c.Waiting, c.Suite) {
			r.Fail()
		}
	}
	if c.State == ike.ChildCreated || c.SPIIn == 0 || c.SPIOut == 0 || c.Suite.Proto != crypto.ESP && c.Suite.Proto != crypto.AH {
		r.Fail()
	}
	return c
}

func (r *restorer) leftovers() {
	for n := r.Count(16); n > 0 && r.Err == nil; n-- {
		l := leftover{at: r.instant(), reqID: r.U32()}
		for k := r.Count(9); k > 0 && r.Err == nil; k-- {
			l.ops = append(l.ops, esp.DelSA{ID: esp.SAID{Dst: r.Addr(), SPI: r.U32(), Proto: esp.Proto(r.U8())}})
		}
		r.sa.leftovers = append(r.sa.leftovers, l)
	}
}

func (r *restorer) exchanges() {
	sa := r.sa
	sa.active = r.exchange()
	if sa.win.out = r.out; (sa.active == nil) != (r.out == nil) {
		r.Fail()
	}
	if _, ok := sa.active.(*childExchange); ok {
		r.Fail() // it has not begun
	}
	for n := r.Count(1); n > 0 && r.Err == nil; n-- {
		x := r.exchange()
		switch x.(type) {
		case nil, *lostExchange:
			r.Fail()
		default:
			sa.push(x)
		}
	}
}

func (r *restorer) exchange() exchange {
	switch r.Below(exchangeWords) {
	case asksNothing:
		return &liveness{}
	case deletes:
		x := &deleteExchange{}
		x.child, x.named, x.proto, x.spi, x.why = r.at(), r.String(), crypto.Proto(r.U8()), r.U32(), r.String()
		return x
	case lostChild:
		x := &lostExchange{}
		x.childName, x.old, x.proto, x.spi = r.String(), r.at(), crypto.Proto(r.U8()), r.U32()
		return x
	case wants:
		x := &childExchange{childName: r.String(), old: r.at()}
		if r.Bool() && x.old == nil {
			x.old = &child.SA{State: ike.ChildDeleting} // it is gone: the exchange ends when it begins
		}
		x.notBefore, x.tries = r.instant(), int(r.U8())
		return x
	}
	return nil
}

// at is the child at a place of the snapshot, nil for none.
func (r *restorer) at() *child.SA {
	i := r.U32()
	switch {
	case i == none:
		return nil
	case int64(i) >= int64(len(r.all)):
		r.Fail()
		return nil
	}
	return r.all[i]
}

func (r *restorer) anyPath() ike.Path { return ike.Path{Local: r.AddrPort(), Remote: r.AddrPort()} }

func (r *restorer) path() ike.Path {
	p := r.anyPath()
	if !p.Local.IsValid() || !p.Remote.IsValid() {
		r.Fail()
	}
	return p
}

func (r *restorer) suite() crypto.Suite {
	s := crypto.Suite{Proto: crypto.Proto(r.U8())}
	for _, a := range []*crypto.Alg{&s.Encr, &s.PRF, &s.Integ, &s.KE, &s.ESN} {
		*a = crypto.Alg{Type: crypto.Type(r.U8()), ID: r.U16(), KeyBits: r.U16()}
	}
	return s
}

func (r *restorer) selectors() (list []wire.Selector) {
	for n := r.Count(13); n > 0 && r.Err == nil; n-- {
		s := wire.Selector{Proto: r.U8(), StartPort: r.U16(), EndPort: r.U16(), Start: r.Addr(), End: r.Addr()}
		if !s.Start.IsValid() || s.Start.BitLen() != s.End.BitLen() {
			r.Fail()
		}
		list = append(list, s)
	}
	return list
}

func (r *restorer) packets() (list [][]byte) {
	for n := r.Count(4); n > 0 && r.Err == nil; n-- {
		list = append(list, r.Bytes())
	}
	return list
}
