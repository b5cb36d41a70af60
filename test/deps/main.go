// Command deps installs the Debian packages that the tests and `make run` need,
// when they are missing, and says which. It starts no service.
//
//	deps GROUP...
//
// The groups are net (namespaces, ping, iperf3, nftables), strongswan (the peer
// of the interoperability tests), vm (a virtual machine with a kernel of its own,
// and peers to unpack in it), wireshark (which reads what goikectl pcap writes) and
// race (a C compiler for the race detector).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/goike/goike/test/vm/store"
)

// need is a file and the package that has it. A name without a slash is looked
// for in PATH.
type need struct{ file, pkg string }

const plugins = "/usr/lib/ipsec/plugins/libstrongswan-"

var groups = map[string][]need{
	"net": {
		{"ip", "iproute2"}, {"ss", "iproute2"}, {"ping", "iputils-ping"}, {"iperf3", "iperf3"},
		{"nft", "nftables"}, {"mount", "mount"}, {"tcpdump", "tcpdump"},
	},
	"strongswan": {
		{"swanctl", "strongswan-swanctl"}, {"/usr/lib/ipsec/charon", "strongswan-charon"},
		{"/usr/sbin/charon-systemd", "charon-systemd"},
		{plugins + "kernel-libipsec.so", "libcharon-extra-plugins"},
		{plugins + "curve25519.so", "libstrongswan-extra-plugins"},
		{plugins + "gcm.so", "libstrongswan-standard-plugins"},
	},
	"vm": {
		{"qemu-system-x86_64", "qemu-system-x86"}, {"/usr/lib/qemu/virtiofsd", "qemu-system-common"},
		{"/bin/busybox", "busybox-static"}, {"modprobe", "kmod"},
	},
	"wireshark": {{"tshark", "tshark"}},
	"race":      {{"gcc", "gcc"}, {"/usr/include/stdlib.h", "libc6-dev"}},
}

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := install(ctx, flag.Args(), exists, apt, policyFile, os.Stdout)
	if err == nil && slices.Contains(flag.Args(), "vm") {
		err = store.Fetch(ctx, os.Stdout)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "deps:", err)
		os.Exit(1)
	}
}

// install brings what is missing of the groups.
func install(ctx context.Context, names []string, have func(string) bool,
	apt func(context.Context, ...string) error, policy string, out io.Writer) error {
	missing, err := missingOf(names, have)
	if err != nil || len(missing) == 0 {
		return err
	}
	list := strings.Join(missing, " ")
	if os.Geteuid() != 0 {
		return fmt.Errorf("these packages are missing, and only root can install them: %s", list)
	}
	_, _ = fmt.Fprintf(out, "installing with apt-get, without starting services: %s\n", list)
	done, err := forbidServices(policy)
	if err != nil {
		return err
	}
	defer done()
	args := append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)
	if listsEmpty() || apt(ctx, args...) != nil {
		if err := apt(ctx, "update", "-qq"); err != nil {
			return fmt.Errorf("apt-get update: %w", err)
		}
		if err := apt(ctx, args...); err != nil {
			return fmt.Errorf("apt-get install %s: %w", list, err)
		}
	}
	if missing, _ = missingOf(names, have); len(missing) > 0 {
		return fmt.Errorf("installed, but what is needed of them is not where Debian 12 has it: %s", strings.Join(missing, " "))
	}
	return nil
}

// missingOf returns the packages of the groups of which a file is missing.
func missingOf(names []string, have func(string) bool) ([]string, error) {
	if len(names) == 0 {
		return nil, errors.New("which group? net, strongswan, vm, wireshark or race")
	}
	var missing []string
	for _, g := range names {
		needs, ok := groups[g]
		if !ok {
			return nil, fmt.Errorf("no group %q; there are net, strongswan, vm, wireshark and race", g)
		}
		for _, n := range needs {
			if !have(n.file) && !slices.Contains(missing, n.pkg) {
				missing = append(missing, n.pkg)
			}
		}
	}
	return missing, nil
}

func exists(file string) bool {
	_, err := exec.LookPath(file)
	if strings.Contains(file, "/") {
		_, err = os.Stat(file)
	}
	return err == nil
}

func listsEmpty() bool {
	found, err := filepath.Glob("/var/lib/apt/lists/*_Packages*")
	return err == nil && len(found) == 0
}

func apt(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd.Run()
}

// policyFile is asked by Debian's packages before they start a service.
const policyFile = "/usr/sbin/policy-rc.d"

// forbidServices puts a policy file that lets no service start, where there is
// none, and returns what takes it away again.
func forbidServices(file string) (undo func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() {}, nil // the administrator's own, who knows why
	}
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString("#!/bin/sh\nexit 101\n")
	return func() { _ = os.Remove(file) }, errors.Join(err, f.Close())
}
