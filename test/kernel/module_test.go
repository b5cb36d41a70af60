//go:build linux

package kernel

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hide takes a module of the kernel's crypto away until the end of the test:
// unloaded, and not loaded again when the kernel asks for it.
func hide(t *testing.T, module string) {
	t.Helper()
	const file = "/proc/sys/kernel/modprobe"
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "modprobe")
	script := "#!/bin/sh\ncase \"$*\" in *chacha*|*rfc7539*) exit 1;; esac\nexec " + strings.TrimSpace(string(before)) + " \"$@\"\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(file, before, 0o644) })
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	for { // SAs of earlier tests may hold it for a moment
		out, err := exec.CommandContext(ctx, "modprobe", "-r", module).CombinedOutput()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("modprobe -r %s: %s", module, out)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
