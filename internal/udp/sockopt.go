package udp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// setup sets the options of a socket before it is bound.
func (s *Socket) setup(fd int, o *Options) error {
	if err := s.wantAddresses(fd); err != nil {
		return err
	}
	if o.Mark != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(o.Mark)); err != nil {
			return fmt.Errorf("SO_MARK: %w", err)
		}
	}
	if o.Bypass {
		if err := bypass(fd, s.v6); err != nil {
			return err
		}
	}
	if o.Encap {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_ENCAP, unix.UDP_ENCAP_ESPINUDP); err != nil {
			return fmt.Errorf("UDP_ENCAP: %w", err)
		}
	}
	if o.Offload {
		s.offload(fd)
	}
	if o.BufferBytes > 0 {
		setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, o.BufferBytes)
		setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, o.BufferBytes)
	}
	return setDF(fd, s.v6, false)
}

// wantAddresses asks for the local address and the traffic class of what comes in.
func (s *Socket) wantAddresses(fd int) error {
	level, opts := unix.IPPROTO_IP, []int{unix.IP_PKTINFO, unix.IP_RECVTOS}
	if s.v6 {
		level, opts = unix.IPPROTO_IPV6, []int{unix.IPV6_RECVPKTINFO, unix.IPV6_RECVTCLASS}
	}
	for _, opt := range opts {
		if err := unix.SetsockoptInt(fd, level, opt, 1); err != nil {
			return fmt.Errorf("socket option %d of level %d: %w", opt, level, err)
		}
	}
	return nil
}

// offload turns on what the kernel has of UDP_GRO and UDP_SEGMENT.
func (s *Socket) offload(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	s.writes.gso = err == nil
}

// setBuffer asks for a buffer size beyond the system's limit, or else for as much
// as that allows. A smaller buffer is no reason to fail.
func setBuffer(fd, force, plain, n int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, n) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, n)
	}
}

// setDF chooses whether packets are sent with the Don't Fragment bit, and refused
// when they do not fit the path.
func setDF(fd int, v6, df bool) error {
	level, opt, how := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT
	if v6 {
		level, opt, how = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT
	}
	if df {
		how = unix.IP_PMTUDISC_DO // the same number for IPv6
	}
	if err := unix.SetsockoptInt(fd, level, opt, how); err != nil {
		return fmt.Errorf("path MTU discovery: %w", err)
	}
	return nil
}

// The layout of struct xfrm_userpolicy_info (linux/xfrm.h).
const (
	policyInfoLen  = 168
	policyFamilyAt = 40
	policyDirAt    = 160
)

// bypass gives the socket an "allow" policy of its own for each direction, which
// comes before those of the system. A kernel without XFRM needs none.
func bypass(fd int, v6 bool) error {
	level, opt, family := unix.IPPROTO_IP, unix.IP_XFRM_POLICY, uint16(unix.AF_INET)
	if v6 {
		level, opt, family = unix.IPPROTO_IPV6, unix.IPV6_XFRM_POLICY, unix.AF_INET6
	}
	for dir := range byte(2) { // XFRM_POLICY_IN, XFRM_POLICY_OUT
		var info [policyInfoLen]byte
		binary.NativeEndian.PutUint16(info[policyFamilyAt:], family)
		info[policyDirAt] = dir
		err := unix.SetsockoptString(fd, level, opt, string(info[:]))
		if errors.Is(err, unix.ENOPROTOOPT) || errors.Is(err, unix.EOPNOTSUPP) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("exemption from the IPsec policies of the kernel: %w", err)
		}
	}
	return nil
}
