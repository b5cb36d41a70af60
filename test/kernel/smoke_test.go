//go:build linux

package kernel

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// The kernel itself: SAs that are put in by hand carry the traffic.
func TestManualSAs(t *testing.T) {
	w := newWorld(t)
	const there, back = "0x1001", "0x1002"
	for _, g := range []struct {
		at          *lab.Namespace
		outer, peer netip.Addr
		net, remote netip.Prefix
		out, in     string
	}{
		{w.A, lab.OuterA4, lab.OuterB4, lab.NetA4, lab.NetB4, there, back},
		{w.B, lab.OuterB4, lab.OuterA4, lab.NetB4, lab.NetA4, back, there},
	} {
		manualSA(t, g.at, g.outer, g.peer, g.out)
		manualSA(t, g.at, g.peer, g.outer, g.in)
		manualPolicy(t, g.at, "out", g.net, g.remote, g.outer, g.peer)
		manualPolicy(t, g.at, "in", g.remote, g.net, g.peer, g.outer)
		manualPolicy(t, g.at, "fwd", g.remote, g.net, g.peer, g.outer)
	}
	must(t, w.hosts4())
	if s := run(t, w.B, "ip", "-s", "xfrm", "state"); strings.Contains(s, " 0(packets)") {
		t.Errorf("an SA has carried nothing: %s", s)
	}
}

func manualSA(t *testing.T, at *lab.Namespace, src, dst netip.Addr, spi string) {
	t.Helper()
	run(t, at, "ip", "xfrm", "state", "add", "src", src.String(), "dst", dst.String(), "proto", "esp", "spi", spi,
		"reqid", "1", "mode", "tunnel", "aead", "rfc4106(gcm(aes))", "0x"+strings.Repeat(spi[4:], 20), "128")
}

func manualPolicy(t *testing.T, at *lab.Namespace, dir string, src, dst netip.Prefix, from, to netip.Addr) {
	t.Helper()
	run(t, at, "ip", "xfrm", "policy", "add", "src", src.String(), "dst", dst.String(), "dir", dir,
		"tmpl", "src", from.String(), "dst", to.String(), "proto", "esp", "reqid", "1", "mode", "tunnel")
}

// Two strongSwan with SAs in the kernel: what fails between goiked and one of
// them is not the lab's fault.
func TestStrongSwanPair(t *testing.T) {
	w := newWorld(t)
	var ends [2]*lab.StrongSwan
	for i, g := range []struct {
		at          *lab.Namespace
		outer, peer netip.Addr
		net, remote netip.Prefix
	}{
		{w.A, lab.OuterA4, lab.OuterB4, lab.NetA4, lab.NetB4}, {w.B, lab.OuterB4, lab.OuterA4, lab.NetB4, lab.NetA4},
	} {
		s, err := lab.StartStrongSwanKernel(g.at, "")
		if err != nil {
			t.Fatal(err)
		}
		conf := strings.NewReplacer("OUTER", g.outer.String(), "PEER", g.peer.String(),
			"NET", g.net.String(), "REMOTE", g.remote.String()).Replace(strongSwanPair)
		if err := s.Load(conf); err != nil {
			t.Fatal(err)
		}
		ends[i] = s
	}
	if err := ends[0].Initiate("net"); err != nil {
		t.Fatal(err)
	}
	must(t, w.hosts4())
}

const strongSwanPair = `connections {
	pair {
		version = 2
		local_addrs = OUTER
		remote_addrs = PEER
		proposals = aes128gcm16-prfsha256-x25519
		local { auth = psk }
		remote { auth = psk }
		children {
			net {
				local_ts = NET
				remote_ts = REMOTE
				esp_proposals = aes128gcm16
			}
		}
	}
}
secrets {
	ike-pair { secret = "a secret of this test" }
}
`
