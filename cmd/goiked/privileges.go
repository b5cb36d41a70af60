//go:build linux

package main

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// needed are the capabilities of goiked, and for what.
var needed = []struct {
	bit  uint
	name string
	use  string
}{
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "IPsec, routes, the TUN device and socket marks"},
	{unix.CAP_NET_RAW, "CAP_NET_RAW", "ESP without UDP"},
	{unix.CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", "UDP port 500"},
}

// checkPrivileges returns an error that names every capability that is lacking.
func checkPrivileges() error {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&h, &data[0]); err != nil {
		return missing(fmt.Errorf("cannot read the capabilities of this process: %w", err))
	}
	return lacking(uint64(data[0].Effective) | uint64(data[1].Effective)<<32)
}

func lacking(effective uint64) error {
	var names, uses []string
	for _, n := range needed {
		if effective&(1<<n.bit) == 0 {
			names, uses = append(names, n.name), append(uses, n.use)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return missing(fmt.Errorf("not permitted: goiked lacks %s (for %s); start it as root or as a service",
		strings.Join(names, ", "), strings.Join(uses, "; ")))
}
