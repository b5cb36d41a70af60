//go:build linux

package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// vmPath is where the programs of the host are.
const vmPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// VMInit does the work of a virtual machine's first process, when this process
// is that: it never returns then. Programs that start virtual machines call it
// before anything else.
func VMInit() {
	file := os.Getenv(vmInitEnv)
	if file == "" || os.Getpid() != 1 {
		return
	}
	err := vmInit(file)
	// Not reached when all is well: the host ends the virtual machine.
	fmt.Fprintln(os.Stderr, "goike:", err)
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func vmInit(file string) error {
	if err := errors.Join(os.Setenv("PATH", vmPath), mountVM()); err != nil {
		return err
	}
	control, err := openPort(portControl)
	if err != nil {
		return err
	}
	fail := func(err error) error {
		_, _ = fmt.Fprintln(control, strings.ReplaceAll(err.Error(), "\n", "; "))
		select {} // the host has been told
	}
	b, err := os.ReadFile(filepath.Join(vmHost, file))
	if err != nil {
		return fail(err)
	}
	var r request
	if err := json.Unmarshal(b, &r); err != nil {
		return fail(err)
	}
	if err := prepareVM(r); err != nil {
		return fail(err)
	}
	if _, err := fmt.Fprintln(control, controlUp); err != nil {
		return err
	}
	code, sent, err := serve(r)
	if err != nil {
		return fail(err)
	}
	unix.Sync()
	if _, err := fmt.Fprintf(control, controlExit+"\n", code, sent[0], sent[1]); err != nil {
		return err
	}
	select {}
}

// mountVM mounts what every system has.
func mountVM() error {
	var errs []error
	for _, m := range []struct{ kind, at, data string }{
		{"proc", "/proc", ""}, {"sysfs", "/sys", ""}, {"devtmpfs", "/dev", ""},
		{"devpts", "/dev/pts", "ptmxmode=0666"}, {"tmpfs", "/dev/shm", "mode=1777"},
		{"tmpfs", "/tmp", "mode=1777"},
	} {
		errs = append(errs, os.MkdirAll(m.at, 0o755))
		if err := unix.Mount(m.kind, m.at, m.kind, 0, m.data); err != nil {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.at, err))
		}
	}
	// New mount namespaces are to be private without being asked.
	errs = append(errs, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	return errors.Join(errs...)
}

// prepareVM brings up what the tests need.
func prepareVM(r request) error {
	for _, dir := range r.Shared {
		if err := bind(filepath.Join(vmHost, dir), dir); err != nil {
			return err
		}
	}
	modules := filepath.Join("/lib/modules", r.Kernel.Version)
	if err := bind(filepath.Join(vmHost, r.Kernel.Modules), modules); err != nil {
		return err
	}
	// Whatever modprobe thinks of one module, the others are loaded; tests find
	// out what is missing.
	_ = exec.Command("modprobe", append([]string{"-a", "-q"}, testModules...)...).Run()
	if err := unix.Sethostname([]byte("goike-vm")); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

func bind(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", from, to, err)
	}
	return nil
}

// openPort opens a port by its name.
func openPort(name string) (*os.File, error) {
	files, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.TrimSpace(string(b)) == name {
			return os.OpenFile(filepath.Join("/dev", filepath.Base(filepath.Dir(f))), os.O_RDWR, 0)
		}
	}
	return nil, fmt.Errorf("no port %s", name)
}

// serve runs the program of the request, and returns its exit code and how much
// it has printed.
func serve(r request) (code int, sent [2]int64, err error) {
	if r.Terminal {
		tty, err := openTerminal(r)
		if err != nil {
			return 0, sent, err
		}
		code, err = runRequest(r, [3]*os.File{tty, tty, tty}, &syscall.SysProcAttr{Setsid: true, Setctty: true})
		return code, sent, err
	}
	var files [3]*os.File
	if files[0], err = os.Open(os.DevNull); err != nil {
		return 0, sent, err
	}
	var pumps [2]<-chan int64
	for i, name := range streamPorts {
		if files[i+1], pumps[i], err = pumpTo(name); err != nil {
			return 0, sent, err
		}
	}
	code, err = runRequest(r, files, nil)
	killAll()
	return code, [2]int64{<-pumps[0], <-pumps[1]}, err
}

// runRequest runs the program with these files as its standard ones, and closes
// them.
func runRequest(r request, files [3]*os.File, attr *syscall.SysProcAttr) (int, error) {
	defer closeAll(files[:])
	if err := os.Chdir(r.Dir); err != nil {
		return 0, err
	}
	program, err := exec.LookPath(r.Args[0])
	if err != nil {
		return 0, err
	}
	pid, err := syscall.ForkExec(program, r.Args, &syscall.ProcAttr{Env: r.Env, Sys: attr,
		Files: []uintptr{files[0].Fd(), files[1].Fd(), files[2].Fd()}})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", program, err)
	}
	return reap(pid), nil
}

func openTerminal(r request) (*os.File, error) {
	tty, err := os.OpenFile("/dev/hvc0", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if r.Rows > 0 {
		err = unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: r.Rows, Col: r.Columns})
	}
	return tty, err
}

// pumpTo returns a pipe that goes to a port, and a channel that gets the number
// of bytes when the last writer has closed it.
func pumpTo(name string) (*os.File, <-chan int64, error) {
	port, err := openPort(name)
	if err != nil {
		return nil, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	done := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(port, r)
		done <- n
	}()
	return w, done, nil
}

// reap waits for a process, and takes all others that end meanwhile: the first
// process inherits the orphans.
func reap(pid int) int {
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 1
		case got == pid && status.Signaled():
			return 128 + int(status.Signal())
		case got == pid && status.Exited():
			return status.ExitStatus()
		}
	}
}

// killAll ends what the tests have left running, which may hold the streams.
func killAll() { _ = syscall.Kill(-1, syscall.SIGKILL) }
