package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// kernelPackage depends on the package of the kernel of today.
const kernelPackage = "linux-image-cloud-amd64"

// Peers are the packages that Fetch unpacks.
var Peers = []string{"libreswan", "openiked"}

// Fetch brings what is missing, and says what it does.
func Fetch(ctx context.Context, out io.Writer) error {
	dir, err := Dir()
	if err != nil {
		return err
	}
	f := &fetcher{dir: dir, out: out, run: run}
	if _, err := kernelIn(dir); err != nil {
		if err := f.twice(ctx, f.kernel); err != nil {
			return err
		}
	}
	for _, pkg := range Peers {
		if _, err := os.Stat(filepath.Join(dir, pkg)); err == nil {
			continue
		}
		if err := f.twice(ctx, func(ctx context.Context) error { return f.peer(ctx, pkg) }); err != nil {
			return err
		}
	}
	return nil
}

// fetcher unpacks packages below dir.
type fetcher struct {
	dir string
	out io.Writer
	run func(ctx context.Context, dir string, args ...string) (string, error)
}

// twice tries again with new package lists.
func (f *fetcher) twice(ctx context.Context, fetch func(context.Context) error) error {
	first := fetch(ctx)
	if first == nil || ctx.Err() != nil {
		return first
	}
	if _, err := f.run(ctx, f.dir, "apt-get", "update", "-qq"); err != nil {
		return fmt.Errorf("%w; apt-get update: %w", first, err)
	}
	return fetch(ctx)
}

func (f *fetcher) kernel(ctx context.Context) error {
	show, err := f.run(ctx, f.dir, "apt-cache", "show", "--no-all-versions", kernelPackage)
	if err != nil {
		return err
	}
	pkg := kernelOf(show)
	if pkg == "" {
		return fmt.Errorf("apt-cache show %s names no kernel it depends on", kernelPackage)
	}
	version := strings.TrimPrefix(pkg, kernelPrefix)
	return f.unpack(ctx, pkg, []string{"download", "-qq", pkg},
		func(tree string) error {
			_, err := f.run(ctx, tree, "depmod", "-b", tree, version)
			return err
		})
}

// kernelOf finds the package of the kernel in what apt-cache says.
func kernelOf(show string) string {
	for line := range strings.Lines(show) {
		if depends, ok := strings.CutPrefix(line, "Depends: "); ok {
			for _, d := range strings.Split(depends, ",") {
				name, _, _ := strings.Cut(strings.TrimSpace(d), " ")
				if strings.HasPrefix(name, kernelPrefix) {
					return name
				}
			}
		}
	}
	return ""
}

// peer unpacks a package together with what it needs and is not installed.
func (f *fetcher) peer(ctx context.Context, pkg string) error {
	return f.unpack(ctx, pkg, []string{"install", "-y", "-qq", "--download-only", "--reinstall",
		"--no-install-recommends", pkg}, mergeUsr)
}

// unpack downloads packages with apt-get and these arguments, and unpacks them
// all below the name of one. The directory is there when it is complete.
func (f *fetcher) unpack(ctx context.Context, pkg string, download []string, finish func(tree string) error) error {
	_, _ = fmt.Fprintf(f.out, "unpacking %s into %s\n", pkg, f.dir)
	tmp, err := os.MkdirTemp(f.dir, ".unpack-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	archives, tree := filepath.Join(tmp, "archives"), filepath.Join(tmp, "tree")
	if err := os.MkdirAll(filepath.Join(archives, "partial"), 0o700); err != nil {
		return err
	}
	apt := append([]string{"apt-get", "-o", "APT::Sandbox::User=root", "-o", "Dir::Cache::Archives=" + archives}, download...)
	if _, err := f.run(ctx, archives, apt...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil || len(debs) == 0 {
		return fmt.Errorf("package %s was not downloaded", pkg)
	}
	for _, deb := range debs {
		if _, err := f.run(ctx, archives, "dpkg-deb", "-x", deb, tree); err != nil {
			return err
		}
	}
	if err := finish(tree); err != nil {
		return err
	}
	err = os.Rename(tree, filepath.Join(f.dir, pkg))
	if errors.Is(err, os.ErrExist) {
		return nil // another process was faster
	}
	return err
}

// mergeUsr moves /bin, /lib and so on below /usr, where they are on a host, so
// that the tree can lie above the host's.
func mergeUsr(tree string) error {
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		from := filepath.Join(tree, name)
		if _, err := os.Lstat(from); err != nil {
			continue
		}
		if err := moveInto(from, filepath.Join(tree, "usr", name)); err != nil {
			return err
		}
	}
	return nil
}

func moveInto(from, to string) error {
	info, err := os.Lstat(to)
	if err != nil || !info.IsDir() {
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.Rename(from, to)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := moveInto(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return os.Remove(from)
}

func modified(file string) time.Time {
	info, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func run(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}
