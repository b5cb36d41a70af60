//go:build linux

// Command vm gives a shell in the virtual machine of the tests: a kernel with
// ESP, AH and IPComp, and the files of this machine. What is written there is
// lost, but for this directory.
//
//	vm [COMMAND ARGUMENT...]
//
// With a command it is run instead of the shell, and its exit code is that of
// vm.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/goike/goike/test/lab"
)

func main() {
	lab.VMInit()
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code, err := lab.RunInVM(ctx, flag.Args()...)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		code = 1
	}
	os.Exit(code)
}
