//go:build linux

package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goike/goike/test/vm/store"
)

// debianLibraries is where Debian has the libraries of this architecture.
const debianLibraries = "usr/lib/x86_64-linux-gnu"

// unpackedPackage is the directory of a package that is not installed, and the
// environment in which its programs find their libraries.
func unpackedPackage(name string) (tree string, env []string, err error) {
	tree, err = store.Unpacked(name)
	return tree, []string{"LD_LIBRARY_PATH=" + filepath.Join(tree, debianLibraries)}, err
}

// Libreswan is libreswan's pluto in a namespace. Its log is the output of the
// process.
type Libreswan struct {
	*Process

	at   *Namespace
	dir  string
	tree string
	env  []string
}

// StartLibreswan starts pluto in the namespace, with an ipsec.conf and an
// ipsec.secrets, and waits until the connections with auto=add are loaded. It
// holds its SAs in the kernel.
func StartLibreswan(at *Namespace, conf, secrets string) (*Libreswan, error) {
	tree, env, err := unpackedPackage("libreswan")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(at.lab.Dir, "pluto-")
	if err != nil {
		return nil, err
	}
	l := &Libreswan{at: at, dir: dir, tree: tree, env: env}
	if err := l.prepare(conf, secrets); err != nil {
		return nil, err
	}
	l.Process, err = at.Start(filepath.Base(dir)+".log", Command{
		Args: []string{filepath.Join(tree, "usr/libexec/ipsec/pluto"), "--nofork", "--stderrlog",
			"--config", l.file("ipsec.conf"), "--secretsfile", l.file("ipsec.secrets"),
			"--rundir", l.file("run"), "--nssdir", l.file("nss"), "--ipsecdir", l.file("ipsec.d"), "--dumpdir", dir},
		Env:    env,
		Mounts: map[string]string{"/usr/libexec": filepath.Join(tree, "usr/libexec")}, // for addconn, whack
	})
	if err != nil {
		return nil, err
	}
	return l, l.WaitLine(`loading secrets from`, startLimit)
}

func (l *Libreswan) file(name string) string { return filepath.Join(l.dir, name) }

// prepare makes the files of pluto, and its certificate database, which it
// insists on.
func (l *Libreswan) prepare(conf, secrets string) error {
	for _, d := range []string{"run", "nss", "ipsec.d"} {
		if err := os.Mkdir(l.file(d), 0o700); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"ipsec.conf": conf, "ipsec.secrets": secrets} {
		if err := os.WriteFile(l.file(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	_, err := l.run(filepath.Join(l.tree, "usr/bin/certutil"), "-N", "-d", "sql:"+l.file("nss"), "--empty-password")
	return err
}

func (l *Libreswan) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	return l.at.RunCommand(ctx, Command{Args: args, Env: l.env})
}

// Whack runs whack, which steers pluto.
func (l *Libreswan) Whack(args ...string) (string, error) {
	return l.run(append([]string{filepath.Join(l.tree, "usr/libexec/ipsec/whack"), "--ctlsocket", l.file("run/pluto.ctl")},
		args...)...)
}

// Up sets up a connection and waits for it.
func (l *Libreswan) Up(name string) error {
	out, err := l.Whack("--initiate", "--name", name)
	if err == nil && !strings.Contains(out, "established") {
		err = fmt.Errorf("%s is not up", name)
	}
	if err != nil {
		return fmt.Errorf("whack: %w: %s", err, tail(out, 8))
	}
	return nil
}

// Down takes a connection down, with its IKE SA.
func (l *Libreswan) Down(name string) error {
	out, err := l.Whack("--terminate", "--name", name)
	if err != nil {
		return fmt.Errorf("whack: %w: %s", err, tail(out, 8))
	}
	return nil
}

// Traffic is what `whack --trafficstatus` tells: a line for each child SA, with
// the octets that it has carried.
func (l *Libreswan) Traffic() (string, error) { return l.Whack("--trafficstatus") }
