//go:build linux

package lab

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ikedUser is the user as which iked's unprivileged processes run. It exists in
// iked's own /etc only.
const ikedUser = 64997

// OpenIKED is OpenBSD's iked in a namespace. Its log is the output of the process.
type OpenIKED struct {
	*Process

	at   *Namespace
	dir  string
	tree string
	env  []string
}

// StartOpenIKED starts iked in the namespace with an iked.conf and waits until it
// is ready. A policy that is "active" is set up from then on. It holds its SAs in
// the kernel, by PF_KEY.
func StartOpenIKED(at *Namespace, conf string) (*OpenIKED, error) {
	tree, env, err := unpackedPackage("openiked")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(at.lab.Dir, "iked-")
	if err != nil {
		return nil, err
	}
	o := &OpenIKED{at: at, dir: dir, tree: tree, env: env}
	if err := o.prepare(conf); err != nil {
		return nil, err
	}
	o.Process, err = at.Start(filepath.Base(dir)+".log", Command{
		Args:   []string{filepath.Join(tree, "usr/sbin/iked"), "-d", "-vv"},
		Env:    env,
		Mounts: map[string]string{"/etc": o.file("etc"), "/run": o.file("run")},
	})
	if err != nil {
		return nil, err
	}
	return o, o.WaitLine(`config_getstatic: no stickyaddress`, startLimit) // the last of its settings
}

func (o *OpenIKED) file(name string) string { return filepath.Join(o.dir, name) }

// prepare makes iked's /etc: its user, its configuration, and a key of its own,
// without which it does not start.
func (o *OpenIKED) prepare(conf string) error {
	var errs []error
	for _, d := range []string{"run", "empty", "etc/iked/ca", "etc/iked/crls", "etc/iked/certs", "etc/iked/private",
		"etc/iked/pubkeys/ipv4", "etc/iked/pubkeys/ipv6", "etc/iked/pubkeys/fqdn", "etc/iked/pubkeys/ufqdn"} {
		errs = append(errs, os.MkdirAll(o.file(d), 0o755))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"etc/passwd":                 fmt.Sprintf("root:x:0:0::/root:/bin/sh\n_iked:x:%d:%d::%s:/bin/false\n", ikedUser, ikedUser, o.file("empty")),
		"etc/group":                  fmt.Sprintf("root:x:0:\n_iked:x:%d:\n", ikedUser),
		"etc/iked.conf":              conf,
		"etc/iked/private/local.key": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
	} {
		mode := os.FileMode(0o600)
		if filepath.Dir(name) == "etc" && name != "etc/iked.conf" {
			mode = 0o644
		}
		errs = append(errs, os.WriteFile(o.file(name), []byte(text), mode))
	}
	return errors.Join(errs...)
}

// Ctl runs ikectl, which steers iked.
func (o *OpenIKED) Ctl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	return o.at.RunCommand(ctx, Command{Env: o.env,
		Args: append([]string{filepath.Join(o.tree, "usr/sbin/ikectl"), "-s", o.file("run/iked.sock")}, args...)})
}

// SAs is what `ikectl show sa` tells.
func (o *OpenIKED) SAs() (string, error) { return o.Ctl("show", "sa") }
