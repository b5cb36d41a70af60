package udp

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The limits of one train: the kernel takes 64 segments and one IP packet's octets.
const (
	maxTrain      = 64
	maxTrainBytes = 65535 - 40 - 8
	maxIovs       = 256
)

// PacketError tells which packet of a batch could not be sent, and why. It wraps
// the system's error: EMSGSIZE when the packet does not fit the path.
type PacketError struct {
	Index int
	Count int // packets of the batch that were not sent
	Err   error
}

func (e *PacketError) Error() string {
	return fmt.Sprintf("packet %d of the batch was not sent: %v", e.Index, e.Err)
}

// Unwrap returns the system's error.
func (e *PacketError) Unwrap() error { return e.Err }

// writer is the scratch memory of WriteBatch.
type writer struct {
	s     *Socket
	gso   bool
	df    bool // what the socket is set to
	hdrs  [MaxBatch]unix.Mmsghdr
	names [MaxBatch]unix.RawSockaddrInet6
	oobs  [MaxBatch][oobLen]byte
	first [MaxBatch]int // index of the first packet of each message
	count [MaxBatch]int // its number of packets
	iovs  [maxIovs]unix.Iovec
	n     int // messages that are ready
	used  int // elements of iovs in use

	at, end int        // the messages that send is to send
	errno   unix.Errno // why message at could not be sent, or 0
	err     error      // of applyDF
	fail    *PacketError

	// Functions made once so that no call allocates.
	poll    func(fd uintptr) bool // w.send
	control func(fd uintptr)      // w.applyDF
}

func (w *writer) init(s *Socket) {
	w.s = s
	w.poll, w.control = w.send, w.applyDF
	for i := range w.hdrs {
		w.hdrs[i].Hdr.Name = (*byte)(unsafe.Pointer(&w.names[i]))
	}
}

// WriteBatch sends packets in their order. One that fails does not keep the others
// back; the first failure comes back as a *PacketError. Neighbours with the same
// addresses, TOS, DF and length leave as one train where the kernel can cut it.
// After Close it returns net.ErrClosed.
func (s *Socket) WriteBatch(ps []Packet) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	w := &s.writes
	w.fail = nil
	for i := 0; i < len(ps); {
		if !fits(&ps[i], s.v6) {
			w.note(i, 1, unix.EAFNOSUPPORT)
			i++
			continue
		}
		n := w.train(ps[i:])
		if err := w.room(ps, ps[i].DF, n); err != nil {
			return err
		}
		w.put(ps, i, n)
		i += n
	}
	if err := w.flush(ps); err != nil {
		return err
	}
	if w.fail != nil {
		return w.fail
	}
	return nil
}

// room makes room for a message of n packets, and sets the socket to its DF.
func (w *writer) room(ps []Packet, df bool, n int) error {
	if df != w.df || w.n == MaxBatch || w.used+n > maxIovs {
		if err := w.flush(ps); err != nil {
			return err
		}
	}
	if df == w.df {
		return nil
	}
	w.df = df
	if err := w.s.rc.Control(w.control); err != nil {
		return err
	}
	if w.err != nil {
		w.df = !df
	}
	return w.err
}

func (w *writer) applyDF(fd uintptr) { w.err = setDF(int(fd), w.s.v6, w.df) }

// train is how many of the first packets make one message.
func (w *writer) train(ps []Packet) int {
	if !w.gso {
		return 1
	}
	p := &ps[0]
	n, total := 1, len(p.Data)
	for n < len(ps) && n < maxTrain {
		q := &ps[n]
		total += len(q.Data)
		if len(q.Data) > len(p.Data) || len(q.Data) == 0 || total > maxTrainBytes ||
			q.TOS != p.TOS || q.DF != p.DF || q.Remote != p.Remote || q.Local.Addr() != p.Local.Addr() {
			break
		}
		n++
		if len(q.Data) < len(p.Data) {
			break
		}
	}
	return n
}

// put makes one message of the n packets from index i on.
func (w *writer) put(ps []Packet, i, n int) {
	p, at := &ps[i], w.n
	port := p.Remote.Port()
	if w.s.raw {
		port = 0 // the kernel takes it for a protocol
	}
	h := &w.hdrs[at].Hdr
	h.Namelen = putName(&w.names[at], p.Remote.Addr(), port, w.s.v6)
	h.Iov = &w.iovs[w.used]
	h.SetIovlen(n)
	for k := range n {
		iov := &w.iovs[w.used]
		iov.Base = unsafe.SliceData(ps[i+k].Data)
		iov.SetLen(len(ps[i+k].Data))
		w.used++
	}
	seg := 0
	if n > 1 {
		seg = len(p.Data)
	}
	w.setControl(at, p, seg)
	w.first[at], w.count[at] = i, n
	w.n++
}

// setControl gives message at the control messages of p.
func (w *writer) setControl(at int, p *Packet, seg int) {
	h := &w.hdrs[at].Hdr
	oob := appendControl(w.oobs[at][:0], p, seg, w.s.v6)
	h.Control = nil
	if len(oob) > 0 {
		h.Control = &w.oobs[at][0]
	}
	h.SetControllen(len(oob))
}

// flush sends the messages that are ready.
func (w *writer) flush(ps []Packet) error {
	var err error
	for w.at = 0; w.at < w.n && err == nil; {
		w.end = w.n
		if err = w.s.rc.Write(w.poll); err == nil && w.errno != 0 {
			err = w.failed(ps)
		}
	}
	clear(w.iovs[:w.used]) // the data is the caller's again
	w.n, w.used = 0, 0
	return err
}

// failed deals with message at, which the kernel refused, and goes on to the next.
// A train that it cannot cut goes packet by packet, so that each is fragmented,
// sent or refused for itself.
func (w *writer) failed(ps []Packet) error {
	at, why := w.at, w.errno
	i, n := w.first[at], w.count[at]
	switch {
	case n == 1 || why != unix.EMSGSIZE && why != unix.EINVAL && why != unix.EIO:
		w.note(i, n, why)
		w.at++
		return nil
	case why == unix.EIO:
		w.gso = false // the interface does not do checksums: this will not change
	}
	h := &w.hdrs[at].Hdr
	h.SetIovlen(1)
	for k := range n {
		w.setControl(at, &ps[i+k], 0)
		w.at, w.end = at, at+1
		if err := w.s.rc.Write(w.poll); err != nil {
			return err
		}
		if w.errno != 0 {
			w.note(i+k, 1, w.errno)
		}
		if k+1 < n {
			h.Iov = (*unix.Iovec)(unsafe.Add(unsafe.Pointer(h.Iov), unsafe.Sizeof(*h.Iov)))
		}
	}
	w.at = at + 1
	return nil
}

// note takes down that the n packets from index on were not sent.
func (w *writer) note(index, n int, err error) {
	if w.fail == nil {
		w.fail = &PacketError{Index: index, Err: err}
	}
	if index < w.fail.Index {
		w.fail.Index, w.fail.Err = index, err
	}
	w.fail.Count += n
}

// send sends the messages from at up to end; false waits for the socket to be
// writable.
func (w *writer) send(fd uintptr) bool {
	for {
		got, _, e := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&w.hdrs[w.at])), uintptr(w.end-w.at), unix.MSG_DONTWAIT, 0, 0)
		switch e {
		case 0:
			w.at += int(got)
			w.errno = 0
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			w.errno = e
			return true
		}
	}
}
