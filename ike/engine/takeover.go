package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/record"
)

// Kept is the state of an IKE SA for the process that comes after this one, by the SPI
// that this host chose. Empty data: it is gone. The data is secret.
type Kept struct {
	SPI  uint64
	Data []byte
}

// Store keeps the state of IKE SAs. Write is called before messages leave that the state
// knows of, so that no message ID is used twice whenever the process ends. It is called
// from several goroutines, and does not keep the data.
type Store interface {
	Write(records []Kept) error
}

// keep writes down a machine after a step. What cannot be carried on is forgotten: an
// older state of it would use message IDs again.
func (s *Shard) keep(e *entry) {
	if !s.cfg.Keep {
		return
	}
	if k, ok := e.machine.(ike.Keeper); ok && !e.closed && e.half == nil {
		w := record.Writer{}
		d := s.digest(e.conn)
		w.B = append(w.B, d[:]...)
		w.String(e.conn)
		if data, ok := k.Snapshot(w.B); ok {
			e.kept = true
			s.out.Keep(Kept{e.spi, data})
			return
		}
	}
	if e.kept {
		e.kept = false
		s.out.Keep(Kept{SPI: e.spi})
	}
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

// TakeOver carries on an IKE SA of an earlier process. One whose connection is not
// configured any more as it was is ended, and its peer told. The status is what it was.
func (s *Shard) TakeOver(now ike.Instant, k Kept) (ike.Status, error) {
	r := record.Reader{B: k.Data}
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
	m, err := s.cfg.Machines.Restore(ike.Birth{ID: id, Config: s.cfg.Config, Own: s.cfg.Own}, conn, r.B)
	if err != nil {
		return ike.Status{}, err
	}
	st := m.Status()
	if own := ownSPI(st); own != k.SPI || s.bySPI[own] != nil || ShardOf(own, s.cfg.Count) != s.cfg.Index {
		return ike.Status{}, fmt.Errorf("an IKE SA with the SPI %016x of another", own)
	}
	e := s.add(m, k.SPI, id)
	e.conn, e.born, e.kept = name, st.Established, true
	s.addChildren(e, &st)
	s.step(now, e, ike.TakeOver{End: end})
	s.settle(now)
	if end != "" {
		st.Children = nil
	}
	return st, nil
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
	for _, k := range left {
		st, err := e.runners[ShardOf(k.SPI, len(e.runners))].shard.TakeOver(now, k)
		if err != nil {
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
	if failed > 1 {
		e.warn(fmt.Sprintf("%d IKE SAs cannot be taken over, they are set up anew", failed))
	}
	e.steward.in.put(Reserved(ids))
}

// reserved tells the steward which request IDs children have had before.
type reserved struct{ ids map[string]uint32 }

func (reserved) stewardInput() {}

// Reserved tells a steward, before it loads a configuration, which request IDs children
// have had before, by "connection/child".
func Reserved(ids map[string]uint32) StewardInput { return reserved{ids} }

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

func (s *Steward) reserve(in reserved) {
	s.reserved = in.ids
	s.taken = nil
	for _, id := range in.ids {
		s.taken = append(s.taken, id)
	}
}

// leaveTick is how often Leave looks whether all is at rest.
const leaveTick = 20 * time.Millisecond

// Leave makes everything ready for the process that comes after this one, which is to
// end at once: it waits until exchanges are over, until ctx ends. Nothing is taken down,
// and no peer is told.
func (e *Engine) Leave(ctx context.Context) {
	tick := time.NewTicker(leaveTick)
	defer tick.Stop()
	for {
		busy := 0
		for _, r := range e.runners {
			n, _ := atShard(context.WithoutCancel(ctx), r, (*Shard).keepAll)
			busy += n
		}
		if busy == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// adopted are the SAs that an operation takes over.
func adopted(op esp.Op) (esp.SAID, uint32, bool) {
	a, ok := op.(esp.AdoptSA)
	return a.SA.ID, a.SA.ReqID, ok && a.SA.Dir == esp.In
}
