// Package udp has the sockets that IKE and ESP packets go through: UDP sockets for
// IKE and encapsulated ESP (RFC 3948), raw sockets for plain ESP (RFC 4303). Both
// move packets in batches, allocate nothing per packet, tell and choose the local
// address of every packet, and stay out of the kernel's own IPsec processing.
package udp

import (
	"bytes"
	"net/netip"
)

// Packet is one datagram, or a train of them.
type Packet struct {
	// Data is the payload: behind the UDP header, or behind the IP header for raw
	// sockets. Before ReadBatch it is the buffer, of which the whole capacity is used.
	Data []byte
	// Local is the address that the packet was sent to, or is to be sent from; as
	// source an invalid or unspecified address leaves the choice to the kernel.
	// The port of a packet to send is always that of the socket.
	Local, Remote netip.AddrPort
	// Seg, when positive, says that Data is a train of datagrams of that size, of which
	// the last may be shorter. Only ReadBatch makes trains; WriteBatch builds
	// its own out of neighbours that agree in everything but content.
	Seg int
	// TOS is the DS field and ECN bits of the IP header.
	TOS uint8
	// DF forbids fragmentation of the packet to send: when it does not fit the path
	// it fails with EMSGSIZE.
	DF bool
	// IfIndex is the interface that the packet came in by.
	IfIndex int
}

// Kind is what a datagram on port 4500 is (RFC 3948, 2).
type Kind uint8

// The kinds.
const (
	Keepalive Kind = iota // a NAT keepalive, or nothing at all: to be ignored
	IKE                   // an IKE message behind the non-ESP marker
	ESP
)

// MarkerLen is the length of the non-ESP marker: four zero octets.
const MarkerLen = 4

var marker [MarkerLen]byte

// Classify tells what a datagram on port 4500 is. Too short to be either it is
// taken for a keepalive, which is ignored.
func Classify(b []byte) Kind {
	switch {
	case len(b) < MarkerLen:
		return Keepalive
	case bytes.Equal(b[:MarkerLen], marker[:]):
		return IKE
	}
	return ESP
}

// A Sorter takes the batches of a socket on port 4500 apart. It is not for
// concurrent use.
type Sorter struct {
	esp []Packet
}

// Sort calls ike for every IKE message, without its marker, and returns the
// packets and trains that are ESP, in their order. Keepalives are left out. The
// result is valid until the next call and aliases the buffers of ps.
func (s *Sorter) Sort(ps []Packet, ike func(Packet)) []Packet {
	s.esp = s.esp[:0]
	for i := range ps {
		if p := &ps[i]; p.Seg > 0 && p.Seg < len(p.Data) {
			s.train(p, ike)
		} else {
			s.single(*p, ike)
		}
	}
	return s.esp
}

func (s *Sorter) single(p Packet, ike func(Packet)) {
	p.Seg = 0
	switch Classify(p.Data) {
	case ESP:
		s.esp = append(s.esp, p)
	case IKE:
		p.Data = p.Data[MarkerLen:]
		ike(p)
	case Keepalive:
	}
}

// train cuts a train at the datagrams in it that are not ESP.
func (s *Sorter) train(p *Packet, ike func(Packet)) {
	start := 0
	for at := 0; at < len(p.Data); at += p.Seg {
		end := min(at+p.Seg, len(p.Data))
		if Classify(p.Data[at:end]) == ESP {
			continue
		}
		s.part(p, start, at)
		one := *p
		one.Data = p.Data[at:end:end]
		s.single(one, ike)
		start = end
	}
	s.part(p, start, len(p.Data))
}

// part keeps p.Data[from:to] as a train of its own.
func (s *Sorter) part(p *Packet, from, to int) {
	if from >= to {
		return
	}
	q := *p
	q.Data = p.Data[from:to]
	if len(q.Data) <= q.Seg {
		q.Seg = 0
	}
	s.esp = append(s.esp, q)
}
