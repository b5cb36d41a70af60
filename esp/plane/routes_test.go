package plane

import (
	"net/netip"
	"testing"

	"github.com/goike/goike/esp"
)

// A route knows only the destination of a packet. A bypass may have one only if no
// packet that another policy is for can leave by it.
func TestBypassRoutes(t *testing.T) {
	at := func(action esp.Action, priority uint32, src, dst string) esp.Policy {
		op := protect(esp.Out, src, dst, 1)
		op.Policy.Action, op.Policy.Priority = action, priority
		return op.Policy
	}
	around := at(esp.Bypass, 100, "0.0.0.0/0", "10.8.0.0/16")
	ssh := around
	ssh.Sel.Proto = protoTCP
	sshTunnel := at(esp.Protect, 200, "0.0.0.0/0", "0.0.0.0/0")
	sshTunnel.Sel.Proto = protoTCP
	port := around
	port.Sel.DstPorts = esp.PortRange{First: 22, Last: 22}
	for _, c := range []struct {
		name   string
		bypass esp.Policy
		beside []esp.Policy
		want   bool
	}{
		{"alone", around, nil, true},
		{"in a tunnel for everything", around, []esp.Policy{at(esp.Protect, 200, "0.0.0.0/0", "0.0.0.0/0")}, true},
		{"in one from some sources", around, []esp.Policy{at(esp.Protect, 200, "10.1.0.0/16", "0.0.0.0/0")}, true},
		{"as important, but more specific", around, []esp.Policy{at(esp.Protect, 100, "0.0.0.0/0", "0.0.0.0/0")}, true},
		{"as important, less specific", around, []esp.Policy{at(esp.Protect, 100, "10.1.2.3/32", "10.0.0.0/8")}, false},
		{"of less importance", around, []esp.Policy{at(esp.Protect, 50, "0.0.0.0/0", "0.0.0.0/0")}, false},
		{"what is discarded counts", around, []esp.Policy{at(esp.Discard, 50, "0.0.0.0/0", "0.0.0.0/0")}, false},
		{"the same destination", around, []esp.Policy{at(esp.Protect, 200, "0.0.0.0/0", "10.8.0.0/16")}, false},
		{"a destination within", around, []esp.Policy{at(esp.Protect, 50, "0.0.0.0/0", "10.8.1.0/24")}, true},
		{"for others", around, []esp.Policy{at(esp.Protect, 50, "0.0.0.0/0", "10.9.0.0/16"), at(esp.Protect, 50, "::/0", "::/0")}, true},
		{"not for all that the tunnel is for", at(esp.Bypass, 100, "10.8.0.0/16", "10.8.0.0/16"),
			[]esp.Policy{at(esp.Protect, 200, "10.1.0.0/16", "0.0.0.0/0")}, false},
		{"for all that the tunnel is for", at(esp.Bypass, 100, "10.1.0.0/16", "10.1.0.0/16"),
			[]esp.Policy{at(esp.Protect, 200, "10.1.0.0/16", "0.0.0.0/0")}, true},
		{"another bypass", around, []esp.Policy{at(esp.Bypass, 50, "10.1.0.0/16", "0.0.0.0/0")}, true},
		{"one protocol alone", ssh, nil, true},
		{"one protocol", ssh, []esp.Policy{at(esp.Protect, 200, "0.0.0.0/0", "0.0.0.0/0")}, false},
		{"one port", port, []esp.Policy{at(esp.Protect, 200, "0.0.0.0/0", "0.0.0.0/0")}, false},
		{"one protocol in a tunnel for that", ssh, []esp.Policy{sshTunnel}, true},
		{"each tunnel its own", at(esp.Bypass, 100, "10.8.0.0/16", "10.8.0.0/16"), []esp.Policy{
			at(esp.Protect, 200, "10.8.0.0/16", "0.0.0.0/0"), at(esp.Protect, 200, "10.1.0.0/16", "10.0.0.0/8"),
			at(esp.Bypass, 150, "10.0.0.0/8", "10.8.0.0/16")}, true},
		{"one tunnel has none", at(esp.Bypass, 100, "10.8.0.0/16", "10.8.0.0/16"), []esp.Policy{
			at(esp.Protect, 200, "10.8.0.0/16", "0.0.0.0/0"), at(esp.Protect, 140, "10.1.0.0/16", "10.0.0.0/8"),
			at(esp.Bypass, 150, "10.0.0.0/8", "10.8.0.0/16")}, false},
	} {
		var r routes
		for _, pol := range append(c.beside, c.bypass) {
			if l, ok := leadOf(&policy{Policy: pol}); ok {
				r.want(l, 1)
			}
		}
		got := false
		for _, route := range r.list() {
			got = got || route == Route{Dst: netip.MustParsePrefix(c.bypass.Sel.Dst.String()), Bypass: true}
		}
		if got != c.want {
			t.Errorf("%s: routes %v; around the device: %t, want %t", c.name, r.list(), got, c.want)
		}
	}
}
