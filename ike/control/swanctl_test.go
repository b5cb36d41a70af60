//go:build linux

package control

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// swanctl runs the stock tool on a socket and returns all that it prints.
func swanctl(t *testing.T, socket string, args ...string) (out string, code int) {
	t.Helper()
	settings := filepath.Join(t.TempDir(), "strongswan.conf") // not the host's
	if err := os.WriteFile(settings, []byte("swanctl {\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "swanctl", append(args, "--uri", "unix://"+socket)...)
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+settings, "TZ=UTC")
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// strongSwan's own client understands what the server says.
func TestStockSwanctl(t *testing.T) {
	lab.Need(t, "swanctl")
	f := newFake()
	f.steps = []LogLine{{Level: 1, Subsystem: "ike", Conn: "site", IKE: 1, Text: "phase 1 established"}}
	path := serve(t, f, Options{})
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"--version", "--daemon"}, []string{"strongSwan 1.2.3 goike (Linux, 6.1, x86_64)"}},
		{[]string{"--stats"}, []string{"uptime: 11 seconds, since ", "worker threads: 4 total, 3 idle, working: 0/0/1/0",
			"job queues: 0/0/5/0", "jobs scheduled: 2", "IKE_SAs: 2 total, 1 half-open", "loaded plugins:"}},
		{[]string{"--list-conns"}, []string{
			"site: IKEv2, no reauthentication, rekeying every 14400s", "  local:  192.0.2.2", "  remote: 198.51.100.2",
			"  local pre-shared key authentication:\n    id: a.example.org", "  lan: TUNNEL, rekeying every 3600s",
			"    local:  10.1.0.0/16 fd01:0:0:1::/64", "    remote: 10.2.0.0/16 fd02:0:0:1::/64", "  tr: TRANSPORT, rekeying every 3600s",
			"    local:  dynamic", "hq: IKEv1/2, no reauthentication, no rekeying", "  remote: hq.example.org"}},
		{[]string{"--list-sas"}, []string{
			"site: #1, ESTABLISHED, IKEv2, 0afeb07184f52d88_i* 63ce875fbc58cdb3_r", "  local  'a.example.org' @ 192.0.2.2[4500]",
			"  remote 'b.example.org' @ 198.51.100.2[4500]", "  AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519",
			"  established 10s ago, rekeying in 13299s", "  lan: #2, reqid 1, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-256",
			"    installed 10s ago, rekeying in 3382s, expires in 3950s", "    in  d53b77cc,     84 bytes,     1 packets,     0s ago",
			"    out c8571dfb,     84 bytes,     1 packets,     0s ago", "    local  10.1.0.0/16 fd01:0:0:1::/64",
			"    remote 10.2.0.0/16 fd02:0:0:1::/64", "v6: #2, ESTABLISHED"}},
		{[]string{"--list-sas", "--ike", "v6"}, []string{"v6: #2"}},
		{[]string{"--initiate", "--child", "lan", "--timeout", "20"}, []string{"[IKE] phase 1 established", "initiate completed successfully"}},
		{[]string{"--terminate", "--ike", "site", "--timeout", "20"}, []string{"[IKE] phase 1 established", "terminate completed successfully"}},
		{[]string{"--redirect", "--ike", "site", "--gateway", "198.51.100.3"}, []string{"redirect completed successfully"}},
		{[]string{"--list-certs"}, nil},
		{[]string{"--list-authorities"}, nil},
		{[]string{"--list-pools"}, nil},
	} {
		out, code := swanctl(t, path, test.args...)
		if code != 0 {
			t.Errorf("swanctl %v: exit code %d", test.args, code)
		}
		for _, want := range test.want {
			if !strings.Contains(out, want) {
				t.Errorf("swanctl %v does not print %q: %s", test.args, want, out)
			}
		}
	}
	f.set(func() { f.err = errRefused })
	for _, command := range []string{"--initiate", "--terminate"} {
		out, code := swanctl(t, path, command, "--ike", "site")
		if code == 0 || !strings.Contains(out, "failed: "+errRefused.Error()) {
			t.Errorf("swanctl %s: exit code %d: %s", command, code, out)
		}
	}
	if out, code := swanctl(t, path, "--rekey", "--ike", "site"); code == 0 {
		t.Errorf("swanctl --rekey: %s", out)
	}
}

const charonConns = `connections {
	site { version = 2
		remote_addrs = 198.51.100.2
		local { auth = psk
			id = a.example.org }
		remote { auth = psk }
		children { lan { remote_ts = 10.2.0.0/16 } }
	}
}`

// The client understands strongSwan's own server.
func TestClientOfCharon(t *testing.T) {
	lab.Need(t, lab.Programs...)
	at, err := lab.ForTest(t).Namespace("charon", false)
	if err != nil {
		t.Fatal(err)
	}
	swan, err := lab.StartStrongSwan(at, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := swan.Load(charonConns); err != nil {
		t.Fatal(err)
	}
	c := dial(t, strings.TrimPrefix(swan.URI, "unix://"))
	if got := ask(t, c, "version", nil); !strings.HasPrefix(got, "{daemon=charon version=") {
		t.Error(got)
	}
	if got := ask(t, c, "list-conns", []string{"list-conn"}); !strings.HasPrefix(got, "list-conn {site {local_addrs=[%any] remote_addrs=[198.51.100.2] version=IKEv2 ") ||
		!strings.HasSuffix(got, " local-ts=[dynamic] remote-ts=[10.2.0.0/16]}}}}\n{}") {
		t.Error(got)
	}
	if got := ask(t, c, "initiate", []string{"control-log"}, "child", "nosuch"); got != "{success=no errmsg=CHILD_SA config 'nosuch' not found}" {
		t.Error(got)
	}
	if _, err := c.Status(within(t), ""); !errors.Is(err, ErrUnknown) {
		t.Errorf("goike-status of charon: %v", err)
	}
	if got := ask(t, c, "get-pools", nil); got != "{}" {
		t.Error(got)
	}
}
