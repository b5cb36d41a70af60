//go:build linux

package interop

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/goike/goike/test/lab"
)

// What goikectl pcap records Wireshark reads, and with --decrypt it reads what is in the
// messages, and the packets of the tunnel in a capture of another program.
func TestPcap(t *testing.T) {
	for _, c := range []struct{ name, ike, esp string }{
		{"AES-GCM", "aes256gcm16-prfsha256-curve25519", "aes128gcm16"},
		{"AES-CBC with HMAC", "aes128-sha256-curve25519", "aes256-sha256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			k := newLink()
			k.ike, k.children[0].esp = c.ike, c.esp
			a, b := w.ends(k)
			b.startSwan(t, "")
			g := a.start(t)
			dir := t.TempDir()
			file := filepath.Join(dir, "site.pcapng")
			p, err := w.A.Start("pcap.log", lab.Command{
				Args: []string{binaries(t).Goikectl, "--socket", g.Socket(), "pcap", file, "site", "--decrypt"}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Stop() })
			if err := p.WaitLine("recording", wait); err != nil {
				t.Fatal(err)
			}
			if err := g.Up("lan"); err != nil {
				t.Fatal(err, last(g.Log(), 20))
			}
			w.carries(t)
			if out, _, err := g.Ctl("rekey", "site"); err != nil {
				t.Error(err, out)
			}
			if err := p.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			if code, ended := p.Wait(wait); !ended || code != 0 || !strings.Contains(p.Output(), "the keys of 2 IKE SAs and 2 child SAs in "+file+".keys") {
				t.Fatalf("exit code %d: %s", code, p.Output())
			}
			if !hasLine(g.Log(), []string{"warn", "keys of all SAs are disclosed", "process"}) {
				t.Errorf("the log does not tell of it: %s", last(g.Log(), 20))
			}
			outer := filepath.Join(dir, "outer.pcap")
			if err := w.wire.Write(outer); err != nil {
				t.Fatal(err)
			}
			// Authentication is in IKE_AUTH, the new SA of the IKE SA in CREATE_CHILD_SA.
			for filter, least := range map[string]int{
				"isakmp.exchangetype == 34": 2, "isakmp.typepayload == 39": 2, "isakmp.exchangetype == 36 && isakmp.typepayload == 34": 2,
			} {
				if n := shown(t, w, file, filter); n < least {
					t.Errorf("%d messages with %q", n, filter)
				}
			}
			if n := shown(t, w, outer, "esp && icmp", "WIRESHARK_CONFIG_DIR="+file+".keys"); n < 2 {
				t.Errorf("%d packets of the tunnel are decrypted", n)
			}
			for name, mode := range map[string]os.FileMode{file: 0o600, file + ".keys": os.ModeDir | 0o700, file + ".keys/esp_sa": 0o600} {
				if info, err := os.Stat(name); err != nil || info.Mode() != mode {
					t.Errorf("%s: %v %v", name, info.Mode(), err)
				}
			}
		})
	}
}

// shown is how many packets of a capture Wireshark shows through a filter, with the keys
// beside the capture.
func shown(t *testing.T, w *world, file, filter string, env ...string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*wait)
	defer cancel()
	out, err := w.A.RunCommand(ctx, lab.Command{
		Args: []string{"tshark", "-r", file, "-Y", filter, "-T", "fields", "-e", "frame.number"},
		Env:  append([]string{"WIRESHARK_CONFIG_DIR=" + file + ".keys"}, env...),
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" && strings.Trim(line, "0123456789") == "" {
			n++
		}
	}
	return n
}
