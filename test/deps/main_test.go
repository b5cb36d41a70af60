package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a machine without the packages, and its apt-get.
type machine struct {
	policy    string
	installed map[string]bool
	stale     bool // its package lists are too old to install anything
	ran       []string
	guarded   bool // services were forbidden whenever something was installed
}

func (m *machine) have(file string) bool { return m.installed[file] }

func (m *machine) apt(_ context.Context, args ...string) error {
	m.ran = append(m.ran, args[0])
	switch {
	case args[0] == "update":
		m.stale = false
	case m.stale:
		return errors.New("404")
	default:
		_, err := os.Stat(m.policy)
		m.guarded = err == nil
		for _, needs := range groups {
			for _, n := range needs {
				m.installed[n.file] = m.installed[n.file] || strings.Contains(strings.Join(args, " "), n.pkg)
			}
		}
	}
	return nil
}

func newMachine(t *testing.T) *machine {
	return &machine{policy: filepath.Join(t.TempDir(), "policy-rc.d"), installed: map[string]bool{}}
}

func TestInstall(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root installs")
	}
	for _, stale := range []bool{false, true} {
		m := newMachine(t)
		m.stale = stale
		var out strings.Builder
		if err := install(context.Background(), []string{"net", "strongswan"}, m.have, m.apt, m.policy, &out); err != nil {
			t.Fatal(err)
		}
		if !m.guarded {
			t.Error("services could have been started")
		}
		if _, err := os.Stat(m.policy); !errors.Is(err, os.ErrNotExist) {
			t.Error("the policy file is left")
		}
		if !strings.Contains(out.String(), "iperf3") || !strings.Contains(out.String(), "strongswan-swanctl") {
			t.Errorf("does not say what it installs: %q", &out)
		}
		m.ran, out = nil, strings.Builder{}
		if err := install(context.Background(), []string{"net"}, m.have, m.apt, m.policy, &out); err != nil ||
			len(m.ran) > 0 || out.Len() > 0 {
			t.Errorf("the second time: %v, ran %v, said %q", err, m.ran, &out)
		}
	}
}

func TestExistingPolicyIsKept(t *testing.T) {
	m := newMachine(t)
	if err := os.WriteFile(m.policy, []byte("theirs"), 0o755); err != nil {
		t.Fatal(err)
	}
	undo, err := forbidServices(m.policy)
	if err != nil {
		t.Fatal(err)
	}
	undo()
	if b, err := os.ReadFile(m.policy); err != nil || string(b) != "theirs" {
		t.Errorf("%q %v", b, err)
	}
}

func TestUnknownGroup(t *testing.T) {
	if _, err := missingOf([]string{"nets"}, exists); err == nil || !strings.Contains(err.Error(), `"nets"`) {
		t.Error(err)
	}
	if _, err := missingOf(nil, exists); err == nil {
		t.Error("no group was accepted")
	}
}
