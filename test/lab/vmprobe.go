//go:build linux

package lab

import (
	"net"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// kernelHasESP tells whether this kernel takes an ESP SA: it is tried in a
// network namespace that is gone afterwards.
func kernelHasESP() bool {
	done := make(chan bool)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		done <- unix.Unshare(unix.CLONE_NEWNET) == nil && addESP() == nil
	}()
	return <-done
}

func addESP() error {
	return netlink.XfrmStateAdd(&netlink.XfrmState{
		Src: net.IPv4(127, 0, 0, 1), Dst: net.IPv4(127, 0, 0, 2), Proto: netlink.XFRM_PROTO_ESP,
		Mode: netlink.XFRM_MODE_TUNNEL, Spi: 0x1000, Reqid: 1,
		Aead: &netlink.XfrmStateAlgo{Name: "rfc4106(gcm(aes))", Key: make([]byte, 20), ICVLen: 128},
	})
}
