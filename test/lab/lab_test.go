//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newNetwork(t *testing.T) *Network {
	t.Helper()
	Need(t, Programs...)
	n, err := NewNetwork(ForTest(t))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const charonSide = `
connections {
	site {
		version = 2
		local_addrs = %s
		remote_addrs = %s
		proposals = aes256gcm16-prfsha384-curve25519
		encap = yes
		local { auth = psk }
		remote { auth = psk }
		children {
			lan { local_ts = %s
			      remote_ts = %s
			      esp_proposals = aes256gcm16 }
		}
	}
}
secrets {
	ike { secret = "a secret of the lab" }
}
`

// The lab is proven with strongSwan on both ends: what is asserted of goiked
// later holds for two daemons that are known to be right.
func TestStrongSwanOnBothEnds(t *testing.T) {
	n := newNetwork(t)
	wire, err := n.Internet.Capture("toB", NetA4, NetB4, NetA6, NetB6)
	if err != nil {
		t.Fatal(err)
	}
	a, err := StartStrongSwan(n.A, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := StartStrongSwan(n.B, "")
	if err != nil {
		t.Fatal(err)
	}
	errA := a.Load(fmt.Sprintf(charonSide, OuterA4, OuterB4, "10.1.0.0/16,fd01:0:0:1::/64", "10.2.0.0/16,fd02:0:0:1::/64"))
	errB := b.Load(fmt.Sprintf(charonSide, OuterB4, OuterA4, "10.2.0.0/16,fd02:0:0:1::/64", "10.1.0.0/16,fd01:0:0:1::/64"))
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if err := a.Initiate("lan"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		n.HostA.Ping(HostA4, HostB4, 5*time.Second), n.HostB.Ping(HostB4, HostA4, 5*time.Second),
		n.HostA.Ping(HostA6, HostB6, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	rate, err := Measure(n.HostA, n.HostB, Iperf{From: HostA4, To: HostB4, Seconds: 1})
	if err != nil || rate.Bits < 1e6 {
		t.Fatalf("%v %v", rate, err)
	}
	checkSAs(t, a, b)
	if err := wire.Clean(); err != nil {
		t.Error(err)
	}
	if s := wire.Seen(); s.UDPESP == 0 || s.IKE < 4 {
		t.Errorf("the capture has seen %s", s)
	}
}

func checkSAs(t *testing.T, a, b *StrongSwan) {
	t.Helper()
	atA, errA := a.SAs()
	atB, errB := b.SAs()
	if errA != nil || errB != nil || len(atA) != 1 || len(atB) != 1 || len(atA[0].Children) != 1 || len(atB[0].Children) != 1 {
		t.Fatalf("%v %v %v %v", atA, errA, atB, errB)
	}
	if atA[0].Suite() != atB[0].Suite() || atA[0].Suite() != "AES_GCM_16-256-PRF_HMAC_SHA2_384-CURVE_25519" {
		t.Errorf("suites %s and %s", atA[0].Suite(), atB[0].Suite())
	}
	x, y := atA[0].Children[0], atB[0].Children[0]
	if x.Values["spi-in"] != y.Values["spi-out"] || x.Values["spi-in"] == "" || len(x.Lists["local-ts"]) != 2 {
		t.Errorf("children %v and %v", x, y)
	}
}

// The checker must see what would be wrong: without any IPsec the pings of the
// inner networks cross in the clear, and that is an offence.
func TestPlaintextIsSeen(t *testing.T) {
	n := newNetwork(t)
	wire, err := n.Internet.Capture("toB", NetA4, NetB4)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.A.Ping(OuterA4, InternetB, 5*time.Second); err != nil { // same wire, other side: not on toB
		t.Fatal(err)
	}
	if err := wire.Clean(); err != nil {
		t.Fatal(err)
	}
	if err := n.HostA.PingOnce(HostA4, HostB4); err == nil {
		t.Fatal("the internet routes private addresses")
	}
	if err := n.Internet.PingOnce(InternetB, OuterB4); err != nil {
		t.Fatal(err)
	}
	if err := Eventually(5*time.Second, func() error {
		if wire.Clean() == nil {
			return errors.New("a plain echo request was not seen")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := wire.Clean(); !errors.Is(err, ErrPlaintext) {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.pcap")
	if err := wire.Write(file); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(file); err != nil || st.Size() < 100 {
		t.Fatal(st, err)
	}
}

func TestNATHidesSiteA(t *testing.T) {
	n := newNetwork(t)
	if err := n.NAT(); err != nil {
		t.Fatal(err)
	}
	if from := udpSource(t, n); from != InternetB.String() {
		t.Errorf("B sees A as %s, want the NAT's %s", from, InternetB)
	}
	if err := n.Open(); err != nil {
		t.Fatal(err)
	}
	if from := udpSource(t, n); from != OuterA4.String() {
		t.Errorf("B sees A as %s without a NAT", from)
	}
}

// udpSource sends a datagram from A to B and returns the source that B sees.
func udpSource(t *testing.T, n *Network) string {
	t.Helper()
	var at net.PacketConn
	if err := n.B.Do(func() (err error) {
		at, err = net.ListenPacket("udp4", OuterB4.String()+":0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = at.Close() }()
	if err := n.A.Do(func() error {
		c, err := net.Dial("udp4", at.LocalAddr().String())
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		_, err = c.Write([]byte("x"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := at.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, from, err := at.ReadFrom(make([]byte, 10))
	if err != nil {
		t.Fatal(err)
	}
	return from.(*net.UDPAddr).IP.String()
}

func TestCloseLeavesNothing(t *testing.T) {
	Need(t)
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	n, err := l.Namespace("x", false)
	if err != nil {
		t.Fatal(err)
	}
	p, err := n.Start("sleep.log", Command{Args: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if p.Running() {
		t.Error("a process is left")
	}
	if _, err := os.Stat(filepath.Join(netnsDir, n.Name)); !errors.Is(err, os.ErrNotExist) {
		t.Error("the namespace is left:", err)
	}
	if _, err := os.Stat(l.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("the directory is left:", err)
	}
}

// A run that was killed leaves namespaces, processes and files; the next one
// takes them away, and nothing of a run that lives.
func TestLeftoversOfKilledRun(t *testing.T) {
	Need(t)
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%s%d-1-", prefix, gone.Process.Pid)
	dir, err := os.MkdirTemp("", name)
	if err != nil {
		t.Fatal(err)
	}
	dead := &Lab{Dir: dir, name: name}
	n, err := dead.Namespace("x", false)
	if err != nil {
		t.Fatal(err)
	}
	p, err := n.Start("sleep.log", Command{Args: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	alive := ForTest(t) // runs removeLeftovers
	if _, ended := p.Wait(5 * time.Second); !ended {
		t.Error("the process of the killed run still runs")
	}
	if _, err := os.Stat(filepath.Join(netnsDir, n.Name)); !errors.Is(err, os.ErrNotExist) {
		t.Error("its namespace is left:", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("its directory is left:", err)
	}
	if err := removeLeftovers(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(alive.Dir); err != nil {
		t.Error("the directory of a living run was removed:", err)
	}
}

func TestPrivateMountsAndExitCodes(t *testing.T) {
	Need(t)
	l := ForTest(t)
	n, err := l.Namespace("x", false)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := l.Mkdir("run")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := n.RunCommand(ctx, Command{Args: []string{"touch", "/run/goike-was-here"},
		Mounts: map[string]string{"/run": dir}}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "goike-was-here")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("/run/goike-was-here"); err == nil {
		t.Error("the mount was not private")
	}
	p, err := n.Start("false.log", Command{Args: []string{"sh", "-c", "echo $GREETING; exit 3"}, Env: []string{"GREETING=hello"}})
	if err != nil {
		t.Fatal(err)
	}
	if code, ended := p.Wait(5 * time.Second); !ended || code != 3 {
		t.Errorf("code %d, ended %v", code, ended)
	}
	if err := p.WaitLine("^hello$", time.Second); err != nil {
		t.Error(err)
	}
	if err := p.WaitLine("^nothing$", time.Second); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
}

func TestTail(t *testing.T) {
	if got := tail(strings.Repeat("a\n", 5)+"b\n", 2); got != "a\nb" {
		t.Errorf("%q", got)
	}
}
