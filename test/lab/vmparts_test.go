//go:build linux

package lab

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/vm/store"
)

// The layout is that of GNU cpio 2.13 (-o -H newc --reproducible -R 0:0) for the
// same files. It counts inodes, links and times otherwise, writes capitals, and
// fills up to a block.
const archiveSample = "" +
	"070701" + "00000001" + "000041ed" + "00000000" + "00000000" + "00000001" + "00000000" + "00000000" +
	"00000000" + "00000000" + "00000000" + "00000000" + "00000004" + "00000000" + "bin\x00" + "\x00\x00" +
	"070701" + "00000002" + "000081ed" + "00000000" + "00000000" + "00000001" + "00000000" + "00000005" +
	"00000000" + "00000000" + "00000000" + "00000000" + "00000006" + "00000000" + "bin/x\x00" + "hello" + "\x00\x00\x00" +
	"070701" + "00000003" + "00000000" + "00000000" + "00000000" + "00000001" + "00000000" + "00000000" +
	"00000000" + "00000000" + "00000000" + "00000000" + "0000000b" + "00000000" + "TRAILER!!!\x00" + "\x00\x00\x00"

func TestArchive(t *testing.T) {
	a := &archive{}
	a.dir("bin")
	a.file("bin/x", 0o755, []byte("hello"))
	if got := string(a.bytes()); got != archiveSample {
		t.Errorf("%q, want %q", got, archiveSample)
	}
}

func moduleDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"modules.dep": "kernel/virtio_pci.ko: kernel/virtio.ko kernel/virtio_ring.ko\nkernel/virtio.ko: kernel/virtio_ring.ko\n" +
			"kernel/virtio_ring.ko:\nkernel/fs/virtiofs.ko.xz: kernel/fs/fuse.ko kernel/virtio.ko kernel/virtio_ring.ko\n" +
			"kernel/fs/fuse.ko:\nkernel/virtio_console.ko: kernel/virtio.ko kernel/virtio_ring.ko\n",
		"modules.builtin": "kernel/fs/overlayfs/overlay.ko\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestModuleOrder(t *testing.T) {
	m, err := readModules(moduleDir(t))
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.order("virtio-pci", "virtiofs", "overlay")
	want := []string{"kernel/virtio_ring.ko", "kernel/virtio.ko", "kernel/virtio_pci.ko", "kernel/fs/fuse.ko", "kernel/fs/virtiofs.ko.xz"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q %v, want %q", got, err, want)
	}
	if _, err := m.order("esp4"); err == nil || !strings.Contains(err.Error(), "esp4") {
		t.Errorf("a module that is missing: %v", err)
	}
	if _, err := readModules(t.TempDir()); err == nil {
		t.Error("a directory without lists was accepted")
	}
}

func TestInitrd(t *testing.T) {
	dir := moduleDir(t)
	for _, f := range []string{"virtio_ring.ko", "virtio.ko", "virtio_pci.ko", "fs/fuse.ko", "fs/virtiofs.ko.xz", "virtio_console.ko", "busybox"} {
		f = filepath.Join(dir, "kernel", f)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte("contents of "+filepath.Base(f)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := initrd(filepath.Join(dir, "kernel", "busybox"), dir, "/tmp/it's.test", "/tmp/request")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"bin/busybox\x00", "contents of busybox", "modules/virtiofs.ko.xz\x00", "contents of fuse.ko",
		"for module in virtio_ring.ko virtio.ko virtio_pci.ko fuse.ko virtiofs.ko.xz virtio_console.ko; do\n",
		"export GOIKE_VM_INIT='/tmp/request'\n", `exec switch_root /root '/tmp/it'\''s.test'` + "\n",
	} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("no %q", want)
		}
	}
	if _, err := initrd(filepath.Join(dir, "missing"), dir, "x", "y"); err == nil {
		t.Error("made without busybox")
	}
}

func TestQemuArgs(t *testing.T) {
	r := request{Kernel: store.Kernel{Image: "/k"}}
	args := qemuArgs(r, "/tmp/a,b", "/i")
	for _, want := range []string{"socket,id=root,path=/tmp/a,,b", "/k", "/i"} {
		if !slices.Contains(args, want) {
			t.Errorf("%q: no %q", args, want)
		}
	}
	terminal := func() bool { return slices.Contains(qemuArgs(r, "", ""), "virtconsole,chardev=terminal") }
	if terminal() {
		t.Error("a terminal, although none was asked for")
	}
	if r.Terminal = true; !terminal() {
		t.Error("no terminal")
	}
}

func TestSharedDirectories(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	r := request{Shared: []string{"/b/c", ".", "/b", "/b/c/"}}
	if err := r.absolute(); err != nil {
		t.Fatal(err)
	}
	want := []string{"/b", "/b/c", here}
	slices.Sort(want)
	if !slices.Equal(r.Shared, want) {
		t.Errorf("%q, want %q", r.Shared, want)
	}
}

func TestLastBytes(t *testing.T) {
	l := &lastBytes{max: 4}
	for _, s := range []string{"ab", "cd", "efghijk", "l"} {
		if n, err := l.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatal(n, err)
		}
	}
	if l.String() != "ijkl" {
		t.Errorf("%q", l)
	}
}

func TestStream(t *testing.T) {
	r, w := io.Pipe()
	var out bytes.Buffer
	s := newStream(r, &out)
	done := make(chan struct{})
	go func() { defer close(done); s.copy() }()
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if !s.reach(3, time.Minute) || out.String() != "abc" {
		t.Errorf("%q", &out)
	}
	if s.reach(4, time.Millisecond) {
		t.Error("more than was sent")
	}
	_ = w.Close()
	<-done
}
