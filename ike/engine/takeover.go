package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/record"
)

// Kept is a part of the state of an IKE SA for the process that comes after this one, by
// the SPI that this host chose; see ike.Keeper. Empty data: it is gone. The data is secret.
type Kept struct {
	SPI, Part uint64
	Data      []byte
}

// Store keeps the state of IKE SAs. Write is called before messages leave that the state
// knows of, so that no message ID is used twice whenever the process ends. It is called
// from several goroutines, and does not keep the data.
type Store interface {
	Write(records []Kept) error
}

// keep writes down a machine after a step, as far as it has changed. What cannot be
// carried on is forgotten: an older state of it would use message IDs again.
func (s *Shard) keep(e *entry) {
	if !s.cfg.Keep {
		return
	}
	var fresh map[uint64]uint64
	k, ok := e.machine.(ike.Keeper)
	if ok = ok && !e.closed && e.half == nil; ok {
		fresh = make(map[uint64]uint64, len(e.kept)+1)
		s.parts = s.parts[:0]
		ok = k.Snapshot(func(id uint64, data []byte) { s.part(e, id, data, fresh) })
	}
	if !ok {
		fresh = nil
		s.parts = s.parts[:0]
	}
	for id := range e.kept {
		if _, still := fresh[id]; !still {
			s.parts = append(s.parts, Kept{SPI: e.spi, Part: id})
		}
	}
	e.kept = fresh
	for _, p := range s.parts {
		s.out.Keep(p)
	}
	clear(s.parts)
}

// part notes a part of the state of a machine that has changed.
func (s *Shard) part(e *entry, id uint64, data []byte, fresh map[uint64]uint64) {
	sum := maphash.Bytes(s.hash, data)
	fresh[id] = sum
	if was, known := e.kept[id]; known && was == sum {
		return
	}
	w := record.Writer{B: make([]byte, 0, sha256.Size+4+len(e.conn)+len(data))}
	if id == 0 {
		d := s.digest(e.conn)
		w.B = append(w.B, d[:]...)
		w.String(e.conn)
	}
	s.parts = append(s.parts, Kept{e.spi, id, append(w.B, data...)})
}

// digest is that of a connection as it is configured, zero when it is not.
func (s *Shard) digest(name string) [sha256.Size]byte {
	if s.digests == nil || s.digestsOf != s.cfg.Config {
		s.digests, s.digestsOf = make(map[string][sha256.Size]byte), s.cfg.Config
	}
	d, ok := s.digests[name]
	if !ok {
		if c, found := s.cfg.Config.Connection(name); found {
			d = conf.Digest(c)
		}
		s.digests[name] = d
	}
	return d
}

// ErrExpired is why an IKE SA is not taken over that has ended at the peer meanwhile.
var ErrExpired = errors.New("its lifetime is over")

// TakeOver carries on an IKE SA of an earlier process, of which these are the parts. One
// whose connection is not configured any more as it was is ended, and its peer told. The
// status is what it was.
func (s *Shard) TakeOver(now ike.Instant, spi uint64, parts map[uint64][]byte) (ike.Status, error) {
	r := record.Reader{B: parts[0]}
	was, name := r.Take(sha256.Size), r.String()
	if r.Err != nil {
		return ike.Status{}, r.Err
	}
	end := ""
	conn, _ := s.cfg.Config.Connection(name)
	if d := s.digest(name); conn == nil || string(d[:]) != string(was) {
		conn, end = nil, "the connection is not configured any more as it was"
	}
	id := s.newID()
	m, err := s.cfg.Machines.Restore(ike.Birth{ID: id, Config: s.cfg.Config, Own: s.cfg.Own}, conn, withRest(parts, r.B))
	if err != nil {
		return ike.Status{}, err
	}
	st := m.Status()
	if now >= st.ExpireAt {
		return ike.Status{}, ErrExpired // as it has at the peer
	}
	if own := ownSPI(st); own != spi || s.bySPI[own] != nil || ShardOf(own, s.cfg.Count) != s.cfg.Index {
		return ike.Status{}, fmt.Errorf("an IKE SA with the SPI %016x of another", own)
	}
	e := s.add(m, spi, id)
	e.conn, e.born, e.kept = name, st.Established, make(map[uint64]uint64, len(parts))
	for id := range parts {
		e.kept[id] = 0
	}
	s.addChildren(e, &st)
	s.step(now, e, ike.TakeOver{End: end})
	s.settle(now)
	if end != "" {
		st.Children = nil
	}
	return st, nil
}

