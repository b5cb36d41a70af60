package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/internal/udp"
)

// sender is the scratch memory of one Send.
type sender struct {
	ps    []udp.Packet
	which []int // index in ms of each of ps
	buf   []byte
}

// maxScratch is how much memory of a sender is kept for the next Send.
const maxScratch = 1 << 18

var noMarker [udp.MarkerLen]byte

// Send sends messages, each from the local address of its path: those with the local
// port ike.NATTPort from port 4500 with the non-ESP marker, others from port 500. It
// keeps nothing of ms. What cannot be sent is counted; IKE sends it again anyway.
func (t *Transport) Send(ms []ike.Send) {
	sd, _ := t.senders.Get().(*sender)
	for _, natt := range []bool{false, true} {
		for _, v6 := range []bool{false, true} {
			t.sendSome(sd, ms, natt, v6)
		}
	}
	clear(sd.ps)
	if cap(sd.buf) <= maxScratch {
		t.senders.Put(sd)
	}
}

// sendSome sends those messages that go through one of the sockets.
func (t *Transport) sendSome(sd *sender, ms []ike.Send, natt, v6 bool) {
	sd.ps, sd.which, sd.buf = sd.ps[:0], sd.which[:0], sd.buf[:0]
	for i := range ms {
		m := &ms[i]
		if t.isNATT(m.Path.Local.Port()) != natt || is6(m.Path.Remote.Addr()) != v6 {
			continue
		}
		data := m.Data
		if natt {
			at := len(sd.buf)
			sd.buf = append(append(sd.buf, noMarker[:]...), data...)
			data = sd.buf[at:len(sd.buf):len(sd.buf)]
		}
		sd.ps = append(sd.ps, udp.Packet{Data: data, Local: m.Path.Local, Remote: m.Path.Remote})
		sd.which = append(sd.which, i)
	}
	if len(sd.ps) == 0 {
		return
	}
	p := &t.plain
	if natt {
		p = &t.natt
	}
	failed, first, err := failure(writeTo(p, sd.ps), len(sd.ps))
	t.count.sent.Add(uint64(len(sd.ps) - failed))
	t.count.sendErrors.Add(uint64(failed))
	if err != nil {
		path := ms[sd.which[first]].Path
		t.warnings.warn(err, func() string {
			return fmt.Sprintf("an IKE message from %s to %s was not sent: %v", path.Local.Addr(), path.Remote, err)
		})
	}
}

func (t *Transport) isNATT(port uint16) bool {
	return port == ike.NATTPort || port == t.opts.NATTPort
}

func is6(a netip.Addr) bool { return a.Is6() && !a.Is4In6() }

// failure says of the error of a batch of n packets how many were not sent, the
// index of the first, and why.
func failure(err error, n int) (count, first int, why error) {
	if err == nil {
		return 0, 0, nil
	}
	if pe := (*udp.PacketError)(nil); errors.As(err, &pe) {
		return pe.Count, pe.Index, pe.Err
	}
	return n, 0, err
}

// WriteUDP sends packets of ESP in UDP, and NAT keepalives, as they are, from port
// 4500. One that fails does not keep the others back; the first failure comes back
// as a *udp.PacketError.
func (t *Transport) WriteUDP(ps []udp.Packet) error { return writeTo(&t.natt, ps) }

// WriteRaw sends packets of ESP without UDP, as WriteUDP does.
func (t *Transport) WriteRaw(ps []udp.Packet) error { return writeTo(&t.raw, ps) }

// writeTo sends packets through the sockets for their families, in their order.
func writeTo(to *pair, ps []udp.Packet) error {
	var fail *udp.PacketError
	for start := 0; start < len(ps); {
		v6 := is6(ps[start].Remote.Addr())
		end := start + 1
		for end < len(ps) && is6(ps[end].Remote.Addr()) == v6 {
			end++
		}
		if err := writeSome(to.of(ps[start].Remote.Addr()), ps[start:end]); err != nil {
			var part *udp.PacketError
			if !errors.As(err, &part) {
				return err
			}
			fail = merge(fail, part, start)
		}
		start = end
	}
	if fail != nil {
		return fail
	}
	return nil
}

func writeSome(s *udp.Socket, ps []udp.Packet) error {
	if s == nil {
		return &udp.PacketError{Count: len(ps), Err: syscall.EAFNOSUPPORT}
	}
	return s.WriteBatch(ps)
}

// merge adds the failure of a part that begins at index start to that of a batch.
func merge(fail, part *udp.PacketError, start int) *udp.PacketError {
	if fail == nil {
		return &udp.PacketError{Index: part.Index + start, Count: part.Count, Err: part.Err}
	}
	fail.Count += part.Count
	return fail
}
