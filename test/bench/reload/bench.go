//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/goike/goike/test/lab"
)

// tomlConfig and swanctlConfig are n connections, each with a gateway, a key and
// networks of its own. changed is the number of the one that has another DPD delay.
func tomlConfig(n, changed int) string {
	var s strings.Builder
	s.WriteString("[dataplane]\nbackend = \"userspace\"\n\n[log]\nlevel = \"warn\"\n")
	for i := range n {
		fmt.Fprintf(&s, "\n[[phase1]]\nname = \"site%d\"\nremote_gateway = \"203.0.%d.%d\"\npre_shared_key = \"%s\"\ndpd_delay = \"%ds\"\nconnection_behavior = \"responder-only\"\n",
			i, i/200, i%200+1, key(i), delay(i, changed))
		fmt.Fprintf(&s, "  [[phase1.phase2]]\n  name = \"lan\"\n  local_network = \"10.0.0.0/16\"\n  remote_network = \"10.%d.%d.0/24\"\n", 1+i/200, i%200)
	}
	return s.String()
}

func swanctlConfig(n, changed int) string {
	var s, secrets strings.Builder
	s.WriteString("connections {\n")
	for i := range n {
		remote := fmt.Sprintf("203.0.%d.%d", i/200, i%200+1)
		fmt.Fprintf(&s, "site%d {\nversion = 2\nremote_addrs = %s\ndpd_delay = %ds\nlocal { auth = psk }\nremote { auth = psk\nid = %s }\n", i, remote, delay(i, changed), remote)
		fmt.Fprintf(&s, "children { lan { local_ts = 10.0.0.0/16\nremote_ts = 10.%d.%d.0/24 } }\n}\n", 1+i/200, i%200)
		fmt.Fprintf(&secrets, "ike-%d { id = %s\nsecret = \"%s\" }\n", i, remote, key(i))
	}
	return s.String() + "}\nsecrets {\n" + secrets.String() + "}\n"
}

func key(i int) string { return fmt.Sprintf("a key for site %d, and long enough", i) }

func delay(i, changed int) int {
	if i == changed {
		return 17
	}
	return 30
}

// daemon is a running daemon with a configuration.
type daemon interface {
	// reload loads the configuration in which one connection is another than before.
	reload(n, changed int) error
	// connections is how many it has.
	connections() (int, error)
	stop()
}

type bench struct {
	net  *lab.Network
	bins lab.Binaries
}

func newBench(l *lab.Lab) (*bench, error) {
	n, err := lab.NewNetwork(l)
	if err != nil {
		return nil, err
	}
	bin, err := l.Mkdir("bin")
	if err != nil {
		return nil, err
	}
	bins, err := lab.Build(bin)
	return &bench{net: n, bins: bins}, err
}

// goiked is one whose configuration is a file.
type goiked struct {
	*lab.Goiked
	write func(n, changed int) string
	at    *lab.Namespace
}

func (b *bench) goikedToml(n int) (daemon, time.Duration, error) {
	return b.goiked(n, "goike.toml", tomlConfig)
}

func (b *bench) goikedSwanctl(n int) (daemon, time.Duration, error) {
	return b.goiked(n, "swanctl.conf", swanctlConfig)
}

func (b *bench) goiked(n int, file string, write func(n, changed int) string) (daemon, time.Duration, error) {
	config := write(n, -1)
	begin := time.Now()
	g, err := lab.StartGoiked(b.net.B, b.bins, config, lab.GoikedOptions{ConfigName: file, Args: []string{"--log-level", "info"}})
	return &goiked{g, write, b.net.B}, time.Since(begin), err
}

func (g *goiked) reload(n, changed int) error {
	if err := os.WriteFile(g.Config, []byte(g.write(n, changed)), 0o600); err != nil {
		return err
	}
	out, _, err := g.Ctl("--json", "reload")
	if verdicts := strings.Count(out, `"verdict": "in place"`); err == nil && verdicts == 0 {
		err = errors.New("nothing has changed")
	}
	return err
}

func (g *goiked) connections() (int, error) { return listed(g.at, g.URI) }

func (g *goiked) stop() { g.Stop() }

// charon is strongSwan's daemon.
type charon struct {
	*lab.StrongSwan
	at *lab.Namespace
}

func (b *bench) charon(n int) (daemon, time.Duration, error) {
	config := swanctlConfig(n, -1)
	begin := time.Now()
	s, err := lab.StartStrongSwan(b.net.B, "\tinstall_routes = no\n\tfilelog { log { default = 0 } }\n")
	if err != nil {
		return nil, 0, err
	}
	err = s.Load(config)
	return &charon{s, b.net.B}, time.Since(begin), err
}

func (c *charon) reload(n, changed int) error { return c.Load(swanctlConfig(n, changed)) }

func (c *charon) connections() (int, error) { return listed(c.at, c.URI) }

func (c *charon) stop() { c.Stop() }

// listed counts the connections that a daemon lists.
func listed(at *lab.Namespace, uri string) (int, error) {
	out, err := at.Swanctl(uri, "--list-conns")
	return strings.Count(out, "\nsite") + strings.Count(out[:min(len(out), 4)], "site"), err
}

// figures are how long the daemon took from its start until all connections were loaded,
// and to load them again with one changed.
type figures struct{ load, reload time.Duration }

func measure(n, rounds int, start func(n int) (daemon, time.Duration, error)) (f figures, err error) {
	d, took, err := start(n)
	if d != nil {
		defer d.stop()
	}
	if err != nil {
		return f, err
	}
	f.load = took
	for i := range rounds {
		begin := time.Now()
		if err := d.reload(n, i*n/rounds); err != nil {
			return f, err
		}
		if took := time.Since(begin); i == 0 || took < f.reload {
			f.reload = took
		}
	}
	has, err := d.connections()
	if err == nil && has != n {
		err = fmt.Errorf("%d connections of %d are there", has, n)
	}
	return f, err
}
