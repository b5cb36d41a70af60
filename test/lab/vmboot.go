//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/goike/goike/test/vm/store"
	"golang.org/x/sys/unix"
)

// Programs of the host that the virtual machine needs.
const (
	qemuProgram      = "qemu-system-x86_64"
	virtiofsdProgram = "/usr/lib/qemu/virtiofsd"
	busyboxProgram   = "/bin/busybox"
)

var vmPrograms = []string{qemuProgram, virtiofsdProgram, busyboxProgram, "modprobe"}

const (
	vmMemory   = "3G"
	vmCPUs     = "2"
	bootLimit  = 40 * time.Second
	maxBoots   = 3
	hangLimit  = 30 * time.Second // beyond the time limit of the tests
	consoleMax = 16 << 10         // bytes of the console that are kept
)

// request is what runs inside the virtual machine.
type request struct {
	Args   []string // program and arguments
	Env    []string
	Dir    string
	Shared []string // directories in which what is written is written on the host
	Kernel store.Kernel
	// A terminal of this size, instead of two streams.
	Terminal      bool
	Rows, Columns uint16
}

// vm is a virtual machine. What it is made of ends with this process.
type vm struct {
	dir     string
	console *lastBytes  // of the kernel, and of QEMU
	lines   chan string // on the port for control, closed at the end
	streams [2]*stream
	readers sync.WaitGroup

	ours, theirs []*os.File // the ends of the ports; theirs are QEMU's
	args         []string   // of QEMU, for these

	qemu, virtiofsd *tied
}

// boot starts a virtual machine with a request, whose output goes to stdout and
// stderr as it comes.
func boot(dir string, r request, stdout, stderr io.Writer) (*vm, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "request")
	disk, err := initrd(busyboxProgram, r.Kernel.Modules, program, file)
	if err != nil {
		return nil, err
	}
	initrdFile := filepath.Join(dir, "initrd")
	if err := errors.Join(os.WriteFile(file, b, 0o600), os.WriteFile(initrdFile, disk, 0o600)); err != nil {
		return nil, err
	}
	v := newVM(dir)
	if err = v.ports(stdout, stderr); err == nil {
		err = v.start(r, initrdFile)
	}
	if err != nil {
		v.stop()
		return nil, err
	}
	return v, nil
}

func newVM(dir string) *vm {
	return &vm{dir: dir, console: &lastBytes{max: consoleMax}, lines: make(chan string, 4)}
}

// ports makes the lines to the virtual machine. All that is read from them has
// been read when QEMU has ended and the readers have.
func (v *vm) ports(stdout, stderr io.Writer) error {
	console, err := v.port(portConsole)
	if err != nil {
		return err
	}
	v.readers.Go(func() { _, _ = io.Copy(v.console, console) })
	control, err := v.port(portControl)
	if err != nil {
		return err
	}
	v.readers.Go(func() { readControl(control, v.lines) })
	for i, to := range []io.Writer{stdout, stderr} {
		from, err := v.port(streamPorts[i])
		if err != nil {
			return err
		}
		s := newStream(from, to)
		v.streams[i] = s
		v.readers.Go(s.copy)
	}
	return nil
}

// port makes a line whose other end is a device of QEMU.
func (v *vm) port(name string) (io.Reader, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)
	v.ours, v.theirs = append(v.ours, ours), append(v.theirs, theirs)
	v.args = append(v.args, "-chardev", fmt.Sprintf("socket,id=%s,fd=%d", name, 2+len(v.theirs)))
	if name == portConsole {
		v.args = append(v.args, "-serial", "chardev:"+name)
	} else {
		v.args = append(v.args, "-device", fmt.Sprintf("virtserialport,chardev=%s,name=%s", name, name))
	}
	return ours, nil
}

