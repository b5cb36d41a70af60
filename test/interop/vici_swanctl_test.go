//go:build linux

package interop

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/goike/goike/test/lab"
)

// stock is a call of the stock swanctl and what it has to print; with fails it has to fail.
type stock struct {
	args  string
	want  []string
	fails bool
}

// drive runs calls one after the other.
func drive(t *testing.T, at *lab.Namespace, uri string, calls []stock) {
	t.Helper()
	for _, c := range calls {
		out, err := at.Swanctl(uri, strings.Fields(c.args)...)
		all := out
		if err != nil {
			all += err.Error()
		}
		if (err != nil) != c.fails {
			t.Errorf("swanctl %s: %v %s", c.args, err, out)
		}
		for _, want := range c.want {
			if !strings.Contains(all, want) {
				t.Errorf("swanctl %s does not print %q: %s", c.args, want, all)
			}
		}
	}
}

// watcher is a stock swanctl that goes on printing.
type watcher struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	out strings.Builder
}

func (w *watcher) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(b)
}

func (w *watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.String()
}

// watch starts one, and ends it with the test.
func watch(t *testing.T, uri string, args ...string) *watcher {
	t.Helper()
	w := &watcher{cmd: exec.Command("swanctl", append([]string{args[0], "--uri", uri}, args[1:]...)...)}
	w.cmd.Stdout, w.cmd.Stderr = w, w
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if w.cmd.ProcessState == nil {
			_ = w.cmd.Process.Kill()
			_ = w.cmd.Wait() // it was killed
		}
	})
	return w
}

