//go:build linux

package hostnet

import (
	"errors"

	"golang.org/x/sys/unix"
)

// news tells whether interfaces or addresses of the host have changed. It costs
// nothing until it is asked.
type news struct {
	fd  int
	buf [1 << 13]byte
}

// What is subscribed to (linux/rtnetlink.h).
const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR

func listen() (*news, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &news{fd: fd}, nil
}

// mostNews is how much is read at a time: enough for what the kernel keeps.
const mostNews = 1 << 12

// arrived tells whether anything has changed since it was called last. What it means
// does not matter, the whole is read anew.
func (n *news) arrived() bool {
	for i := range mostNews {
		_, err := unix.Read(n.fd, n.buf[:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return i > 0
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOBUFS), err == nil:
		default:
			return true
		}
	}
	return true
}

func (n *news) close() { _ = unix.Close(n.fd) }
