package sim

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/toml"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/ike/wire"
)

// settings are values of goike.toml by their keys.
type settings map[string]string

func (s settings) with(more settings) settings {
	s = maps.Clone(s)
	maps.Copy(s, more)
	return s
}

func (s settings) String() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s = %s\n", key, s[key])
	}
	return b.String()
}

// end is the configuration of one of two daemons.
type end struct {
	before         string // other sections
	phase1, phase2 settings
}

func endA() end {
	return end{
		phase1: settings{
			"name": `"site"`, "remote_gateway": `"198.51.100.2"`, "pre_shared_key": `"a key for the simulation"`,
		},
		phase2: settings{"name": `"lan"`, "local_network": `"10.1.0.0/16"`, "remote_network": `"10.2.0.0/16"`},
	}
}

func endB() end {
	e := endA()
	e.phase1["remote_gateway"], e.phase1["connection_behavior"] = `"192.0.2.2"`, `"responder-only"`
	e.phase2["local_network"], e.phase2["remote_network"] = e.phase2["remote_network"], e.phase2["local_network"]
	return e
}

// without leaves keys out.
func (s settings) without(keys ...string) settings {
	s = maps.Clone(s)
	for _, key := range keys {
		delete(s, key)
	}
	return s
}

func (e end) config(t *testing.T) *conf.Config {
	t.Helper()
	c, _, err := toml.Parse("goike.toml", fmt.Appendf(nil, "%s\n[[phase1]]\n%s[[phase1.phase2]]\n%s", e.before, e.phase1, e.phase2))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lab is a world with two daemons that read goike.toml.
type lab struct {
	*World
	t    *testing.T
	a, b *Host
	seen []wire.Header // of all messages
	most int           // octets of the largest
}

func run(t *testing.T, a, b end) *lab {
	t.Helper()
	l := &lab{World: New(1, calm), t: t}
	l.Drop = func(_, _ netip.AddrPort, data []byte) bool {
		l.most = max(l.most, len(data))
		if h, err := wire.ParseHeader(data); err == nil {
			l.seen = append(l.seen, h)
		}
		return false
	}
	l.b = l.Host("b", addrB, b.config(t))
	l.a = l.Host("a", addrA, a.config(t))
	return l
}

// with sets keys at both ends.
func with(t *testing.T, phase1, phase2 settings) *lab {
	t.Helper()
	a, b := endA(), endB()
	a.phase1, a.phase2 = a.phase1.with(phase1), a.phase2.with(phase2)
	b.phase1, b.phase2 = b.phase1.with(phase1), b.phase2.with(phase2)
	return run(t, a, b)
}

// here sets keys at A alone.
func here(t *testing.T, phase1, phase2 settings) *lab {
	t.Helper()
	a := endA()
	a.phase1, a.phase2 = a.phase1.with(phase1), a.phase2.with(phase2)
	return run(t, a, endB())
}

// up waits for the tunnel, and returns A's IKE SA.
func (l *lab) up() ike.Status {
	l.t.Helper()
	if !l.Run(10*time.Second, l.isUp) {
		l.t.Fatalf("no tunnel: %v\n%s", Settled(l.a, l.b, 1, flow), tail(l.Trace))
	}
	return l.a.Shard.Statuses()[0]
}

func (l *lab) isUp() bool { return Settled(l.a, l.b, 1, flow) == nil }

// child is A's child SA.
func (l *lab) child() ike.ChildStatus {
	l.t.Helper()
	return l.up().Children[0]
}

// out and in are A's SAs.
func (l *lab) out() esp.SA { l.t.Helper(); l.up(); return l.a.Plane.SAs(esp.Out)[0] }
func (l *lab) in() esp.SA  { l.t.Helper(); l.up(); return l.a.Plane.SAs(esp.In)[0] }

// policy is A's policy of a direction that the child has.
func (l *lab) policy(dir esp.Direction) esp.Policy {
	l.t.Helper()
	l.up()
	for _, p := range l.a.Plane.Policies() {
		if p.Dir == dir && p.Owner != 0 {
			return p
		}
	}
	l.t.Fatal("no policy")
	return esp.Policy{}
}

// failed waits until an attempt of A's has failed, and returns why.
func (l *lab) failed() *ike.Refusal {
	l.t.Helper()
	if !l.Run(time.Hour, func() bool { return l.conn().LastError != nil }) {
		l.t.Fatalf("nothing failed\n%s", tail(l.Trace))
	}
	return l.conn().LastError
}

// refused waits until B has refused something, and returns why.
func (l *lab) refused() *ike.Refusal {
	l.t.Helper()
	var why *ike.Refusal
	if !l.Run(time.Hour, func() bool {
		for _, r := range ofKind(l.b, ike.Failed) {
			why = r.Why
		}
		return why != nil
	}) {
		l.t.Fatalf("nothing was refused\n%s", tail(l.Trace))
	}
	return why
}

// conn is what A's connection does, once A knows it.
func (l *lab) conn() control.ConnState {
	for _, c := range l.a.Steward.Conns() {
		return c
	}
	return control.ConnState{}
}

// exchanges counts the messages of an exchange.
func (l *lab) exchanges(x wire.ExchangeType) (n int) {
	for _, h := range l.seen {
		if h.Exchange == x {
			n++
		}
	}
	return n
}

// marked are the times at which A has done something that is counted.
func (l *lab) marked(m ike.Mark) (n int) {
	for _, r := range l.a.Reports {
		if r.Mark == m {
			n++
		}
	}
	return n
}

// silent lets B die, and runs on for a time.
func (l *lab) silent(d time.Duration) {
	l.t.Helper()
	l.up()
	l.b.Die()
	l.Rest(d)
}

// equal compares what a key has done with what it must have done.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}

// keyFile is a file with a pre-shared key.
func keyFile(t *testing.T, key string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.key")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%q", path)
}

