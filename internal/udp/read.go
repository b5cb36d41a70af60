package udp

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxBatch is the largest number of packets that one system call moves.
const MaxBatch = 64

// rawHead is the space for the IPv4 header, which raw sockets deliver in front.
const rawHead = 20

type slot struct {
	name unix.RawSockaddrInet6
	oob  [oobLen]byte
	head [rawHead]byte
	iov  [2]unix.Iovec
}

// reader is the scratch memory of ReadBatch.
type reader struct {
	s     *Socket
	hdrs  [MaxBatch]unix.Mmsghdr
	slots [MaxBatch]slot
	want  int
	got   int
	err   error
	poll  func(fd uintptr) bool // r.recv, made once so that no call allocates
}

func (r *reader) init(s *Socket) {
	r.s = s
	r.poll = r.recv
	for i := range r.hdrs {
		h, sl := &r.hdrs[i].Hdr, &r.slots[i]
		h.Name = (*byte)(unsafe.Pointer(&sl.name))
		h.Control = &sl.oob[0]
		h.Iov = &sl.iov[0]
		h.SetIovlen(1)
		if s.raw && !s.v6 {
			sl.iov[0].Base = &sl.head[0]
			sl.iov[0].SetLen(rawHead)
			h.SetIovlen(2)
		}
	}
}

// ReadBatch waits for packets, fills at most MaxBatch elements of ps and returns how
// many. A datagram that did not fit its buffer, or is malformed, comes with empty
// Data. After Close it returns net.ErrClosed.
func (s *Socket) ReadBatch(ps []Packet) (int, error) {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	r := &s.reads
	r.want = min(len(ps), MaxBatch)
	for i := range r.want {
		r.arm(i, ps[i].Data)
	}
	if err := s.rc.Read(r.poll); err != nil {
		return 0, err
	}
	if r.err != nil {
		return 0, r.err
	}
	for i := range r.got {
		r.take(i, &ps[i])
	}
	return r.got, nil
}

// arm prepares message i to be received into buf.
func (r *reader) arm(i int, buf []byte) {
	h, sl := &r.hdrs[i].Hdr, &r.slots[i]
	h.Namelen = unix.SizeofSockaddrInet6
	h.SetControllen(oobLen)
	h.Flags = 0
	iov := &sl.iov[0]
	if r.s.raw && !r.s.v6 {
		iov = &sl.iov[1]
	}
	iov.Base = unsafe.SliceData(buf)
	iov.SetLen(cap(buf))
}

// recv receives into the armed messages; false waits for the socket to be readable.
func (r *reader) recv(fd uintptr) bool {
	for {
		n, _, e := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.hdrs[0])), uintptr(r.want), unix.MSG_DONTWAIT, 0, 0)
		switch e {
		case 0:
			r.got, r.err = int(n), nil
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			r.got, r.err = 0, e
			return true
		}
	}
}

// take makes a Packet of the received message i.
func (r *reader) take(i int, p *Packet) {
	h, sl := &r.hdrs[i], &r.slots[i]
	p.Seg, p.TOS, p.DF, p.IfIndex = 0, 0, false, 0
	p.Remote = getName(&sl.name, r.s.v6)
	p.Local = r.s.addr
	n := int(h.Len)
	p.Data = p.Data[:min(n, cap(p.Data))]
	if h.Hdr.Flags&unix.MSG_TRUNC != 0 {
		p.Data = p.Data[:0]
	}
	parseControl(sl.oob[:h.Hdr.Controllen], p)
	if isLinkLocal(p.Local.Addr()) {
		p.Local = netip.AddrPortFrom(withScope(p.Local.Addr(), p.IfIndex), p.Local.Port())
	}
	if r.s.raw && !r.s.v6 {
		stripIPv4(p, sl.head[:], n)
	}
}

// stripIPv4 removes the IP header of a raw IPv4 packet of n octets, of which the
// first rawHead are in head and the others in p.Data's buffer.
func stripIPv4(p *Packet, head []byte, n int) {
	ihl := int(head[0]&0x0f) * 4
	if n < rawHead || ihl < rawHead || n < ihl || len(p.Data) == 0 {
		p.Data = p.Data[:0]
		return
	}
	p.TOS = head[1]
	buf := p.Data[:cap(p.Data)]
	end := min(n-rawHead, len(buf))
	p.Data = buf[:copy(buf, buf[min(ihl-rawHead, end):end])]
}
