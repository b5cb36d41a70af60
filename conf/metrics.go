package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"
)

// Metrics is the [metrics] section.
type Metrics struct {
	// Listen is where metrics are served: "address:port" or "unix:PATH"; empty: nowhere.
	Listen string
}

// AllowedListen says what metrics.listen may be.
const AllowedListen = `an address and a port such as "127.0.0.1:9814" or "[::1]:9814", "unix:" and an absolute path, or "" (off)`

const unixPrefix = "unix:"

// Address is Listen as package net takes it; both are empty when nothing is served. The
// error says what is wrong with it.
func (m Metrics) Address() (network, address string, err error) {
	if m.Listen == "" {
		return "", "", nil
	}
	if file, ok := strings.CutPrefix(m.Listen, unixPrefix); ok {
		if !path.IsAbs(file) || len(file) > maxUnixPath {
			return "", "", fmt.Errorf("the path of a socket is absolute and has at most %d octets", maxUnixPath)
		}
		return "unix", file, nil
	}
	at, err := netip.ParseAddrPort(m.Listen)
	switch {
	case err != nil:
		return "", "", errors.New("it is no address with a port")
	case at.Port() == 0:
		return "", "", errors.New("the port is 1 to 65535")
	case at.Addr().Is4In6():
		return "", "", fmt.Errorf("an IPv4 address is written as one: %s", netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	}
	return "tcp", at.String(), nil
}
