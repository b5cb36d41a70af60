//go:build linux

package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// charonPath is where Debian has strongSwan's daemon.
const charonPath = "/usr/lib/ipsec/charon"

// charonPlugins are the plugins a site-to-site peer with pre-shared keys needs,
// but the one that holds the SAs.
const charonPlugins = "random nonce x509 pkcs1 pkcs8 pem openssl aes sha1 sha2 hmac curve25519 chapoly " +
	"gcm ccm ctr cmac xcbc md5 kdf %s socket-default vici updown counters"

// Where charon holds its SAs. kernel-libipsec comes before kernel-netlink, so
// that they are held in user space: test kernels may have no ESP. It does UDP
// encapsulation only.
const (
	charonUserspace = "kernel-libipsec kernel-netlink"
	charonKernel    = "kernel-netlink"
)

const charonConf = `charon {
	load = %s
	install_virtual_ip = no
	delete_rekeyed_delay = 1
	port = 500
	port_nat_t = 4500
	filelog {
		log {
			path = %s
			time_format = %%H:%%M:%%S
			default = 2
			enc = 1
			asn = 1
			flush_line = yes
		}
	}
	plugins {
		vici {
			socket = unix://%s
		}
	}
%s
}
`

// StrongSwan is strongSwan's charon in a namespace.
type StrongSwan struct {
	*Process
	Log string // file with charon's log at level 2
	URI string // of its VICI socket

	at  *Namespace
	dir string
}

// StartStrongSwan starts charon in the namespace, with SAs in user space, and
// waits until it answers. settings are further lines of the charon section of
// strongswan.conf.
func StartStrongSwan(at *Namespace, settings string) (*StrongSwan, error) {
	return startStrongSwan(at, charonUserspace, settings)
}

// StartStrongSwanKernel is StartStrongSwan with SAs in the kernel, for tests
// below KernelMain.
func StartStrongSwanKernel(at *Namespace, settings string) (*StrongSwan, error) {
	return startStrongSwan(at, charonKernel, settings)
}

func startStrongSwan(at *Namespace, plane, settings string) (*StrongSwan, error) {
	dir, err := os.MkdirTemp(at.lab.Dir, "charon-")
	if err != nil {
		return nil, err
	}
	run := filepath.Join(dir, "run")
	if err := os.Mkdir(run, 0o755); err != nil {
		return nil, err
	}
	socket := filepath.Join(run, "charon.vici")
	s := &StrongSwan{Log: filepath.Join(dir, "charon.log"), URI: "unix://" + socket, at: at, dir: dir}
	conf := fmt.Sprintf(charonConf, fmt.Sprintf(charonPlugins, plane), s.Log, socket, settings)
	if err := os.WriteFile(filepath.Join(dir, "strongswan.conf"), []byte(conf), 0o600); err != nil {
		return nil, err
	}
	s.Process, err = at.Start(filepath.Base(dir)+".out", Command{
		Args:   []string{charonPath},
		Env:    []string{"STRONGSWAN_CONF=" + filepath.Join(dir, "strongswan.conf")},
		Mounts: map[string]string{"/run": run},
	})
	if err != nil {
		return nil, err
	}
	// /run of charon is this directory, wherever it looks from.
	return s, Eventually(startLimit, func() error {
		if !s.Running() {
			return Final(fmt.Errorf("charon: %w: %s", ErrEnded, s.Output()))
		}
		_, err := s.Swanctl("--stats")
		return err
	})
}

// Swanctl runs swanctl on this charon.
func (s *StrongSwan) Swanctl(args ...string) (string, error) {
	return s.at.Swanctl(s.URI, args...)
}

// Swanctl runs the stock swanctl on the VICI socket of any daemon.
func (n *Namespace) Swanctl(uri string, args ...string) (string, error) {
	conf := filepath.Join(n.lab.Dir, "tools.conf") // not the host's
	if err := os.WriteFile(conf, []byte("swanctl {\n}\n"), 0o600); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	return n.RunCommand(ctx, Command{
		Args: append([]string{"swanctl", args[0], "--uri", uri}, args[1:]...),
		Env:  []string{"STRONGSWAN_CONF=" + conf},
	})
}

// Load replaces connections and secrets by those of a swanctl.conf.
func (s *StrongSwan) Load(conf string) error {
	file := filepath.Join(s.dir, "swanctl.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return err
	}
	out, err := s.Swanctl("--load-all", "--clear", "--noprompt", "--file", file)
	if err == nil && strings.Contains(out, "failed") {
		err = fmt.Errorf("swanctl --load-all: %s", out)
	}
	return err
}

// Initiate sets up a child and waits for it.
func (s *StrongSwan) Initiate(child string) error {
	out, err := s.Swanctl("--initiate", "--child", child, "--timeout", "20")
	if err != nil {
		return fmt.Errorf("%w: %s", err, tail(out, 8))
	}
	return nil
}

// SAs lists the IKE SAs of this charon.
func (s *StrongSwan) SAs() ([]SA, error) { return s.at.SAs(s.URI) }
