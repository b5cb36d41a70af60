//go:build linux

// Package interop tests goiked with strongSwan at the other end, and with
// itself, in network namespaces.
//
// strongSwan's user space data plane (kernel-libipsec) has UDP encapsulation
// only. So where there is no NAT, one side is told to pretend that there is:
// "no NAT" forces it at strongSwan's side, "forced" at goiked's. Raw ESP, IP
// protocol 50, is tested between two goiked.
package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// shared is what the tests of this package have in common: the network and the
// programs. Every test starts daemons of its own, and leaves nothing behind.
var shared struct {
	once  sync.Once
	lab   *lab.Lab
	net   *lab.Network
	err   error
	build sync.Once
	bins  lab.Binaries
	built error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.lab != nil {
		if err := shared.lab.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func setUp() (err error) {
	if shared.lab, err = lab.New(); err != nil {
		return err
	}
	shared.net, err = lab.NewNetwork(shared.lab)
	return err
}

// binaries builds goiked and goikectl, once.
func binaries(t *testing.T) lab.Binaries {
	t.Helper()
	shared.build.Do(func() {
		var bin string
		if bin, shared.built = shared.lab.Mkdir("bin"); shared.built == nil {
			shared.bins, shared.built = lab.Build(bin)
		}
	})
	if shared.built != nil {
		t.Fatal(shared.built)
	}
	return shared.bins
}

// world is the network of one test, watched.
type world struct {
	*lab.Network
	wire *lab.Capture // between the internet and site B
}

// newWorld gives the network to a test. At its end nothing may have passed the
// outer link that must not, whatever the test was about.
func newWorld(t *testing.T) *world {
	t.Helper()
	lab.Need(t, lab.Programs...)
	shared.once.Do(func() { shared.err = setUp() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	begun := time.Now()
	w := &world{Network: shared.net}
	if err := w.Open(); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.wire, err = w.Internet.Capture("toB", lab.NetA4, lab.NetB4, lab.NetA6, lab.NetB6); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.wire.Stop()
		if err := w.wire.Clean(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			dir := shared.lab.Keep(t.Name(), begun)
			t.Logf("logs: %s (%v)", dir, w.wire.Write(filepath.Join(dir, "outer.pcap")))
		}
	})
	return w
}
