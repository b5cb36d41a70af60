//go:build linux

package tun

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"
)

// maxPacket is more than the kernel hands over at a time: a train is one IP packet.
const maxPacket = 1 << 16

// reader takes packets from the device.
type reader struct {
	mu sync.Mutex
	rc syscall.RawConn

	// What Read was called with, and how many packets there are.
	bufs   [][]byte
	sizes  []int
	offset int
	n      int
	err    error // told when there are no packets

	// memory takes, from maxPacket on, what does not fit the buffer of a packet; what
	// does is put before it when it is a train.
	memory []byte
	iov    [2]unix.Iovec
	train  train // goes out first

	poll func(fd uintptr) bool // r.fill, made once so that no call allocates
}

func (r *reader) init(dev tun.Device) (err error) {
	if r.rc, err = dev.File().SyscallConn(); err != nil {
		return err
	}
	r.poll = r.fill
	r.memory = make([]byte, 2*maxPacket)
	r.iov[1].Base = &r.memory[maxPacket]
	r.iov[1].SetLen(maxPacket)
	return nil
}

// Read waits for packets, writes packet i to bufs[i][offset:] and its length to
// sizes[i], and returns how many there are: as many as the device has and bufs takes.
// The rest of a train comes with the next call. offset is Headroom at least. Of a
// packet that does not fit its buffer sizes[i] tells the full length, the content is
// undefined. After Close it returns os.ErrClosed, likewise when the interface is gone.
func (d *Device) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	r := &d.reads
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bufs, r.sizes, r.offset, r.n = bufs, sizes, offset, 0
	if r.cut(); r.n < len(bufs) && r.err == nil {
		if err := r.rc.Read(r.poll); err != nil {
			r.err = os.ErrClosed // there are no other reasons not to call fill
		}
	}
	r.bufs, r.sizes = nil, nil
	if r.n > 0 {
		return r.n, nil
	}
	err := r.err
	r.err = nil
	if errors.Is(err, unix.EBADFD) { // the interface was removed
		err = os.ErrClosed
	}
	return 0, err
}

// cut takes as many packets off the train as there are buffers.
func (r *reader) cut() {
	for r.n < len(r.bufs) && r.train.more() {
		r.sizes[r.n] = r.train.next(r.bufs[r.n][r.offset:])
		r.n++
	}
}

// fill reads while there is something and there are buffers; false waits for the
// first packet.
func (r *reader) fill(fd uintptr) bool {
	for r.n < len(r.bufs) {
		switch err := r.one(fd); {
		case err == nil, errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return r.n > 0
		default:
			r.err = err
			return true
		}
	}
	return true
}

// one reads a packet to its buffer, or a train.
func (r *reader) one(fd uintptr) error {
	buf := r.bufs[r.n][r.offset-Headroom:]
	r.iov[0].Base = unsafe.SliceData(buf)
	r.iov[0].SetLen(min(len(buf), Headroom+maxPacket))
	got, _, errno := unix.Syscall(unix.SYS_READV, fd, uintptr(unsafe.Pointer(&r.iov[0])), uintptr(len(r.iov)))
	r.iov[0].Base = nil
	switch {
	case errno != 0:
		return errno
	case got < Headroom || len(buf) < Headroom:
		return errHeader
	}
	n, h := int(got)-Headroom, parseHeader(buf)
	pkt := buf[Headroom:min(len(buf), Headroom+maxPacket)]
	if h.kind != unix.VIRTIO_NET_HDR_GSO_NONE {
		return r.board(pkt, n, h)
	}
	if h.needsSum && n <= len(pkt) {
		if err := complete(pkt[:n], h); err != nil {
			return err
		}
	}
	r.sizes[r.n] = n
	r.n++
	return nil
}

// board takes a train of n octets, of which the first are in part, and begins to cut
// it.
func (r *reader) board(part []byte, n int, h header) (err error) {
	part = part[:min(n, len(part))]
	from := maxPacket - len(part)
	copy(r.memory[from:], part)
	if r.train, err = newTrain(r.memory[from:from+n], h); err == nil {
		r.cut()
	}
	return err
}
