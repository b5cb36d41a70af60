//go:build linux

package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Binaries are the programs under test.
type Binaries struct{ Goiked, Goikectl string }

// binariesEnv names a directory in which goiked and goikectl are built already:
// a virtual machine's tests find them so.
const binariesEnv = "GOIKE_BINARIES"

// Build builds goiked and goikectl into dir, with the race detector when this
// program has it. Inside a virtual machine they are there already, elsewhere.
func Build(dir string) (Binaries, error) {
	if built := os.Getenv(binariesEnv); built != "" {
		return Binaries{Goiked: filepath.Join(built, "goiked"), Goikectl: filepath.Join(built, "goikectl")}, nil
	}
	b := Binaries{Goiked: filepath.Join(dir, "goiked"), Goikectl: filepath.Join(dir, "goikectl")}
	return b, goBuild("-o", dir+"/", "github.com/goike/goike/cmd/goiked", "github.com/goike/goike/cmd/goikectl")
}

func goBuild(args ...string) error {
	args = append([]string{"build", "-buildvcs=false"}, args...)
	cgo := "CGO_ENABLED=0"
	if raceEnabled {
		args = append([]string{"build", "-race"}, args[1:]...)
		cgo = "CGO_ENABLED=1"
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// NewerVersion is what the goiked of Newer calls itself.
const NewerVersion = "newer"

// Newer are the same programs, but for goiked, which calls itself by another version. It is
// built when it is not there.
func (b Binaries) Newer() (Binaries, error) {
	path := b.Goiked + "-newer"
	newer := Binaries{Goiked: path, Goikectl: b.Goikectl}
	if _, err := os.Stat(path); err == nil {
		return newer, nil
	}
	flags := "-X github.com/goike/goike/internal/version.Version=" + NewerVersion
	return newer, goBuild("-ldflags", flags, "-o", path, "github.com/goike/goike/cmd/goiked")
}

// RaceDetector tells whether what Build builds has the race detector, which takes
// several times the memory.
const RaceDetector = raceEnabled

// Goiked is a goiked in a namespace.
type Goiked struct {
	*Process
	URI    string // of its VICI socket
	Config string // file

	at  *Namespace
	dir string
	bin Binaries
}

// GoikedOptions are what else there is to say when a goiked is started.
type GoikedOptions struct {
	Env    []string
	Args   []string // after the usual ones
	Wrap   []string // program and arguments that run goiked
	Mounts map[string]string
	Attr   *syscall.SysProcAttr
	// ConfigName is the name of the configuration file, which tells its format;
	// goike.toml by default.
	ConfigName string
	// NotReady: do not wait for the daemon to be ready, since it is expected to fail, or to
	// say nothing.
	NotReady bool
	// AsConfigured leaves the log to the configuration.
	AsConfigured bool
}

// StartGoiked starts goiked in the namespace with a configuration and waits
// until it is ready.
func StartGoiked(at *Namespace, bin Binaries, config string, o GoikedOptions) (*Goiked, error) {
	dir, err := os.MkdirTemp(at.lab.Dir, "goiked-")
	if err != nil {
		return nil, err
	}
	g := &Goiked{at: at, dir: dir, bin: bin, Config: filepath.Join(dir, cmp.Or(o.ConfigName, "goike.toml")),
		URI: "unix://" + filepath.Join(dir, "run", "goiked.vici")}
	if err := os.WriteFile(g.Config, []byte(config), 0o600); err != nil {
		return nil, err
	}
	args := append(o.Wrap, bin.Goiked, "--config", g.Config, "--run-dir", filepath.Join(dir, "run"))
	if !o.AsConfigured {
		args = append(args, "--log-level", "debug")
	}
	args = append(args, o.Args...)
	// With the race detector a process sleeps for a second at its end by default.
	g.Process, err = at.Start(filepath.Base(dir)+".log", Command{
		Args: args, Env: append([]string{"GORACE=halt_on_error=1 atexit_sleep_ms=50"}, o.Env...), Mounts: o.Mounts, Attr: o.Attr})
	if err != nil || o.NotReady {
		return g, err
	}
	return g, g.WaitLine(`\bready\b`, startLimit)
}

// Socket is the path of its VICI socket.
func (g *Goiked) Socket() string { return strings.TrimPrefix(g.URI, "unix://") }

// Ctl runs goikectl on this daemon. The code is that of goikectl, -1 when it
// did not end by itself.
func (g *Goiked) Ctl(args ...string) (out string, code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err = g.at.Run(ctx, append([]string{g.bin.Goikectl, "--socket", g.Socket()}, args...)...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out, exit.ExitCode(), err
	}
	if err != nil {
		return out, -1, err
	}
	return out, 0, nil
}

// Up sets up a connection, or CONNECTION/CHILD, and waits for it.
func (g *Goiked) Up(name string) error {
	out, _, err := g.Ctl("--timeout", "20s", "up", name)
	if err != nil {
		return fmt.Errorf("%w: %s", err, tail(out, 8))
	}
	return nil
}

// Down takes it down and waits for that.
func (g *Goiked) Down(name string) error {
	out, _, err := g.Ctl("--timeout", "20s", "down", name)
	if err != nil {
		return fmt.Errorf("%w: %s", err, tail(out, 8))
	}
	return nil
}

// Status is what `goikectl --json status` shows.
func (g *Goiked) Status() (map[string]any, error) {
	out, _, err := g.Ctl("--json", "status")
	if err != nil {
		return nil, err
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		return nil, fmt.Errorf("goikectl --json status: %w in %q", err, out)
	}
	return v, nil
}

// SAs lists its IKE SAs, by the stock swanctl.
func (g *Goiked) SAs() ([]SA, error) { return g.at.SAs(g.URI) }

// Stats is what `swanctl --stats --raw` prints.
func (g *Goiked) Stats() (string, error) { return g.at.Swanctl(g.URI, "--stats", "--raw") }

// Reload gives the daemon another configuration.
func (g *Goiked) Reload(config string) error {
	if err := os.WriteFile(g.Config, []byte(config), 0o600); err != nil {
		return err
	}
	return g.Signal(syscall.SIGHUP)
}
