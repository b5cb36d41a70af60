//go:build linux

// Package kernel tests goiked with the kernel's ESP, AH and IPComp, where there
// is none in a virtual machine (see lab.KernelMain).
package kernel

import (
	"os"
	"testing"

	"github.com/goike/goike/test/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.KernelMain(m)) }
