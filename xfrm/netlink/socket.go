//go:build linux

package netlink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// datagram is one that was read. Its octets belong to the transport and are there
// until the next is read; they may be keys, so that the reader zeroes them.
type datagram struct {
	b   []byte
	cut bool // it was longer than its buffer
}

// zero overwrites what was read.
func zero(ds []datagram) {
	for _, d := range ds {
		clear(d.b)
	}
}

// transport is a netlink socket. Its methods may be called by different goroutines,
// but receive by one at a time.
type transport interface {
	// send hands messages to the kernel. It has carried them out, and its answers are
	// there to be received, when send returns.
	send(messages [][]byte) error
	// receive reads the datagrams that are there. Without any it waits for one until
	// the deadline, or returns EAGAIN at once.
	receive(wait bool) ([]datagram, error)
	// deadline is of the receive that waits and of later ones; zero: none.
	deadline(time.Time) error
	close() error
}

// await reads what is there. Without anything it waits until ctx is done, and for
// limit at most, unless that is zero.
func await(ctx context.Context, t transport, limit time.Duration) ([]datagram, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ds, err := t.receive(false)
	if !errors.Is(err, unix.EAGAIN) {
		return ds, err
	}
	var until time.Time
	if limit > 0 {
		until = time.Now().Add(limit)
	}
	if err = t.deadline(until); err != nil {
		return nil, err
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = t.deadline(time.Unix(1, 0)) // long ago: it ends the waiting
		close(fired)
	})
	ds, err = t.receive(true)
	if !stop() {
		<-fired
	}
	_ = t.deadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		err = ctx.Err()
	}
	return ds, err
}

// size is how much a socket reads at once, and how much may wait in it.
type size struct {
	datagrams, octets int // in a system call; of a datagram
	receive           int // octets of SO_RCVBUF
}

// socket is a NETLINK_XFRM socket. The runtime's poller waits for it, so that waiting
// takes no thread, and closing ends it.
type socket struct {
	file *os.File
	raw  syscall.RawConn
	port uint32 // its netlink port ID
	room int    // what the receive buffer holds, in octets with the kernel's overhead
	most int    // octets that can be sent at once
	gone atomic.Bool

	buffers [][]byte
	iovs    []unix.Iovec
	names   []unix.RawSockaddrNetlink
	headers []unix.Mmsghdr
	got     []datagram
}

// openSocket opens a socket in the network namespace of the caller.
func openSocket(s size) (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_XFRM)
	if err != nil {
		if errors.Is(err, unix.EPROTONOSUPPORT) {
			return nil, fmt.Errorf("this kernel has no XFRM (NETLINK_XFRM: %w)", err)
		}
		return nil, fmt.Errorf("NETLINK_XFRM: %w", err)
	}
	k := new(socket)
	if err = k.setUp(fd, s.receive); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("NETLINK_XFRM: %w", err)
	}
	k.file = os.NewFile(uintptr(fd), "NETLINK_XFRM")
	if k.raw, err = k.file.SyscallConn(); err != nil {
		_ = k.file.Close()
		return nil, err
	}
	k.makeBuffers(s)
	return k, nil
}

// setUp sets the options. The kernel adds texts to errors, and does not send requests
// back, which may hold keys.
func (k *socket) setUp(fd, receive int) error {
	for _, option := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_CAP_ACK} {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receive) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receive); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	for option, value := range map[int]*int{unix.SO_RCVBUF: &k.room, unix.SO_SNDBUF: &k.most} {
		var err error
		if *value, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, option); err != nil {
			return os.NewSyscallError("getsockopt", err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	if n, ok := name.(*unix.SockaddrNetlink); ok {
		k.port = n.Pid
	}
	return nil
}

func (k *socket) makeBuffers(s size) {
	n := s.datagrams
	k.buffers = make([][]byte, n)
	k.iovs = make([]unix.Iovec, n)
	k.names = make([]unix.RawSockaddrNetlink, n)
	k.headers = make([]unix.Mmsghdr, n)
	k.got = make([]datagram, 0, n)
	for i := range n {
		k.buffers[i] = make([]byte, s.octets)
		k.iovs[i].Base = &k.buffers[i][0]
		k.iovs[i].SetLen(s.octets)
		h := &k.headers[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&k.names[i]))
		h.Iov = &k.iovs[i]
		h.SetIovlen(1)
	}
}

// join subscribes to a group, unless the kernel does not have it.
func (k *socket) join(group int) error {
	var err error
	control := k.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return errors.Join(control, os.NewSyscallError("NETLINK_ADD_MEMBERSHIP", err))
}

func (k *socket) send(messages [][]byte) error {
	var err error
	writing := k.raw.Write(func(fd uintptr) bool {
		for {
			_, err = unix.SendmsgBuffers(int(fd), messages, nil, nil, 0)
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	if writing != nil {
		return k.closed(writing)
	}
	return os.NewSyscallError("sendmsg", err)
}

func (k *socket) receive(wait bool) ([]datagram, error) {
	var n int
	var errno syscall.Errno
	reading := k.raw.Read(func(fd uintptr) bool {
		n, errno = k.recvmmsg(fd)
		return !wait || errno != unix.EAGAIN
	})
	if reading != nil {
		return nil, k.closed(reading)
	}
	if errno != 0 {
		return nil, os.NewSyscallError("recvmmsg", errno)
	}
	k.got = k.got[:0]
	for i := range n {
		h := &k.headers[i]
		if k.names[i].Pid != 0 {
			continue // not from the kernel
		}
		k.got = append(k.got, datagram{k.buffers[i][:h.Len], h.Hdr.Flags&unix.MSG_TRUNC != 0})
	}
	return k.got, nil
}

func (k *socket) recvmmsg(fd uintptr) (int, syscall.Errno) {
	for i := range k.headers {
		k.headers[i].Hdr.Namelen = unix.SizeofSockaddrNetlink
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&k.headers[0])), uintptr(len(k.headers)), unix.MSG_DONTWAIT, 0, 0)
		if errno == 0 {
			return int(n), 0
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

func (k *socket) deadline(t time.Time) error { return k.closed(k.file.SetReadDeadline(t)) }

func (k *socket) close() error {
	k.gone.Store(true)
	return k.file.Close()
}

// closed says net.ErrClosed for what fails because the socket is closed, for which
// package os has several errors.
func (k *socket) closed(err error) error {
	if err != nil && k.gone.Load() {
		return net.ErrClosed
	}
	return err
}