// withRest are the parts with what the machine itself has written.
func withRest(parts map[uint64][]byte, rest []byte) map[uint64][]byte {
	out := maps.Clone(parts)
	out[0] = rest
	return out
}

func ownSPI(st ike.Status) uint64 {
	if st.Initiator {
		return st.SPIi
	}
	return st.SPIr
}

// keepAll writes everything down, and tells how many IKE SAs are in the middle of
// something that a later process could not carry on without beginning it again.
func (s *Shard) keepAll() (busy int) {
	for _, e := range s.byID {
		s.keep(e)
		if st := e.machine.Status(); len(st.Active) > 0 && e.half == nil {
			busy++
		}
	}
	return busy
}

// takeOver carries on what an earlier process has left, before anything else happens.
// Its request IDs are told to the steward, who comes next.
func (e *Engine) takeOver(left []Kept) {
	now := e.Now()
	ids := make(map[string]uint32)
	failed := 0
	whole := make(map[uint64]map[uint64][]byte)
	for _, k := range left {
		if whole[k.SPI] == nil {
			whole[k.SPI] = make(map[uint64][]byte)
		}
		whole[k.SPI][k.Part] = k.Data
	}
	for _, spi := range slices.Sorted(maps.Keys(whole)) {
		r := e.runners[ShardOf(spi, len(e.runners))]
		st, err := r.shard.TakeOver(now, spi, whole[spi])
		if err != nil {
			r.forget(spi, whole[spi])
			if failed++; failed == 1 {
				e.warn(fmt.Sprintf("an IKE SA cannot be taken over, it is set up anew: %v", err))
			}
			continue
		}
		for _, c := range st.Children {
			e.planes.childID = max(e.planes.childID, c.ID)
			if c.ReqID < FirstChildReqID {
				ids[st.Conn+"/"+c.Name] = c.ReqID
			}
		}
	}
	for _, k := range left {
		clear(k.Data)
	}
	if failed > 1 {
		e.warn(fmt.Sprintf("%d IKE SAs cannot be taken over, they are set up anew", failed))
	}
	e.steward.in.put(Had{ids})
}

// forget forgets what cannot be taken over.
func (r *runner) forget(spi uint64, parts map[uint64][]byte) {
	if r.engine.cfg.Store == nil {
		return
	}
	for id := range parts {
		r.Keep(Kept{SPI: spi, Part: id})
	}
}

// Had tells the steward, before the configuration, which request IDs children have had
// under an earlier process, by "connection/child".
type Had struct{ ReqIDs map[string]uint32 }

func (Had) stewardInput() {}

// nextReqID is a request ID for a configured child: the one that it has had, or one
// that no other has.
func (s *Steward) nextReqID(name string) uint32 {
	if id, ok := s.reserved[name]; ok {
		delete(s.reserved, name)
		return id
	}
	for slices.Contains(s.taken, s.reqID) {
		s.reqID++
	}
	s.reqID++
	return s.reqID - 1
}

func (s *Steward) reserve(in Had) {
	s.reserved = in.ReqIDs
	s.taken = nil
	for _, id := range in.ReqIDs {
		s.taken = append(s.taken, id)
	}
}

// leaveTick is how often Leave looks whether all is at rest.
const leaveTick = 20 * time.Millisecond

// Leave makes everything ready for the process that comes after this one, which is to
// end at once: it waits until exchanges are over, until ctx ends. From then on no IKE SA
// does anything, until Close. Nothing is taken down, and no peer is told.
func (e *Engine) Leave(ctx context.Context) {
	tick := time.NewTicker(leaveTick)
	defer tick.Stop()
	for e.busy() > 0 {
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		break
	}
	for _, r := range e.runners {
		_, _ = look(context.Background(), r.in, func(answer func(int)) shardItem {
			return shardItem{look: func(s *Shard) {
				n := s.keepAll()
				r.flush()
				answer(n)
				<-e.closing
			}}
		})
	}
}

// busy is how many IKE SAs are in the middle of something.
func (e *Engine) busy() (n int) {
	for _, r := range e.runners {
		k, _ := atShard(context.Background(), r, (*Shard).keepAll)
		n += k
	}
	return n
}

// adopted are the SAs that an operation takes over.
func adopted(op esp.Op) (esp.SAID, uint32, bool) {
	a, ok := op.(esp.AdoptSA)
	return a.SA.ID, a.SA.ReqID, ok && a.SA.Dir == esp.In
}
