//go:build linux

package hostnet

import (
	"encoding/binary"
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// changes is a set of kinds of change.
type changes uint8

const (
	links changes = 1 << iota
	addresses
	routes // of others
	rules
	ours // routes that carry our protocol

	everything = links | addresses | routes | rules | ours
)

// groups are what is subscribed to.
var groups = []int{
	unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
	unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_NEXTHOP,
	unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
}

// news tells what of the host's network has changed.
type news struct {
	file *os.File
	fd   int // that of file, which stays non-blocking
	raw  syscall.RawConn
	buf  [1 << 13]byte
}

// room is how much the kernel shall keep for us, in octets.
const room = 1 << 20

func listen() (*news, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	n := &news{file: os.NewFile(uintptr(fd), "netlink"), fd: fd}
	if err := n.subscribe(); err != nil {
		return nil, errors.Join(err, n.file.Close())
	}
	return n, nil
}

func (n *news) subscribe() (err error) {
	// What does not fit is made up for by looking at everything.
	_ = unix.SetsockoptInt(n.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room)
	if err := unix.Bind(n.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for _, g := range groups {
		err := unix.SetsockoptInt(n.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g)
		if err != nil && g != unix.RTNLGRP_NEXTHOP { // which is from Linux 5.3 on
			return err
		}
	}
	n.raw, err = n.file.SyscallConn()
	return err
}

// mostNews is how much is read at a time: enough for what the kernel keeps.
const mostNews = 1 << 14

// read tells what has changed since it was called last. It does not wait.
func (n *news) read() (c changes) {
	for range mostNews {
		size, err := unix.Read(n.fd, n.buf[:])
		switch {
		case err == nil:
			c |= changesIn(n.buf[:size])
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return c
		case errors.Is(err, unix.ENOBUFS): // something was lost
			c = everything
		default:
			return everything
		}
	}
	return everything
}

// wait waits until there is something to read, and reads nothing. The error says that
// news is closed.
func (n *news) wait() error {
	return n.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return !errors.Is(err, unix.EAGAIN)
	})
}

func (n *news) close() { _ = n.file.Close() }

// changesIn is what the messages in b tell of. One that was cut off counts.
func changesIn(b []byte) (c changes) {
	for len(b) >= unix.SizeofNlMsghdr {
		size, kind := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint16(b[4:])
		c |= changeOf(kind, b[unix.SizeofNlMsghdr:])
		aligned := (uint64(size) + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1)
		if size < unix.SizeofNlMsghdr || aligned >= uint64(len(b)) {
			break
		}
		b = b[aligned:]
	}
	return c
}

// protocolAt is the place of rtm_protocol in the body of a message about a route.
const protocolAt = 5

func changeOf(kind uint16, body []byte) changes {
	switch kind {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		return links
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		return addresses
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		return rules
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if len(body) > protocolAt && body[protocolAt] == protocol {
			return ours
		}
		return routes
	case unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP:
		return routes
	}
	return 0
}
