//go:build linux

// Package planes runs one suite over both data planes, the kernel's and that in user
// space: with one of them at both ends, and with one at each end. Keys are agreed
// beforehand; there is no IKE.
//
// The network is that of package lab: hosts in two sites, the gateways before them,
// which have the data planes, and the internet between those. Whatever a case does, no
// packet of a protected network is to be seen there.
package planes

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/goike/goike/test/lab"
)

// shared is the network, which all tests use. It is made when it is first needed.
var shared struct {
	once sync.Once
	lab  *lab.Lab
	net  *lab.Network
	err  error
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		os.Exit(childMain(name))
	}
	code := lab.KernelMain(m)
	if err := tearDown(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func tearDown() error {
	if shared.lab == nil {
		return nil
	}
	echoes.close()
	return errors.Join(shared.lab.Close(), goleak.Find())
}

func setUp() (err error) {
	if shared.lab, err = lab.New(); err != nil {
		return err
	}
	if shared.net, err = lab.NewNetwork(shared.lab); err != nil {
		return err
	}
	if err = errors.Join(routeInner(shared.net), inOnePiece(shared.net)); err != nil {
		return err
	}
	return echoes.open(shared.net)
}
