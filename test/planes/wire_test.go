//go:build linux

package planes

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/test/lab"
)

// inOnePiece has the gateways send packets whose octets lie in one piece. Those of
// trains else lie in pages, in which the kernel of the receiver decrypts ESP in UDP
// while the capture still holds them: it would see plaintext that was never sent.
func inOnePiece(n *lab.Network) error {
	return errors.Join(n.A.Do(noScatterGather), n.B.Do(noScatterGather))
}

// noScatterGather turns scatter-gather of the outer interface off, as ethtool does.
func noScatterGather() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	value := [2]uint32{unix.ETHTOOL_SSG, 0} // struct ethtool_value
	request := struct {                     // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:], "outer")
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return os.NewSyscallError("ETHTOOL_SSG", errno)
	}
	return nil
}
