// Package store keeps what the tests need of Debian packages that are not to be
// installed: the kernel of the virtual machine, and IKE daemons that cannot be
// installed beside each other. They are unpacked into the user's cache
// directory, once.
package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Dir is the directory of the store. It is made when it is not there.
func Dir() (string, error) {
	cache, err := os.UserCacheDir()
	dir := filepath.Join(cache, "goike", "vm")
	if err != nil { // no home
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("goike-cache-%d", os.Geteuid()), "vm")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		var st syscall.Stat_t
		if err := syscall.Lstat(d, &st); err != nil {
			return "", err
		}
		if int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
			return "", fmt.Errorf("%s belongs to another user, or others may write there", d)
		}
	}
	return dir, nil
}

// ErrMissing says that something has not been fetched.
var ErrMissing = errors.New("not in the store (`make deps` fetches it)")

// Kernel is an unpacked kernel.
type Kernel struct {
	Version string // as uname -r prints it
	Image   string // file
	Modules string // directory lib/modules/VERSION
}

const kernelPrefix = "linux-image-"

// FindKernel returns the kernel that was fetched last.
func FindKernel() (Kernel, error) {
	dir, err := Dir()
	if err != nil {
		return Kernel{}, err
	}
	return kernelIn(dir)
}

func kernelIn(dir string) (Kernel, error) {
	found, err := filepath.Glob(filepath.Join(dir, kernelPrefix+"*"))
	if err != nil || len(found) == 0 {
		return Kernel{}, errors.Join(err, fmt.Errorf("the kernel of the virtual machine: %w", ErrMissing))
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return modified(a).Compare(modified(b)) })
	version := strings.TrimPrefix(filepath.Base(newest), kernelPrefix)
	return Kernel{
		Version: version,
		Image:   filepath.Join(newest, "boot", "vmlinuz-"+version),
		Modules: filepath.Join(newest, "lib", "modules", version),
	}, nil
}

// Unpacked is the directory in which a package, and what it depends on but is
// not installed, lies.
func Unpacked(pkg string) (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, pkg)
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("package %s: %w", pkg, ErrMissing)
	}
	return dir, nil
}