// secret is B with its key in a section [[secret]].
func secret(lines string) end {
	b := endB()
	b.phase1 = b.phase1.without("pre_shared_key")
	b.before = "[[secret]]\n" + lines + "\n"
	return b
}

// margin is how long before its end an SA is replaced.
func margin(rekey, expire ike.Instant) time.Duration { return expire.Sub(rekey) }

// The shorthands of the table below.
const (
	otherKey = `"another key for the simulation"`
	strong   = `["aes256gcm16-prfsha384-ecp384"]`
)

// Every key has the effect that goike.toml(5) tells of: what it changes is looked at in a
// daemon that reads it.
func TestKeys(t *testing.T) {
	for key, proof := range proofs {
		t.Run(key, proof)
	}
}

// Every key of the manual page has a proof, here or in a test that is named.
func TestKeysAreProven(t *testing.T) {
	sections := map[string]string{"[[phase1]]": "phase1", "[[phase1.phase2]]": "phase2", "[[secret]]": "secret"}
	page, err := os.ReadFile("../../docs/goike.toml.5.md")
	if err != nil {
		t.Fatal(err)
	}
	section, n := "", 0
	for line := range strings.Lines(string(page)) {
		switch {
		case strings.HasPrefix(line, "## "):
			section = strings.TrimSpace(line[strings.LastIndex(line, " ")+1:])
			if section = strings.Trim(section, "[]"); sections["[["+section+"]]"] != "" {
				section = sections["[["+section+"]]"]
			}
		case strings.HasPrefix(line, "**"):
			name, rest, _ := strings.Cut(strings.TrimPrefix(line, "**"), "**")
			key := section + " " + name
			n++
			if proofs[key] == nil && shown(t, key) == nil {
				continue
			}
			if proofs[key] == nil {
				t.Errorf("%s: %v (%s)", key, shown(t, key), strings.TrimSpace(rest))
			}
		}
	}
	if n < 90 {
		t.Errorf("%d keys found", n)
	}
}

var errNoProof = errors.New("no test shows what it does")

// shown is nil for a key that a test elsewhere is about.
func shown(t *testing.T, key string) error {
	t.Helper()
	where := elsewhere[key]
	if where == "" {
		return errNoProof
	}
	dir, name, _ := strings.Cut(where, " ")
	files, err := filepath.Glob("../../" + dir + "/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), "func "+name+"(") {
			return nil
		}
	}
	return fmt.Errorf("there is no %s in %s", name, dir)
}

// later names the test that keys of features that do not exist yet are refused.
const later = "conf/toml TestBadKeys"

// elsewhere are tests about keys that two daemons in a simulated network do not show.
var elsewhere = map[string]string{
	"phase1 certificate": later, "phase1 private_key": later, "phase1 ca": later, "phase1 negotiation_mode": later,
	"phase1 dpd_failures": later, "ipsec cisco_extensions": later, "ipsec unencrypted_main_mode": later, "ipsec mss_clamp": later,
	"ipsec strict_crl": later, "network interface": later, "firewall manage": later,
	"phase1 authentication": later, "phase1 local_auth": later, "phase1 remote_auth": later, "phase1 key_exchange": later,

	"phase1 remote_gateway": "test/interop TestSeveralGateways", "phase1 remote_port": "ike/engine TestLocate",
	"phase1 local_address": "ike/engine TestLocate", "phase1 follow_redirects": "test/interop TestNotRedirected",
	"phase2 description": "cmd/goikectl TestStatus",

	"ipsec configuration_mode": "test/interop TestSwanctlConf", "ipsec conf_files": "test/interop TestSwanctlConf",
	"ipsec exclude_my_network": "test/kernel TestExcludeMyNetwork", "network route_based": "test/kernel TestRouteBased",
	"network install_routes": "test/interop TestKeysOfTheDaemon", "control socket": "test/interop TestKeysOfTheDaemon",
	"metrics listen": "test/interop TestKeysOfTheDaemon", "log level": "test/interop TestKeysOfTheDaemon",
	"log format": "test/interop TestKeysOfTheDaemon", "log levels": "test/interop TestKeysOfTheDaemon",
	"dataplane backend": "test/kernel TestMany",
	"limits cookie":     "ike/engine TestHalfOpenLimits", "limits per_address": "ike/engine TestHalfOpenLimits", "limits total": "ike/engine TestHalfOpenLimits",
}
