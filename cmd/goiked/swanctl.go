//go:build linux

package main

import (
	"fmt"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike/control"
)

// fromSwanctl makes a connection of what a client loads.
func fromSwanctl(name string, _ *control.Message) (*conf.Connection, []string, error) {
	return nil, nil, fmt.Errorf("connection '%s' cannot be loaded over VICI yet: write it into the configuration file", name)
}