// start starts virtiofsd and QEMU.
func (v *vm) start(r request, initrdFile string) error {
	socket := filepath.Join(v.dir, "virtiofsd")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	l.SetUnlinkOnClose(false)
	listener, err := l.File()
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	fs := exec.Command(virtiofsdProgram, "--fd=3", "-o", "source=/", "-o", "cache="+r.cache(), "-o", "sandbox=chroot", "-o", "log_level=warn", "-f")
	fs.ExtraFiles = []*os.File{listener}
	fs.Stdout, fs.Stderr = v.console, v.console
	if v.virtiofsd, err = startTied(fs, true); err != nil {
		return err
	}
	qemu := exec.Command(qemuProgram, append(qemuArgs(r, socket, initrdFile), v.args...)...)
	qemu.ExtraFiles = v.theirs
	qemu.Stdout, qemu.Stderr = v.console, v.console
	if r.Terminal {
		qemu.Stdin, qemu.Stdout = os.Stdin, os.Stdout
	}
	v.qemu, err = startTied(qemu, !r.Terminal)
	closeAll(v.theirs)
	return err
}

// cache is how virtiofsd lets the virtual machine remember files: for tests as
// if nobody else changed them.
func (r request) cache() string {
	if r.Terminal {
		return "auto"
	}
	return "always"
}

// qemuArgs are the arguments of QEMU, but those of the ports.
func qemuArgs(r request, socket, initrdFile string) []string {
	args := []string{"-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max", "-smp", vmCPUs, "-m", vmMemory,
		"-object", "memory-backend-memfd,id=memory,share=on,size=" + vmMemory, "-numa", "node,memdev=memory",
		"-nodefaults", "-display", "none", "-no-reboot",
		"-kernel", r.Kernel.Image, "-initrd", initrdFile,
		"-append", "console=ttyS0 panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check cryptomgr.notests",
		"-chardev", "socket,id=root,path=" + strings.ReplaceAll(socket, ",", ",,"),
		"-device", "vhost-user-fs-pci,chardev=root,tag=" + vmTag,
		"-device", "virtio-serial-pci"}
	if r.Terminal {
		args = append(args, "-chardev", "stdio,id=terminal,signal=off", "-device", "virtconsole,chardev=terminal")
	}
	return args
}

// stop ends the virtual machine. What it has printed has been passed on then.
func (v *vm) stop() {
	v.qemu.stop()
	v.virtiofsd.stop()
	closeAll(v.theirs)
	v.readers.Wait()
	closeAll(v.ours)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

var errNoAnswer = errors.New("no answer")

// up waits for the virtual machine to take up the request.
func (v *vm) up(ctx context.Context, limit time.Duration) error {
	line, err := v.next(ctx, limit)
	if err != nil || line != controlUp {
		return v.explain("did not start", line, err)
	}
	return nil
}

// wait waits for the request to be done and returns its exit code. The error
// says what kept it from being done.
func (v *vm) wait(ctx context.Context, limit time.Duration) (int, error) {
	line, err := v.next(ctx, limit)
	var code int
	var sent [2]int64
	if n, _ := fmt.Sscanf(line, controlExit, &code, &sent[0], &sent[1]); err != nil || n != 3 {
		return 0, v.explain("did not end as it should", line, err)
	}
	for i, s := range v.streams {
		if !s.reach(sent[i], bootLimit) {
			return 0, v.explain("ended", "some of its output is missing", nil)
		}
	}
	return code, nil
}

// next is the next line on the port for control. A limit of 0 is none.
func (v *vm) next(ctx context.Context, limit time.Duration) (string, error) {
	var after <-chan time.Time
	if limit > 0 {
		after = time.After(limit)
	}
	select {
	case line, ok := <-v.lines:
		if !ok {
			return "", errors.New("it has ended")
		}
		return line, nil
	case <-v.virtiofsd.done:
		return "", errors.New("virtiofsd, or all of it, has ended")
	case <-after:
		return "", fmt.Errorf("%w in %s", errNoAnswer, limit)
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// explain ends the virtual machine and tells why it is of no use.
func (v *vm) explain(what, line string, err error) error {
	v.stop()
	if err == nil {
		err = errors.New(line)
	}
	return fmt.Errorf("the virtual machine %s: %w; the last of its console:\n%s", what, err, tail(v.console.String(), 80))
}
