//go:build linux

// Command goiked is the IPsec key daemon: flags, privileges and wiring. See
// docs/goiked.8.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/internal/logging"
	"github.com/goike/goike/internal/version"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailed  = 1 // while running
	exitUsage   = 2 // usage or configuration
	exitMissing = 3 // not permitted, or something needed is missing
)

// missingError is an error that no change of the configuration mends: a
// privilege, a port or a device is lacking.
type missingError struct{ err error }

func (e missingError) Error() string { return e.err.Error() }
func (e missingError) Unwrap() error { return e.err }

// missing marks an error as a missingError.
func missing(err error) error {
	if err == nil {
		return nil
	}
	return missingError{err}
}

// usageError is an error of the command line or the configuration.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func exitCode(err error) int {
	var m missingError
	var u usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &m):
		return exitMissing
	case errors.As(err, &u):
		return exitUsage
	}
	return exitFailed
}

// options are the command line.
type options struct {
	config, runDir, socket, logLevel string
	strongSwan                       string // its settings of charon
	check                            string
	version                          bool
}

// The defaults of the command line.
const (
	defaultConfig = "/etc/goike/goike.toml"
	defaultRunDir = "/run/goike"
	noConfig      = "none"
)

const usage = `Usage: goiked [flags]
       goiked --check FILE

goiked negotiates IPsec security associations by IKEv2 and runs in the
foreground, in the network namespace in which it is started.

  --config FILE            configuration: NAME.toml, or a file in the syntax of
                           swanctl.conf; "none" for no connection
                           (` + defaultConfig + `)
  --run-dir DIR            control socket and pid file of this instance (` + defaultRunDir + `)
  --socket PATH            control socket (goiked.vici in the run directory)
  --log-level LEVEL        debug, info, warn or error; overrides the configuration
  --strongswan-conf FILE   settings of charon { } that go with a swanctl.conf or "none"
  --check FILE             read and validate FILE, print every error, start nothing
  --version                print the version

SIGHUP reads the configuration again, SIGTERM and SIGINT end goiked tidily.
Exit codes: 0 ended as asked; 1 failed while running; 2 usage or configuration;
3 not permitted, or something needed is missing.
`

// parseArgs reads the command line. It returns flag.ErrHelp when help is asked for.
func parseArgs(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("goiked", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.config, "config", defaultConfig, "")
	f.StringVar(&o.runDir, "run-dir", defaultRunDir, "")
	f.StringVar(&o.socket, "socket", "", "")
	f.StringVar(&o.logLevel, "log-level", "", "")
	f.StringVar(&o.strongSwan, "strongswan-conf", "", "")
	f.StringVar(&o.check, "check", "", "")
	f.BoolVar(&o.version, "version", false, "")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, usageError{fmt.Errorf("%w; goiked --help lists the flags", err)}
	}
	if f.NArg() > 0 {
		return o, usageError{fmt.Errorf("unexpected argument %q; goiked --help lists the flags", f.Arg(0))}
	}
	if _, err := logging.ParseLevel(o.logLevel); err != nil {
		return o, usageError{fmt.Errorf("--log-level: %w", err)}
	}
	dir, err := filepath.Abs(o.runDir)
	if err != nil {
		return o, usageError{fmt.Errorf("--run-dir %s: %w", o.runDir, err)}
	}
	o.runDir = dir
	if o.socket == "" {
		o.socket = defaultSocket(dir)
	}
	return o, nil
}

func defaultSocket(runDir string) string { return filepath.Join(runDir, "goiked.vici") }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the whole program; it returns its exit code.
func run(args []string, out, errs io.Writer) int {
	o, err := parseArgs(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(out, usage)
		return exitOK
	case err != nil:
	case o.version:
		_, _ = fmt.Fprintf(out, "goiked %s\n", version.Version)
		return exitOK
	case o.check != "":
		o.config = o.check
		return check(o, out, errs)
	default:
		err = serve(o, errs)
	}
	if err != nil {
		_, _ = fmt.Fprintf(errs, "goiked: %v\n", err)
	}
	return exitCode(err)
}

// check validates a configuration and prints everything there is to say about it.
func check(o options, out, errs io.Writer) int {
	c, warnings, err := read(o)
	for _, w := range warnings {
		_, _ = fmt.Fprintf(errs, "warning: %s\n", w)
	}
	if err != nil {
		_, _ = fmt.Fprintln(errs, err)
		return exitUsage
	}
	_, _ = fmt.Fprintf(out, "%s: valid, %s\n", o.check, count(c))
	return exitOK
}

func count(c *conf.Config) string {
	children := 0
	for _, conn := range c.Connections {
		children += len(conn.Children)
	}
	return fmt.Sprintf("%d phase 1, %d phase 2", len(c.Connections), children)
}
