//go:build linux

package hostnet

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// confDir has the settings of interfaces, of the network namespace of the thread
// that reads them.
const confDir = "/proc/sys/net/ipv4/conf"

// checkReversePath warns, once, of a setting that makes the kernel drop what peers
// send from within a protected network, outside of the tunnel: their way back seems
// to lead into the device. That concerns tunnels for everything, and those to a
// single host that is the peer itself.
func (r *Routes) checkReversePath(dst netip.Prefix) {
	if r.checked || !dst.Addr().Is4() || dst.Bits() != 0 && dst.Bits() != 32 {
		return
	}
	r.checked = true
	if strict := strictInterfaces(confDir, r.deviceNames()); len(strict) > 0 {
		name := strict[0]
		r.opts.Warn(fmt.Sprintf("reverse path filtering is strict on %s: what comes there from peers that are in %s themselves is dropped; "+
			"net.ipv4.conf.%s.rp_filter = 2 lets it pass", strings.Join(strict, ", "), dst, name))
	}
}

// deviceNames are the tunnel devices.
func (r *Routes) deviceNames() []string {
	return append(slices.Collect(maps.Keys(r.devices)), r.opts.Device)
}

// strictInterfaces are the interfaces but lo and the devices on which reverse path
// filtering is strict: the higher of their setting and that for all counts.
func strictInterfaces(dir string, devices []string) []string {
	all := setting(dir, "all")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // without /proc there is nothing to say
	}
	var strict []string
	for _, e := range entries {
		name := e.Name()
		if name == "all" || name == "default" || name == "lo" || slices.Contains(devices, name) {
			continue
		}
		if max(all, setting(dir, name)) == "1" {
			strict = append(strict, name)
		}
	}
	return strict
}

// setting is 0, 1 or 2, or nothing when it cannot be read.
func setting(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name, "rp_filter"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
