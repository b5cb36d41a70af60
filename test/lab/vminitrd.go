//go:build linux

package lab

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Inside the virtual machine.
const (
	vmHost    = "/run/goike/host" // the host's root, writable
	vmInitEnv = "GOIKE_VM_INIT"   // names the request, for the first process alone
	vmEnv     = "GOIKE_VM"        // is set for the tests
	vmTag     = "goike"           // of the shared file system
)

// initScript mounts the host's root with a layer in memory above it, so that
// nothing in the virtual machine changes the host's files, and goes on with a
// program of the host.
const initScript = `#!/bin/busybox sh
fail() {
	echo "goike: $1 failed"
	exec /bin/busybox poweroff -f
}
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev || fail "mounting /dev"
for module in %[1]s; do
	insmod /modules/$module || fail "loading $module"
done
mount -t virtiofs %[2]s /lower || fail "mounting the host's root"
mount -t tmpfs -o mode=0755 memory /upper || fail "mounting memory"
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /root || fail "mounting the root"
mount -t tmpfs -o mode=0755 run /root/run || fail "mounting /run"
mkdir -p /root%[3]s
mount -o move /lower /root%[3]s || fail "moving the host's root"
umount /dev
export %[4]s=%[5]s
exec switch_root /root %[6]s
`

// initrd makes the initial RAM disk: busybox, the modules of modulesDir that are
// needed, and a script that ends in program, which finds its request in a file.
func initrd(busybox, modulesDir, program, request string) ([]byte, error) {
	modules, err := readModules(modulesDir)
	if err != nil {
		return nil, err
	}
	files, err := modules.order(bootModules...)
	if err != nil {
		return nil, err
	}
	a := &archive{}
	for _, dir := range []string{"bin", "dev", "lower", "modules", "root", "upper"} {
		a.dir(dir)
	}
	b, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	a.file("bin/busybox", 0o755, b)
	var names []string
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(modulesDir, f))
		if err != nil {
			return nil, err
		}
		name := path.Base(f)
		a.file("modules/"+name, 0o644, b)
		names = append(names, name)
	}
	script := fmt.Sprintf(initScript, strings.Join(names, " "), vmTag, vmHost, vmInitEnv, quote(request), quote(program))
	a.file("init", 0o755, []byte(script))
	return a.bytes(), nil
}

// quote makes a word of a shell script.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