// stop ends a watcher as Ctrl-C does.
func (w *watcher) stop(t *testing.T) {
	t.Helper()
	if err := w.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// prints waits until a watcher has printed all of it.
func (w *watcher) prints(t *testing.T, want ...string) {
	t.Helper()
	if err := lab.Eventually(wait, func() error {
		for _, s := range want {
			if !strings.Contains(w.String(), s) {
				return fmt.Errorf("%q is not in %s", s, last(w.String(), 20))
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// The stock swanctl does everything with goiked, with goiked at the other end and with
// strongSwan.
func TestStockSwanctlDrives(t *testing.T) {
	for _, make := range []string{"goiked", "strongSwan"} {
		t.Run(make, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.ends(newLink())
			var other peer
			if make == "goiked" {
				other = b.start(t)
			} else {
				other = b.startSwan(t, "")
			}
			ga := a.start(t)
			monitor, log := watch(t, ga.URI, "--monitor-sa", "--raw"), watch(t, ga.URI, "--log")
			connected(t, ga, 2) // what they want is known long before the first SA
			drive(t, w.A, ga.URI, []stock{
				{args: "--list-pols", want: []string{"site/lan, TUNNEL", "local:  10.1.0.0/16 fd01:0:0:1::/64", "remote: 10.2.0.0/16"}},
				{args: "--uninstall --child lan", want: []string{"uninstall completed successfully"}},
				{args: "--list-pols --raw", want: []string{"list-policies reply {}"}},
				{args: "--uninstall --child lan", want: []string{"uninstall failed: policy 'lan' not found"}, fails: true},
				{args: "--install --child lan --ike site", want: []string{"install completed successfully"}},
				{args: "--install --child nobody", want: []string{"configuration name not found"}, fails: true},
				{args: "--list-pols --trap --raw", want: []string{"list-policy event {site/lan {child=lan ike=site mode=TUNNEL local-ts=[10.1.0.0/16 fd01:0:0:1::/64] remote-ts=["}},
				{args: "--rekey --child lan", want: []string{"no matching SAs to rekey found"}, fails: true},
				{args: "--initiate --child nobody", want: []string{"CHILD_SA config 'nobody' not found"}, fails: true},
				{args: "--initiate --child lan --timeout 20", want: []string{"initiate completed successfully"}},
				{args: "--list-sas --raw", want: []string{"list-sa event {site {uniqueid=", "state=ESTABLISHED", "child-sas {lan-", "state=INSTALLED", "list-sas reply {}"}},
				{args: "--list-conns", want: []string{"site: IKEv2", "lan: TUNNEL"}},
				{args: "--counters --name site", want: []string{"site:", "ike-init-out-req      : 1", "ike-auth-in-resp      : 1"}},
			})
			first := agree(t, ga, other, 1)
			drive(t, w.A, ga.URI, []stock{{args: "--rekey --child lan", want: []string{"rekey completed successfully"}}})
			changed(t, ga, func(sa lab.SA) string { return sa.Children[0].Values["spi-in"] }, first)
			w.carries(t)
			drive(t, w.A, ga.URI, []stock{{args: "--rekey --ike site --raw", want: []string{"rekey reply {success=yes matches=1}"}}})
			changed(t, ga, func(sa lab.SA) string { return sa.Values["initiator-spi"] + sa.Values["responder-spi"] }, first)
			second := agree(t, ga, other, 1)
			w.carries(t)
			drive(t, w.A, ga.URI, []stock{{args: "--rekey --reauth --ike-id " + second.Values["uniqueid"], want: []string{"rekey completed successfully"}}})
			changed(t, ga, func(sa lab.SA) string { return sa.Values["initiator-spi"] + sa.Values["responder-spi"] }, second)
			w.carries(t)
			drive(t, w.A, ga.URI, []stock{
				{args: "--counters --all", want: []string{"site:", "ike-rekey-init        : 1", "child-rekey           : 1", "ike-init-out-req      : 2"}},
				{args: "--counters --reset --all", want: []string{"reset-counters completed successfully"}},
				{args: "--counters --name site", want: []string{"no counters found for this connection"}, fails: true},
				{args: "--counters", want: []string{"global:", "ike-init-out-req      : 2"}},
				{args: "--stats", want: []string{"IKE_SAs: 1 total, 0 half-open"}},
				{args: "--list-algs", want: []string{"encryption:\n  ", "AES_CBC[goike]", "dh:\n  "}},
				{args: "--reload-settings"},
				{args: "--flush-certs"},
				{args: "--load-creds --noprompt"},
				{args: "--load-authorities", want: []string{"no authorities found, 0 unloaded"}},
				{args: "--load-pools", want: []string{"no pools found, 0 unloaded"}},
				{args: "--list-pools"},
				{args: "--list-certs"},
				{args: "--list-authorities"},
				{args: "--terminate --child lan --timeout 20", want: []string{"terminate completed successfully"}},
				{args: "--terminate --ike site --timeout 20", want: []string{"terminate completed successfully"}},
				{args: "--terminate --ike site", want: []string{"no matching SAs to terminate found"}, fails: true},
			})
			gone(t, ga, other)
			monitor.prints(t, "ike-updown event {up=yes site {", "child-updown event {up=yes site {", "ike-updown event {site {", "child-updown event {site {")
			log.stop(t) // it prints what it has when it ends
			log.prints(t, "[IKE] phase 1 established", "[CHD] site/lan: up")
		})
	}
}

// connected waits until as many clients of this namespace are connected to a daemon.
func connected(t *testing.T, g goike, clients int) {
	t.Helper()
	if err := lab.Eventually(wait, func() error {
		out, err := exec.Command("ss", "-xaH").CombinedOutput()
		if n := strings.Count(string(out), g.Socket()); err != nil || n < clients {
			return fmt.Errorf("%d clients, not %d: %w", n, clients, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// changed waits until what of says about the only IKE SA is no longer what it was.
func changed(t *testing.T, p peer, of func(lab.SA) string, was lab.SA) {
	t.Helper()
	if err := lab.Eventually(2*wait, func() error {
		sas, err := p.SAs()
		if err != nil {
			return err
		}
		if len(sas) != 1 || len(sas[0].Children) != 1 || of(sas[0]) == of(was) {
			return fmt.Errorf("still %v", sas)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
